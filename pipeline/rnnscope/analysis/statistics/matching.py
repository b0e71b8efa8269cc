"""Windows of time in which the same units are on together."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Best:
    """The best window of each of B sequences."""

    start: NDArray[np.intp]
    """Its first timestep [B]; the earliest of equal ones."""
    score: NDArray[np.float64]
    """Its score [B]; NaN where a sequence has no window of that length."""
    shared: NDArray[np.intp]
    """How many of the selected units are on throughout it [B]."""


def throughout(on: NDArray[np.bool_], length: int) -> NDArray[np.bool_]:
    """Whether each unit is on at every timestep of each window.

    Args:
        on: whether it is on [B, T, U].
        length: L, of a window, at most T.

    Returns:
        By a window's first timestep [B, T - L + 1, U].
    """
    count = np.cumsum(on, axis=1, dtype=np.int32)
    count = np.concatenate([np.zeros_like(count[:, :1]), count], axis=1)
    return np.asarray(count[:, length:] - count[:, :-length] == length)


def selected(
    values: NDArray[np.floating], start: int, stop: int, threshold: float
) -> NDArray[np.bool_]:
    """Which units are on, at or above the threshold, from ``start`` to before ``stop`` [U].

    Args:
        values: of one sequence [T, U].
        start: the first timestep.
        stop: one past the last.
        threshold: in the signal's unit.
    """
    return np.asarray((values[start:stop] >= threshold).all(axis=0))


def best_windows(
    values: NDArray[np.floating],
    units: NDArray[np.bool_],
    length: int,
    threshold: float,
    without: tuple[int, int, int] | None = None,
) -> Best:
    """The window of each sequence in which most of the selected units are on, and few others.

    With A the selected units and B those that are on throughout a window, its score is the Jaccard
    index |A ∩ B| / |A ∪ B|: 1 where just these units are on, 0 where none of them is.

    Args:
        values: of a signal [B, T, U], NaN where there is no row; a window holds no NaN.
        units: which units are selected [U], at least one.
        length: of a window.
        threshold: a unit is on at or above it.
        without: a sequence, and the first timestep and the one past the last of a window that is
            left out, with all that overlap it.
    """
    count, timesteps, _ = values.shape
    if length > timesteps:
        none = np.zeros(count, np.intp)
        return Best(none, np.full(count, np.nan), none)
    through = throughout(values >= threshold, length)
    whole = throughout(~np.isnan(values[:, :, :1]), length)[:, :, 0]
    shared = through[:, :, units].sum(axis=2)
    union = int(units.sum()) + through.sum(axis=2) - shared
    score = np.where(whole, shared / union, np.nan)
    if without is not None:
        sequence, start, stop = without
        score[sequence, max(0, start - length + 1) : stop] = np.nan
    there = ~np.isnan(score)
    first = np.where(there, score, -1.0).argmax(axis=1)
    rows = np.arange(count)
    return Best(first, score[rows, first], np.where(there.any(axis=1), shared[rows, first], 0))
