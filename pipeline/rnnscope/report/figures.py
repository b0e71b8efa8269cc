"""The page's figures, one function each: arrays or tables in, SVG out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.errors import brief
from rnnscope.report.drawing import (
    DASHES,
    SERIES,
    SOFT,
    WIDTH,
    panel,
    styled,
    svg,
    whole_numbers,
)
from rnnscope.report.over_time import OverTime, coarsen
from rnnscope.report.plotting import Figure, MaxNLocator, StrMethodFormatter

Float = NDArray[np.float64]

LABEL = 40
"""Most characters of a class's name in a figure."""
COLUMNS = 400
"""Most columns of a heat map and points of a curve; of more timesteps, runs are averaged."""


def training(
    history: pd.DataFrame, quantity: str, label: str, name: str, step: int | None = None
) -> str:
    """The SVG of one quantity over training, with its validation where there was one.

    Args:
        history: one row per validation, with columns step, ``quantity`` and possibly val_…
        quantity: loss or accuracy.
        label: the title, with the unit.
        name: unique among the page's figures.
        step: whose weights the states are of; None for those at the end of training.
    """
    with styled(name):
        figure, axes = panel(250)
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
        if step is not None:
            axes.axvline(step, color=SOFT, linestyle=":", label=f"recorded, step {step:,}")
        axes.set_title(label)
        axes.set_xlabel("optimizer step")
        axes.legend(loc="best", handlelength=2.4)
        return svg(figure, f"{label} over training steps")


def heat_map(sums: OverTime, order: NDArray[np.intp], limit: float, signal: str, name: str) -> str:
    """The SVG of every unit's mean over time, units by timesteps, with colours centred at 0.

    Args:
        sums: of the signal [U, T].
        order: places of the units from top to bottom [U].
        limit: the colours end at -limit and limit.
        signal: its letter.
        name: unique among the page's figures.
    """
    coarse, width = coarsen(sums, COLUMNS)
    units, timesteps = sums.total.shape
    mean = coarse.mean[order]
    height = float(np.clip(3 * units, 200, 600))
    with styled(name):
        figure = Figure(figsize=(WIDTH / 72, (height + 100) / 72), layout="constrained")
        bar, axes = figure.subplots(2, height_ratios=(10, height))
        shades = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit, "aspect": "auto"}
        extent = (-0.5, mean.shape[1] * width - 0.5, units - 0.5, -0.5)
        axes.imshow(mean, extent=extent, **shades)
        axes.set_xlim(-0.5, timesteps - 0.5)  # the last run of timesteps may be a short one
        whole_numbers(axes)
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
        return svg(figure, f"Heat map of the mean {signal} of {units} units over {timesteps} steps")


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
    title: str,
    name: str,
    *,
    x: str = "timestep",
    limits: tuple[float | None, float | None] = (None, None),
) -> str:
    """The SVG of some curves over timesteps, or over ``x``.

    Args:
        lines: at most four that are not ``soft``.
        title: the name of y, with its unit.
        name: unique among the page's figures.
        x: the name of x.
        limits: lower and upper end of y; by default those of the curves.
    """
    with styled(name):
        figure, axes = panel(300)
        for place, line in enumerate(lines):
            colour = SOFT if line.soft else SERIES[place % len(SERIES)]
            alone = len(line.x) == 1
            if line.low is not None and line.high is not None:
                if alone:
                    axes.vlines(line.x, line.low, line.high, color=colour, linewidth=1.8)
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
                axes.plot(line.x[line.marked], line.y[line.marked], "o", color=colour, markersize=5)
        axes.set_title(title)
        axes.set_xlabel(x)
        axes.set_ylim(*limits)
        figure.legend(loc="outside lower left", ncols=len(lines), handlelength=2)
        return svg(figure, f"{title} over {x}")


