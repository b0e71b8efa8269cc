"""Sums of a signal over the sequences that reach each timestep, and the order of its units."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Float = NDArray[np.float64]


@dataclass(frozen=True)
class OverTime:
    """Sums over the sequences that reach each timestep, or each run of timesteps."""

    units: tuple[int, ...]
    """The units' numbers [U]."""
    total: Float
    """Sum of x [U, T]."""
    count: NDArray[np.int64]
    """Rows in each sum [T]."""

    @property
    def mean(self) -> Float:
        """Mean of x [U, T]; NaN where there is no row."""
        with np.errstate(invalid="ignore"):
            return self.total / self.count


def of_tuning(rows: pd.DataFrame, timesteps: int) -> OverTime:
    """The sums of one signal from its means by class, weighted with their counts.

    Args:
        rows: of the table ``tuning``, of one layer and signal.
        timesteps: T, past every timestep that occurs.
    """
    sums = rows.assign(total=rows["count"] * rows["mean"]).pivot_table(
        ["total", "count"], "unit", "timestep", aggfunc="sum", fill_value=0
    )
    total, count = (
        sums[name].reindex(columns=range(timesteps), fill_value=0) for name in ("total", "count")
    )
    return OverTime(tuple(total.index), total.to_numpy(np.float64), count.to_numpy(np.int64)[0])


def sum_over_time(
    parts: Iterable[tuple[NDArray[np.integer], NDArray[np.floating]]],
    units: tuple[int, ...],
    timesteps: int,
) -> OverTime:
    """The sums [U, T] and counts [T] of rows in any order, one part in memory at a time.

    Args:
        parts: the timesteps [R] of some rows, and their values [U, R].
        units: their numbers [U].
        timesteps: T, past every timestep that occurs.
    """
    count = np.zeros(timesteps, np.int64)
    total = np.zeros((len(units), timesteps))
    for timestep, values in parts:
        count += np.bincount(timestep, minlength=timesteps)
        for line, unit in zip(total, values, strict=True):
            line += np.bincount(timestep, weights=unit, minlength=timesteps)
    return OverTime(units, total, count)


def coarsen(sums: OverTime, columns: int) -> tuple[OverTime, int]:
    """The sums over runs of timesteps, at most ``columns`` of them, and the length of a run.

    A screen has some hundred columns: with more, the browser would decide which timesteps show.
    """
    timesteps = len(sums.count)
    width = -(-timesteps // columns)
    starts = np.arange(0, timesteps, width)
    total = np.add.reduceat(sums.total, starts, axis=1)
    return OverTime(sums.units, total, np.add.reduceat(sums.count, starts)), width


def by_peak(mean: Float) -> NDArray[np.intp]:
    """Places of the units [U] in order of the timestep of their largest |mean|, then that mean.

    Timesteps without rows, which are NaN, are passed over.
    """
    peak = np.nan_to_num(np.abs(mean), nan=-1).argmax(axis=1)
    return np.lexsort((mean[np.arange(len(mean)), peak], peak))
