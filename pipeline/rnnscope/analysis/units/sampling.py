"""Sequences drawn at random: the same ones whatever part they are in, and in whatever order."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

CHUNK = 1 << 20
"""Sequences whose hashes are held at a time."""


def hashes(sequences: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Evenly spread hashes of the numbers of sequences [N]; those with the smallest are drawn."""
    return pd.util.hash_array(sequences.astype(np.uint64))


def limit(sequences: int, size: int) -> int:
    """The largest hash among the ``size`` sequences that are drawn of so many."""
    lowest = np.zeros(0, np.uint64)
    for start in range(0, sequences, CHUNK):
        more = hashes(np.arange(start, min(start + CHUNK, sequences)))
        lowest = np.sort(np.concatenate([lowest, more]))[:size]
    return int(lowest[-1])
