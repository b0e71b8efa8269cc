"""The test sequences: their lengths, and the classes that the model predicted for them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import NDArray

from rnnscope import states
from rnnscope.store import parquet

MATRIX_CLASSES = 20
"""Up to this many classes the page has a confusion matrix, and lists every class."""
BATCH = 100_000
"""Sequences read at a time."""


@dataclass(frozen=True)
class Outcome:
    """Counts over all test sequences; what does not occur has no entry."""

    lengths: "pd.Series[int]"
    """Length in timesteps -> number of sequences."""
    pairs: "pd.Series[int] | None"
    """(label, prediction) -> number of sequences; None where sequences do not have both."""


def read(recorded: Path) -> Outcome:
    """The counts over ``sequences.parquet``, read in batches of rows."""
    file = recorded / states.SEQUENCES
    labelled = {"label", "prediction"} <= set(parquet.schema(file).names)
    columns = ["length", *(["label", "prediction"] if labelled else [])]
    lengths: pd.Series[int] | None = None
    pairs: pd.Series[int] | None = None
    for batch in parquet.batches(file, BATCH, columns):
        frame: pd.DataFrame = batch.to_pandas()
        lengths = _added(lengths, frame.groupby("length").size())
        if labelled:
            pairs = _added(pairs, frame.groupby(["label", "prediction"]).size())
    assert lengths is not None
    return Outcome(lengths, pairs)


def _added(a: "pd.Series[int] | None", b: "pd.Series[int]") -> "pd.Series[int]":
    return b if a is None else a.add(b, fill_value=0).astype("int64")


def confusion(pairs: "pd.Series[int]", k: int) -> NDArray[np.int64]:
    """Sequences of each class (row) by the class predicted (column), [K, K]."""
    counts = np.zeros((k, k), np.int64)
    label, prediction = (pairs.index.get_level_values(level) for level in (0, 1))
    counts[label, prediction] = pairs
    return counts


def by_class(pairs: "pd.Series[int]") -> pd.DataFrame:
    """One row per class that occurs, in their order: accuracy, and the most frequent error.

    Columns: label, sequences, correct, accuracy, taken_for (the wrong class predicted most often)
    and taken (how often); both null where no sequence is wrong.
    """
    frame = pairs.rename("n").reset_index()
    right = frame["label"] == frame["prediction"]
    sequences = frame.groupby("label")["n"].sum()
    correct = frame[right].set_index("label")["n"].reindex(sequences.index, fill_value=0)
    wrong = frame[~right].sort_values(["n", "prediction"], ascending=[False, True])
    worst = wrong.drop_duplicates("label").set_index("label").reindex(sequences.index)
    return pd.DataFrame(
        {
            "sequences": sequences,
            "correct": correct,
            "accuracy": correct / sequences,
            "taken_for": worst["prediction"].astype("Int64"),
            "taken": worst["n"].astype("Int64"),
        }
    ).reset_index()


def accuracy(pairs: "pd.Series[int]", classes: list[str]) -> dict[str, Any]:
    """The page's section on the predictions: totals, interval, confusion matrix, classes.

    Args:
        pairs: (label, prediction) -> number of sequences.
        classes: names by number; a class without a name is called by its number.
    """
    table = by_class(pairs)
    n, correct = int(table["sequences"].sum()), int(table["correct"].sum())
    highest = max(int(pairs.index.get_level_values(level).max()) for level in (0, 1))
    k = max(len(classes), highest + 1)
    names = [*classes, *(str(number) for number in range(len(classes), k))]
    small = k <= MATRIX_CLASSES
    listed = table if small else table.sort_values(["accuracy", "label"]).head(MATRIX_CLASSES)
    return {
        "n": n,
        "correct": correct,
        "interval": scipy.stats.binomtest(correct, n).proportion_ci(method="wilson"),
        "names": names,
        "matrix": _cells(confusion(pairs, k)) if small else None,
        "classes": [
            {
                "name": names[row["label"]],
                **row,
                "taken_for": None if pd.isna(row["taken_for"]) else names[row["taken_for"]],
            }
            for row in listed.to_dict("records")
        ],
        "left_out": len(table) - len(listed),
    }


def _cells(counts: NDArray[np.int64]) -> list[list[dict[str, Any]]]:
    """Counts with their shade, the square root of the share of the row: single errors show."""
    shade = np.sqrt(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    return [
        [{"n": int(n), "shade": round(float(s), 3)} for n, s in zip(*row, strict=True)]
        for row in zip(counts, shade, strict=True)
    ]
