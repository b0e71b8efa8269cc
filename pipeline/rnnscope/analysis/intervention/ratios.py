"""A ratio of two means over sequences, with its error: how far of the whole way outputs moved."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Ratio:
    """Sums over sequences of how far they moved, a, and of the whole way, b."""

    count: int
    sums: Float
    """Of a, b, a², a b and b² [5]."""
    by_source: Float
    """Sums of 1, a and b over each of S sources [3, S]; S is 0 where each sequence is a source."""

    @property
    def value(self) -> float:
        """The normalised recovery Σa/Σb: 0 where nothing moves, 1 where all do the whole way."""
        a, b = self.sums[:2]
        return float(a / b) if b else np.nan

    @property
    def error(self) -> float:
        """Its standard error, of a ratio of means (Cochran 1977, section 6.4); NaN of one source.

        √(n/(n - 1) Σ (a - R b)²)/Σb, over n sequences or, summed within each, sources.
        """
        ratio, (_, b, aa, ab, bb) = self.value, self.sums
        count, squares = self.count, aa - 2 * ratio * ab + ratio**2 * bb
        if self.by_source.size:
            each, a_s, b_s = self.by_source
            count, squares = int((each > 0).sum()), ((a_s - ratio * b_s) ** 2).sum()
        if count < 2 or not b:
            return np.nan
        return float(np.sqrt(count / (count - 1) * max(squares, 0.0)) / abs(b))

    @property
    def independent(self) -> int:
        """How many sequences or sources it is over."""
        return int((self.by_source[0] > 0).sum()) if self.by_source.size else self.count


def ratio(a: Float, b: Float, sources: NDArray[np.integer] | None, count: int) -> Ratio:
    """The sums over sequences of a and b [B].

    Args:
        a: how far each has moved.
        b: the whole way.
        sources: the number of each one's source [B]; None if it is a source of its own.
        count: how many sources there are in all batches.
    """
    by_source = np.zeros((3, 0))
    if sources is not None:
        by_source = np.array([np.bincount(sources, w, count) for w in (np.ones_like(a), a, b)])
    return Ratio(len(a), np.array([a.sum(), b.sum(), a @ a, a @ b, b @ b]), by_source)


def merge(one: Ratio, other: Ratio) -> Ratio:
    """The sums over both sets of sequences together."""
    return Ratio(one.count + other.count, one.sums + other.sums, one.by_source + other.by_source)
