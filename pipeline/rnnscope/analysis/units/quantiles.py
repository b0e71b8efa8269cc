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

COUNTED = 20_000
"""Values from which on counting them takes less time than a partition."""
ORDER = np.append(np.arange(2**16 - 1, 2**15 - 1, -1), np.arange(2**15))
"""The upper halves of float32 numbers in the order of their values: first those with a sign."""


def exact(parts: list[NDArray[np.float32]], levels: list[float]) -> Float:
    """Quantiles [U, Q] of parts [U, R] taken together, interpolated linearly; no value is NaN."""
    # A unit at a time: only one line is copied.
    lines = (np.concatenate(pieces) for pieces in zip(*parts, strict=True))
    return np.array([_quantiles(line, np.array(levels)) for line in lines])


def _quantiles(line: NDArray[np.float32], levels: Float) -> Float:
    """Quantiles [Q] of values [R]."""
    places = levels * (len(line) - 1)
    below = np.floor(places).astype(np.int64)
    ranks = np.unique([below, np.minimum(below + 1, len(line) - 1)])
    known = dict(zip(ranks.tolist(), at_ranks(line, ranks).astype(np.float64), strict=True))
    low = np.array([known[rank] for rank in below.tolist()])
    high = np.array([known[min(rank + 1, len(line) - 1)] for rank in below.tolist()])
    return np.asarray(low + (high - low) * (places - below))


def at_ranks(line: NDArray[np.float32], ranks: NDArray[np.int64]) -> NDArray[np.float32]:
    """The values of some ranks, from 0 for the smallest of line [R]; several at once.

    Values are counted by their upper 16 bits, sign, exponent and 7 bits of the fraction, which are
    in the same order as the values. Only those that share theirs with a value sought are sorted.
    """
    if len(line) < COUNTED:
        return np.partition(line, ranks)[ranks]
    upper = line.view(np.uint32) >> np.uint32(16)
    counts = np.bincount(upper, minlength=2**16)[ORDER]
    ends = counts.cumsum()
    sought, of_rank = np.unique(np.searchsorted(ends, ranks, "right"), return_inverse=True)
    among = np.zeros(2**16, bool)
    among[ORDER[sought]] = True
    # Values that come before, and are not among those that are sorted.
    left_out = ends[sought] - counts[sought].cumsum()
    places = ranks - left_out[of_rank]
    return np.partition(line[among[upper]], places)[places]


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
