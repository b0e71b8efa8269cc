"""Random samples: the same ones whatever part they are in, and in whatever order they are read.

Between the values of a sample others can be counted: such bins are narrow where values are dense,
whatever the scale and however far an outlier lies.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Values = NDArray[np.float32]

SAMPLE = 4095
"""Values of a unit that are the edges of bins; there is one bin more."""
CHUNK = 1 << 20
"""Sequences whose hashes are held at a time."""


def hashes(keys: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Evenly spread hashes of keys [N], such as sequences; those with the smallest are drawn."""
    return pd.util.hash_array(keys.astype(np.uint64))


def limit(sequences: int, size: int) -> int:
    """The largest hash among the ``size`` sequences that are drawn of so many."""
    lowest = np.zeros(0, np.uint64)
    for start in range(0, sequences, CHUNK):
        more = hashes(np.arange(start, min(start + CHUNK, sequences)))
        lowest = np.sort(np.concatenate([lowest, more]))[:size]
    return int(lowest[-1])


@dataclass(frozen=True)
class Sample:
    """At most ``SAMPLE`` columns of values, the same ones in whatever order they are read."""

    lines: Values
    """Their values, one unit per line [U, S]."""
    hashes: NDArray[np.uint64]
    """Hashes of their keys [S]: those with the smallest are the sample."""

    @classmethod
    def of(cls, values: Values, keys: NDArray[np.integer]) -> "Sample":
        """The sample of values [U, N] with distinct keys [N]."""
        return cls(values, hashes(keys))._thinned()

    def merge(self, other: "Sample") -> "Sample":
        """The sample of both sets."""
        return Sample(
            np.concatenate([self.lines, other.lines], axis=1),
            np.concatenate([self.hashes, other.hashes]),
        )._thinned()

    def _thinned(self) -> "Sample":
        if len(self.hashes) <= SAMPLE:
            return self
        first = np.argpartition(self.hashes, SAMPLE)[:SAMPLE]
        return Sample(self.lines[:, first], self.hashes[first])
