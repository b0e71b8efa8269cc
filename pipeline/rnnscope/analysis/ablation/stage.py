"""Stage ablation: how the model's loss changes with one unit's h or c clamped, by rerunning it.

In each pass one unit is clamped at one value, at every timestep and on every path out of it, as
``clamping`` does it. Changes are taken sequence by sequence, against the intact model on the same
sequence. Sums are taken batch by batch and merged, so that memory does not grow with the number of
sequences.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from rnnscope import engine, models
from rnnscope.analysis.ablation.columns import (
    ABLATION,
    IMPORTANCE,
    METHODS,
    SUMMED,
    Clamped,
    Reruns,
)
from rnnscope.analysis.ablation.importance import KEYS, rank_correlations
from rnnscope.analysis.ablation.places import Place, places
from rnnscope.analysis.ablation.rerun import Given, Made, Means, Rerun, given_batches
from rnnscope.analysis.statistics import moments
from rnnscope.analysis.statistics.moments import Moments
from rnnscope.analysis.statistics.testing import with_q_values
from rnnscope.config import Ablation, Config, Engine
from rnnscope.errors import UserError
from rnnscope.states import place_of, selection
from rnnscope.store.inputs import Inputs
from rnnscope.store.stage import Figures
from rnnscope.store.tables import by_column, table_file

TABLES = (ABLATION, IMPORTANCE)
UNKNOWN = "states whose place in the equations is not known"


def run(config: Config, inputs: Inputs, folder: Path) -> Figures:
    """Write ``ablation.parquet`` and ``importance.parquet``; returns the stage's figures.

    A unit counts as needed where the interval of its change in loss lies above zero; where there
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
    model, dataset = models.of_run(config.model, inputs.folders.get("train"), config.data)
    cells = _cells(model, options)
    methods = {name: _methods(place, options) for name, place in cells.items()}
    held = {(name, method[0]): place for name, place in cells.items() for method in methods[name]}
    count = min(len(dataset.test), options.max_sequences or len(dataset.test))
    batches = functools.partial(given_batches, model, dataset.test, count, options.batch_size)
    with Rerun(model, held, dataset) as rerun:
        means = rerun.means(batches())
        clamps = _clamps(methods, means, options)
        runs = {
            clamp: _same_as(clamp, cells[clamp.layer], methods[clamp.layer]) for clamp in clamps
        }
        whole, sums = summed(rerun, batches, list(dict.fromkeys(runs.values())), config.engine)
    reruns = Reruns(
        list(runs), [sums[run] for run in runs.values()], labelled=dataset.test.y is not None
    )
    table = ABLATION.frame(reruns)
    ABLATION.write(table, folder)
    baseline = {
        name: float(mean)
        for name, mean in zip(SUMMED[:2], whole.mean, strict=False)
        if mean == mean
    }
    scored = "loss" in baseline
    change = "loss_change" if scored else "output_change"
    units = pd.read_parquet(table_file(inputs.folders["units"], "units"))
    rows = list(rank_correlations(table, units, change))
    importance = with_q_values(IMPORTANCE, IMPORTANCE.frame(rows), KEYS)
    IMPORTANCE.write(importance, folder)
    loss_rises, needed = _needed(table) if scored else ({}, {})
    return {
        "rows": len(table),
        "sequences": count,
        "passes": len(sums),
        "baseline": baseline,
        **loss_rises,
        "importance_of": change,
        "statistics_of": _calls(importance),
        "left_out": _left_out(cells, methods, means, options),
        "null": {
            "ablation": by_column(ABLATION.nulls(reruns, table)),
            "importance": by_column(IMPORTANCE.nulls(rows, importance)),
        },
        "headline": {
            **baseline,
            "units": len(table[["layer", "unit"]].drop_duplicates()),
            **needed,
        },
    }


def summed(
    rerun: Rerun, batches: Callable[[], Iterable[Given]], clamps: list[Clamped], pool: Engine
) -> tuple[Moments, dict[Clamped, Moments]]:
    """The moments of SUMMED over all sequences, of the intact model and with each unit clamped."""
    if rerun.variables:
        pool = dataclasses.replace(pool, workers=1)
    whole: list[Moments] = []
    sums: list[Moments] = []
    for number, given in enumerate(batches(), 1):
        made = rerun.made(given)
        measure = functools.partial(_measured, rerun, given, made)
        whole = _merged(whole, [_moments(made, made, given)])
        found = engine.run(measure, clamps, pool, what=f"ablation, batch {number}", unit="pass")
        sums = _merged(sums, found)
    return whole[0], dict(zip(clamps, sums, strict=True))


