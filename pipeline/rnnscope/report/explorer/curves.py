"""Each unit's mean over time by class with its standard error, from the table of tuning."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnscope.analysis.units.columns import TUNING
from rnnscope.store import parquet
from rnnscope.store.tables import table_file

Float = NDArray[np.float64]

LEVELS = 65_534
"""Steps of a unit's range in which means are kept; the code after them stands for none."""


@dataclass(frozen=True)
class ClassMeans:
    """Of one signal: U units, K classes, T timesteps."""

    mean: NDArray[np.uint16]
    """Mean x over sequences [U, K, T], in steps from ``low`` to ``high`` of the unit."""
    error: NDArray[np.uint16]
    """Its standard error [U, K, T], in steps from 0 to ``most`` of the unit."""
    low: NDArray[np.float32]
    """[U]."""
    high: NDArray[np.float32]
    """[U]."""
    most: NDArray[np.float32]
    """The largest standard error [U], 0 where there is none."""
    classes: list[int]
    """The labels [K]; a single -1 where there are none."""


def class_means(
    units: Path, layer: str, signal: str, timesteps: int, most: int
) -> ClassMeans | None:
    """The means of one signal; None where stage units did not measure it.

    Args:
        units: the output of stage units.
        layer: its name.
        signal: its letter.
        timesteps: T; later ones are left out.
        most: of more classes the mean is that over all sequences.
    """
    rows = parquet.frame(
        table_file(units, TUNING.name),
        columns=["unit", "label", "timestep", "count", "mean", "standard_error"],
        filters=[("layer", "==", layer), ("signal", "==", signal), ("timestep", "<", timesteps)],
    )
    if not len(rows):
        return None
    label = rows["label"].fillna(-1).to_numpy(np.int64)
    numbers, unit = np.unique(rows["unit"], return_inverse=True)
    classes, of_class = np.unique(label, return_inverse=True)
    table = np.full((3, len(numbers), len(classes), timesteps), np.nan)
    for values, name in zip(table, ("mean", "standard_error", "count"), strict=True):
        values[unit, of_class, rows["timestep"]] = rows[name].to_numpy(np.float64)
    mean, error = table[:2] if len(classes) <= most else _over_all(*table)
    low, high = (reach(mean, axis=(1, 2)) for reach in (np.nanmin, np.nanmax))
    largest = np.nanmax(np.nan_to_num(error), axis=(1, 2))
    return ClassMeans(
        _steps(mean - low[:, np.newaxis, np.newaxis], high - low),
        _steps(error, largest),
        low.astype(np.float32),
        high.astype(np.float32),
        largest.astype(np.float32),
        classes.tolist() if len(classes) <= most else [-1],
    )


def _over_all(mean: Float, error: Float, count: Float) -> tuple[Float, Float]:
    """Mean and standard error over the sequences of all classes [U, 1, T], from each class's own.

    The squares about the common mean are those within the classes and those between their means.
    """
    n = np.nansum(count, axis=1, keepdims=True)
    with np.errstate(all="ignore"):
        common = np.nansum(count * mean, axis=1, keepdims=True) / n
        within = np.nan_to_num(error) ** 2 * count * (count - 1)
        squares = np.nansum(within + count * (mean - common) ** 2, axis=1, keepdims=True)
        return common, np.where(n > 1, np.sqrt(squares / (n - 1) / n), np.nan)


def _steps(values: NDArray[np.float64], width: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Values from 0 to the width of each unit [U], as steps of it."""
    known = np.isfinite(values)
    share = np.where(known, values, 0) / np.where(width > 0, width, 1)[:, np.newaxis, np.newaxis]
    return np.where(known, np.rint(share * LEVELS), LEVELS + 1).astype(np.uint16)
