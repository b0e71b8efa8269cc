"""Stage ablation: how the model's loss changes with one unit's h or c clamped, by rerunning it.

In each pass one unit is clamped at one value, at every timestep and on every path out of it, as
``clamping`` does it. Changes are taken sequence by sequence, against the intact model on the same
sequence, and tested over sequences, or over their sources where several share one. Sums are taken
batch by batch and merged, so that memory does not grow with the number of sequences.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope import engine, models
from rnnscope.analysis.ablation import sums
from rnnscope.analysis.ablation.columns import (
    ABLATION,
    IMPORTANCE,
    METHODS,
    NEEDED,
    Clamped,
    Reruns,
)
from rnnscope.analysis.ablation.estimate import Work, watched
from rnnscope.analysis.ablation.importance import rank_correlations
from rnnscope.analysis.ablation.rerun import Given, Made, Means, Rerun, given_batches
from rnnscope.analysis.ablation.sums import SUMMED, Sums
from rnnscope.analysis.statistics.testing import with_q_values
from rnnscope.config import Ablation, Config
from rnnscope.data import Split
from rnnscope.errors import UserError
from rnnscope.states import place_of, selection
from rnnscope.store import parquet
from rnnscope.store.inputs import Inputs
from rnnscope.store.stage import Figures
from rnnscope.store.tables import by_column, table_file
from rnnscope.trace.places import Place, places

TABLES = (ABLATION, IMPORTANCE)
FAMILY = ("layer", "method")
"""The p-values of units that agree in these are adjusted together; those of importance all."""
UNKNOWN = "states whose place in the equations is not known"


def run(config: Config, inputs: Inputs, folder: Path) -> Figures:
    """Write ``ablation.parquet`` and ``importance.parquet``; returns the stage's figures.

    A unit is needed by a method where the q-value of its rise in loss is below NEEDED; where there
    is no loss, needed units are not counted.

    Args:
        config: the run's config.
        inputs: the artefacts of stages units and, unless the model comes from a file, train.
        folder: where to write.

    Raises:
        UserError: a layer or unit that does not exist, nothing to clamp, or a model that cannot be
            rerun.
    """
    options = config.ablation
    trained, step = inputs.folders.get("train"), config.extract.checkpoint
    model, dataset = models.of_run(config.model, trained, config.data, step)
    cells = _cells(model, options)
    same = {name: _same(place, options) for name, place in cells.items()}
    methods = {name: _methods(place, same[name], options) for name, place in cells.items()}
    held = {(name, method[0]): place for name, place in cells.items() for method in methods[name]}
    count = _count(dataset.test, options)
    sources = _sources(dataset.test, count)
    batches = functools.partial(given_batches, model, dataset.test, count, options.batch_size)
    with Rerun(model, held, dataset) as rerun:
        means = rerun.means(batches())
        clamps = _clamps(methods, means, options)
        rerun.prepare()
        whole, found = summed(rerun, batches, clamps, sources, config)
    reruns = Reruns(clamps, found, labelled=dataset.test.y is not None)
    table = with_q_values(ABLATION, ABLATION.frame(reruns), FAMILY)
    ABLATION.write(table, folder)
    baseline = {
        name: float(mean)
        for name, mean in zip(SUMMED[:2], whole.moments.mean, strict=False)
        if mean == mean
    }
    scored = "loss" in baseline
    change = "loss_change" if scored else "output_change"
    units = parquet.frame(table_file(inputs.folders["units"], "units"))
    rows = list(rank_correlations(table, units, change))
    importance = with_q_values(IMPORTANCE, IMPORTANCE.frame(rows), ())
    IMPORTANCE.write(importance, folder)
    needed, by_every = _needed(table) if scored else ({}, {})
    return {
        "rows": len(table),
        "sequences": count,
        "sources": None if sources is None else len(np.unique(sources)),
        "baseline": baseline,
        **needed,
        "importance_of": change,
        "statistics_of": _calls(importance),
        "same_as": {name: methods for name, methods in same.items() if methods},
        "left_out": _left_out(cells, methods, means, options),
        "null": {
            "ablation": by_column(ABLATION.nulls(reruns, table)),
            "importance": by_column(IMPORTANCE.nulls(rows, importance)),
        },
        "headline": {
            **baseline,
            "units": len(table[["layer", "unit"]].drop_duplicates()),
            **by_every,
        },
    }


def _count(split: Split, options: Ablation) -> int:
    """How many sequences are passed."""
    return min(len(split), options.max_sequences or len(split))


def _sources(split: Split, count: int) -> NDArray[np.intp] | None:
    """The number of each sequence's source [count]; None where the data does not tell sources."""
    if split.groups is None:
        return None
    return np.unique(split.groups[:count], return_inverse=True)[1]


