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
    signed: bool = True
    """Whether b may be below 0: it may not where it is a squared distance."""

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
        if not b:
            return np.nan
        squares = aa - 2 * ratio * ab + ratio**2 * bb
        if self.by_source.size:
            _, a_s, b_s = self.by_source
            squares = ((a_s - ratio * b_s) ** 2).sum()
        return self._spread(squares) / float(abs(b))

    @property
    def way(self) -> float:
        """Σb: the whole way of all sequences together."""
        return float(self.sums[1])

    @property
    def way_error(self) -> float:
        """The standard error of Σb; NaN of one source.

        √(n/(n - 1) Σ (b - its mean)²), over n sequences (Student 1908) or, summed within each,
        sources (Liang & Zeger 1986).
        """
        mean = self.way / self.count
        squares = self.sums[4] - self.count * mean**2
        if self.by_source.size:
            each, _, b_s = self.by_source
            squares = ((b_s - each * mean) ** 2).sum()
        return self._spread(squares)

    @property
    def differ(self) -> bool:
        """Whether any donor's output differs from the sequence's own."""
        return bool(self.sums[4] > 0)

    def _spread(self, squares: float) -> float:
        """The standard error of a sum, from the squares of what is added to it; NaN of one."""
        count = self.independent
        return float(np.sqrt(count / (count - 1) * max(squares, 0.0))) if count > 1 else np.nan

    @property
    def independent(self) -> int:
        """How many sequences or sources it is over."""
        return int((self.by_source[0] > 0).sum()) if self.by_source.size else self.count


def ratio(
    a: Float, b: Float, sources: NDArray[np.integer] | None, count: int, *, signed: bool = True
) -> Ratio:
    """The sums over sequences of a and b [B].

    Args:
        a: how far each has moved.
        b: the whole way.
        sources: the number of each one's source [B]; None if it is a source of its own.
        count: how many sources there are in all batches.
        signed: whether b may be below 0.
    """
    by_source = np.zeros((3, 0))
    if sources is not None:
        by_source = np.array([np.bincount(sources, w, count) for w in (np.ones_like(a), a, b)])
    sums = np.array([a.sum(), b.sum(), a @ a, a @ b, b @ b])
    return Ratio(len(a), sums, by_source, signed)


def merge(one: Ratio, other: Ratio) -> Ratio:
    """The sums over both sets of sequences together."""
    by_source = one.by_source + other.by_source
    return Ratio(one.count + other.count, one.sums + other.sums, by_source, one.signed)
