"""The rows of a sample of sequences, held in memory for a block of timesteps.

Of two runs the same sequences are held, so that those of one can be permuted, and all that is
computed from them is the same however either run's rows were split into parts.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnscope.states import Signal, selection

SEQUENCES = 10_000
"""Most sequences that are compared; of more, so many drawn at random."""
MEMORY = 512_000_000
"""Bytes of one block of two signals; as many blocks at a time as there are workers."""


@dataclass(frozen=True)
class Block:
    """One signal of some sequences at some timesteps."""

    states: NDArray[np.float32]
    """[U, T, n]"""
    there: NDArray[np.bool_]
    """Which sequence has a row at which timestep [T, n]."""


def drawn(count: int) -> NDArray[np.intp]:
    """The numbers of the sequences that are compared, rising, of ``count``."""
    if count <= SEQUENCES:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, SEQUENCES, replace=False))


def blocks(
    timesteps: str, count: int, units: int, sequences: int
) -> Iterator[NDArray[np.intp] | None]:
    """The timesteps that an option names, rising, in as few blocks as memory allows.

    Args:
        timesteps: all, a slice such as 0:10, or last: each sequence's final step, for which stands
            None.
        count: one more than the largest timestep.
        units: of both signals together.
        sequences: how many are held.
    """
    if timesteps == "last":
        yield None
        return
    every = selection.steps_of(timesteps, count)
    size = max(1, MEMORY // (4 * units * sequences))
    for start in range(0, len(every), size):
        yield every[start : start + size]


def read(signal: Signal, sequences: NDArray[np.intp], timesteps: NDArray[np.intp] | None) -> Block:
    """The rows of some sequences at a block of timesteps; one part more is in memory.

    Args:
        signal: of a run.
        sequences: their numbers [n], rising.
        timesteps: rising [T]; None for each sequence's final step, as one.
    """
    count = 1 if timesteps is None else len(timesteps)
    values = np.zeros((len(signal.units), count * len(sequences)), np.float32)
    there = np.zeros(count * len(sequences), np.bool_)
    for rows, part in signal.read():
        here = np.isin(rows.sequence, sequences)
        here &= rows.final if timesteps is None else np.isin(rows.timestep, timesteps)
        place = np.searchsorted(sequences, rows.sequence[here])
        if timesteps is not None:
            place += len(sequences) * np.searchsorted(timesteps, rows.timestep[here])
        values[:, place] = part[:, here]
        there[place] = True
    shape = count, len(sequences)
    return Block(values.reshape(len(values), *shape), there.reshape(shape))
