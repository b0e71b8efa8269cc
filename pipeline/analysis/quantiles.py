"""Quantiles of many units: exact where the values fit in memory, else from histograms."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

BINS = 4096


def exact(values: NDArray[np.float32], levels: list[float]) -> Float:
    """Quantiles [U, Q] of values [U, R], interpolated linearly; ``values`` is reordered."""
    return np.quantile(values, levels, axis=1, overwrite_input=True).T.astype(np.float64)


def histogram(values: NDArray[np.float32], low: Float, high: Float) -> NDArray[np.int64]:
    """Counts [U, BINS] of values [U, R] in equal bins from low to high [U]; counts add up."""
    return np.stack(
        [
            np.histogram(line, BINS, (first, last))[0]
            for line, first, last in zip(values, low, high, strict=True)
        ]
    )


def from_histograms(
    counts: Iterable[NDArray[np.int64]], low: Float, high: Float, levels: list[float]
) -> Float:
    """Quantiles [U, Q] of all rows counted, each right to one bin's width, (high - low) / BINS."""
    total = sum(counts, start=np.zeros((len(low), BINS), np.int64))
    below = np.concatenate([np.zeros((len(low), 1), np.int64), total.cumsum(axis=1)], axis=1)
    edges = np.linspace(low, high, BINS + 1, axis=1)
    return np.stack(
        [
            np.interp(np.array(levels) * line[-1], line, edge)
            for line, edge in zip(below, edges, strict=True)
        ]
    )
