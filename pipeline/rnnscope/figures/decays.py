"""Timescales of units, the shortest first, infinite ones on a line of their own at the top."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.errors import UserError
from rnnscope.figures.drawing import SERIES, Figure, panel, styled, title
from rnnscope.figures.tables import by_signal, of_layer, of_signal, wanted

Float = NDArray[np.float64]
Points = tuple[Float, Float, Float]
"""Timescales and the ends of their intervals [U], NaN where there is none."""


@styled
def timescales(
    units: pd.DataFrame,
    *,
    layer: str | None = None,
    signals: Sequence[str] | str | None = None,
) -> Figure:
    """Each unit's intrinsic timescale with its 95 % interval, the shortest first.

    >>> import pandas as pd, rnnscope
    >>> units = pd.DataFrame({"layer": "lstm", "signal": "c", "unit": [0, 1], "timescale": [9.0, 3],
    ...                       "timescale_low": [5.0, 2], "timescale_high": [20.0, 4]})
    >>> figure = rnnscope.figures.timescales(units)  # units.parquet, or rnnscope.measure(...)
    >>> figure.axes[0].lines[0].get_ydata().tolist()
    [3.0, 9.0]

    Args:
        units: ``units.parquet`` of stage units, or what ``rnnscope.measure`` returns; of its
            columns layer, signal, timescale, timescale_low and timescale_high are used.
        layer: its name, where the table has several; the title has it too.
        signals: their letters; by default h and c, or the first where there are neither.

    Raises:
        rnnscope.errors.UserError: the table does not have these columns, no such layer or signal,
            or no unit has a timescale.
    """
    names = ("timescale", "timescale_low", "timescale_high")
    rows, shown = of_layer(units, "units", ("signal", *names), layer)
    found: dict[str, Points] = {}
    for signal, of in by_signal(rows, wanted(signals, rows), "units"):
        ordered = of.dropna(subset="timescale").sort_values("timescale", kind="stable")
        tau, low, high = (ordered[name].to_numpy(np.float64) for name in names)
        found[signal] = (tau, low, high)
    words = "timescale of each unit, timesteps"
    return draw(found, words, shown, x="unit, shortest timescale first")


@styled
def forget_timescales(units: pd.DataFrame, *, layer: str | None = None) -> Figure:
    """Each unit's forget timescale, the shortest first: how long its forget gate keeps c.

    Drawn are −1 / ln⟨f⟩ and, for the same units, −1 / ⟨ln f⟩, which is never longer, and which the
    decay of c follows where f varies (Mahto et al. 2021; Tallec & Ollivier 2018).

    >>> import pandas as pd, rnnscope
    >>> units = pd.DataFrame({"layer": "lstm", "signal": "f", "unit": [0, 1],
    ...                       "forget_timescale": [9.0, 3.0], "forget_timescale_log": [7.0, 2.0]})
    >>> figure = rnnscope.figures.forget_timescales(units)  # units.parquet
    >>> [line.get_ydata().tolist() for line in figure.axes[0].lines]
    [[3.0, 9.0], [2.0, 7.0]]

    Args:
        units: ``units.parquet`` of stage units, or what ``rnnscope.measure`` returns; of its
            columns layer, signal, forget_timescale and forget_timescale_log are used.
        layer: its name, where the table has several; the title has it too.

    Raises:
        rnnscope.errors.UserError: the table does not have these columns, no such layer, no forget
            gate, or none with a timescale.
    """
    names = {"forget_timescale": "of mean f", "forget_timescale_log": "of mean ln f"}
    rows, shown = of_layer(units, "units", ("signal", *names), layer)
    rows = of_signal(rows, "f", "units").dropna(subset="forget_timescale")
    rows = rows.sort_values("forget_timescale", kind="stable")
    found: dict[str, Points] = {}
    for name, words in names.items():
        tau = rows[name].to_numpy(np.float64)
        found[words] = (tau, np.full_like(tau, np.nan), np.full_like(tau, np.nan))
    words = "forget timescale of each unit, timesteps"
    return draw(found, words, shown, x="unit, shortest forget timescale first", apart=0)


@styled
def draw(
    groups: Mapping[str, Points], words: str, layer: str = "", *, x: str, apart: float = 0.4
) -> Figure:
    """Timescales on a logarithmic axis; infinite ones on the top line.

    Args:
        groups: label -> its timescales and the ends of their intervals, from left to right.
        words: what they are, with their unit.
        layer: whose they are, for the title.
        x: what the order is.
        apart: distance between the groups' points of one rank.

    Raises:
        UserError: there is no timescale.
    """
    every = np.concatenate([tau for tau, _, _ in groups.values()])
    if np.isnan(every).all():
        raise UserError("units has no timescale here: the manifest of stage units says why")
    finite = every[np.isfinite(every)]
    shortest, longest = (finite.min(), finite.max()) if len(finite) else (1.0, 1.0)
    bottom, endless = shortest / 2, longest * 4
    figure, axes = panel(300, f"{words.capitalize()}, in order")
    for place, (label, points) in enumerate(groups.items()):
        side_by_side = (place - (len(groups) - 1) / 2) * apart
        rank = np.arange(1, len(points[0]) + 1) + side_by_side
        tau, low, high = (each.clip(bottom, endless) for each in points)
        colour = SERIES[place % len(SERIES)]
        axes.vlines(rank, low, high, color=colour, alpha=0.35, linewidth=0.9)
        axes.plot(rank, tau, "os"[place % 2], color=colour, markersize=2.2, label=label)
    axes.set_yscale("log")
    ticks = _ticks(bottom, longest * 2)
    axes.set_yticks([*ticks, endless], [*(f"{tick:g}" for tick in ticks), "∞"])
    axes.minorticks_off()
    unbounded = any(np.isinf(tau).any() or np.isinf(high).any() for tau, _, high in groups.values())
    axes.set_ylim(bottom, endless * 1.15 if unbounded else longest * 2)
    axes.set_title(title(words, layer))
    axes.set_xlabel(x)
    figure.legend(loc="outside lower left", ncols=len(groups), handlelength=1)
    return figure


def _ticks(bottom: float, top: float) -> list[float]:
    """Round numbers from bottom to top, evenly apart on a log scale: 1, 2, 5, 10, or the tens."""
    decades = range(int(np.floor(np.log10(bottom))), int(np.ceil(np.log10(top))) + 1)
    several = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
    inside = [tick for tick in several if bottom <= tick <= top]
    return inside if len(inside) <= 7 else [10.0**decade for decade in decades][1:-1]
