"""A signal's mean over sequences at each timestep, summed part by part."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnscope import states

Float = NDArray[np.float64]
Block = tuple[NDArray[np.integer], NDArray[np.floating]]
"""Some rows of one signal: timestep [R], and values [U, R]."""


@dataclass(frozen=True)
class OverTime:
    """Sums over the sequences that reach each timestep, or each run of timesteps."""

    total: Float
    """Sum of x [U, T]."""
    count: NDArray[np.int64]
    """Rows in each sum [T]."""

    @property
    def mean(self) -> Float:
        """Mean of x [U, T]; NaN where there is no row."""
        with np.errstate(invalid="ignore"):
            return self.total / self.count


def sum_over_time(blocks: Iterable[Block], timesteps: int) -> OverTime:
    """The sums [U, T] and counts [T] of rows in any order, one block in memory at a time.

    Args:
        blocks: at least one.
        timesteps: T, past every timestep that occurs.
    """
    count = np.zeros(timesteps, np.int64)
    total = np.zeros((0, timesteps))
    for timestep, values in blocks:
        if not len(total):
            total = np.zeros((len(values), timesteps))
        count += np.bincount(timestep, minlength=timesteps)
        for line, unit in zip(total, values, strict=True):
            line += np.bincount(timestep, weights=unit, minlength=timesteps)
    return OverTime(total, count)


def of_signal(recorded: Path, layer: str, signal: str, timesteps: int) -> OverTime:
    """The sums over all recorded sequences of one signal."""
    return sum_over_time(_blocks(recorded, layer, signal), timesteps)


def coarsen(sums: OverTime, columns: int) -> tuple[OverTime, int]:
    """The sums over runs of timesteps, at most ``columns`` of them, and the length of a run.

    A screen has some hundred columns: drawing more would let it choose which timesteps it shows.
    """
    timesteps = len(sums.count)
    width = -(-timesteps // columns)
    starts = np.arange(0, timesteps, width)
    return (
        OverTime(np.add.reduceat(sums.total, starts, axis=1), np.add.reduceat(sums.count, starts)),
        width,
    )


def by_peak(mean: Float) -> NDArray[np.intp]:
    """The units [U] in the order of the timestep of their largest |mean|, then of that mean."""
    peak = np.abs(mean).argmax(axis=1)
    return np.lexsort((mean[np.arange(len(mean)), peak], peak))


def _blocks(recorded: Path, layer: str, signal: str) -> Iterator[Block]:
    for file in states.parts(recorded, layer, signal):
        rows, values = states.read_part(file)
        yield rows.timestep, values