def _measured(rerun: Rerun, given: Given, whole: Made, clamp: Clamped) -> Moments:
    """The moments of SUMMED over a batch, with one unit clamped."""
    made = rerun.made_without(given, clamp.layer, clamp.state, clamp.unit, clamp.value)
    return _moments(made, whole, given)


def _moments(made: Made, whole: Made, given: Given) -> Moments:
    changes = made.loss - whole.loss, made.accuracy - whole.accuracy
    distance = made.distance(whole, given.batch.valid)
    return moments.moments(np.stack([made.loss, made.accuracy, *changes, distance]))


def _merged(known: list[Moments], found: Iterable[Moments]) -> list[Moments]:
    """The moments of all batches so far merged with those of one more."""
    return list(map(moments.merge, known, found)) if known else list(found)


def _needed(table: pd.DataFrame) -> tuple[dict[str, Any], dict[str, int]]:
    """How many units the loss rises for, by method and by all methods, as two figures."""
    rises = table["loss_change_low"] > 0
    by_method = rises.groupby(table["method"], observed=True).sum()
    by_unit = rises.groupby([table["layer"], table["unit"]], observed=True).all()
    by_name = {str(method): int(units) for method, units in by_method.items()}
    return {"loss_rises": by_name}, {"needed by every method": int(by_unit.sum())}


def _calls(importance: pd.DataFrame) -> dict[str, list[str]]:
    """For layers that are called more than once, the calls whose statistics are correlated."""
    calls: dict[str, list[str]] = {}
    for recorded in importance["layer"].cat.categories:
        calls.setdefault(place_of(recorded), []).append(recorded)
    return {name: recorded for name, recorded in calls.items() if recorded != [name]}


def _cells(model: keras.Model, options: Ablation) -> dict[str, Place]:
    """The cells that the options ask for.

    Raises:
        UserError: no layer or method is asked for, or a layer or unit that cannot be clamped.
    """
    for name, chosen in (("layers", options.layers), ("methods", options.methods)):
        if chosen == []:
            raise UserError(f"ablation.{name}=[]: nothing would be clamped; name at least one")
    cells = selection.only("ablation.layers", places(model), options.layers)
    for name, place in cells.items():
        if options.layers is not None and not place.states:
            raise UserError(f"ablation.layers={options.layers}: {name} has {UNKNOWN}")
    most = max((place.units for place in cells.values() if place.states), default=0)
    if options.units is not None and 0 < most <= max(options.units, default=most):
        raise UserError(f"ablation.units={options.units}: there are {most}, from 0 to {most - 1}")
    return cells


def _methods(place: Place, options: Ablation) -> list[str]:
    """The methods asked for whose state the cell has."""
    return [name for name in METHODS if name in options.methods and name[0] in place.states]


def _clamps(methods: Mapping[str, list[str]], means: Means, options: Ablation) -> list[Clamped]:
    """The chosen units of every cell that a forward pass calls, by every method."""
    return [
        Clamped(name, unit, method, 0.0 if method.endswith("zero") else float(of[method[0]][unit]))
        for name, of in means.items()
        for unit in range(len(next(iter(of.values()))))
        if options.units is None or unit in options.units
        for method in methods[name]
    ]


def _same_as(clamp: Clamped, place: Place, methods: list[str]) -> Clamped:
    """The clamp to run in place of this one: where c at 0 is h at 0, one pass serves both."""
    same = clamp.method == "c_zero" and "h_zero" in methods and place.c_is_private
    return dataclasses.replace(clamp, method="h_zero") if same else clamp


def _left_out(
    cells: Mapping[str, Place], methods: Mapping[str, list[str]], means: Means, options: Ablation
) -> dict[str, str]:
    """Which methods the table lacks, and why, by cell."""
    found = {}
    for name, place in cells.items():
        lacking = sorted(set(options.methods) - set(methods[name]))
        if not place.states:
            found[name] = f"all: {UNKNOWN}"
        elif methods[name] and name not in means:
            found[name] = "all: not called in the forward pass"
        elif lacking:
            found[name] = f"{', '.join(lacking)}: the cell has no such state"
    return found
