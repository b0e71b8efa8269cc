"""The final step of each sequence: sums that merge, and what depends on the ranks of the values.

The final step is the last recorded timestep. Values are held where those of all sequences fit in
memory; else they are counted in bins, whose edges are the values of a random sample.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnscope.analysis.units import classes
from rnnscope.analysis.units.classes import ClassSums, class_sums
from rnnscope.analysis.units.information import Counts, coarser, joint_counts
from rnnscope.analysis.units.sampling import Sample, Values

Float = NDArray[np.float64]
Labels = NDArray[np.int32]


@dataclass(frozen=True)
class FinalSums:
    """Sums over the final steps of U units, by class."""

    by_class: ClassSums
    min: Float
    """Smallest value [U]."""
    max: Float
    """Largest value [U]."""

    @property
    def classes(self) -> int:
        """How many classes occur."""
        return int((self.by_class.count > 0).sum())


def final_sums(values: Values, labels: Labels, k: int) -> FinalSums:
    """The sums of values [U, N] by the labels [N] of their sequences, in 0 … k - 1."""
    low, high = values.min(axis=1).astype(np.float64), values.max(axis=1).astype(np.float64)
    return FinalSums(class_sums(values, labels, k), low, high)


def merge(a: FinalSums, b: FinalSums) -> FinalSums:
    """The sums over both sets of sequences."""
    return FinalSums(
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
        """Area under the ROC curve of each unit's preferred class [U] against the rest [U]."""
        return classes.auc(self.values, self.labels, preferred)

    def tables(self, bins: int) -> Iterator[Counts]:
        """For each unit, how often each quantile bin occurs with each class [<= bins, K]."""
        occurring = np.unique(self.labels, return_inverse=True)[1]
        return (joint_counts(line, occurring, bins) for line in self.values)


class Binned:
    """How many values are in each bin between neighbours in a sample, by class; counts add up.

    Bins are narrow where values are dense, so that ranks are right to about one in ``SAMPLE``.
    """

    def __init__(self, sample: Sample, k: int):
        self.edges = [np.unique(line) for line in sample.lines]
        self.counts = [np.zeros((len(line) + 1, k), np.int64) for line in self.edges]

    def add(self, values: Values, labels: Labels) -> None:
        """Count values [U, N] of some more sequences with these labels [N]."""
        for line, edges, counts in zip(values, self.edges, self.counts, strict=True):
            np.add.at(counts, (np.searchsorted(edges, line), labels), 1)

    def auc(self, preferred: NDArray[np.int64]) -> Float:
        """As ``Held.auc``, with values of one bin counted as equal."""
        pairs = zip(self.counts, preferred, strict=True)
        return np.array([classes.auc_of_counts(counts, label) for counts, label in pairs])

    def tables(self, bins: int) -> Iterator[Counts]:
        """As ``Held.tables``, with each quantile moved to the end of its bin."""
        return (coarser(counts, bins) for counts in self.counts)
