"""Fixed and slow points in the plane of two components, among the classes' mean paths."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from rnnscope.errors import UserError, brief, listed
from rnnscope.figures.drawing import INK, LABEL, PAPER, SOFT, Figure, blank, of_class, styled, title
from rnnscope.figures.population import PATHS
from rnnscope.figures.tables import STATES, checked, class_name, of_layer, of_signal

Float = NDArray[np.float64]

PLANE = (1, 2)
"""The components along which points are drawn."""
LENGTH = 0.1
"""Half the length of a mode's line that lies in the plane, as a share of the plane's width."""
UNSTABLE = 2
"""Most unstable modes of a point that are drawn; of a stable point its slowest mode is."""
SIZE = 6.5


@styled
def fixed_points(
    fixed_points: pd.DataFrame,
    modes: pd.DataFrame,
    trajectories: pd.DataFrame,
    signal: str | None = None,
    *,
    layer: str | None = None,
    input: str | None = None,
    classes: Sequence[str] | None = None,
    backward: bool = False,
) -> Figure:
    """Points under one constant input, with their slow modes, on the classes' mean paths.

    Filled points are stable, open ones are saddles or unstable; circles are fixed, diamonds slow
    points. A line through a stable point is its slowest mode, lines through another are up to two
    of its unstable modes, those of the largest |λ|; a short line points out of the plane.

    >>> import pandas as pd, rnnscope
    >>> key = {"layer": "gru", "input": "zeros", "point": [0, 1]}
    >>> points = pd.DataFrame({**key, "kind": "fixed", "stability": ["stable", "saddle"],
    ...                        "h_pc_1": [1.0, 0.0], "h_pc_2": [2.0, 0.0]})
    >>> modes = pd.DataFrame({**key, "modulus": [0.9, 1.1], "h_pc_1": 1.0, "h_pc_2": 0.0})
    >>> paths = pd.DataFrame({"layer": "gru", "signal": "h", "label": [0, 0], "timestep": [0, 1],
    ...                       "component_1": [0.0, 1.0], "component_2": [0.0, 2.0]})
    >>> figure = rnnscope.figures.fixed_points(points, modes, paths)  # trajectories.parquet
    >>> figure.axes[0].lines[-1].get_xydata().tolist()  # stable ones are on top
    [[1.0, 2.0]]

    Args:
        fixed_points: ``fixed_points.parquet`` of stage fixed_points; its columns layer, input,
            point, kind, stability and those of the first two components are used.
        modes: its ``modes.parquet``; the columns layer, input, point, modulus and those of the
            components.
        trajectories: ``trajectories.parquet`` of stage population, as ``class_paths`` takes it.
        signal: h or c; by default c, h where there is no c.
        layer: its name, where the table has several; the title has it too.
        input: its name, where the table has several, such as zeros or mean; the title has it too.
        classes: the names of classes by number, as ``classes`` of opened states.
        backward: whether the layer reads backwards, so that its final step is the first timestep.

    Raises:
        rnnscope.errors.UserError: a table does not have these columns, no such layer, input or
            signal, or of none of them a point.
    """
    columns = ("input", "point", "kind", "stability")
    rows, shown = of_layer(fixed_points, "fixed_points", columns, layer)
    name = str(rows["layer"].iloc[0])
    there = [
        state
        for state in STATES
        if {*along(state)} <= {*rows} and rows[along(state)].notna().any(axis=None)
    ]
    chosen = signal or (there or ["h"])[-1]
    axes_of = along(chosen)
    checked(rows, "fixed_points", axes_of)
    rows, under = _of_input(rows, input)
    directions, _ = of_layer(modes, "modes", ("input", "point", "modulus", *axes_of), name)
    directions = directions[directions["input"].astype(str) == under]
    needed = ("signal", "label", "timestep", *(f"component_{n}" for n in PLANE))
    paths, _ = of_layer(trajectories, "trajectories", needed, name)
    paths = of_signal(paths, chosen, "trajectories")
    words = f"points of {chosen} under input {under}"
    figure = blank(380, f"Fixed and slow {words}, on the mean path of each class in two components")
    axes = figure.subplots()
    _draw_paths(axes, paths.sort_values("timestep", ascending=not backward, kind="stable"), classes)
    axes.margins(0.08)
    axes.autoscale_view()
    _draw_points(axes, rows, directions, axes_of)
    axes.set_title(title(words, shown))
    axes.set(xlabel="component 1", ylabel="component 2")
    handles = [_mark(*kind, label=text) for kind, text in _kinds(rows)]
    figure.legend(handles=handles, loc="outside lower left", ncols=3, handletextpad=0.2)
    return figure


def along(state: str) -> list[str]:
    """The columns of a state's first two components."""
    return [f"{state}_pc_{n}" for n in PLANE]


