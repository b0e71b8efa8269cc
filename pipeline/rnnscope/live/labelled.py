"""States as labelled arrays of xarray, where that is installed."""

import importlib
from typing import Any

from rnnscope.live.source import Source


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
    variables = {}
    for signal in signals:
        units = source.units(layer, signal)
        # The state tensors of a cell may differ in size.
        unit = "unit" if units == usual else f"unit_{signal}"
        coordinates[unit] = units
        variables[signal] = (("sequence", "timestep", unit), source.array(layer, signal))
    return xarray.Dataset(variables, coordinates, {"layer": layer})
