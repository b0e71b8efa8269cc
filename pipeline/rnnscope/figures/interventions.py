"""Which units matter when: the effect of changing each unit at each timestep, as a map."""

from typing import Any

import numpy as np
import pandas as pd

from rnnscope.errors import UserError, brief, listed
from rnnscope.figures.drawing import Figure, blank, colour_bar, styled, title, whole_numbers
from rnnscope.figures.effect_grids import (
    Effects,
    by_largest,
    effects,
    largest,
    timesteps_of,
    words,
)
from rnnscope.figures.effect_words import short
from rnnscope.figures.heat_maps import CMAP, COLUMNS, limit
from rnnscope.figures.tables import of_layer

UNITS = 100
"""Most units of a map: those of the largest effects."""
PALE = 0.3
"""How much of its colour an effect keeps that cannot be told from 0."""
KEYS = ("state", "unit", "method", "start", "stop", "q_value")


@styled
def intervention(
    intervention: pd.DataFrame,
    *,
    layer: str | None = None,
    state: str | None = None,
    method: str | None = None,
    windows: str = "each",
    order: str = "peak",
) -> Figure:
    """Units by timesteps: the effect of changing each unit at each timestep.

    Of patches it is how far the output moves to the donor's, of other methods the rise of the loss.
    Effects that cannot be told from 0 are pale: their interval holds 0, or of rises of the loss the
    q-value is at least 0.05. Of more than 100 units those with the largest effects are drawn.

    >>> import pandas as pd, rnnscope
    >>> changes = pd.DataFrame({"layer": "lstm", "state": "c", "unit": [0, 0, 1, 1],
    ...     "method": "zero", "start": [0, 1, 0, 1], "stop": [1, 2, 1, 2],
    ...     "loss_change": [0.0, 0.4, 0.9, 0.1], "loss_change_low": [-0.1, 0.3, 0.8, 0.0],
    ...     "loss_change_high": [0.1, 0.5, 1.0, 0.2], "q_value": [0.9, 0.01, 0.01, 0.04]})
    >>> figure = rnnscope.figures.intervention(changes)  # intervention.parquet
    >>> figure.axes[1].images[0].get_array().tolist()
    [[0.9, 0.1], [0.0, 0.4]]

    Args:
        intervention: ``intervention.parquet`` of stage intervention; its columns layer, state,
            unit, method, start, stop, q_value, and those of the effects with their intervals, are
            used.
        layer: its name, where the table has several; the title has it too.
        state: its letter, where the table has several.
        method: where the table has several: zero, mean, freeze, add, patch or patch_same.
        windows: ``"each"`` timestep alone, from every timestep ``"onward"``, or ``"sliding:3"``,
            every 3 consecutive ones; each is drawn at its first timestep.
        order: of the units from top to bottom: ``"peak"``, by the timestep of their largest effect,
            those without one that can be told from 0 last; or ``"unit"``, by number.

    Raises:
        rnnscope.errors.UserError: the table does not have these columns, or several layers, states
            or methods of which none was named, or nothing of what was named; an unknown order.
    """
    if order not in ("peak", "unit"):
        raise UserError(f'order={brief(order)}: must be "peak" or "unit"')
    rows, shown = of_layer(intervention, "intervention", KEYS, layer)
    timesteps = timesteps_of(rows)
    rows = _one(rows, "state", state)
    rows = _one(rows, "method", method)
    found = effects(rows, windows, timesteps, COLUMNS)
    if found is None:
        raise UserError(
            f"intervention has no effects of single units in windows {brief(windows)} here"
        )
    found = found.of(largest(found, UNITS))
    places = by_largest(found) if order == "peak" else np.arange(len(found.units))
    kinds = {"state": str(rows["state"].iloc[0]), "method": str(rows["method"].iloc[0])}
    said = f"{words(found.name, rows)}, {kinds['state']} {short(kinds['method'])}"
    figure = _drawn(found.of(places), timesteps, said.rstrip(), shown, order)
    if windows == "onward":
        figure.axes[1].set_xlabel("first timestep of the change, which lasts to the end")
    elif windows != "each":
        figure.axes[1].set_xlabel(f"first of {windows.removeprefix('sliding:')} timesteps")
    return figure


def _one(rows: pd.DataFrame, column: str, wanted: str | None) -> pd.DataFrame:
    """The rows with one value in a column.

    Raises:
        UserError: there are several of which none was named, or not the one that was.
    """
    names = rows[column].astype(str)
    there = list(names.unique())
    if wanted is None and len(there) > 1:
        raise UserError(
            f"intervention has the {column}s {listed(there)}; give {column}= one of them"
        )
    chosen = there[0] if wanted is None else wanted
    if chosen not in there:
        raise UserError(f"intervention has no {column} {brief(chosen)}; it has {listed(there)}")
    return rows[names == chosen]


def _drawn(found: Effects, timesteps: int, said: str, layer: str, order: str) -> Figure:
    """The map, with colours centred at 0."""
    end = limit(found.value)
    units, columns = found.value.shape
    width = -(-timesteps // columns)
    height = float(np.clip(4 * units, 200, 600))
    figure = blank(height + 100, f"Map of the {said}, of {units} units over {timesteps} steps")
    bar, axes = figure.subplots(2, height_ratios=(10, height))
    extent = (-0.5, columns * width - 0.5, units - 0.5, -0.5)
    opacity = np.where(found.sure, 1.0, PALE)
    scale: dict[str, Any] = {"cmap": CMAP, "vmin": -end, "vmax": end, "aspect": "auto"}
    axes.imshow(found.value, extent=extent, alpha=opacity, **scale)
    axes.set_xlim(-0.5, timesteps - 0.5)
    whole_numbers(axes)
    ordered = ", by number" if order == "unit" else ", by time of largest effect"
    axes.set(xlabel="timestep", ylabel=f"{units:,} units{ordered}", yticks=[])
    axes.spines[:].set_visible(False)
    known = np.abs(found.value[np.isfinite(found.value)])
    beyond = ("≤ ", "≥ ") if len(known) and known.max() > end else ("", "")
    ticks = {-end: f"{beyond[0]}−{end:.2g}", 0.0: "0", end: f"{beyond[1]}{end:.2g}"}
    colour_bar(bar, -end, end, CMAP, ticks)
    bar.set_title(title(said, layer))
    return figure
