"""Which statistics of units correlate with the change that clamping the unit causes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import NDArray

from rnnscope.states import place_of

KEYS = ("layer", "method", "signal")
OTHERS = ("unit", "count", "preferred_class", "p_value", "q_value", "mi_p", "mi_q")
"""Numeric columns of the table of units that are no property of a unit: names and evidence."""
FEWEST = 3
"""Fewest units for a rank correlation."""

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Correlation:
    """The rank correlation of a statistic with a change, over the units of a layer."""

    layer: str
    """Of the statistic."""
    method: str
    """How the units are clamped."""
    signal: str
    """Of the statistic."""
    statistic: str
    change: str
    units: int
    """How many have both."""
    spearman: float
    p_value: float


def rank_correlations(
    ablation: pd.DataFrame, units: pd.DataFrame, change: str
) -> Iterator[Correlation]:
    """For each layer, method, signal and statistic, its rank correlation with a change.

    Spearman's (1904) rho over units, between a statistic of a unit's signal and the change of the
    model with the unit's h or c clamped; positive where a larger statistic goes with a larger
    change. Its p-value is two-sided, from the t-distribution. NaN where the statistic or the change
    is the same for all units, or fewer than three units have both.

    A unit is clamped in every call of its layer, but its signals are recorded call by call: the
    layer is that of the statistic, such as ``lstm`` and ``lstm.call1``, and the change of both is
    that of ``lstm``.

    Args:
        ablation: one row per layer, unit and method.
        units: one row per layer, signal and unit; each further numeric column is a statistic.
        change: the column of ``ablation`` that measures a unit's importance.
    """
    statistics = [
        name
        for name in units
        if name not in OTHERS and pd.api.types.is_numeric_dtype(units[name].dtype)
    ]
    left = ablation[["layer", "method", "unit", change]].astype({"layer": str, "method": str})
    left = left.rename(columns={"layer": "place"})
    right = units[["layer", "signal", "unit", *statistics]].astype({"layer": str, "signal": str})
    right["place"] = right["layer"].map(place_of)
    joined = left.merge(right, on=["place", "unit"])
    for (layer, method, signal), group in joined.groupby(list(KEYS), sort=False):
        changes = group[change].to_numpy(np.float64)
        for name in statistics:
            values = group[name].to_numpy(np.float64, na_value=np.nan)
            yield Correlation(layer, method, signal, name, change, *spearman(values, changes))


def spearman(x: Float, y: Float) -> tuple[int, float, float]:
    """Rank correlation of x and y [U] where neither is NaN: units, rho, two-sided p-value."""
    there = ~(np.isnan(x) | np.isnan(y))
    x, y = x[there], y[there]
    if len(x) < FEWEST or (x == x[0]).all() or (y == y[0]).all():
        return len(x), np.nan, np.nan
    found = scipy.stats.spearmanr(x, y)
    return len(x), float(found.statistic), float(found.pvalue)