def summed(
    rerun: Rerun,
    batches: Callable[[], Iterable[Given]],
    clamps: list[Clamped],
    sources: NDArray[np.intp] | None,
    config: Config,
) -> tuple[Sums, list[Sums]]:
    """The sums over all sequences, of the intact model and with each unit clamped.

    Args:
        rerun: the model.
        batches: gives the sequences, batch by batch.
        clamps: which units, and at what.
        sources: the number of each sequence's source [N]; None if each is a source of its own.
        config: the engine, and the longest time that the passes may take.

    Raises:
        UserError: the passes would take longer than that.
    """
    pool, options = config.engine, config.ablation
    if rerun.variables:
        pool = dataclasses.replace(pool, workers=1)
    total = _count(rerun.dataset.test, options)
    whole: list[Sums] = []
    found: list[Sums] = []
    count, start = 0 if sources is None else int(sources.max()) + 1, 0
    for number, given in enumerate(batches(), 1):
        stop = start + len(given.batch.x)
        here = None if sources is None else sources[start:stop]
        start = stop
        made = rerun.made(given)
        add = functools.partial(_sums, whole=made, given=given, sources=here, count=count)
        whole = _merged(whole, [add(made)])
        measure = functools.partial(_measured, rerun, given, add)
        more = engine.run(measure, clamps, pool, what=f"ablation, batch {number}", unit="pass")
        if number == 1:
            work = Work(len(clamps), total, len(given.batch.x), options)
            more = watched(more, work, engine.workers(pool))
        found = _merged(found, more)
    return whole[0], found


def _measured(rerun: Rerun, given: Given, add: Callable[[Made], Sums], clamp: Clamped) -> Sums:
    """The sums over a batch, with one unit clamped."""
    return add(rerun.made_without(given, clamp.layer, clamp.state, clamp.unit, clamp.value))


def _sums(
    made: Made,
    whole: Made,
    given: Given,
    sources: NDArray[np.intp] | None,
    count: int,
) -> Sums:
    """The sums over a batch, from its results, those of the intact model, and its sources."""
    changes = made.loss - whole.loss, made.accuracy - whole.accuracy
    distance = made.distance(whole, given.batch.valid)
    values = np.stack([made.loss, made.accuracy, *changes, distance])
    return sums.summed(values, sources, count)


def _merged(known: list[Sums], found: Iterable[Sums]) -> list[Sums]:
    """The sums of all batches so far merged with those of one more."""
    return list(map(sums.merge, known, found)) if known else list(found)


def _needed(table: pd.DataFrame) -> tuple[dict[str, Any], dict[str, int]]:
    """How many units are needed by each method, and by every one, as two figures."""
    needed = table["q_value"] < NEEDED
    by_method = needed.groupby(table["method"], observed=True).sum()
    by_unit = needed.groupby([table["layer"], table["unit"]], observed=True).all()
    by_name = {str(method): int(units) for method, units in by_method.items()}
    return {"needed": by_name}, {"needed by every method": int(by_unit.sum())}


def _calls(importance: pd.DataFrame) -> dict[str, list[str]]:
    """For layers that are called more than once, the calls whose statistics are correlated."""
    calls: dict[str, list[str]] = {}
    for recorded in importance["layer"].cat.categories:
        calls.setdefault(place_of(recorded), []).append(recorded)
    return {name: recorded for name, recorded in calls.items() if recorded != [name]}


def _cells(model: keras.Model, options: Ablation) -> dict[str, Place]:
    """The cells that the options ask for.

    Raises:
        UserError: a layer or unit that cannot be clamped.
    """
    cells = selection.only("ablation.layers", places(model), options.layers)
    for name, place in cells.items():
        if options.layers is not None and not place.states:
            raise UserError(f"ablation.layers={options.layers}: {name} has {UNKNOWN}")
    most = max((place.units for place in cells.values() if place.states), default=0)
    if options.units is not None and 0 < most <= max(options.units):
        raise UserError(f"ablation.units={options.units}: there are {most}, from 0 to {most - 1}")
    return cells


def _same(place: Place, options: Ablation) -> dict[str, str]:
    """The methods that are another one by algebra, both asked for: that one is run and written."""
    both = {"h_zero", "c_zero"} <= set(options.methods)
    return {"c_zero": "h_zero"} if both and "c" in place.states and place.c_is_private else {}


def _methods(place: Place, same: Mapping[str, str], options: Ablation) -> list[str]:
    """The methods asked for whose state the cell has, without those that are another one."""
    asked = [name for name in METHODS if name in options.methods and name not in same]
    return [name for name in asked if name[0] in place.states]


def _clamps(methods: Mapping[str, list[str]], means: Means, options: Ablation) -> list[Clamped]:
    """The chosen units of every cell that a forward pass calls, by every method."""
    return [
        Clamped(name, unit, method, 0.0 if method.endswith("zero") else float(of[method[0]][unit]))
        for name, of in means.items()
        for unit in range(len(next(iter(of.values()))))
        if options.units is None or unit in options.units
        for method in methods[name]
    ]


def _left_out(
    cells: Mapping[str, Place], methods: Mapping[str, list[str]], means: Means, options: Ablation
) -> dict[str, str]:
    """Which methods the table lacks, and why, by cell."""
    found = {}
    for name, place in cells.items():
        lacking = sorted(each for each in options.methods if each[0] not in cells[name].states)
        if not place.states:
            found[name] = f"all: {UNKNOWN}"
        elif methods[name] and name not in means:
            found[name] = "all: not called in the forward pass"
        elif lacking:
            found[name] = f"{', '.join(lacking)}: the cell has no such state"
    return found
