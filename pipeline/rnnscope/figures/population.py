"""The geometry of the states: dimension over time, paths of classes, correlation of units."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.errors import UserError, brief
from rnnscope.figures.drawing import LABEL, Figure, blank, colour_bar, of_class, styled, title
from rnnscope.figures.lines import Curve, curves
from rnnscope.figures.tables import by_signal, class_name, of_layer, of_signal, states_of, wanted

Float = NDArray[np.float64]

PATHS = 20
"""Most classes whose paths are drawn in the plane of two components."""
CMAP = "RdBu_r"


@styled
def dimension(
    population: pd.DataFrame,
    *,
    layer: str | None = None,
    signals: Sequence[str] | str | None = None,
) -> Figure:
    """The population's dimension at each timestep, the participation ratio, with its 95 % interval.

    >>> import pandas as pd, rnnscope
    >>> population = pd.DataFrame({"layer": "lstm", "signal": "c", "timestep": [0, 1],
    ...     "participation_ratio": [2.0, 3.5], "participation_ratio_low": [1.0, 3.0],
    ...     "participation_ratio_high": [3.0, 4.0]})
    >>> figure = rnnscope.figures.dimension(population)  # population.parquet
    >>> figure.axes[0].lines[0].get_ydata().tolist()
    [2.0, 3.5]

    Args:
        population: ``population.parquet`` of stage population; its columns layer, signal, timestep
            and participation_ratio, with the ends of its interval, are used.
        layer: its name, where the table has several; the title has it too.
        signals: their letters; by default h and c, or the first where there are neither.

    Raises:
        rnnscope.errors.UserError: the table does not have these columns, or no such layer or
            signal.
    """
    name = "participation_ratio"
    columns = ("signal", "timestep", name, f"{name}_low", f"{name}_high")
    rows, shown = of_layer(population, "population", columns, layer)
    lines = [
        Curve(signal, of["timestep"], of[name], of[f"{name}_low"].clip(lower=0), of[f"{name}_high"])
        for signal, of in by_signal(rows, wanted(signals, rows), "population")
    ]
    return curves(lines, "dimension (participation ratio)", shown, limits=(0, None))


@styled
def class_paths(
    trajectories: pd.DataFrame,
    signal: str | None = None,
    *,
    layer: str | None = None,
    classes: Sequence[str] | None = None,
    backward: bool = False,
) -> Figure:
    """Each class's mean path in the first two principal components, with a dot at its final step.

    >>> import pandas as pd, rnnscope
    >>> paths = pd.DataFrame({"layer": "lstm", "signal": "c", "label": [0, 0], "timestep": [0, 1],
    ...                       "component_1": [0.0, 1.0], "component_2": [0.0, 2.0]})
    >>> figure = rnnscope.figures.class_paths(paths)  # trajectories.parquet
    >>> figure.axes[0].lines[0].get_xydata().tolist()
    [[0.0, 0.0], [1.0, 2.0]]

    Args:
        trajectories: ``trajectories.parquet`` of stage population; its columns layer, signal,
            label, timestep, component_1 and component_2 are used.
        signal: its letter; by default c, h where there is no c, or the first.
        layer: its name, where the table has several; the title has it too.
        classes: the names of classes by number, as ``classes`` of opened states.
        backward: whether the layer reads backwards, so that its final step is the first timestep.

    Raises:
        rnnscope.errors.UserError: the table does not have these columns, no such layer or signal,
            no classes, or more than 20.
    """
    columns = ("signal", "label", "timestep", "component_1", "component_2")
    rows, shown = of_layer(trajectories, "trajectories", columns, layer)
    rows = of_signal(rows, signal or states_of(rows)[-1], "trajectories")
    rows = rows.sort_values("timestep", ascending=not backward, kind="stable")
    groups = [(int(label), of) for label, of in rows.groupby("label", sort=True)]
    if not 1 <= len(groups) <= PATHS:
        why = f"{len(groups)} classes; up to {PATHS} are drawn" if groups else "no classes"
        raise UserError(f"trajectories has {why}")
    figure = blank(360, "Mean path of each class in two principal components")
    axes = figure.subplots()
    for place, (label, of) in enumerate(groups):
        x, y = (of[f"component_{n}"].to_numpy(np.float64) for n in (1, 2))
        colour, dashes = of_class(place)
        axes.plot(x, y, color=colour, linestyle=dashes, linewidth=0.9)
        axes.plot(x[-1], y[-1], color=colour, marker="o", markersize=3)
        axes.annotate(
            brief(class_name(label, classes), LABEL),
            (x[-1], y[-1]),
            (3.5, 2),
            textcoords="offset points",
            color=colour,
            weight="bold",
        )
    axes.set_title(title("mean path of each class", shown))
    axes.set(xlabel="component 1", ylabel="component 2")
    axes.margins(0.08)
    return figure


@styled
def unit_correlations(
    correlation: pd.DataFrame, signal: str | None = None, *, layer: str | None = None
) -> Figure:
    """The correlation of each pair of units, units ordered so that those alike are neighbours.

    The order is that of the leaves of average linkage on 1 − |r|, from which the table's clusters
    of redundant units come too: each of these is a block on the diagonal.

    >>> import pandas as pd, rnnscope
    >>> pairs = pd.DataFrame({"layer": "lstm", "signal": "c", "unit": [0, 0, 1],
    ...                       "other": [1, 2, 2], "correlation": [0.1, 0.9, 0.2]})
    >>> figure = rnnscope.figures.unit_correlations(pairs)  # correlation.parquet
    >>> sorted(figure.axes[1].images[0].get_array()[0].tolist())
    [0.1, 0.2, 1.0]

    Args:
        correlation: ``correlation.parquet`` of stage population; its columns layer, signal, unit,
            other and correlation are used.
        signal: its letter; by default c, h where there is no c, or the first.
        layer: its name, where the table has several; the title has it too.

    Raises:
        rnnscope.errors.UserError: the table does not have these columns, or no such layer or
            signal.
    """
    columns = ("signal", "unit", "other", "correlation")
    rows, shown = of_layer(correlation, "correlation", columns, layer)
    chosen = signal or states_of(rows)[-1]
    r = matrix(of_signal(rows, chosen, "correlation"))
    order = alike(r)
    words = f"correlation of units' {chosen}, r"
    figure = blank(520, f"{words}: {len(r)} units, ordered by cluster")
    bar, axes = figure.subplots(2, height_ratios=(10, 430))
    values = r[np.ix_(order, order)]
    axes.imshow(values, cmap=CMAP, vmin=-1, vmax=1, aspect="auto")
    axes.set(xlabel=f"{len(r):,} units, by cluster", ylabel="the same units", xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    colour_bar(bar, -1, 1, CMAP, {-1: "−1", 0: "0", 1: "1"})
    bar.set_title(title(words, shown))
    return figure


def matrix(pairs: pd.DataFrame) -> Float:
    """The correlations of all pairs [U, U], units in rising order; 1 of each unit with itself."""
    unit, other = (pairs[name].to_numpy(np.int64) for name in ("unit", "other"))
    numbers = np.unique(np.concatenate([unit, other]))
    one, two = np.searchsorted(numbers, unit), np.searchsorted(numbers, other)
    r = np.full((len(numbers), len(numbers)), np.nan)
    r[one, two] = r[two, one] = pairs["correlation"].to_numpy(np.float64)
    np.fill_diagonal(r, 1.0)
    return r


def alike(r: Float) -> NDArray[Any]:
    """Places of the units such that those of large |r| are neighbours; without r, alike to none."""
    from scipy.cluster.hierarchy import leaves_list, linkage  # slow to import
    from scipy.spatial.distance import squareform

    distance = 1 - np.abs(np.nan_to_num(r))
    np.fill_diagonal(distance, 0)
    return leaves_list(linkage(squareform(distance, checks=False), "average"))
