"""Timescales of units by layer and signal: how many of each fit, their medians, and each unit's."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from numpy.typing import NDArray

from rnnscope.report.drawing import SERIES, panel, styled, svg

Float = NDArray[np.float64]

STATES = ("h", "c")
"""Signals whose units are drawn one by one; of other cells the first signal."""


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
        signals = dict(list(rows.groupby("signal", observed=True, sort=False)))
        drawn = [name for name in STATES if name in signals] or list(signals)[:1]
        layers.append(
            {
                "layer": str(layer),
                "rows": [_row(str(name), of, kinds) for name, of in signals.items()],
                "figure": _figure({name: signals[name] for name in drawn}, f"timescales-{number}"),
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


def _figure(signals: dict[str, pd.DataFrame], name: str) -> Markup | None:
    """Each unit's timescale with its interval, the shortest first; infinite ones on the top line.

    None where no unit has one.
    """
    ordered = {
        signal: rows.dropna(subset="timescale").sort_values("timescale", kind="stable")
        for signal, rows in signals.items()
    }
    every = pd.concat(ordered.values())["timescale"].to_numpy(np.float64)
    if not len(every):
        return None
    finite = every[np.isfinite(every)]
    shortest, longest = (finite.min(), finite.max()) if len(finite) else (1.0, 1.0)
    bottom, endless = shortest / 2, longest * 4
    with styled(name):
        figure, axes = panel(300)
        for place, (signal, rows) in enumerate(ordered.items()):
            # The signals' units stand side by side.
            x = np.arange(1, len(rows) + 1) + (place - (len(ordered) - 1) / 2) * 0.4
            tau, low, high = (
                rows[f"timescale{end}"].to_numpy(np.float64).clip(bottom, endless)
                for end in ("", "_low", "_high")
            )
            colour = SERIES[place % len(SERIES)]
            axes.vlines(x, low, high, color=colour, alpha=0.35, linewidth=1.2)
            axes.plot(x, tau, "os"[place % 2], color=colour, markersize=3, label=signal)
        axes.set_yscale("log")
        ticks = _ticks(bottom, longest * 2)
        axes.set_yticks([*ticks, endless], [*(f"{tick:g}" for tick in ticks), "∞"])
        axes.minorticks_off()
        axes.set_ylim(bottom, endless * 1.15 if _unbounded(ordered.values()) else longest * 2)
        axes.set_title("timescale of each unit, timesteps")
        axes.set_xlabel("unit, shortest timescale first")
        figure.legend(loc="outside lower left", ncols=len(ordered), handlelength=1)
        return Markup(svg(figure, "Timescale of each unit with its interval"))


def _unbounded(signals: Iterable[pd.DataFrame]) -> bool:
    """Whether a timescale or the end of its interval is infinite."""
    ends = [rows[["timescale", "timescale_high"]].to_numpy(np.float64) for rows in signals]
    return any(np.isinf(each).any() for each in ends)


def _ticks(bottom: float, top: float) -> list[float]:
    """Round numbers from bottom to top, evenly apart on a log scale: 1, 2, 5, 10, or the tens."""
    decades = range(int(np.floor(np.log10(bottom))), int(np.ceil(np.log10(top))) + 1)
    several = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
    inside = [tick for tick in several if bottom <= tick <= top]
    return inside if len(inside) <= 7 else [10.0**decade for decade in decades][1:-1]
