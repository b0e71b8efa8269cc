"""Timescales of units by layer and signal: how many of each fit, their medians, and each unit's."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope import figures
from rnnscope.figures.tables import states_of
from rnnscope.report.drawing import inline

Float = NDArray[np.float64]


def summary(units: pd.DataFrame) -> dict[str, Any]:
    """For each layer, its signals' medians and fits, and a figure of each unit of its states.

    Args:
        units: the table of stage units.
    """
    occur = set(units["timescale_fit"].dropna())
    kinds = [str(kind) for kind in units["timescale_fit"].cat.categories if kind in occur]
    layers = []
    for number, (layer, rows) in enumerate(units.groupby("layer", observed=True, sort=False)):
        if rows["timescale_fit"].isna().all():
            continue
        signals = rows.groupby("signal", observed=True, sort=False)
        known = rows[rows["signal"].isin(states_of(rows))]["timescale"].notna().any()
        layers.append(
            {
                "layer": str(layer),
                "rows": [_row(str(name), of, kinds) for name, of in signals],
                "figure": inline(figures.timescales(rows), f"timescales-{number}")
                if known
                else None,
            }
        )
    return {"layers": layers, "kinds": kinds}


def _row(signal: str, rows: pd.DataFrame, kinds: list[str]) -> dict[str, Any]:
    """One signal's median, quartiles and fits, over the units that have a timescale or persist."""
    low, middle, high = quartiles(rows["timescale"].to_numpy(np.float64))
    counts = rows["timescale_fit"].value_counts()
    return {
        "signal": signal,
        "low": low,
        "median": middle,
        "high": high,
        "counts": [int(counts.get(kind, 0)) for kind in kinds],
    }


def quartiles(tau: Float) -> tuple[float, float, float]:
    """The quartiles of those that are not NaN, infinite ones among them; NaN where there are none.

    Interpolated linearly, as in pandas; what lies between a number and infinity is infinite.
    """
    known = np.sort(tau[~np.isnan(tau)])
    if not len(known):
        return np.nan, np.nan, np.nan
    low, middle, high = (_quantile(known, level) for level in (0.25, 0.5, 0.75))
    return low, middle, high


def _quantile(ordered: Float, level: float) -> float:
    """NumPy's own is NaN between two infinities."""
    place = level * (len(ordered) - 1)
    below, above = float(ordered[int(place)]), float(ordered[int(np.ceil(place))])
    return below if below == above else below + place % 1 * (above - below)