def _of_input(rows: pd.DataFrame, wanted: str | None) -> tuple[pd.DataFrame, str]:
    """The rows of one input, and its name."""
    names = rows["input"].astype(str)
    there = list(names.unique())
    if wanted is None and len(there) > 1:
        raise UserError(f"fixed_points has the inputs {listed(there)}; give input= one of them")
    chosen = there[0] if wanted is None else str(wanted)
    if chosen not in there:
        raise UserError(f"fixed_points has no input {brief(chosen)}; it has {listed(there)}")
    return rows[names == chosen], chosen


def _draw_paths(axes: Axes, rows: pd.DataFrame, classes: Sequence[str] | None) -> None:
    """The mean path of each class, with its name at its end; of very many classes without names."""
    groups = list(rows.groupby("label", sort=True, dropna=False))
    named = len(groups) <= PATHS
    for place, (label, of) in enumerate(groups):
        x, y = (of[f"component_{n}"].to_numpy(np.float64) for n in PLANE)
        colour, dashes = of_class(place) if named else (SOFT, "-")
        axes.plot(x, y, color=colour, linestyle=dashes, linewidth=0.7, alpha=0.75)
        if named and pd.notna(label):
            text = brief(class_name(int(label), classes), LABEL)
            axes.annotate(
                text,
                (x[-1], y[-1]),
                (3.5, 2),
                textcoords="offset points",
                color=colour,
                weight="bold",
            )


def _draw_points(
    axes: Axes, rows: pd.DataFrame, directions: pd.DataFrame, columns: Sequence[str]
) -> None:
    """Each point with its slow modes, stable points on top."""
    xy = rows[list(columns)].to_numpy(np.float64)
    ends = np.concatenate([np.reshape(axes.dataLim.get_points(), (2, 2)), xy])
    reach = LENGTH * max(*np.nanmax(ends, axis=0) - np.nanmin(ends, axis=0), 1e-12)
    order = np.argsort((rows["stability"] == "stable").to_numpy(), kind="stable")
    by_point = dict(list(directions.groupby("point")))
    for at in order:
        row = rows.iloc[at]
        some = by_point.get(row["point"])
        if some is not None:
            for vector in _slow(some, stable=row["stability"] == "stable")[
                list(columns)
            ].to_numpy():
                line = np.stack([xy[at] - reach * vector, xy[at] + reach * vector])
                axes.plot(*line.T, color=INK, linewidth=1.0, solid_capstyle="round")
    for at in order:
        row = rows.iloc[at]
        mark = _mark(str(row["kind"]), str(row["stability"]))
        mark.set_data([xy[at, 0]], [xy[at, 1]])
        axes.add_line(mark)
    axes.update_datalim(xy[np.isfinite(xy).all(axis=1)])
    axes.autoscale_view()


def _slow(modes: pd.DataFrame, *, stable: bool) -> pd.DataFrame:
    """The modes that are drawn of a point."""
    modes = modes.sort_values("modulus", ascending=False, kind="stable")
    return modes.head(1) if stable else modes[modes["modulus"] > 1].head(UNSTABLE)


def _mark(kind: str, stability: str, label: str = "") -> Line2D:
    """The mark of a point, without a place."""
    inside = INK if stability == "stable" else PAPER
    return Line2D(
        *([], []),
        linestyle="none",
        marker="o" if kind == "fixed" else "D",
        markersize=SIZE if kind == "fixed" else 0.75 * SIZE,
        markerfacecolor=inside,
        markeredgecolor=INK,
        markeredgewidth=1.0,
        zorder=3,
        label=label,
    )


def _kinds(rows: pd.DataFrame) -> list[tuple[tuple[str, str], str]]:
    """The kinds of points that occur, and their names with their numbers."""
    found = []
    for kind in ("fixed", "slow"):
        for stability in ("stable", "saddle", "unstable"):
            count = int(((rows["kind"] == kind) & (rows["stability"] == stability)).sum())
            if count:
                word = f"{kind}, {stability}"
                found.append(((kind, stability), f"{count:,} {word}"))
    return found
