"""Which of the states where the starts ended are the same point."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

DIGITS = 9
"""Decimals by which states are ordered: those beyond differ by rounding alone."""


@dataclass(frozen=True)
class Distinct:
    """P points of B states."""

    place: NDArray[np.intp]
    """The state that stands for each point, the one with the least q [P]."""
    starts: NDArray[np.int64]
    """How many of the states are that point [P]."""


def distinct(states: Float, q: Float, apart: float, floor: float) -> Distinct:
    """The points among states [B, S], in an order that does not depend on that of the states.

    By rising q the first state is a point, all states within ``apart`` of it are the same, and the
    first of the rest is the next point.

    Args:
        states: where starts ended.
        q: of each [B].
        apart: Euclidean distance beyond which two states are two points.
        floor: values of q below differ by rounding alone, and count as equal.
    """
    left = _order(states, np.maximum(q, floor))
    places, counts = [], []
    while len(left):
        same = np.linalg.norm(states[left] - states[left[0]], axis=1) <= apart
        places.append(left[0])
        counts.append(int(same.sum()))
        left = left[~same]
    return Distinct(np.array(places, np.intp), np.array(counts, np.int64))


def in_order(states: Float, rank: NDArray[np.integer]) -> NDArray[np.intp]:
    """The places of states [P, S] by rising rank [P], and those of one rank by their values."""
    return _order(states, rank.astype(np.float64))


def _order(states: Float, first: Float) -> NDArray[np.intp]:
    values = np.round(states, DIGITS) + 0.0  # and no -0
    return np.lexsort((*values.T[::-1], first))
