"""How often each unit has which value at the final step, by class."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.states.parts import RowKeys

BINS = 24
"""Of equal width, from a unit's least value to its largest."""


@dataclass(frozen=True)
class Bins:
    """The range of each unit of a signal, from the unit table."""

    low: NDArray[np.float64]
    """[U]."""
    high: NDArray[np.float64]
    """[U]."""
    classes: int
    """K; 1 where all sequences count together."""


def bins_of(units: pd.DataFrame, layer: str, signal: str, classes: int) -> Bins | None:
    """The bins of one signal's units; None where it was not measured.

    Args:
        units: the unit table, with min and max over all rows.
        layer: its name.
        signal: its letter.
        classes: K.
    """
    rows = units[(units["layer"] == layer) & (units["signal"] == signal)].sort_values("unit")
    if not len(rows):
        return None
    return Bins(rows["min"].to_numpy(np.float64), rows["max"].to_numpy(np.float64), classes)


def counts(rows: RowKeys, values: NDArray[np.float32], bins: Bins) -> NDArray[np.int32]:
    """The number of sequences by unit, class and bin [U, K, B], at their final step.

    Args:
        rows: keys [R].
        values: [U, R].
        bins: the units' ranges; a value beyond them counts at the end.
    """
    final = values[:, rows.final]
    units, width = len(final), bins.high - bins.low
    share = (final - bins.low[:, np.newaxis]) / np.where(width > 0, width, 1)[:, np.newaxis]
    place = np.clip((share * BINS).astype(np.intp), 0, BINS - 1)
    if rows.label is None or bins.classes == 1:
        label: NDArray[np.integer] = np.zeros(final.shape[1], np.intp)
    else:
        label = rows.label[rows.final]
    cell = (np.arange(units)[:, np.newaxis] * bins.classes + label) * BINS + place
    size = units * bins.classes * BINS
    found = np.bincount(cell.ravel(), minlength=size).reshape(units, bins.classes, BINS)
    return found.astype(np.int32)
