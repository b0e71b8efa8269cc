"""How many independent sources of sequences reach each timestep."""

import numpy as np
from numpy.typing import NDArray


class Reached:
    """The sources seen at each of T timesteps.

    Where each sequence is a source of its own, they are counted; else those seen are kept, which
    are as many as there are sources.
    """

    def __init__(self, timesteps: int, sources: NDArray[np.intp]):
        """Args: T, and the number of each sequence's source [N], from 0."""
        self._of, self._count = sources, int(sources.max(initial=-1)) + 1
        self._own = self._count == len(sources)
        self._counted = np.zeros(timesteps, np.int64)
        self._seen = np.zeros((timesteps, 0 if self._own else self._count), np.bool_)

    def add(self, step: NDArray[np.intp], sequence: NDArray[np.int32]) -> None:
        """Take in rows, by the place of their timestep and by their sequence [r]."""
        if self._own:
            self._counted += np.bincount(step, minlength=len(self._counted))
        else:
            self._seen[step, self._of[sequence]] = True

    @property
    def sources(self) -> NDArray[np.int64]:
        """How many there are at each timestep [T]."""
        return self._counted if self._own else self._seen.sum(axis=1)
