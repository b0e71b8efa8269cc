"""Quantiles of many units: exact where the values fit in memory, else by counting.

Values are counted between those of a random sample of rows. The share of rows up to each of these
is then exact, and quantiles between them are interpolated. Their error is that of about one rank in
``SAMPLE``, whatever the distribution: bins of equal width would be ruined by a single outlier.
"""

import numpy as np
from numpy.typing import NDArray

from rnnscope import states
from rnnscope.analysis.units.sampling import Sample, Values

Float = NDArray[np.float64]

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


def sample_of(values: Values, rows: states.RowKeys) -> Sample:
    """The sample of rows of a part, with values [U, R]."""
    return Sample.of(values, (rows.sequence.astype(np.int64) << 32) + rows.timestep)


class Counted:
    """How many values of each unit lie below, and up to, each value of a sample; counts add up."""

    def __init__(self, sample: Sample):
        self.edges = [np.unique(line) for line in sample.lines]
        self.below = [np.zeros(len(line), np.int64) for line in self.edges]
        self.through = [np.zeros(len(line), np.int64) for line in self.edges]
        self.count = 0

    def add(self, values: Values) -> None:
        """Count some more rows' values [U, R]."""
        self.count += values.shape[1]
        for unit, (line, edges) in enumerate(zip(values, self.edges, strict=True)):
            ordered = np.sort(line)
            self.below[unit] += np.searchsorted(ordered, edges, "left")
            self.through[unit] += np.searchsorted(ordered, edges, "right")

    def quantiles(self, low: Float, high: Float, levels: list[float]) -> Float:
        """Quantiles [U, Q] of the rows counted, with extremes [U].

        As ``exact`` wherever they fall on a value of the sample; all are if it has all values.
        """
        places = np.array(levels) * (self.count - 1)
        found = []
        for unit, edges in enumerate(self.edges):
            # Equal values have ranks from ``below`` to ``through`` - 1, counted from 0.
            ranks = np.stack([self.below[unit], self.through[unit] - 1], axis=1).ravel()
            found.append(
                np.interp(
                    places,
                    np.concatenate([[0], ranks, [self.count - 1]]),
                    np.concatenate([[low[unit]], np.repeat(edges, 2), [high[unit]]]),
                )
            )
        return np.array(found, np.float64)
