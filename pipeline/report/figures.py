"""The page's figures, as inline SVG whose colours are the page's own, so that dark mode turns them.

A figure is drawn ``WIDTH`` points wide, which is a column on a desktop and most of a phone.
Heat maps are pictures inside it, two pixels to a point.
"""

import io
import re
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter
from numpy.typing import NDArray

from pipeline.report.over_time import OverTime, coarsen

Float = NDArray[np.float64]

WIDTH = 460
COLUMNS = 400
"""Most columns of a heat map and points of a curve; more timesteps are averaged in runs."""
INK, SOFT, RULE = "#000001", "#000002", "#000003"
SERIES = ("#000011", "#000012", "#000013", "#000014")
PAGE_COLOURS = {
    INK: "var(--ink)",
    SOFT: "var(--soft)",
    RULE: "var(--rule)",
    **{colour: f"var(--series-{number})" for number, colour in enumerate(SERIES, 1)},
}
"""Colours that stand for the page's, and what takes their place in the SVG."""
DASHES: tuple[str | tuple[float, tuple[float, ...]], ...] = (
    "-",
    (0, (5, 2)),
    (0, (1.6, 1.2)),
    "-.",
)
STYLE = {
    "svg.fonttype": "none",
    "font.size": 13,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.titlecolor": INK,
    "axes.titlesize": 14,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": RULE,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "legend.labelcolor": INK,
}


def training(history: pd.DataFrame, quantity: str, label: str, name: str) -> str:
    """The SVG of one quantity over training, and of its validation where there was one.

    Args:
        history: one row per validation, with columns step, ``quantity`` and maybe val_…
        quantity: loss or accuracy.
        label: the title, with the unit.
        name: one of its own among the page's figures.
    """
    with mpl.rc_context({**STYLE, "svg.hashsalt": name}):
        figure, axes = _panel(250)
        marker = "o" if len(history) == 1 else None
        for place, (column, words) in enumerate(
            ((quantity, "training"), (f"val_{quantity}", "validation"))
        ):
            if column in history:
                axes.plot(
                    history["step"],
                    history[column],
                    color=SERIES[place],
                    linestyle=DASHES[place],
                    marker=marker,
                    label=words,
                )
        axes.set_title(label)
        axes.set_xlabel("optimizer step")
        axes.legend(loc="best", handlelength=2.4)
        return _svg(figure, f"{label} over training steps")


def heat_map(sums: OverTime, order: NDArray[np.intp], limit: float, signal: str, name: str) -> str:
    """The SVG of every unit's mean over time: units by timesteps, colours centred at 0.

    Args:
        sums: of the signal [U, T].
        order: which unit comes first at the top, second, … [U].
        limit: the colours end at -limit and limit.
        signal: its letter.
        name: one of its own among the page's figures.
    """
    coarse, width = coarsen(sums, COLUMNS)
    units, timesteps = sums.total.shape
    mean = coarse.mean[order]
    height = float(np.clip(3 * units, 200, 600))
    with mpl.rc_context({**STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(WIDTH / 72, (height + 100) / 72), layout="constrained")
        bar, axes = figure.subplots(2, height_ratios=(10, height))
        shades = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit, "aspect": "auto"}
        extent = (-0.5, mean.shape[1] * width - 0.5, units - 0.5, -0.5)
        axes.imshow(mean, extent=extent, **shades)
        axes.set_xlim(-0.5, timesteps - 0.5)  # the last run of timesteps may be a short one
        _whole_numbers(axes)
        axes.set(xlabel="timestep", ylabel=f"{units:,} units", yticks=[])
        ends = (-limit, limit)
        bar.imshow(np.linspace(*ends, 256)[np.newaxis], extent=(*ends, 0, 1), **shades)
        bar.set(yticks=[], xticks=(-limit, 0, limit))
        beyond = ("≤ ", "≥ ") if np.nanmax(np.abs(mean)) > limit else ("", "")
        bar.set_xticklabels((f"{beyond[0]}−{limit:.2g}", "0", f"{beyond[1]}{limit:.2g}"))
        bar.tick_params(length=0)
        for text, side in zip(bar.get_xticklabels(), ("left", "center", "right"), strict=True):
            text.set_horizontalalignment(side)
        bar.set_title(f"mean {signal} over sequences")
        for each in (bar, axes):
            each.spines[:].set_visible(False)
        return _svg(
            figure, f"Heat map of the mean {signal} of {units} units over {timesteps} steps"
        )


