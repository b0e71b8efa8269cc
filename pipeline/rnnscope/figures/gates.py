"""Gates: their means over time, and how often each unit's gates are saturated."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from rnnscope.errors import UserError
from rnnscope.figures.drawing import DASHES, INK, SERIES, SOFT, Figure, blank, styled, title
from rnnscope.figures.heat_maps import COLUMNS
from rnnscope.figures.lines import Curve, curves
from rnnscope.figures.over_time import OverTime, coarsen, of_tuning
from rnnscope.figures.tables import GATES, of_layer, of_signal, signals_of


@styled
def gate_means(tuning: pd.DataFrame, *, layer: str | None = None) -> Figure:
    """Each gate's mean over units and sequences at each timestep; bands hold 80 % of units.

    >>> import pandas as pd, rnnscope
    >>> tuning = pd.DataFrame({"layer": "lstm", "signal": "f", "unit": [0, 0, 1, 1], "label": 0,
    ...                        "timestep": [0, 1, 0, 1], "count": 5, "mean": [0.5, 0.9, 0.1, 0.5]})
    >>> figure = rnnscope.figures.gate_means(tuning)  # tuning.parquet of stage units
    >>> figure.axes[0].lines[0].get_ydata().tolist()
    [0.3, 0.7]

    Args:
        tuning: ``tuning.parquet`` of stage units; of its columns layer, signal, unit, timestep,
            count and mean are used. Gates are the signals i, f, o, z and r.
        layer: its name, where the table has several; the title has it too.

    Raises:
        rnnscope.errors.UserError: the table does not have these columns, no such layer, or no gate.
    """
    columns = ("signal", "unit", "timestep", "count", "mean")
    rows, shown = of_layer(tuning, "tuning", columns, layer)
    timesteps = int(rows["timestep"].max()) + 1
    gates = {gate: of_signal(rows, gate, "tuning") for gate in _gates(rows, "tuning")}
    return draw({gate: of_tuning(of, timesteps) for gate, of in gates.items()}, shown)


@styled
def draw(means: Mapping[str, OverTime], layer: str = "") -> Figure:
    """Gates over time: mean over units, and a band of the middle 80 % of the units.

    Args:
        means: gate -> its sums [U, T].
        layer: whose they are, for the title.
    """
    lines = []
    for gate, sums in means.items():
        coarse, width = coarsen(sums, COLUMNS)
        timestep = pd.Series(np.arange(coarse.mean.shape[1]) * width + (width - 1) / 2)
        low, high = map(pd.Series, np.percentile(coarse.mean, (10, 90), axis=0))
        mean = pd.Series(coarse.mean.mean(axis=0))
        lines.append(Curve(f"{gate} {GATES.get(gate, '')}", timestep, mean, low, high))
    return curves(lines, "mean gate (0 closed, 1 open)", layer, limits=(0, 1))


@styled
def gate_saturation(units: pd.DataFrame, *, layer: str | None = None) -> Figure:
    """How often each unit's gates are right- against left-saturated, a panel per gate.

    A unit whose forget gate stands at the upper left keeps its cell state; a gate at the lower left
    is seldom saturated. No unit lies beyond the diagonal (Karpathy, Johnson & Fei-Fei 2015).

    >>> import pandas as pd, rnnscope
    >>> units = pd.DataFrame({"layer": "lstm", "signal": ["f", "f"], "unit": [0, 1],
    ...                       "left_saturated": [0.1, 0.0], "right_saturated": [0.2, 0.9]})
    >>> figure = rnnscope.figures.gate_saturation(units)  # units.parquet, or rnnscope.measure(...)
    >>> figure.axes[0].lines[0].get_xydata().tolist()
    [[0.1, 0.2], [0.0, 0.9]]

    Args:
        units: ``units.parquet`` of stage units, or what ``rnnscope.measure`` returns; of its
            columns layer, signal, left_saturated and right_saturated are used.
        layer: its name, where the table has several; the title has it too.

    Raises:
        rnnscope.errors.UserError: the table does not have these columns, no such layer, or no gate.
    """
    columns = ("signal", "left_saturated", "right_saturated")
    rows, shown = of_layer(units, "units", columns, layer)
    gates = _gates(rows.dropna(subset=["left_saturated", "right_saturated"]), "units")
    words = "saturation of each unit's gates, share of timesteps"
    figure = blank(225, words)
    panels = figure.subplots(1, max(len(gates), 2), sharex=True, sharey=True, squeeze=False)[0]
    for spare in panels[len(gates) :]:
        spare.set_visible(False)
    for place, (axes, gate) in enumerate(zip(panels, gates, strict=False)):
        of = of_signal(rows, gate, "units")
        x, y = (of[f"{side}_saturated"].to_numpy(np.float64) for side in ("left", "right"))
        axes.plot(x, y, "o", color=SERIES[place % len(SERIES)], alpha=0.6, markeredgewidth=0)
        axes.plot((0, 1), (1, 0), color=SOFT, linestyle=DASHES[2], linewidth=0.8)
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal", xticks=(0, 0.5, 1))
        axes.set_xticks((0, 0.5, 1), ("0", "0.5", "1"))
        axes.set_yticks((0, 0.5, 1), ("0", "0.5", "1"))
        axes.set_title(f"{gate} {GATES[gate]}", fontsize="medium")
        axes.tick_params(labelleft=place == 0)
    figure.supxlabel("share left-saturated", fontsize="medium", color=SOFT)
    panels[0].set_ylabel("share right-saturated")
    figure.suptitle(title(words, shown), x=0.01, ha="left", color=INK, fontsize=10)
    return figure


def _gates(rows: pd.DataFrame, name: str) -> list[str]:
    """The gates among the signals of some rows."""
    there = signals_of(rows)
    gates = [gate for gate in GATES if gate in there]
    if not gates:
        raise UserError(f"{name} has no gate here: no signal i, f, o, z or r")
    return gates
