"""The sequences that drive each unit most and least, over all that were recorded."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnscope.states.parts import RowKeys

KEPT = 4
"""Sequences that are kept for each unit, at either end."""


@dataclass(frozen=True)
class Peaks:
    """For each of U units the k sequences with the largest values, largest first."""

    sequence: NDArray[np.int32]
    """[U, k]; of equal values the first."""
    timestep: NDArray[np.int32]
    """Where the sequence has that value [U, k], first; in input time."""
    value: NDArray[np.float32]
    """[U, k]."""

    def merge(self, other: "Peaks") -> "Peaks":
        """The largest of both; ``other`` has the later sequences."""
        return Peaks(
            np.concatenate([self.sequence, other.sequence], axis=1),
            np.concatenate([self.timestep, other.timestep], axis=1),
            np.concatenate([self.value, other.value], axis=1),
        )._first()

    def negated(self) -> "Peaks":
        """Those of the negated values."""
        return Peaks(self.sequence, self.timestep, -self.value)

    def _first(self) -> "Peaks":
        order = np.argsort(-self.value, axis=1, kind="stable")[:, :KEPT]
        return Peaks(
            np.take_along_axis(self.sequence, order, axis=1),
            np.take_along_axis(self.timestep, order, axis=1),
            np.take_along_axis(self.value, order, axis=1),
        )


@dataclass(frozen=True)
class Extremes:
    """The sequences at both ends."""

    most: Peaks
    least: Peaks

    def merge(self, other: "Extremes") -> "Extremes":
        """Those of both; ``other`` has the later sequences."""
        most, least = self.most.merge(other.most), self.least.negated().merge(other.least.negated())
        return Extremes(most, least.negated())


def extremes(rows: RowKeys, values: NDArray[np.float32]) -> Extremes:
    """The sequences with each unit's extreme values, of one part.

    Args:
        rows: keys [R], at least one, in the order of their sequences.
        values: [U, R].
    """
    return Extremes(_largest(rows, values), _largest(rows, -values).negated())


def _largest(rows: RowKeys, values: NDArray[np.float32]) -> Peaks:
    """The sequences with the largest values."""
    starts = np.flatnonzero(np.diff(rows.sequence, prepend=rows.sequence[0] - 1))
    tops = np.maximum.reduceat(values, starts, axis=1)
    places = np.stack([_first_largest(line, min(KEPT, len(starts))) for line in tops])
    stops = np.append(starts[1:], len(rows.sequence))
    at = np.array(
        [
            [starts[place] + line[starts[place] : stops[place]].argmax() for place in of_unit]
            for line, of_unit in zip(values, places, strict=True)
        ]
    )
    return Peaks(rows.sequence[at], rows.timestep[at], np.take_along_axis(values, at, axis=1))


def _first_largest(line: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """Places of the largest values, largest first, of equal ones the first."""
    bound = np.partition(line, -count)[-count]
    above, equal = np.flatnonzero(line > bound), np.flatnonzero(line == bound)
    order = above[np.argsort(-line[above], kind="stable")]
    return np.concatenate([order, equal])[:count]
