"""One unit over time: its mean in each class, with its standard error."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from rnnscope.errors import UserError, brief, listed
from rnnscope.figures.drawing import LABEL, SOFT, Figure, of_class, panel, styled, title
from rnnscope.figures.tables import class_name, of_layer, of_signal, states_of

Float = NDArray[np.float64]

MOST = 24
"""Most classes in one figure."""
LINE = 13
"""Height of a label, of a figure 460 wide."""


@styled
def class_means(
    tuning: pd.DataFrame,
    unit: int,
    signal: str | None = None,
    *,
    layer: str | None = None,
    labels: Sequence[int] | None = None,
    classes: Sequence[str] | None = None,
) -> Figure:
    """One unit's mean in each class at each timestep, with a band of ± one standard error.

    >>> import pandas as pd, rnnscope
    >>> tuning = pd.DataFrame({"layer": "lstm", "signal": "c", "unit": 0, "label": [0, 0, 1, 1],
    ...                        "timestep": [0, 1, 0, 1], "mean": [0.1, 0.4, 1.0, 0.2],
    ...                        "standard_error": 0.05})
    >>> figure = rnnscope.figures.class_means(tuning, unit=0)  # tuning.parquet of stage units
    >>> figure.axes[0].lines[1].get_ydata().tolist()
    [1.0, 0.2]

    The band is of the mean: sequences of a class differ more than it shows, by √count times.

    Args:
        tuning: ``tuning.parquet`` of stage units; of its columns layer, signal, unit, label,
            timestep, mean and standard_error are used.
        unit: its number.
        signal: its letter; by default c, h where there is no c, or the first.
        layer: its name, where the table has several; the title has it too.
        labels: the numbers of the classes to draw; by default all, at most 24.
        classes: the names of classes by number, as ``classes`` of opened states.

    Raises:
        rnnscope.errors.UserError: the table does not have these columns, or no such layer, signal,
            unit or class; or there are more than 24 classes.
    """
    columns = ("signal", "unit", "label", "timestep", "mean", "standard_error")
    rows, shown = of_layer(tuning, "tuning", columns, layer)
    chosen = signal or states_of(rows)[-1]
    rows = of_signal(rows, chosen, "tuning")
    rows = rows[rows["unit"] == unit].sort_values("timestep")
    if not len(rows):
        raise UserError(f"tuning has no unit {brief(unit)} of signal {chosen} here")
    numbers = _labels(rows, labels)
    words = f"mean {chosen} of unit {unit}" + (" by class, ± s.e." if numbers else ", ± s.e.")
    figure, axes = panel(max(300, 110 + LINE * len(numbers)), f"{words}, over timesteps")
    for place, number in enumerate(numbers or [None]):
        of = rows if number is None else rows[rows["label"] == number]
        _line(axes, of, place)
    if numbers:
        _name(axes, rows, numbers, classes)
    axes.set_title(title(words, shown))
    axes.set_xlabel("timestep")
    return figure


def _labels(rows: pd.DataFrame, labels: Sequence[int] | None) -> list[int]:
    """The classes to draw, none where the table knows none."""
    there = [int(number) for number in sorted(rows["label"].dropna().unique())]
    numbers = there if labels is None else [int(number) for number in labels]
    if missing := [number for number in numbers if number not in there]:
        raise UserError(f"labels: no class {listed(missing)} here; there are {listed(there)}")
    if len(numbers) > MOST:
        raise UserError(f"{len(numbers)} classes do not fit one figure; give labels= up to {MOST}")
    return numbers


def _line(axes: Axes, rows: pd.DataFrame, place: int) -> None:
    """One class's mean with its band; where there is one timestep, a dot and a bar."""
    colour, dashes = of_class(place)
    x, y = rows["timestep"].to_numpy(), rows["mean"].to_numpy(np.float64)
    error = rows["standard_error"].fillna(0).to_numpy(np.float64)
    if len(x) == 1:
        axes.errorbar(x, y, error, color=colour, marker="o")
        return
    axes.fill_between(x, y - error, y + error, color=colour, alpha=0.13, linewidth=0)
    axes.plot(x, y, color=colour, linestyle=dashes)


def _name(
    axes: Axes, rows: pd.DataFrame, numbers: list[int], classes: Sequence[str] | None
) -> None:
    """Write each class's name beside the end of its line, apart from the others."""
    ends = [rows[rows["label"] == number].iloc[-1] for number in numbers]
    low, high = axes.get_ylim()
    height = max(300, 110 + LINE * len(numbers)) - 90
    y = apart(np.array([end["mean"] for end in ends], np.float64), (high - low) * LINE / height)
    for place, (number, end, at) in enumerate(zip(numbers, ends, y, strict=True)):
        colour, _ = of_class(place)
        axes.annotate(
            brief(class_name(number, classes), LABEL),
            (float(end["timestep"]), float(end["mean"])),
            xytext=(1.04, (at - low) / (high - low)),
            textcoords="axes fraction",
            color=colour,
            weight="bold",
            va="center",
            arrowprops={"arrowstyle": "-", "color": SOFT, "linewidth": 0.4, "shrinkB": 2},
            annotation_clip=False,
        )


def apart(y: Float, gap: float) -> Float:
    """Heights at least ``gap`` apart, in the same order and together as near to ``y`` as can be."""
    from scipy.optimize import isotonic_regression  # slow to import

    order = np.argsort(y, kind="stable")
    steps = gap * np.arange(len(y))
    moved: Float = np.empty_like(y)
    moved[order] = isotonic_regression(y[order] - steps).x + steps
    return moved
