"""The rows of two recordings of the same sequences side by side, however each is cut into parts."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rnnscope import states
from rnnscope.states import selection

ROWS = 16_384
"""At a time: as many as stay in the processor's cache."""

Values = NDArray[np.float32]


class OtherRowsError(ValueError):
    """The rows of one are not those of the other."""


@dataclass(frozen=True)
class Piece:
    """Some rows of one signal."""

    keys: NDArray[np.int64]
    """Sequence and timestep in one number, rising [r]."""
    values: Values
    """[U, r]"""

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, which: slice) -> "Piece":
        return Piece(self.keys[which], self.values[:, which])


def pieces(folder: Path, layer: str, signal: str, timesteps: str) -> Iterator[Piece]:
    """The rows of a signal by sequence and timestep, a few at a time; one part is held.

    Args:
        folder: an extract stage's output.
        layer: its name.
        signal: its letter.
        timesteps: all, last, each sequence's own, or a slice of them such as 0:10.
    """
    count = states.timesteps(folder, layer, signal)
    for path in sorted(states.parts(folder, layer, signal), key=_first_sequence):
        rows, values = states.read_part(path)
        if timesteps == "last":
            values = values[:, rows.last]
            keys = _keys(rows)[rows.last]
        elif timesteps == "all":
            keys = _keys(rows)
        else:
            here = np.isin(rows.timestep, selection.steps_of(timesteps, count))
            values = values[:, here]
            keys = _keys(rows)[here]
        whole = Piece(keys, values)
        yield from (whole[start : start + ROWS] for start in range(0, len(whole), ROWS))


def together(one: Iterable[Piece], other: Iterable[Piece]) -> Iterator[tuple[Values, Values]]:
    """The values [U, r] and [V, r] of the same rows of both, as many as both have at hand.

    Raises:
        OtherRowsError: a row of one that the other does not have.
    """
    rest = (piece for piece in other if len(piece))
    b = next(rest, None)
    for piece in one:
        a = piece
        while len(a):
            if b is None:
                raise OtherRowsError
            ready = slice(min(len(a), len(b)))
            if (a.keys[ready] != b.keys[ready]).any():
                raise OtherRowsError
            yield a.values[:, ready], b.values[:, ready]
            a, b = a[ready.stop :], b[ready.stop :]
            b = b if len(b) else next(rest, None)
    if b is not None:
        raise OtherRowsError


def _keys(rows: states.Rows) -> NDArray[np.int64]:
    return rows.sequence.astype(np.int64) << 32 | rows.timestep


def _first_sequence(path: Path) -> int:
    """The number of a part's first sequence, from the file's own statistics."""
    file = pq.read_metadata(path)
    column = file.schema.names.index("sequence")
    first: int = file.row_group(0).column(column).statistics.min
    return first
