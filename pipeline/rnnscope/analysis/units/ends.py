"""The last timestep of each sequence: sums that merge, and what goes by the order of the values.

Values are held as they are where those of all sequences fit in memory, and else counted between
those of a sample.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.analysis.units import classes
from rnnscope.analysis.units.classes import ClassSums
from rnnscope.analysis.units.information import Counts, coarser, joint_counts

Float = NDArray[np.float64]
Values = NDArray[np.float32]
Labels = NDArray[np.int32]

SAMPLE = 4095
"""Sequences between whose values the others are counted: one bin more."""


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
class Sample:
    """At most ``SAMPLE`` sequences, the same ones in whatever order they come."""

    lines: Values
    """Their values, one unit per line [U, S]."""
    hashes: NDArray[np.uint64]
    """Hashes of the sequences' numbers [S]: those with the smallest are the sample."""

    @classmethod
    def of(cls, values: Values, sequences: NDArray[np.integer]) -> "Sample":
        """The sample of sequences by their numbers [N], with values [U, N]."""
        return cls(values, pd.util.hash_array(sequences.astype(np.uint64)))._thinned()

    def merge(self, other: "Sample") -> "Sample":
        """The sample of both sets of sequences."""
        return Sample(
            np.concatenate([self.lines, other.lines], axis=1),
            np.concatenate([self.hashes, other.hashes]),
        )._thinned()

    def _thinned(self) -> "Sample":
        if len(self.hashes) <= SAMPLE:
            return self
        first = np.argpartition(self.hashes, SAMPLE)[:SAMPLE]
        return Sample(self.lines[:, first], self.hashes[first])


class Binned:
    """How often values lie between each two neighbours of a sample, by class: counts add up.

    Bins are narrow where values are many, so that ranks are right to about one in ``SAMPLE``.
    """

    def __init__(self, sample: Sample, k: int):
        self.edges = [np.unique(line) for line in sample.lines]
        self.counts = [np.zeros((len(line) + 1, k), np.int64) for line in self.edges]

    def add(self, values: Values, labels: Labels) -> None:
        """Count values [U, N] of some more sequences with these labels [N]."""
        for line, edges, counts in zip(values, self.edges, self.counts, strict=True):
            np.add.at(counts, (np.searchsorted(edges, line), labels), 1)

    def auc(self, preferred: NDArray[np.int64]) -> Float:
        """As of held values, those of one bin being equal."""
        pairs = zip(self.counts, preferred, strict=True)
        return np.array([classes.auc_of_counts(counts, label) for counts, label in pairs])

    def tables(self, bins: int) -> Iterator[Counts]:
        """As of held values, each quantile moved to the end of its bin."""
        return (coarser(counts, bins) for counts in self.counts)
