"""Stage fixed_points: states that a cell keeps under a constant input, and the dynamics nearby.

The search begins at states that the network visited, plus noise, and minimises how far a state
moves in one timestep. What is found is linearised: eigenvalues of the Jacobian say which directions
decay, which grow, how fast, and whether they oscillate.
"""

import itertools
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope import models, states
from rnnscope.analysis.fixed_points.cell import dynamics_of, features_of, why_not
from rnnscope.analysis.fixed_points.columns import (
    FIXED_POINTS,
    MODES,
    TABLES,
    modes_frame,
    points_frame,
)
from rnnscope.analysis.fixed_points.constants import Constants, constants
from rnnscope.analysis.fixed_points.finding import nearest_class, search
from rnnscope.analysis.fixed_points.joining import joined
from rnnscope.analysis.fixed_points.points import NOTHING, STABILITIES, Axes, Points
from rnnscope.analysis.fixed_points.visited import Visited, annotations, drawn, nearest
from rnnscope.config import Config, FixedPoints, located
from rnnscope.errors import UserError
from rnnscope.states import layers, open_signal, place_of, selection
from rnnscope.store import parquet
from rnnscope.store.inputs import Inputs
from rnnscope.store.stage import Figures
from rnnscope.store.tables import by_column, table_file
from rnnscope.trace import cells
from rnnscope.trace.places import Place, places

__all__ = ["TABLES", "run"]

log = logging.getLogger(__name__)

Float = NDArray[np.float64]


def run(config: Config, inputs: Inputs, folder: Path) -> Figures:
    """Write ``fixed_points.parquet`` and ``modes.parquet``; returns the stage's figures.

    Args:
        config: the run's config.
        inputs: the artefacts of stages extract and population and, unless the model comes from a
            file, train.
        folder: where to write.

    Raises:
        UserError: a layer that does not exist or whose points cannot be found, or a file of inputs
            that does not fit.
    """
    options = located(config.fixed_points)
    recorded, population = inputs.folders["extract"], inputs.folders["population"]
    trained, step = inputs.folders.get("train"), config.extract.checkpoint
    model, dataset = models.of_run(config.model, trained, config.data, step)
    there, left_out = _layers(places(model), recorded, options)
    count = states.sequence_count(recorded)
    count = min(count, options.max_sequences or count)
    of_timesteps = "label" not in parquet.schema(recorded / states.SEQUENCES).names
    given, lacking = constants(model, dataset, there, options, count)
    found: list[Points] = []
    said: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    for name, place in there.items():
        signals = tuple(open_signal(recorded, name, each) for each in place.states)
        seen = Visited(signals, count, of_timesteps)
        axes = _axes(population, name, place)
        more, said[name], seconds[name] = _of_layer(
            name, place, recorded, seen, given[name], axes, options
        )
        found += more
    return _written(found, folder) | {
        "search": said,
        "search_seconds": seconds,
        "left_out": left_out,
        "inputs_left_out": lacking,
        "sequences": count,
    }


def _of_layer(
    name: str,
    place: Place,
    recorded: Path,
    seen: Visited,
    given: Constants,
    axes: Axes,
    options: FixedPoints,
) -> tuple[list[Points], dict[str, Any], float]:
    """The points of one layer under each input, what is said of the search, and its seconds."""
    dynamics = dynamics_of(place.cell, features_of(place.cell))
    starts, means = drawn(seen, options.starts, options.noise, options.seed)
    ended, seconds = search(name, dynamics, starts, given, axes, options)
    every = np.concatenate([np.empty((0, dynamics.size)), *(each.state for each in ended)])
    at = nearest(seen, every)  # of all inputs in one reading
    notes = annotations(recorded, name, at)
    ends = itertools.accumulate((len(each.state) for each in ended), initial=0)
    found = [
        Points(
            name,
            place.states,
            each,
            options.tolerance,
            at.only(slice(start, stop)),
            *nearest_class(each.state, means),
            {note: values[start:stop] for note, values in notes.items()},
            axes,
        )
        for each, (start, stop) in zip(ended, itertools.pairwise(ends), strict=True)
    ]
    return found, {each.input: each.said for each in ended}, seconds


def _written(found: list[Points], folder: Path) -> Figures:
    """Write both tables; returns their rows, nulls and headline."""
    every = found or [NOTHING]
    tables = {
        FIXED_POINTS: joined(FIXED_POINTS, map(points_frame, every)),
        MODES: joined(MODES, map(modes_frame, every)),
    }
    for table, frame in tables.items():
        table.write(frame, folder)
    points = tables[FIXED_POINTS]
    fixed = points[points["kind"] == "fixed"]
    counts = {name: int((fixed["stability"] == name).sum()) for name in STABILITIES}
    return {
        "rows": len(points),
        "null": {
            table.name: by_column(table.nulls(frame, frame)) for table, frame in tables.items()
        },
        "headline": {**counts, "slow": int((points["kind"] == "slow").sum())},
    }


def _layers(
    there: Mapping[str, Place], recorded: Path, options: FixedPoints
) -> tuple[dict[str, Place], dict[str, str]]:
    """The layers whose points can be found, and why those of others cannot.

    Raises:
        UserError: a layer that ``fixed_points.layers`` names is none of them.
    """
    found, left_out = {}, {}
    for name, place in selection.only("fixed_points.layers", dict(there), options.layers).items():
        why = _why_left_out(name, place, recorded, options)
        if why is None:
            found[name] = place
            continue
        if options.layers is not None:
            raise UserError(f"fixed_points.layers={options.layers}: {name} is left out: {why}")
        log.info(f"{'':<10} layer '{name}' is left out: {why}")
        left_out[name] = why
    for name in layers(recorded):
        if name not in found and place_of(name) in found:
            left_out[name] = f"a further call of {place_of(name)}, whose points are the same"
    return found, left_out


def _why_left_out(name: str, place: Place, recorded: Path, options: FixedPoints) -> str | None:
    """Why the points of a layer cannot be found; None if they can."""
    if cells.stock_kind(place.cell) is None:
        return "its cell is no LSTM, GRU or simple RNN of Keras' own"
    size = place.units * len(place.states)
    if options.max_state is not None and size > options.max_state:
        return (
            f"its state has {size:,} numbers, more than fixed_points.max_state="
            f"{options.max_state}: the work grows with their third power"
        )
    signals = layers(recorded).get(name, [])
    for state in place.states:
        if state not in signals:
            return f"its {state} was not recorded"
        signal = open_signal(recorded, name, state)
        if not signal.rows:
            return "no timestep of it was recorded"
        if len(signal.units) != place.units:
            return "only some of its units were recorded"
    return why_not(dynamics_of(place.cell, features_of(place.cell)))


def _axes(population: Path, layer: str, place: Place) -> Axes:
    """The components of each of a layer's states that stage population has of it."""
    table = parquet.frame(
        table_file(population, "components"),
        columns=["layer", "signal", "component", "unit", "loading", "mean"],
        filters=[("layer", "==", layer)],
    )
    found = {}
    for state in place.states:
        rows = table[table["signal"].astype(str) == state].sort_values(["component", "unit"])
        if len(rows):
            shape = (-1, place.units)
            loading, mean = (rows[name].to_numpy().reshape(shape) for name in ("loading", "mean"))
            found[state] = loading, mean[0]
    return found