def gate_means(means: Mapping[str, OverTime], words: Mapping[str, str], name: str) -> str:
    """The SVG of gates over time: mean over units, and a band of the middle 80 % of the units.

    Args:
        means: gate -> its sums [U, T].
        words: gate -> its name.
        name: unique among the page's figures.
    """
    lines = []
    for gate, sums in means.items():
        coarse, width = coarsen(sums, COLUMNS)
        timestep = pd.Series(np.arange(coarse.mean.shape[1]) * width + (width - 1) / 2)
        low, high = map(pd.Series, np.percentile(coarse.mean, (10, 90), axis=0))
        mean = pd.Series(coarse.mean.mean(axis=0))
        lines.append(Curve(f"{gate} {words.get(gate, '')}", timestep, mean, low, high))
    return curves(lines, "mean gate (0 closed, 1 open)", name, limits=(0, 1))


def grid(scores: pd.DataFrame, title: str, name: str) -> str:
    """The SVG of decoding scores by the timestep of training (rows) and of test (columns).

    Args:
        scores: [train timestep, test timestep].
        title: the name of the scores.
        name: unique among the page's figures.
    """
    with styled(name):
        figure = Figure(figsize=(WIDTH / 72, 400 / 72), layout="constrained")
        bar, axes = figure.subplots(2, height_ratios=(10, 290))
        values = scores.to_numpy(np.float64)
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        shades = {"cmap": "Blues", "vmin": low, "vmax": high, "aspect": "auto"}
        axes.imshow(values, origin="lower", **shades)
        for axis, labels in ((axes.xaxis, scores.columns), (axes.yaxis, scores.index)):
            places = np.arange(0, len(labels), -(-len(labels) // 8))
            axis.set_ticks(places, [f"{labels[place]:,}" for place in places])
        axes.set(xlabel="timestep of test", ylabel="timestep of training")
        bar.imshow(np.linspace(low, high, 256)[np.newaxis], extent=(low, high, 0, 1), **shades)
        bar.set(yticks=[], xticks=(low, high))
        for text, side in zip(bar.get_xticklabels(), ("left", "right"), strict=True):
            text.set_horizontalalignment(side)
        bar.set_xticklabels((f"{low:.2g}", f"{high:.2g}"))
        bar.set_title(title)
        for each in (bar, axes):
            each.tick_params(length=0)
            each.spines[:].set_visible(False)
        return svg(figure, f"{title}, by timestep of training and of test")


def paths(of_classes: Mapping[str, pd.DataFrame], name: str) -> str:
    """The SVG of each class's mean path in the first two principal components.

    Args:
        of_classes: class -> rows in the order of time, with component_1 and component_2.
        name: unique among the page's figures.
    """
    with styled(name):
        figure = Figure(figsize=(WIDTH / 72, 360 / 72), layout="constrained")
        axes = figure.subplots()
        for place, (label, rows) in enumerate(of_classes.items()):
            x, y = rows["component_1"].to_numpy(), rows["component_2"].to_numpy()
            colour = SERIES[place % len(SERIES)]
            axes.plot(x, y, color=colour, linewidth=1.2)
            axes.plot(x[-1], y[-1], color=colour, marker="o", markersize=4)
            axes.annotate(
                brief(label, LABEL),
                (x[-1], y[-1]),
                (5, 3),
                textcoords="offset points",
                color=colour,
                weight="bold",
            )
        axes.set_title("mean path of each class")
        axes.set(xlabel="component 1", ylabel="component 2")
        axes.tick_params(length=3)
        axes.margins(0.08)
        return svg(figure, "Mean path of each class in two principal components")


def reaching(lengths: "pd.Series[int]") -> str:
    """The SVG of the number of sequences that reach each timestep.

    Args:
        lengths: length in timesteps -> number of sequences.
    """
    ordered = lengths.sort_index()
    left = ordered[::-1].cumsum()[::-1]
    with styled("reaching"):
        figure, axes = panel(190)
        edges = np.array([0, *ordered.index]) - 0.5  # a timestep's step is centred on its number
        axes.stairs(left.to_numpy(), edges, baseline=None, color=SERIES[0], linewidth=1.8)
        axes.set_ylim(0, None)
        axes.set_title("sequences that reach a timestep")
        axes.set_xlabel("timestep")
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        return svg(figure, "Number of sequences that reach each timestep")


def limit(mean: Float) -> float:
    """The end of the colour scale, the 99 % quantile of |mean|: outliers do not hide the rest."""
    return float(np.percentile(np.abs(mean[np.isfinite(mean)]), 99)) or 1.0
