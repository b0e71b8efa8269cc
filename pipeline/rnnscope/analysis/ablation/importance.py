"""Whether a statistic of a unit goes with what the model loses without the unit."""

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import NDArray

from rnnscope.analysis.units.classes import q_values
from rnnscope.states import place_of

KEYS = ["layer", "method", "signal"]
OTHERS = ("unit", "count", "preferred_class", "p_value", "q_value", "mi_p", "mi_q")
"""Numbers in the table of units that measure no property of a unit: names, and evidence."""
FEWEST = 3
"""Units that a rank correlation needs."""

Float = NDArray[np.float64]


def importance(ablation: pd.DataFrame, units: pd.DataFrame, change: str) -> pd.DataFrame:
    """One row per layer, method, signal and statistic: its rank correlation with a change.

    Spearman's (1904) rho over units, between the statistic of a unit's signal and what changes in
    the model with the unit's h or c clamped; positive where a larger statistic goes with a larger
    change. Its p-value is two-sided, from the t-distribution; the q-value is Benjamini &
    Hochberg's (1995) over the statistics of a layer, method and signal. Null where the statistic
    or the change is the same for all units, or there are fewer than three that have both.

    A unit is clamped in every call of its layer, but its signals are recorded call by call: the
    layer is that of the statistic, such as ``lstm`` and ``lstm.call1``, and the change of both is
    that of ``lstm``.

    Args:
        ablation: one row per layer, unit and method.
        units: one row per layer, signal and unit; each further column of numbers is a statistic.
        change: the column of ``ablation`` that tells a unit's importance.
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
    rows = []
    for key, group in left.merge(right, on=["place", "unit"]).groupby(KEYS, sort=False):
        changes = group[change].to_numpy(np.float64)
        values = (group[name].to_numpy(np.float64, na_value=np.nan) for name in statistics)
        counts, rho, p = zip(*(spearman(each, changes) for each in values), strict=True)
        columns = statistics, counts, rho, p, q_values(np.array(p))
        rows += [(*key, *row[:1], change, *row[1:]) for row in zip(*columns, strict=True)]
    names = [*KEYS, "statistic", "change", "units", "spearman", "p_value", "q_value"]
    table = pd.DataFrame(rows, columns=names)
    types = {name: pd.CategoricalDtype(table[name].unique()) for name in names[:5]}
    return table.astype({**types, "units": np.int32, **dict.fromkeys(names[6:], np.float64)})


def spearman(x: Float, y: Float) -> tuple[int, float, float]:
    """Rank correlation of x and y [U] where both are there: how many, rho, two-sided p-value."""
    there = ~(np.isnan(x) | np.isnan(y))
    x, y = x[there], y[there]
    if len(x) < FEWEST or (x == x[0]).all() or (y == y[0]).all():
        return len(x), np.nan, np.nan
    found = scipy.stats.spearmanr(x, y)
    return len(x), float(found.statistic), float(found.pvalue)
