"""Random samples that do not depend on the order in which values are read.

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


@dataclass(frozen=True)
class Sample:
    """At most ``SAMPLE`` columns of values, the same ones in whatever order they are read."""

    lines: Values
    """Their values, one unit per line [U, S]."""
    hashes: NDArray[np.uint64]
    """Hashes of their keys [S]: those with the smallest are the sample."""

    @classmethod
    def of(cls, values: Values, keys: NDArray[np.integer]) -> "Sample":
        """The sample of values [U, N] with distinct keys [N], such as numbers of sequences."""
        return cls(values, pd.util.hash_array(keys.astype(np.uint64)))._thinned()

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