def gates(means: Mapping[str, OverTime], words: Mapping[str, str], name: str) -> str:
    """The SVG of gates over time: mean over units, and a band that holds 80 % of the units.

    Args:
        means: gate -> its sums [U, T].
        words: gate -> what to call it.
        name: one of its own among the page's figures.
    """
    with mpl.rc_context({**STYLE, "svg.hashsalt": name}):
        figure, axes = _panel(300)
        for place, (gate, sums) in enumerate(means.items()):
            coarse, width = coarsen(sums, COLUMNS)
            mean = coarse.mean
            timestep = np.arange(mean.shape[1]) * width + (width - 1) / 2
            low, high = np.percentile(mean, (10, 90), axis=0)
            axes.fill_between(timestep, low, high, color=SERIES[place], alpha=0.13, linewidth=0)
            axes.plot(
                timestep,
                mean.mean(axis=0),
                color=SERIES[place],
                linestyle=DASHES[place],
                marker="o" if len(timestep) == 1 else None,
                label=f"{gate} {words.get(gate, '')}",
            )
        axes.set_ylim(0, 1)
        axes.set_title("mean gate (0 closed, 1 open)")
        axes.set_xlabel("timestep")
        figure.legend(loc="outside lower left", ncols=len(means), handlelength=2)
        return _svg(figure, "Mean of each gate over time")


def reaching(lengths: "pd.Series[int]") -> str:
    """The SVG of how many sequences reach each timestep, where they differ in length.

    Args:
        lengths: length in timesteps -> number of sequences.
    """
    ordered = lengths.sort_index()
    left = ordered[::-1].cumsum()[::-1]
    with mpl.rc_context({**STYLE, "svg.hashsalt": "reaching"}):
        figure, axes = _panel(190)
        edges = np.array([0, *ordered.index]) - 0.5  # a timestep's step is centred on its number
        axes.stairs(left.to_numpy(), edges, baseline=None, color=SERIES[0], linewidth=1.8)
        axes.set_ylim(0, None)
        axes.set_title("sequences that reach a timestep")
        axes.set_xlabel("timestep")
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        return _svg(figure, "Number of sequences that reach each timestep")


def limit(means: Sequence[Float]) -> float:
    """The largest |mean| that colours tell apart: past 99 % of all, so that one unit hides none."""
    cells = np.concatenate([np.abs(mean[np.isfinite(mean)]) for mean in means])
    return float(np.percentile(cells, 99)) or 1.0


def _panel(height: int) -> tuple[Figure, Axes]:
    """A figure with one set of axes, whole numbers along x, and lines across."""
    figure = Figure(figsize=(WIDTH / 72, height / 72), layout="constrained")
    axes = figure.subplots()
    axes.grid(visible=True, axis="y", linewidth=0.8)
    axes.tick_params(length=3)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    _whole_numbers(axes)
    return figure, axes


def _whole_numbers(axes: Axes) -> None:
    """Number x by some of its whole numbers."""
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _svg(figure: Figure, description: str) -> str:
    """A figure as an ``<svg>`` element, the same bytes every time, in the page's font and colours.

    What the page does not need goes: XML prologue, namespaces, names nothing refers to, and a
    style rule that would hold for the whole page.
    """
    file = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(file, format="svg", dpi=144, transparent=True, metadata=nothing)
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r' (?:id="\w[\w.]*_\d+"|xmlns(?::xlink)?="[^"]*"|version="1.1")', "", text)
    text = re.sub(r' id="image\w+"', "", text)
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    text = re.sub(r"\s*\n\s*", " ", text).replace("xlink:href", "href")
    text = text.replace("base64, ", "base64,")
    for colour, variable in PAGE_COLOURS.items():
        text = text.replace(colour, variable)
    size = r'<svg width="[^"]*" height="[^"]*"'
    return re.sub(size, f'<svg role="img" aria-label="{description}"', text, count=1)
