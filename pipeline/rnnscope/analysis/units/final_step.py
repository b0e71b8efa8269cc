"""The final step of each sequence: sums that merge, and what depends on the ranks of the values.

Values are held where those of all sequences fit in memory; else they are counted in bins, whose
edges are the values of a random sample.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope.analysis.statistics import jackknife
from rnnscope.analysis.statistics.jackknife import GROUPS
from rnnscope.analysis.units import anova, classes, nearest
from rnnscope.analysis.units.anova import Effect
from rnnscope.analysis.units.classes import ClassSums, auc, class_sums
from rnnscope.analysis.units.information import Counts, coarser, joint_counts
from rnnscope.analysis.units.sampling import SAMPLE, Values, hashes

Float = NDArray[np.float64]
Labels = NDArray[np.int32]

NEIGHBOURS = 10_000
"""Sequences, at most, among which nearest neighbours are found."""


@dataclass(frozen=True)
class FinalSums:
    """Sums over the final steps of U units, by group of sequences and class."""

    grouped: ClassSums
    """As G K classes, in that order."""
    min: Float
    """Smallest value [U]."""
    max: Float
    """Largest value [U]."""

    @cached_property
    def groups(self) -> list[ClassSums]:
        """The sums by class of each group [G]."""
        k = len(self.grouped.count) // GROUPS
        return [self.grouped.only(np.arange(k) + group * k) for group in range(GROUPS)]

    @cached_property
    def by_class(self) -> ClassSums:
        """The sums by class of all sequences."""
        return reduce(classes.merge, self.groups)

    @property
    def classes(self) -> int:
        """How many classes occur."""
        return int((self.by_class.count > 0).sum())

    @property
    def sequences(self) -> int:
        """How many sequences there are."""
        return int(self.by_class.count.sum())

    def effect(self, sources: int) -> dict[str, Float]:
        """eta2 and omega2 [U], each with the bounds of its interval, by name.

        Args:
            sources: how many independent sources of sequences there are.
        """
        whole = anova.effect(self.by_class)
        others = jackknife.all_but_one(self.groups, classes.merge)
        rest = [anova.effect(sums) for sums in others if sums is not None]
        found: dict[str, Float] = {}
        for name in Effect.__dataclass_fields__:
            value, left_out = getattr(whole, name), np.array([getattr(e, name) for e in rest])
            low, high = jackknife.interval(value, left_out, sources)
            found |= {name: value, f"{name}_low": low, f"{name}_high": high}
        return found


def final_sums(values: Values, labels: Labels, groups: NDArray[np.integer], k: int) -> FinalSums:
    """The sums of values [U, N] by the groups and the labels, in 0 … k - 1, of sequences [N]."""
    low, high = values.min(axis=1).astype(np.float64), values.max(axis=1).astype(np.float64)
    place = groups.astype(np.int64) * k + labels
    return FinalSums(class_sums(values, place, k * GROUPS), low, high)


def merge(a: FinalSums, b: FinalSums) -> FinalSums:
    """The sums over both sets of sequences."""
    return FinalSums(
        classes.merge(a.grouped, b.grouped),
        np.minimum(a.min, b.min),
        np.maximum(a.max, b.max),
    )


@dataclass(frozen=True)
class Ranks:
    """What follows from the ranks of the values of U units."""

    auc: Float
    """Area under the ROC curve of a unit's preferred class against the rest [U]; NaN without."""
    tables: list[Counts]
    """For each unit, how often each bin of equal count occurs with each class [<= bins, K]."""
    bits: Float
    """Information about the class, by nearest neighbours [U]."""


@dataclass(frozen=True)
class Held:
    """The values of N sequences at their final step."""

    values: Values
    """One unit per line [U, N]."""
    labels: Labels
    """Classes of the sequences [N]."""
    sequences: NDArray[np.int32]
    """Their numbers [N]."""

    def among(self, limit: int) -> "Held":
        """The sequences that are drawn, given the largest hash of one."""
        return self._only(hashes(self.sequences) <= limit)

    def thinned(self, most: int) -> "Held":
        """At most so many sequences, the same ones in whatever order they come."""
        if len(self.labels) <= most:
            return self
        return self._only(np.sort(np.argpartition(hashes(self.sequences), most)[:most]))

    def _only(self, chosen: NDArray[Any]) -> "Held":
        return Held(self.values[:, chosen], self.labels[chosen], self.sequences[chosen])

    def ranks(self, preferred: NDArray[np.int64], bins: int) -> Ranks:
        """What follows from ranks, given each unit's preferred class [U], -1 for none."""
        occurring, codes = np.unique(self.labels, return_inverse=True)
        area, tables = np.full(len(self.values), np.nan), []
        for unit, (line, label) in enumerate(zip(self.values, preferred, strict=True)):
            order = np.argsort(line)
            ordered, of_class = line[order], codes[order]
            ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]) + 1, len(ordered))
            tables.append(joint_counts(ends, of_class, len(occurring), bins))
            if label >= 0:
                chosen = np.diff(np.cumsum(occurring[of_class] == label)[ends - 1], prepend=0)
                area[unit] = auc(chosen, np.diff(ends, prepend=0) - chosen)
        return Ranks(area, tables, self.bits)

    @property
    def bits(self) -> Float:
        """Information about the class, by nearest neighbours among a sample [U]."""
        sample = self.thinned(NEIGHBOURS)
        noise = hashes(sample.sequences) / 2.0**64 - 0.5
        return nearest.information(sample.values, sample.labels, noise)


def joined(parts: Sequence[Held]) -> Held:
    """All sequences of several parts."""
    return Held(
        np.concatenate([each.values for each in parts], axis=1),
        np.concatenate([each.labels for each in parts]),
        np.concatenate([each.sequences for each in parts]),
    )


class Binned:
    """How many values are in each bin between neighbours in a sample, by class; counts add up.

    Bins are narrow where values are dense, so that ranks are right to about one in ``SAMPLE``.
    """

    def __init__(self, sample: Held, k: int):
        self.sample = sample
        self.edges = [np.unique(line) for line in sample.thinned(SAMPLE).values]
        self.counts = [np.zeros((len(line) + 1, k), np.int64) for line in self.edges]

    def add(self, part: Held) -> None:
        """Count the values of some more sequences."""
        for line, edges, counts in zip(part.values, self.edges, self.counts, strict=True):
            np.add.at(counts, (np.searchsorted(edges, line), part.labels), 1)

    def ranks(self, preferred: NDArray[np.int64], bins: int) -> Ranks:
        """As ``Held.ranks``, with values of one bin counted as equal and each quantile at its end.

        The information by nearest neighbours is that of the sample.
        """
        area = [
            auc(counts[:, label], counts.sum(axis=1) - counts[:, label]) if label >= 0 else np.nan
            for counts, label in zip(self.counts, preferred, strict=True)
        ]
        tables = [coarser(counts, bins) for counts in self.counts]
        return Ranks(np.array(area), tables, self.sample.bits)
