"""The last timestep of each sequence: sums that merge, and what goes by the order of the values.

Values are held as they are where those of all sequences fit in memory, and else counted in bins.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.analysis import classes
from pipeline.analysis.classes import ClassSums
from pipeline.analysis.information import Counts, coarser, joint_counts
from pipeline.analysis.quantiles import BINS

Float = NDArray[np.float64]
Values = NDArray[np.float32]
Labels = NDArray[np.int32]


@dataclass(frozen=True)
class EndSums:
    """Over the last timesteps of U units, by class."""

    by_class: ClassSums
    min: Float
    """Smallest value [U]."""
    max: Float
    """Largest value [U]."""

    @property
    def occur(self) -> int:
        """How many classes occur."""
        return int((self.by_class.count > 0).sum())


def end_sums(values: Values, labels: Labels, k: int) -> EndSums:
    """The sums of values [U, N] by the labels [N] of their sequences, in 0 … k - 1."""
    low, high = values.min(axis=1).astype(np.float64), values.max(axis=1).astype(np.float64)
    return EndSums(classes.class_sums(values, labels, k), low, high)


def merge(a: EndSums, b: EndSums) -> EndSums:
    """The sums over both sets of sequences."""
    return EndSums(
        classes.merge(a.by_class, b.by_class),
        np.minimum(a.min, b.min),
        np.maximum(a.max, b.max),
    )


@dataclass(frozen=True)
class Held:
    """All values [U, N] and the labels [N] of their sequences."""

    values: Values
    labels: Labels

    def auc(self, preferred: NDArray[np.int64]) -> Float:
        """Each unit's preferred class [U] against the rest."""
        return classes.auc(self.values, self.labels, preferred)

    def tables(self, bins: int) -> Iterator[Counts]:
        """Of each unit how often each quantile bin occurs with each class [<= bins, K]."""
        occurring = np.unique(self.labels, return_inverse=True)[1]
        return (joint_counts(line, occurring, bins) for line in self.values)


@dataclass(frozen=True)
class Binned:
    """How often values are in each of ``BINS`` equal bins, by class [U, BINS, K]: counts add up."""

    counts: NDArray[np.int64]

    def __add__(self, other: "Binned") -> "Binned":
        return Binned(self.counts + other.counts)

    def auc(self, preferred: NDArray[np.int64]) -> Float:
        """As of held values, those of one bin being equal."""
        return classes.auc_of_counts(self.counts, preferred)

    def tables(self, bins: int) -> Iterator[Counts]:
        """As of held values, each quantile moved to the end of its bin."""
        return (coarser(counts, bins) for counts in self.counts)


def binned(values: Values, labels: Labels, sums: EndSums) -> Binned:
    """Values [U, N] of some sequences in bins from the smallest to the largest value of all."""
    k = len(sums.by_class.count)
    counts = np.empty((len(values), BINS, k), np.int64)
    for unit, (line, low, high) in enumerate(zip(values, sums.min, sums.max, strict=True)):
        scale = BINS / (high - low) if high > low else 0.0
        place = np.minimum((line.astype(np.float64) - low) * scale, BINS - 1).astype(np.intp)
        counts[unit] = np.bincount(place * k + labels, minlength=BINS * k).reshape(BINS, k)
    return Binned(counts)
