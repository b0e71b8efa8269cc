"""Curves over timesteps or ranks, with bands, baselines and a legend."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.figures.drawing import DASHES, SERIES, SOFT, Figure, panel, title

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """One line of a panel, with a band around it where low and high are given."""

    label: str
    x: "pd.Series[Any]"
    y: "pd.Series[Any]"
    low: "pd.Series[Any] | None" = None
    high: "pd.Series[Any] | None" = None
    soft: bool = False
    """Whether it is a baseline, drawn in the colour of secondary text."""
    marked: "pd.Series[bool] | None" = None
    """Which of its points have a dot."""


def curves(
    lines: Sequence[Curve],
    words: str,
    layer: str = "",
    *,
    x: str = "timestep",
    limits: tuple[float | None, float | None] = (None, None),
) -> Figure:
    """Some curves over timesteps, or over ``x``.

    Args:
        lines: at most four that are not ``soft`` have a colour of their own.
        words: the name of y, with its unit.
        layer: whose they are, for the title.
        x: the name of x, with its unit.
        limits: lower and upper end of y; by default those of the curves.
    """
    figure, axes = panel(300, f"{words} over {x}")
    for place, line in enumerate(lines):
        colour = SOFT if line.soft else SERIES[place % len(SERIES)]
        alone = len(line.x) == 1
        if line.low is not None and line.high is not None:
            if alone:
                axes.vlines(line.x, line.low, line.high, color=colour, linewidth=1.3)
            else:
                axes.fill_between(
                    line.x, line.low, line.high, color=colour, alpha=0.13, linewidth=0
                )
        axes.plot(
            line.x,
            line.y,
            color=colour,
            linestyle=":" if line.soft else DASHES[place % len(DASHES)],
            marker="_" if alone and line.soft else "o" if alone else None,
            label=line.label,
        )
        if line.marked is not None:
            axes.plot(line.x[line.marked], line.y[line.marked], "o", color=colour, markersize=3.6)
    axes.set_title(title(words, layer))
    axes.set_xlabel(x)
    axes.set_ylim(*limits)
    figure.legend(loc="outside lower left", ncols=min(len(lines), 5), handlelength=2)
    return figure
