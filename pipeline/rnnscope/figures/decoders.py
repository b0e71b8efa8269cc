"""What a linear decoder reads from the states: over time, and across time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from rnnscope.errors import UserError, brief, listed
from rnnscope.figures.drawing import Figure, blank, colour_bar, styled, title
from rnnscope.figures.lines import Curve, curves
from rnnscope.figures.tables import by_signal, of_layer, of_signal, signals_of

CMAP = "Blues"


@styled
def decoding(
    decoding: pd.DataFrame,
    *,
    layer: str | None = None,
    target: str | None = None,
    signals: Sequence[str] | str | None = None,
) -> Figure:
    """Scores of linear decoders at each timestep, with 95 % intervals, chance, and shuffled labels.

    >>> import pandas as pd, rnnscope
    >>> scores = pd.DataFrame({"layer": "lstm", "signal": "c", "target": "label",
    ...     "task": "classification", "train_timestep": [0, 1], "test_timestep": [0, 1],
    ...     "score": [0.3, 0.9], "score_low": [0.2, 0.8], "score_high": [0.4, 1.1], "chance": 0.1,
    ...     "shuffled": [None, 0.1], "shuffled_low": [None, 0.0], "shuffled_high": [None, 0.2]})
    >>> figure = rnnscope.figures.decoding(scores)  # decoding.parquet of stage decoding
    >>> [line.get_label() for line in figure.axes[0].lines]
    ['c', 'chance', 'shuffled']

    Args:
        decoding: ``decoding.parquet`` of stage decoding; its columns layer, signal, target, task,
            train_timestep, test_timestep, score, chance and shuffled, with the ends of their
            intervals, are used.
        layer: its name, where the table has several; the title has it too.
        target: what is decoded: by default the label or target of the data.
        signals: their letters; by default all, also those decoded together, such as h+c.

    Chance is the best constant prediction, which only sequences tell: it is the same for all
    signals. Labels are shuffled at the final step alone, where that is one timestep.

    Raises:
        rnnscope.errors.UserError: the table does not have these columns, no such layer, target or
            signal, or scores at no timestep but each sequence's final step.
    """
    every, share, shown = _rows(decoding, layer, target)
    rows = every[every["train_timestep"] >= 0]
    if not len(rows):
        raise UserError("decoding has scores at each sequence's final step alone, at no timestep")
    same = rows[rows["train_timestep"] == rows["test_timestep"]]
    names = [signals] if isinstance(signals, str) else list(signals or signals_of(same))
    lines = [
        Curve(
            signal,
            of["test_timestep"],
            of["score"],
            _within(of["score_low"], share),
            _within(of["score_high"], share),
        )
        for signal, of in by_signal(same, names, "decoding")
    ]
    last = of_signal(same, names[-1], "decoding")
    lines.append(Curve("chance", last["test_timestep"], last["chance"], soft=True))
    final = at_final_step(every)
    shuffled = final[final["shuffled"].notna() & (final["test_timestep"] >= 0)].tail(1)
    if len(shuffled):
        ends = ("test_timestep", "shuffled", "shuffled_low", "shuffled_high")
        at, mean, low, high = (shuffled[name] for name in ends)
        lines.append(Curve("shuffled", at, mean, low, high, soft=True))
    return curves(lines, f"{score_name(every)} of a linear decoder", shown)


@styled
def generalisation(
    decoding: pd.DataFrame,
    *,
    layer: str | None = None,
    target: str | None = None,
    signal: str | None = None,
) -> Figure:
    """Scores of decoders fitted at one timestep (rows) and tested at another (columns).

    A code that is stable over time is a square block (King & Dehaene 2014).

    >>> import pandas as pd, rnnscope
    >>> scores = pd.DataFrame({"layer": "lstm", "signal": "c", "target": "label",
    ...     "task": "classification", "train_timestep": [0, 0, 1, 1],
    ...     "test_timestep": [0, 1, 0, 1], "score": [0.8, 0.3, 0.2, 0.9]})
    >>> figure = rnnscope.figures.generalisation(scores)  # decoding.parquet of stage decoding
    >>> figure.axes[1].images[0].get_array().tolist()
    [[0.8, 0.3], [0.2, 0.9]]

    Args:
        decoding: ``decoding.parquet`` of stage decoding; its columns layer, signal, target, task,
            train_timestep, test_timestep and score are used.
        layer: its name, where the table has several; the title has it too.
        target: what is decoded: by default the label or target of the data.
        signal: its letter; by default c, h where there is no c, or the first.

    Raises:
        rnnscope.errors.UserError: the table does not have these columns, no such layer, target or
            signal, or no scores at other timesteps.
    """
    every, _, shown = _rows(decoding, layer, target, intervals=False)
    chosen = signal or main_signal(every)
    scores = across_time(of_signal(every, chosen, "decoding"))
    if min(scores.shape) < 2:
        raise UserError("decoding has no scores at other timesteps; see decoding.generalise")
    words = f"{score_name(every)} from {chosen}"
    figure = blank(400, f"{words}, by timestep of training and of test")
    bar, axes = figure.subplots(2, height_ratios=(10, 290))
    values = scores.to_numpy(np.float64)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    axes.imshow(values, origin="lower", cmap=CMAP, vmin=low, vmax=high, aspect="auto")
    for axis, labels in ((axes.xaxis, scores.columns), (axes.yaxis, scores.index)):
        places = np.arange(0, len(labels), -(-len(labels) // 8))
        axis.set_ticks(places, [f"{labels[place]:,}" for place in places])
    axes.set(xlabel="timestep of test", ylabel="timestep of training")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    colour_bar(bar, low, high, CMAP, {low: f"{low:.2g}", high: f"{high:.2g}"})
    bar.set_title(title(words, shown))
    return figure


def across_time(rows: pd.DataFrame) -> pd.DataFrame:
    """The scores of one signal by the timestep of training and of test."""
    timed = rows[rows["train_timestep"] >= 0]
    return timed.pivot_table(index="train_timestep", columns="test_timestep", values="score")


def at_final_step(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of a layer at the final step, one per signal.

    Where it differs between sequences, it has rows of its own, at −1; else it is the one timestep
    where labels are shuffled, which of a layer that reads backwards is the first.
    """
    same = rows[rows["train_timestep"] == rows["test_timestep"]]
    own = same[same["train_timestep"] < 0]
    return own if len(own) else same[same["shuffled"].notna()]


