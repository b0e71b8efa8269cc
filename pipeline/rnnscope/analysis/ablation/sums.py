"""What one unit clamped changes, summed over sequences batch by batch, and the error of its mean.

Where sequences share a source, such as one patient, their changes are not independent. Changes are
then summed by source as well, and the error of the mean follows from how far sources differ
(Liang & Zeger 1986): with sources of equal size it is that of the mean over the sources' means.
"""

from dataclasses import dataclass

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from rnnscope.analysis.statistics import moments
from rnnscope.analysis.statistics.moments import Moments

SUMMED = ("loss", "accuracy", "loss_change", "accuracy_change", "output_change")
"""What is summed over sequences, in this order."""
CHANGES = slice(2, 4)
"""Those of them that have an interval."""
SOURCES = 1_000
"""Most sums by source. Of more sources several share a sum, which is one source then: the error
stays right, and memory does not grow with the number of sources."""

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Sums:
    """The sums over the sequences of one rerun, or of one batch of it."""

    moments: Moments
    """Of SUMMED."""
    by_source: Float
    """Sequences of each of S sources, and the sum of each change over them [1 + 2, S]; S is 0 where
    each sequence is a source of its own."""

    @property
    def independent(self) -> int:
        """How many independent values the mean is over: sources that occur."""
        if not self.by_source.size:
            return self.moments.count
        return int((self.by_source[0] > 0).sum())

    @property
    def error(self) -> Float:
        """Standard error of the mean of each change over sequences [2]; NaN of a single source.

        s/√n (Student 1908) for n sequences each of its own source, and for S sources
        √(S/(S - 1) Σ (sum of the source - its n times the mean)²)/n (Liang & Zeger 1986).
        """
        count = self.moments.count
        if not self.by_source.size:
            return np.asarray(self.moments.std[CHANGES] / np.sqrt(count))
        if self.independent < 2:
            return np.full(len(self.by_source) - 1, np.nan)
        each, *sums = self.by_source
        apart = np.array(sums) - each * self.moments.mean[CHANGES, np.newaxis]
        scale = self.independent / (self.independent - 1)
        return np.asarray(np.sqrt(scale * (apart**2).sum(axis=1)) / count)


def summed(values: Float, sources: NDArray[np.integer] | None, count: int) -> Sums:
    """The sums of SUMMED [5, B] over a batch.

    Args:
        values: of each sequence.
        sources: the number of each one's source [B]; None if it is a source of its own.
        count: how many sources there are in all batches.
    """
    by_source = np.zeros((3, 0))
    if sources is not None:
        size = min(count, SOURCES)
        weights = (np.ones_like(values[0]), *values[CHANGES])
        lines = [np.bincount(sources % size, each, size) for each in weights]
        by_source = np.array(lines)
    return Sums(moments.moments(values), by_source)


def merge(a: Sums, b: Sums) -> Sums:
    """The sums over both sets of sequences together."""
    return Sums(moments.merge(a.moments, b.moments), a.by_source + b.by_source)


def rises(mean: Float, error: Float, independent: NDArray[np.integer]) -> Float:
    """One-sided p-values of the paired t-test of means above 0 (Student 1908) [R].

    1 where every sequence's change is 0, and NaN of a single source.

    Args:
        mean: mean changes [R].
        error: their standard errors [R].
        independent: how many sequences or sources each is over [R].
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where((mean == 0) & (error == 0), -np.inf, mean / error)
    return np.asarray(scipy.stats.t.sf(t, np.maximum(independent - 1, 1)))
