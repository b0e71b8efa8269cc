"""Stage units: one row of statistics per layer, signal and unit.

Sums are taken part by part and merged, so that memory does not grow with the number of sequences
and the parts may come in any order.
"""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline import engine, states
from pipeline.analysis import classes, moments, quantiles
from pipeline.analysis.classes import ClassSums
from pipeline.analysis.moments import Moments
from pipeline.config import Engine, Units

TABLE = "units.parquet"
LEVELS = {
    "q01": 0.01,
    "q05": 0.05,
    "q25": 0.25,
    "median": 0.5,
    "q75": 0.75,
    "q95": 0.95,
    "q99": 0.99,
}
GATES = ("i", "f", "o", "z", "r")
BOUNDED = ("h", "g")


@dataclass(frozen=True)
class Sums:
    """What is summed over rows of one signal, for all its units."""

    moments: Moments
    left: NDArray[np.int64]
    """Rows below the lower cut [U]."""
    right: NDArray[np.int64]
    """Rows above the upper cut [U]."""
    classes: ClassSums | None
    """Over the last timestep of each sequence, where there are labels."""


def run(options: Units, parts_engine: Engine, recorded: Path, folder: Path) -> dict[str, Any]:
    """Write ``units.parquet`` from the states in ``recorded``; returns the headline figures."""
    signals = [(layer, name) for layer, names in states.layers(recorded).items() for name in names]
    # Of each signal, whatever the number of workers: it decides how quantiles are had.
    budget = options.memory_mb * 1_000_000
    measure = functools.partial(_signal, recorded, options, budget)
    tables = list(engine.run(measure, signals, parts_engine, what="units", unit="signal"))
    table = pd.concat([frame for frame, _ in tables], ignore_index=True)
    for name in ("layer", "signal"):
        table[name] = pd.Categorical(table[name], categories=table[name].unique())
    table.to_parquet(folder / TABLE, index=False)
    significant = (table["q_value"] < 0.05).groupby(table["signal"], observed=True).sum()
    return {
        "rows": len(table),
        "quantiles": {
            f"{layer}/{signal}": how
            for (layer, signal), (_, how) in zip(signals, tables, strict=True)
        },
        "class_dependent": {str(name): int(count) for name, count in significant.items()},
        "headline": {
            "rows": len(table),
            "dead": int(table["dead"].sum()),
            "with q < 0.05": int(significant.sum()),
        },
    }


def summarise(values: NDArray[np.float32], cuts: list[float], rows: states.Rows, k: int) -> Sums:
    """The sums over some rows of one signal.

    Args:
        values: [U, R], one unit per line.
        cuts: below the first is left-saturated, above the second right-saturated.
        rows: the keys of the R rows; whole sequences.
        k: number of classes.
    """
    by_class = None
    if rows.label is not None:
        last = rows.last
        by_class = classes.class_sums(values[:, last], rows.label[last], k)
    return Sums(
        moments.moments(values),
        (values < cuts[0]).sum(axis=1),
        (values > cuts[1]).sum(axis=1),
        by_class,
    )


def merge(a: Sums, b: Sums) -> Sums:
    """The sums over both sets of rows."""
    by_class = None
    if a.classes is not None and b.classes is not None:
        by_class = classes.merge(a.classes, b.classes)
    both = moments.merge(a.moments, b.moments)
    return Sums(both, a.left + b.left, a.right + b.right, by_class)


def table(sums: Sums, quantile: NDArray[np.float64], signal: str, dead: float) -> pd.DataFrame:
    """The statistics of one signal's units, one row each, as the README lists them.

    Args:
        sums: over all rows.
        quantile: [U, 7], at LEVELS.
        signal: its letter; some columns exist only for some signals and are null elsewhere.
        dead: a unit whose variance is below this is dead.
    """
    m = sums.moments
    units = len(m.mean)
    null = np.full(units, np.nan)
    saturates = signal in GATES + BOUNDED
    frame = pd.DataFrame(
        {
            "unit": np.arange(units, dtype=np.int32),
            "count": np.full(units, m.count),
            "mean": m.mean,
            "std": m.std,
            "min": m.min,
            "max": m.max,
            "skewness": m.skewness,
            "kurtosis": m.kurtosis,
            **dict(zip(LEVELS, quantile.T, strict=True)),
            "left_saturated": sums.left / m.count if saturates else null,
            "right_saturated": sums.right / m.count if saturates else null,
            "dead": m.variance < dead,
            "forget_timescale": forget_timescale(m.mean) if signal == "f" else null,
        }
    )
    return frame.assign(**_class_columns(sums.classes, units))


def forget_timescale(mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """-1 / ln(mean f) in timesteps [U]: how long a cell state lasts (Mahto et al. 2021).

    The cell state c = f c' decays by the factor f per step, to 1/e after this many steps.
    """
    with np.errstate(divide="ignore"):
        return 1 / np.abs(np.log(mean))


def _class_columns(sums: ClassSums | None, units: int) -> dict[str, Any]:
    """What a unit tells of the class at the last timestep; null without labels."""
    names = (
        "selectivity",
        "preferred_class",
        "eta2",
        "omega2",
        "f_statistic",
        "p_value",
        "q_value",
    )
    if sums is None:
        return {name: np.full(units, np.nan) for name in names} | {
            "preferred_class": pd.array([pd.NA] * units, dtype="Int32")
        }
    found = classes.anova(sums)
    selective, preferred = classes.selectivity(sums)
    return {
        "selectivity": selective,
        "preferred_class": pd.array(preferred, dtype="Int32"),
        "eta2": found.eta2,
        "omega2": found.omega2,
        "f_statistic": found.f_statistic,
        "p_value": found.p_value,
        "q_value": classes.q_values(found.p_value),
    }


def _signal(
    recorded: Path, options: Units, budget: int, signal: tuple[str, str]
) -> tuple[pd.DataFrame, str]:
    """One signal's rows of the table, and how its quantiles were had."""
    layer, name = signal
    files = states.parts(recorded, layer, name)
    rows, k = states.row_count(recorded, layer, name), states.class_count(recorded)
    cuts = options.gate_cuts if name in GATES else options.tanh_cuts
    kept: NDArray[np.float32] | None = None
    sums: Sums | None = None
    filled = 0
    for file in files:
        keys, values = states.read_part(file)
        part = summarise(values, cuts, keys, k)
        sums = part if sums is None else merge(sums, part)
        if kept is None and rows * len(values) * 4 <= budget:
            kept = np.empty((len(values), rows), np.float32)
        if kept is not None:
            kept[:, filled : filled + values.shape[1]] = values
            filled += values.shape[1]
    assert sums is not None
    levels = list(LEVELS.values())
    if kept is not None:
        quantile, how = quantiles.exact(kept, levels), "exact"
    else:
        low, high = sums.moments.min, sums.moments.max
        counts = (quantiles.histogram(states.read_part(file)[1], low, high) for file in files)
        quantile, how = quantiles.from_histograms(counts, low, high, levels), "histogram"
    frame = table(sums, quantile, name, options.dead_variance)
    frame["unit"] = np.array(states.unit_numbers(files[0]), np.int32)
    frame.insert(0, "signal", name)
    frame.insert(0, "layer", layer)
    return frame, how
