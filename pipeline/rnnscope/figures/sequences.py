"""The test sequences: what the model took them for, and how long they are."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator, StrMethodFormatter
from numpy.typing import NDArray

from rnnscope.errors import UserError, brief
from rnnscope.figures.drawing import INK, SERIES, Figure, blank, panel, styled
from rnnscope.figures.tables import checked, class_name

NUMBERS = 20
"""Up to this many classes the counts are written into the cells, and every class is named."""
NAME = 14
"""Most characters of a class's name beside a cell."""


@styled
def confusion_matrix(sequences: pd.DataFrame, *, classes: Sequence[str] | None = None) -> Figure:
    """Test sequences by their class (rows) and the class that the model predicted (columns).

    Shades are the square root of the share of the row, so that single errors show.

    >>> import pandas as pd, rnnscope
    >>> sequences = pd.DataFrame({"label": [0, 0, 1], "prediction": [0, 1, 1]})
    >>> figure = rnnscope.figures.confusion_matrix(sequences)  # sequences.parquet, read_sequences
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1', '1', '1']

    Args:
        sequences: ``sequences.parquet`` of stage extract, what ``rnnscope.read_sequences`` reads,
            or ``sequences`` of opened states; its columns label and prediction are used.
        classes: the names of classes by number, as ``classes`` of opened states.

    Raises:
        rnnscope.errors.UserError: the table does not have these columns, or no classes in them.
    """
    checked(sequences, "sequences", ("label", "prediction"))
    known = sequences[["label", "prediction"]].dropna()
    numbers = known.to_numpy(np.float64)
    if not len(known) or (numbers != numbers.astype(np.int64)).any() or numbers.min() < 0:
        raise UserError("sequences has no classes: label and prediction are no numbers of classes")
    label, prediction = numbers.astype(np.int64).T
    k = max(int(numbers.max()) + 1, len(classes or ()))
    counts = np.zeros((k, k), np.int64)
    np.add.at(counts, (label, prediction), 1)
    return draw_confusion(counts, [class_name(number, classes) for number in range(k)])


@styled
def draw_confusion(counts: NDArray[np.int64], names: Sequence[str]) -> Figure:
    """Counts by class (rows) and prediction (columns) [K, K].

    Args:
        counts: of sequences.
        names: of the classes [K].
    """
    k = len(counts)
    shade = np.sqrt(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    figure = blank(460, f"Confusion matrix of {k} classes")
    axes = figure.subplots()
    axes.imshow(shade, cmap="Blues", vmin=0, vmax=1)
    places = np.arange(0, k, -(-k // NUMBERS))
    shown = [brief(names[place], NAME) for place in places.tolist()]
    long = max(map(len, shown)) > 3
    axes.set_xticks(places, shown, rotation=90 if long else 0)
    axes.set_yticks(places, shown)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if k <= NUMBERS:
        for row, column in np.argwhere(counts):
            colour = "white" if shade[row, column] > 0.6 else INK
            size = "medium" if k <= 12 else "x-small"
            text: dict[str, Any] = {"ha": "center", "va": "center", "color": colour}
            axes.text(column, row, f"{counts[row, column]:,}", fontsize=size, **text)
    axes.set_title("test sequences by class and prediction")
    axes.set(xlabel="predicted class", ylabel="class")
    return figure


@styled
def lengths(sequences: pd.DataFrame) -> Figure:
    """How many sequences reach each timestep: on so many rest the values there.

    >>> import pandas as pd, rnnscope
    >>> sequences = pd.DataFrame({"length": [3, 5, 5]})
    >>> figure = rnnscope.figures.lengths(sequences)  # sequences.parquet, read_sequences
    >>> figure.axes[0].patches[0].get_data().values.tolist()
    [3, 2]

    Args:
        sequences: ``sequences.parquet`` of stage extract, what ``rnnscope.read_sequences`` reads,
            or ``sequences`` of opened states; its column length is used.

    Raises:
        rnnscope.errors.UserError: the table does not have it, or no rows.
    """
    checked(sequences, "sequences", ("length",))
    return draw_lengths(sequences.groupby("length").size())


@styled
def draw_lengths(counts: "pd.Series[int]") -> Figure:
    """The number of sequences that reach each timestep.

    Args:
        counts: length in timesteps -> number of sequences.
    """
    ordered = counts.sort_index()
    left = ordered[::-1].cumsum()[::-1]
    figure, axes = panel(190, "Number of sequences that reach each timestep")
    edges = np.array([0, *ordered.index]) - 0.5  # a timestep's step is centred on its number
    axes.stairs(left.to_numpy(), edges, baseline=None, color=SERIES[0], linewidth=1.3)
    axes.set_ylim(0, None)
    axes.set_title("sequences that reach a timestep")
    axes.set_xlabel("timestep")
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    return figure
