"""Heat maps of units by timesteps: of one sequence, or of the mean over sequences."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.errors import UserError, brief, listed
from rnnscope.figures.drawing import Figure, blank, colour_bar, styled, title, whole_numbers
from rnnscope.figures.over_time import OverTime, by_peak, coarsen, of_tuning
from rnnscope.figures.tables import checked, of_layer, of_signal, states_of

Float = NDArray[np.float64]

COLUMNS = 400
"""Most columns of a heat map and points of a curve; of more timesteps, runs are averaged."""
CMAP = "RdBu_r"


@styled
def heat_map(
    states: pd.DataFrame,
    signal: str | None = None,
    *,
    sequence: int | None = None,
    order: str | Sequence[int] = "peak",
) -> Figure:
    """Units by timesteps of one recorded signal: of one sequence, or the mean over sequences.

    >>> import pandas as pd, rnnscope
    >>> states = pd.DataFrame({"sequence": [0, 0, 1], "timestep": [0, 1, 0],
    ...                        "c_000": [0.1, 0.2, 0.3], "c_001": [-1.0, 2.0, 0.0]})
    >>> figure = rnnscope.figures.heat_map(states, sequence=0)  # or states.frame("lstm", "c")
    >>> figure.axes[1].get_ylabel()
    '2 units, by time of peak'

    Args:
        states: the rows of a signal, as ``rnnscope.read_states`` reads them, as ``frame`` of what
            ``rnnscope.open_states`` or ``record`` give has them, or as ``pd.read_parquet`` reads
            the signal's folder: columns sequence, timestep, and one per unit, such as c_017.
        signal: its letter, where the table has several.
        sequence: which one; None is the mean over all sequences that reach each timestep.
        order: of the units from top to bottom: ``"peak"``, by the timestep of their largest
            |value|; ``"unit"``, by number; or the numbers of the units to draw.

    Raises:
        rnnscope.errors.UserError: the table does not have these columns, or no row of the sequence;
            units that it does not have; an unknown order.
    """
    name, columns = _columns(states, signal)
    rows = states if sequence is None else states[states["sequence"] == sequence]
    if not len(rows):
        raise UserError(f"states has no rows of sequence {brief(sequence)}")
    timestep = rows["timestep"].to_numpy()
    count = np.bincount(timestep)
    values = (rows[column].to_numpy(np.float64) for column in columns.values())
    total = np.array([np.bincount(timestep, weights=unit) for unit in values])
    sums = OverTime(tuple(columns), total, count)
    places, said = _order(order, sums)
    of = f"mean {name} over sequences" if sequence is None else f"{name} of sequence {sequence}"
    return draw(sums, places, of, ordered=said)


@styled
def mean_heat_map(
    tuning: pd.DataFrame,
    signal: str | None = None,
    *,
    layer: str | None = None,
    order: str | Sequence[int] = "peak",
) -> Figure:
    """Units by timesteps of a signal's mean over sequences, from the table of class means.

    >>> import pandas as pd, rnnscope
    >>> tuning = pd.DataFrame({"layer": "lstm", "signal": "c", "unit": [0, 0, 1, 1], "label": 0,
    ...                        "timestep": [0, 1, 0, 1], "count": 5, "mean": [0.1, 0.4, 1.0, 0.2]})
    >>> figure = rnnscope.figures.mean_heat_map(tuning)  # tuning.parquet of stage units
    >>> figure.axes[1].images[0].get_array().tolist()
    [[1.0, 0.2], [0.1, 0.4]]

    Args:
        tuning: ``tuning.parquet`` of stage units; of its columns layer, signal, unit, timestep,
            count and mean are used.
        signal: its letter; by default c, h where there is no c, or the first.
        layer: its name, where the table has several; the title has it too.
        order: of the units, as of ``heat_map``.

    Raises:
        rnnscope.errors.UserError: the table does not have these columns, or no such layer, signal
            or units; an unknown order.
    """
    columns = ("signal", "unit", "timestep", "count", "mean")
    rows, shown = of_layer(tuning, "tuning", columns, layer)
    chosen = signal or states_of(rows)[-1]
    rows = of_signal(rows, chosen, "tuning")
    sums = of_tuning(rows, int(rows["timestep"].max()) + 1)
    places, said = _order(order, sums)
    return draw(sums, places, f"mean {chosen} over sequences", shown, ordered=said)


@styled
def draw(
    sums: OverTime, order: NDArray[np.intp], words: str, layer: str = "", *, ordered: str = ""
) -> Figure:
    """Every unit's mean over time, with colours centred at 0.

    Args:
        sums: of the signal [U, T].
        order: places of the units from top to bottom.
        words: what the colours mean.
        layer: whose they are, for the title.
        ordered: how the units are ordered, for the axis.
    """
    coarse, width = coarsen(sums, COLUMNS)
    units, timesteps = len(order), sums.total.shape[1]
    mean = coarse.mean[order]
    end = limit(mean)
    height = float(np.clip(3 * units, 200, 600))
    alt = f"Heat map of the {words.replace(' over sequences', '')} of {units} units over "
    figure = blank(height + 100, f"{alt}{timesteps} steps")
    bar, axes = figure.subplots(2, height_ratios=(10, height))
    extent = (-0.5, mean.shape[1] * width - 0.5, units - 0.5, -0.5)
    axes.imshow(mean, extent=extent, cmap=CMAP, vmin=-end, vmax=end, aspect="auto")
    axes.set_xlim(-0.5, timesteps - 0.5)  # the last run of timesteps may be a short one
    whole_numbers(axes)
    axes.set(xlabel="timestep", ylabel=f"{units:,} units{ordered}", yticks=[])
    axes.spines[:].set_visible(False)
    beyond = ("≤ ", "≥ ") if np.nanmax(np.abs(mean)) > end else ("", "")
    ticks = {-end: f"{beyond[0]}−{end:.2g}", 0.0: "0", end: f"{beyond[1]}{end:.2g}"}
    colour_bar(bar, -end, end, CMAP, ticks)
    bar.set_title(title(words, layer))
    return figure


def limit(mean: Float) -> float:
    """The end of the colour scale, the 99 % quantile of |mean|: outliers do not hide the rest."""
    known = np.abs(mean[np.isfinite(mean)])
    return (float(np.percentile(known, 99)) if len(known) else 0.0) or 1.0


def _columns(states: Any, signal: str | None) -> tuple[str, dict[int, str]]:
    """The signal's letter, and its units' columns by their numbers."""
    table = checked(states, "states", ("sequence", "timestep"))
    found: dict[str, dict[int, str]] = {}
    for column in map(str, table):
        if parts := re.fullmatch(r"([hcifogzr]|s\d\d?)_(\d+)", column):
            found.setdefault(parts[1], {})[int(parts[2])] = column
    if signal is None and len(found) > 1:
        raise UserError(f"states has the signals {listed(found)}; give signal= one of them")
    name = next(iter(found), "") if signal is None else signal
    if name not in found:
        there = f"it has {listed(found)}" if found else "its columns are such as c_017"
        raise UserError(f"states has no columns of signal {brief(name) or 'c'}; {there}")
    return name, found[name]


def _order(order: str | Sequence[int], sums: OverTime) -> tuple[NDArray[np.intp], str]:
    """The places of the units to draw, and what the axis says of their order."""
    if isinstance(order, str):
        if order not in ("peak", "unit"):
            raise UserError(f'order={brief(order)}: must be "peak", "unit" or numbers of units')
        if order == "unit":
            return np.argsort(sums.units), ", by number"
        return by_peak(sums.mean), ", by time of peak"
    place = {unit: number for number, unit in enumerate(sums.units)}
    wanted = [int(unit) for unit in order]
    if not wanted or (missing := [unit for unit in wanted if unit not in place]):
        said = f"no units {listed(missing)}; up to {max(place)}" if wanted else "name a unit"
        raise UserError(f"order: {said}")
    return np.array([place[unit] for unit in wanted], np.intp), ""
