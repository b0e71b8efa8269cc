"""The steps of a layer in its own time, from the first timestep that it reads of a sequence.

Of a layer that reads backwards step 0 is the last timestep in input time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnscope import states
from rnnscope.states import RowKeys


@dataclass(frozen=True)
class Steps:
    """What a layer read of N sequences."""

    origin: NDArray[np.int64]
    """The timestep of step 0 of each sequence [N], in input time."""
    reach: NDArray[np.int64]
    """How many steps of each have a row [N], up to the first timestep that was passed over."""
    sign: int
    """-1 for a layer that reads backwards, else 1."""

    def of(self, rows: RowKeys) -> NDArray[np.int64]:
        """The step of each row [R]; -1 past a timestep that was passed over."""
        step = self.sign * (rows.timestep - self.origin[rows.sequence])
        return np.where(step < self.reach[rows.sequence], step, -1)

    def timesteps(
        self, sequence: NDArray[np.integer], step: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """The timesteps in input time of steps of sequences [...]."""
        return self.origin[sequence] + self.sign * step


def read(files: Sequence[Path], count: int) -> Steps:
    """The steps of all parts of a layer's signal; their keys alone are read.

    Args:
        files: its parts.
        count: N.
    """
    origin, reach, sign = np.zeros(count, np.int64), np.zeros(count, np.int64), 1
    for file in files:
        rows, _ = states.read_part(file, units=[])
        sign = -1 if rows.backward else 1
        first = np.flatnonzero(np.diff(rows.sequence, prepend=-1))
        counts = np.diff(np.append(first, len(rows.sequence)))
        start = first + counts - 1 if rows.backward else first
        own = rows.sequence[first]
        origin[own] = rows.timestep[start]
        place = np.abs(np.arange(len(rows.sequence)) - np.repeat(start, counts))
        follows = place == np.abs(rows.timestep - np.repeat(origin[own], counts))
        reach[own] = np.add.reduceat(follows.astype(np.int64), first)
    return Steps(origin, reach, sign)


def partners(reach: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.intp]:
    """For each of n sequences another one that is as long, or longer where there is one [n].

    The longest has the next below it, and a single one itself.

    Args:
        reach: how many steps each has [n].
        random: decides among sequences of one length.
    """
    order = np.lexsort((random.random(len(reach)), reach))
    found = np.empty_like(order)
    found[order] = np.append(order[1:], order[max(len(order) - 2, 0)])
    return found
