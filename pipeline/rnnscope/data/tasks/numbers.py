"""Random numbers of single sequences: the same ones whichever sequences are asked for, and when.

Philox is a function of a key and a counter (Salmon et al. 2011), so each sequence has a run of
counts to itself, and none has to be drawn before another.
"""

import itertools

import numpy as np
from numpy.typing import NDArray

AT_ONCE = 4
"""Numbers that NumPy's Philox makes of one count."""
BITS = 52
"""Of each number; one more is left in a float64 for the half that keeps numbers from 0 and 1."""


def uniform(
    seed: int, split: int, sequences: NDArray[np.integer], count: int
) -> NDArray[np.float64]:
    """Numbers evenly from (0, 1), never its ends, for each of B sequences [B, count].

    Args:
        seed: of all of them.
        split: number of the split; no two share numbers.
        sequences: their numbers [B], from 0, in any order.
        count: of numbers that a sequence has; with another one all are others.
    """
    counts = -(-count // AT_ONCE)
    raw = np.empty((len(sequences), counts * AT_ONCE), np.uint64)
    for run in _runs(sequences):
        first = int(sequences[run.start]) * counts
        stream = np.random.Philox(key=np.array([seed, split], np.uint64), counter=first)
        raw[run] = stream.random_raw(raw[run].size).reshape(raw[run].shape)
    high = (raw[:, :count] >> np.uint64(64 - BITS)).astype(np.float64)
    return np.asarray((high + 0.5) * 2.0**-BITS)


def _runs(sequences: NDArray[np.integer]) -> list[slice]:
    """Where consecutive numbers stand, which are drawn in one go."""
    if not len(sequences):
        return []
    breaks = np.flatnonzero(np.diff(sequences) != 1) + 1
    ends = [0, *breaks.tolist(), len(sequences)]
    return [slice(start, stop) for start, stop in itertools.pairwise(ends)]
