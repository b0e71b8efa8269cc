"""The style of the figures: ours, whatever matplotlibrc or pyplot's settings of the user say.

A figure is 4.6 inches wide, a column and a half of a journal's page and 460 pixels in a notebook.
"""

import functools
import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import ParamSpec

import matplotlib as mpl
import numpy as np
from matplotlib import figure as mpl_figure
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from rnnscope.errors import brief

Options = ParamSpec("Options")

WIDTH = 4.6
"""Inches."""
UNIT = WIDTH / 460
"""Inches of what is one pixel where a figure is 460 of them wide; heights are given in these."""
INK, SOFT, RULE, PAPER = "#1a1f24", "#5a6570", "#dde2e7", "#ffffff"
"""Colours of text, of axes and baselines, of grid lines, and of the inside of open marks."""
SERIES = ("#0072b2", "#d55e00", "#00805c", "#9a4f7c")
"""Of curves: Okabe and Ito's colours, which colour-blind readers tell apart, the last two darker so
that text in them can be read on white."""
CLASSES = (*SERIES, "#2f96cc", "#998300", INK)
"""Of classes, which may be many."""
Dashes = str | tuple[float, tuple[float, ...]]

DASHES: tuple[Dashes, ...] = (
    "-",
    (0, (5, 2)),
    (0, (1.6, 1.2)),
    "-.",
)
LABEL = 40
"""Most characters of a name in a figure."""
TITLE = 58
"""Most characters of a line of a title."""
STYLE = {
    "text.parse_math": False,  # a name such as $a is itself
    "font.size": 9.4,
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.labelpad": 3,
    "axes.linewidth": 0.6,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titlepad": 7,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 2.2,
    "ytick.major.size": 2.2,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.pad": 2.5,
    "ytick.major.pad": 2.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.3,
    "legend.frameon": False,
    "legend.labelcolor": INK,
}


class Figure(mpl_figure.Figure):
    """A Matplotlib figure that a notebook shows also where pyplot was never imported."""

    alt = ""
    """What it shows, in words, for readers who do not see it."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """The picture for IPython at two pixels per point, with the size to show it at."""
        file = io.BytesIO()
        self.savefig(file, format="png", dpi=2 * self.dpi)
        width, height = (round(side * self.dpi) for side in self.get_size_inches())
        return file.getvalue(), {"width": width, "height": height}


def settings(**others: object) -> AbstractContextManager[None]:
    """Matplotlib's own defaults and the style, for as long as the context lasts."""
    plain = {key: each for key, each in dict.items(mpl.rcParamsDefault) if key != "backend"}
    return mpl.rc_context({**plain, **STYLE, **others})


def styled(function: Callable[Options, Figure]) -> Callable[Options, Figure]:
    """Let a function draw its figure in the style and leave Matplotlib's settings as they were."""

    @functools.wraps(function)
    def drawn(*args: Options.args, **options: Options.kwargs) -> Figure:
        with settings():
            figure = function(*args, **options)
            for axes in figure.axes:  # else ticks are made later, in the settings of that time
                axes.get_xticklabels()
                axes.get_yticklabels()
        return figure

    return drawn


def blank(height: float, alt: str) -> Figure:
    """A figure without axes, ``height`` of 460 wide, with its description."""
    figure = Figure(figsize=(WIDTH, height * UNIT), layout="constrained")
    figure.alt = alt
    return figure


def panel(height: float, alt: str) -> tuple[Figure, Axes]:
    """A figure with one set of axes, whole numbers along x, and horizontal grid lines."""
    figure = blank(height, alt)
    axes: Axes = figure.subplots()
    axes.grid(visible=True, axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    whole_numbers(axes)
    return figure, axes


def whole_numbers(axes: Axes) -> None:
    """Label x at whole numbers only."""
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def of_class(place: int) -> tuple[str, Dashes]:
    """Colour and dashes of the class at a place among those drawn; 28 differ."""
    return CLASSES[place % len(CLASSES)], DASHES[place // len(CLASSES) % len(DASHES)]


def title(words: str, layer: str) -> str:
    """A title and the layer that it is of, below each other where they are long.

    Args:
        words: what is drawn, with its unit.
        layer: its name; empty where it goes without saying.
    """
    if not layer:
        return words
    name = brief(layer, TITLE)
    return f"{words}{' · ' if len(words) + len(name) + 3 <= TITLE else chr(10)}{name}"


def colour_bar(bar: Axes, low: float, high: float, cmap: str, ticks: dict[float, str]) -> None:
    """Fill narrow axes with a map of colours from ``low`` to ``high``.

    Args:
        bar: the axes.
        low: what the first colour stands for.
        high: what the last one stands for.
        cmap: name of the map.
        ticks: value -> its label, in rising order; those at the ends end at them.
    """
    shades = np.linspace(low, high, 256)[np.newaxis]
    bar.imshow(shades, extent=(low, high, 0, 1), cmap=cmap, vmin=low, vmax=high, aspect="auto")
    bar.set(yticks=[])
    bar.set_xticks(list(ticks), list(ticks.values()))
    bar.tick_params(length=0)
    bar.spines[:].set_visible(False)
    bar.get_xticklabels()[0].set_horizontalalignment("left")
    bar.get_xticklabels()[-1].set_horizontalalignment("right")
