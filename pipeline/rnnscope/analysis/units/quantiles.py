"""Quantiles of many units: exact where the values fit in memory, else from histograms."""

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

BINS = 4096
LEVELS = {
    "q01": 0.01,
    "q05": 0.05,
    "q25": 0.25,
    "median": 0.5,
    "q75": 0.75,
    "q95": 0.95,
    "q99": 0.99,
}
"""Column -> the quantile's level."""


def exact(parts: list[NDArray[np.float32]], levels: list[float]) -> Float:
    """Quantiles [U, Q] of parts [U, R] taken together, interpolated linearly."""
    # A unit at a time: only one line is copied.
    lines = (np.concatenate(pieces) for pieces in zip(*parts, strict=True))
    return np.array([np.quantile(line, levels, overwrite_input=True) for line in lines], np.float64)


def histogram(values: NDArray[np.float32], low: Float, high: Float) -> NDArray[np.int64]:
    """Counts [U, BINS] of values [U, R] in equal bins from low to high [U]; counts add up."""
    return np.stack(
        [
            np.histogram(line, BINS, (first, last))[0]
            for line, first, last in zip(values, low, high, strict=True)
        ]
    )


def from_histogram(
    counts: NDArray[np.int64], low: Float, high: Float, levels: list[float]
) -> Float:
    """Quantiles [U, Q] of the rows counted, each right to one bin's width, (high - low) / BINS."""
    below = np.concatenate([np.zeros((len(low), 1), np.int64), counts.cumsum(axis=1)], axis=1)
    edges = np.linspace(low, high, BINS + 1, axis=1)
    return np.stack(
        [
            np.interp(np.array(levels) * line[-1], line, edge)
            for line, edge in zip(below, edges, strict=True)
        ]
    )
