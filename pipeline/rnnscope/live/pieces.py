"""A signal in memory: the batches as the passes left them, and one array once it is asked for."""

import threading
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]

LIMIT = 2**30
"""Bytes of a layer's signals up to which batches stay as they are."""
_JOINING = threading.Lock()
"""Held while batches move into an array; for all signals, so that each can be pickled."""


@dataclass
class Pieces:
    """A signal [N, T', U].

    Copying every batch into one large array costs as much as the passes do, most of it for memory
    that the system must clear first. So batches stay where they are until the array is needed. The
    process may keep their memory then: where that is much, each is copied at once.
    """

    shape: tuple[int, int, int]
    at_once: bool = False
    """Whether each batch is copied as it comes."""
    batches: deque[tuple[Float, NDArray[np.bool_] | None]] = field(default_factory=deque)
    """Those that are not in the array yet: [B, T', U], or the rows [R, U] with their places
    [B, T']."""
    whole: Float | None = None
    """[N, T', U], of which ``joined`` sequences are there."""
    joined: int = 0

    def add(self, values: Float, places: NDArray[np.bool_] | None = None) -> None:
        """Add the next batch."""
        self.batches.append((values, places))
        if self.at_once:
            self.array()

    def array(self) -> Float:
        """All of it, NaN where there is no row; each batch is let go once its values are there."""
        with _JOINING:
            if self.whole is None and self._is_one():
                self.whole = self.batches.popleft()[0]
            if self.whole is None:
                self.whole = np.empty(self.shape, np.float32)
            while self.batches:
                values, places = self.batches[0]
                count = len(values if places is None else places)
                into = self.whole[self.joined : self.joined + count]
                if places is None:
                    into[...] = values
                else:
                    into[...] = np.nan
                    into[places] = values
                del values, into
                # An interruption before this line repeats the batch, one after it has it.
                self.batches.popleft()
                self.joined += count
            return self.whole

    def _is_one(self) -> bool:
        """Whether a single batch is all of it."""
        values, places = self.batches[0] if self.batches else (None, None)
        return values is not None and places is None and values.shape == self.shape
