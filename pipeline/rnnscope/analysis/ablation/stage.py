"""Stage ablation: what the model loses with one unit's h or c clamped, by rerunning it.

Each pass is one unit held at one value, at every timestep and on every path out of it, as
``clamping`` does it. What a sequence loses is the difference to what the whole model makes of the
same sequence. Sums are taken batch by batch and merged, so that memory does not grow with the
number of sequences.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import scipy.stats

from rnnscope import data, engine, models
from rnnscope.analysis.ablation.importance import importance
from rnnscope.analysis.ablation.places import Place, places
from rnnscope.analysis.ablation.rerun import Given, Made, Means, Rerun, given_batches
from rnnscope.analysis.statistics import moments
from rnnscope.analysis.statistics.moments import Moments
from rnnscope.config import Ablation, Config, Engine
from rnnscope.data import Split
from rnnscope.errors import UserError
from rnnscope.states import place_of, selection
from rnnscope.store.stage import Figures, Inputs
from rnnscope.store.tables import table_file

METHODS = ("h_zero", "h_mean", "c_zero", "c_mean")
CONFIDENCE = 0.95
SUMMED = ("loss", "accuracy", "loss_change", "accuracy_change", "output_change")
"""What is summed over sequences, in this order."""
WITH_INTERVAL = ("loss_change", "accuracy_change")
UNKNOWN = "states whose place in the equations is not known"


@dataclass(frozen=True)
class Clamped:
    """One unit held at one value: one row of the table."""

    layer: str
    unit: int
    method: str
    """Of METHODS: the state, and at what."""
    value: float

    @property
    def state(self) -> str:
        """h or c."""
        return self.method[0]


def run(config: Config, inputs: Inputs, folder: Path) -> Figures:
    """Write ``ablation.parquet`` and ``importance.parquet``; returns the stage's figures.

    A unit counts as needed where the interval of its change in loss lies above zero. Without a
    loss nothing is said of that.

    Args:
        config: the run's config.
        inputs: the artefacts of stages units and, unless the model comes from a file, train.
        folder: where to write.

    Raises:
        UserError: a layer or unit that cannot be had, none at all, or a model that cannot be rerun.
    """
    options = config.ablation
    dataset = data.load(config.data)
    model = models.of_run(config.model, inputs.folders.get("train"), dataset)
    cells = _cells(model, options)
    methods = {name: _methods(place, options) for name, place in cells.items()}
    held = {(name, method[0]): place for name, place in cells.items() for method in methods[name]}
    count = min(len(dataset.test), options.max_sequences or len(dataset.test))
    batches = functools.partial(given_batches, model, dataset.test, count, options.batch_size)
    with Rerun(model, held) as rerun:
        means = rerun.means(batches())
        clamps = _clamps(methods, means, options)
        runs = {
            clamp: _same_as(clamp, cells[clamp.layer], methods[clamp.layer]) for clamp in clamps
        }
        whole, sums = summed(rerun, batches, list(dict.fromkeys(runs.values())), config.engine)
    table = tabulate({clamp: sums[run] for clamp, run in runs.items()})
    table.to_parquet(table_file(folder, "ablation"), index=False)
    baseline = {
        name: float(mean)
        for name, mean in zip(SUMMED[:2], whole.mean, strict=False)
        if mean == mean
    }
    scored = "loss" in baseline
    change = "loss_change" if scored else "output_change"
    joined = importance(
        table, pd.read_parquet(table_file(inputs.folders["units"], "units")), change
    )
    joined.to_parquet(table_file(folder, "importance"), index=False)
    loss_rises, needed = _needed(table) if scored else ({}, {})
    return {
        "rows": len(table),
        "sequences": count,
        "passes": len(sums),
        "baseline": baseline,
        **loss_rises,
        "importance_of": change,
        "statistics_of": _calls(joined),
        "left_out": _left_out(cells, methods, means, options),
        "nulls": _nulls(baseline, dataset.test),
        "headline": {
            **baseline,
            "units": len(table[["layer", "unit"]].drop_duplicates()),
            **needed,
        },
    }


def summed(
    rerun: Rerun, batches: Callable[[], Iterable[Given]], clamps: list[Clamped], pool: Engine
) -> tuple[Moments, dict[Clamped, Moments]]:
    """The moments of SUMMED over all sequences: of the whole model, and of each clamped unit."""
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


def tabulate(sums: Mapping[Clamped, Moments]) -> pd.DataFrame:
    """One row per clamped unit: means over sequences, and the intervals of paired differences.

    The interval is Student's (1908), mean ± t s/√n, with s the standard deviation of the n
    sequences' differences and t the 97.5 % quantile at n - 1 degrees of freedom; null for a single
    sequence. It is each unit's own, not corrected for how many there are.

    Args:
        sums: for each, the moments of SUMMED over sequences.
    """
    table = pd.DataFrame(
        [dataclasses.asdict(clamp) for clamp in sums],
        columns=[field.name for field in dataclasses.fields(Clamped)],
    )
    count = np.array([found.count for found in sums.values()], np.int64)
    mean, std = (
        np.array([getattr(found, what) for found in sums.values()]).reshape(-1, len(SUMMED)).T
        for what in ("mean", "std")
    )
    t = scipy.stats.t.ppf((1 + CONFIDENCE) / 2, np.maximum(count - 1, 1))
    half = t * std / np.sqrt(count)
    table["sequences"] = count
    for number, name in enumerate(SUMMED):
        table[name] = mean[number]
        if name in WITH_INTERVAL:
            table[f"{name}_low"] = mean[number] - half[number]
            table[f"{name}_high"] = mean[number] + half[number]
    types = {"unit": np.int32, "value": np.float64, "method": pd.CategoricalDtype(METHODS)}
    return table.astype({**types, "layer": pd.CategoricalDtype(table["layer"].unique())})


def _measured(rerun: Rerun, given: Given, whole: Made, clamp: Clamped) -> Moments:
    """The moments of SUMMED over a batch, with one unit clamped."""
    made = rerun.made_without(given, clamp.layer, clamp.state, clamp.unit, clamp.value)
    return _moments(made, whole, given)


def _moments(made: Made, whole: Made, given: Given) -> Moments:
    changes = made.loss - whole.loss, made.accuracy - whole.accuracy
    distance = made.distance(whole, given.batch.valid)
    return moments.moments(np.stack([made.loss, made.accuracy, *changes, distance]))


def _merged(known: list[Moments], found: Iterable[Moments]) -> list[Moments]:
    """Moments of all batches before, with those of one more."""
    return list(map(moments.merge, known, found)) if known else list(found)


def _needed(table: pd.DataFrame) -> tuple[dict[str, Any], dict[str, int]]:
    """For how many units the loss rises, by method; and for how many by every method."""
    rises = table["loss_change_low"] > 0
    by_method = rises.groupby(table["method"], observed=True).sum()
    by_unit = rises.groupby([table["layer"], table["unit"]], observed=True).all()
    by_name = {str(method): int(units) for method, units in by_method.items()}
    return {"loss_rises": by_name}, {"needed by every method": int(by_unit.sum())}


def _calls(joined: pd.DataFrame) -> dict[str, list[str]]:
    """Of a layer that is called again: whose statistics are set against what it is clamped in."""
    calls: dict[str, list[str]] = {}
    for recorded in joined["layer"].cat.categories:
        calls.setdefault(place_of(recorded), []).append(recorded)
    return {name: recorded for name, recorded in calls.items() if recorded != [name]}


def _nulls(baseline: Mapping[str, float], split: Split) -> dict[str, str]:
    """Which columns are null, and why."""
    if split.y is None:
        return {"loss, accuracy": "the data has no labels"}
    if "loss" not in baseline:
        return {"loss, accuracy": f"the model's output is no score of a {split.labels}"}
    return {} if "accuracy" in baseline else {"accuracy": "the labels are numbers, not classes"}


def _cells(model: keras.Model, options: Ablation) -> dict[str, Place]:
    """The cells asked for.

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
    most = max((place.cell.units for place in cells.values() if place.states), default=0)
    if options.units is not None and 0 < most <= max(options.units, default=most):
        raise UserError(f"ablation.units={options.units}: there are {most}, from 0 to {most - 1}")
    return cells


def _methods(place: Place, options: Ablation) -> list[str]:
    """The methods asked for, as far as the cell has the state."""
    return [name for name in METHODS if name in options.methods and name[0] in place.states]


def _clamps(methods: Mapping[str, list[str]], means: Means, options: Ablation) -> list[Clamped]:
    """What is clamped: the chosen units of every cell that a pass comes to, by every method."""
    return [
        Clamped(name, unit, method, 0.0 if method.endswith("zero") else float(of[method[0]][unit]))
        for name, of in means.items()
        for unit in range(len(next(iter(of.values()))))
        if options.units is None or unit in options.units
        for method in methods[name]
    ]


def _same_as(clamp: Clamped, place: Place, methods: list[str]) -> Clamped:
    """The clamp to run for this one: where c at zero is h at zero, one pass does for both."""
    same = clamp.method == "c_zero" and "h_zero" in methods and place.c_is_private
    return dataclasses.replace(clamp, method="h_zero") if same else clamp


def _left_out(
    cells: Mapping[str, Place], methods: Mapping[str, list[str]], means: Means, options: Ablation
) -> dict[str, str]:
    """By cell, what the table lacks of it, and why."""
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
