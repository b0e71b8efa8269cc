"""Which statistics of units correlate with the change that clamping the unit causes."""

import functools
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import NDArray

from rnnscope.analysis.units.columns import UNITS
from rnnscope.states import place_of

GROUP = ["layer", "method", "signal"]
FEWEST = 5
"""Fewest units for a rank correlation: of four, 2 in 24 orders are perfect, p = 0.08."""
EXACT = 8
"""Most units whose orders are all counted: 40,320."""

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


def statistics_in(units: pd.DataFrame) -> list[str]:
    """The columns of the table of units that are numbers and properties of a unit."""
    properties = {column.name for column in UNITS.properties()} - {"unit"}
    return [
        name
        for name in units
        if name in properties and pd.api.types.is_numeric_dtype(units[name].dtype)
    ]


def rank_correlations(
    ablation: pd.DataFrame, units: pd.DataFrame, change: str
) -> Iterator[Correlation]:
    """For each layer, method, signal and statistic, its rank correlation with a change.

    Spearman's (1904) rho over units, between a statistic of a unit's signal and the change of the
    model with the unit's h or c clamped; positive where a larger statistic goes with a larger
    change. NaN where the statistic or the change is the same for all units, or fewer than FEWEST
    units have both.

    A unit is clamped in every call of its layer, but its signals are recorded call by call: the
    layer is that of the statistic, such as ``lstm`` and ``lstm.call1``, and the change of both is
    that of ``lstm``.

    Args:
        ablation: one row per layer, unit and method.
        units: one row per layer, signal and unit; the columns of ``statistics_in`` are correlated.
        change: the column of ``ablation`` that measures a unit's importance.
    """
    statistics = statistics_in(units)
    left = ablation[["layer", "method", "unit", change]].astype({"layer": str, "method": str})
    left = left.rename(columns={"layer": "place"})
    right = units[["layer", "signal", "unit", *statistics]].astype({"layer": str, "signal": str})
    right["place"] = right["layer"].map(place_of)
    joined = left.merge(right, on=["place", "unit"])
    for (layer, method, signal), group in joined.groupby(GROUP, sort=False):
        changes = group[change].to_numpy(np.float64)
        for name in statistics:
            values = group[name].to_numpy(np.float64, na_value=np.nan)
            yield Correlation(layer, method, signal, name, change, *spearman(values, changes))


def spearman(x: Float, y: Float) -> tuple[int, float, float]:
    """Rank correlation of x and y [U] where neither is NaN: units, rho, two-sided p-value.

    Infinite values take part as ranks. Of up to EXACT units p is the share of all orders of y whose
    |rho| is as large. Of more it is from the t-distribution (Student's approximation), which is 0
    for rho = ±1: it is held at 2/U!, the share of the perfect orders without ties.
    """
    there = ~(np.isnan(x) | np.isnan(y))
    x, y = scipy.stats.rankdata(x[there]), scipy.stats.rankdata(y[there])
    units = len(x)
    if units < FEWEST or (x == x[0]).all() or (y == y[0]).all():
        return units, np.nan, np.nan
    found = scipy.stats.spearmanr(x, y)
    rho = float(found.statistic)
    if units > EXACT:
        return units, rho, max(float(found.pvalue), 2 / math.factorial(units))
    return units, rho, _exact_p(x, y)


def _exact_p(x: Float, y: Float) -> float:
    """The share of all orders of y [U] with at least as large a |covariance| with x [U]."""
    x, y = x - x.mean(), y - y.mean()
    every = np.abs(y[_orders(len(y))] @ x)
    return float((every > abs(y @ x) - 1e-9).mean())


@functools.cache
def _orders(units: int) -> NDArray[np.intp]:
    """All orders of U places [U!, U]."""
    return np.array(list(itertools.permutations(range(units))))