def score_name(rows: pd.DataFrame) -> str:
    """What the scores are: R² of numbers, accuracy of classes."""
    return "R²" if rows["task"].iloc[0] == "regression" else "accuracy"


def main_signal(rows: pd.DataFrame) -> str:
    """Of which signal generalisation is drawn."""
    there = signals_of(rows)
    return next((name for name in ("c", "h") if name in there), there[0])


def _rows(
    table: Any, layer: str | None, target: str | None, *, intervals: bool = True
) -> tuple[pd.DataFrame, bool, str]:
    """The rows of one layer and target, whether the score is a share, and the layer's name."""
    columns = ["signal", "target", "task", "train_timestep", "test_timestep", "score"]
    if intervals:
        columns += ["score_low", "score_high", "chance"]
        columns += ["shuffled", "shuffled_low", "shuffled_high"]
    rows, shown = of_layer(table, "decoding", columns, layer)
    there = list(rows["target"].astype(str).unique())
    chosen = next((name for name in ("label", "target") if name in there), there[0])
    chosen = chosen if target is None else target
    if chosen not in there:
        raise UserError(f"decoding has no target {brief(chosen)} here; it has {listed(there)}")
    rows = rows[rows["target"].astype(str) == chosen]
    return rows, score_name(rows) == "accuracy", shown


def _within(values: "pd.Series[Any]", share: bool) -> "pd.Series[Any]":
    """Ends of an interval, cut at what the score can be: 0 to 1, or up to 1 of an R²."""
    return values.clip(0 if share else None, 1)
