"""The means and standard deviations of states over all sequences, which changes are made of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnscope.analysis.intervention.targets import Target
from rnnscope.analysis.statistics import moments
from rnnscope.analysis.statistics.moments import Moments

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Levels:
    """Sums over the valid rows of some sequences, of one state of U units."""

    count: NDArray[np.int64]
    """Sequences that have each timestep [T]."""
    total: Float
    """The sum of each unit over them [T, U]."""
    along: Moments
    """Over all rows, of each of K targets: of a direction what lies along it, of units 0."""
    units: Moments
    """Over all rows, of each unit."""
    targets: Sequence[Target]
    """The K targets."""

    @property
    def mean(self) -> Float:
        """The mean of each unit at each timestep [T, U]; 0 at timesteps that no sequence has."""
        return self.total / np.maximum(self.count, 1)[:, np.newaxis]

    def deviations(self, targets: Sequence[Target]) -> Float:
        """A standard deviation along some of the targets: of each unit, or as a vector [K', U]."""
        keys = [each.key for each in self.targets]
        along = dict(zip(keys, self.along.std, strict=True))
        found = [
            each.along * (along[each.key] if each.directed else self.units.std) for each in targets
        ]
        return np.array(found).reshape(len(targets), -1)


def levels(
    values: NDArray[np.floating], valid: NDArray[np.bool_], targets: Sequence[Target]
) -> Levels:
    """The sums over a batch.

    Args:
        values: a state [T, B, U].
        valid: which rows count [B, T], at least one.
        targets: those of the state.
    """
    where = valid.T
    total = values.sum(axis=1, where=where[:, :, np.newaxis], dtype=np.float64)
    rows = values[where]
    lines = [rows @ each.along if each.directed else np.zeros(len(rows)) for each in targets]
    along = np.array(lines).reshape(len(targets), len(rows))
    return Levels(
        where.sum(axis=1), total, moments.moments(along), moments.moments(rows.T), targets
    )


def merge(one: Levels, other: Levels) -> Levels:
    """The sums over both sets of sequences together."""
    return Levels(
        one.count + other.count,
        one.total + other.total,
        moments.merge(one.along, other.along),
        moments.merge(one.units, other.units),
        one.targets,
    )
