"""States as labelled arrays of xarray, where that is installed."""

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope.live.source import Source
from rnnscope.states.steps import is_outcome


def dataset(source: Source, layer: str) -> Any:
    """The signals of one layer as an ``xarray.Dataset``.

    Raises:
        ImportError: xarray is not installed.
    """
    try:
        xarray = importlib.import_module("xarray")  # none of this package's own
    except ImportError as error:
        raise ImportError("to_xarray needs xarray: python -m pip install xarray") from error
    signals = source.layers[layer]
    usual = source.units(layer, signals[0])
    coordinates: dict[str, Any] = {"sequence": source.sequences["sequence"].to_numpy()}
    if (steps := source.steps_of(layer)) is not None:
        coordinates["timestep"] = steps
    for name in ("id", "group", "length", "label", "target"):
        if name in source.sequences:
            coordinates[name] = ("sequence", source.sequences[name].to_numpy())
    if steps is not None and layer not in source.other_time:
        coordinates |= _of_steps(source, steps)
    variables = {}
    for signal in signals:
        units = source.units(layer, signal)
        # The state tensors of a cell may differ in size.
        unit = "unit" if units == usual else f"unit_{signal}"
        coordinates[unit] = units
        variables[signal] = (("sequence", "timestep", unit), source.array(layer, signal))
    return xarray.Dataset(variables, coordinates, {"layer": layer})


def _of_steps(source: Source, steps: NDArray[np.intp]) -> dict[str, Any]:
    """Labels, targets and annotations of timesteps as coordinates [N, T]; NaN where none is."""
    table = source.steps
    if table is None:
        return {}
    kept = table[table["timestep"].isin(steps)]
    shape = len(source.sequences), len(steps)
    place = kept["sequence"].to_numpy(), np.searchsorted(steps, kept["timestep"])
    found = {}
    for name in table.columns.difference(["sequence", "timestep"], sort=False):
        if is_outcome(name):
            continue
        values = np.full(shape, np.nan)
        values[place] = kept[name]
        # One of sequences may have the name too.
        known = f"{name}_of_timestep" if name in source.sequences else name
        found[known] = (("sequence", "timestep"), values)
    return found
