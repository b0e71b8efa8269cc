"""The rows of two recordings of the same sequences side by side, however each is split."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnscope.states import RowKeys, Signal, selection

ROWS = 16_384
"""Rows of a piece: as many as fit in the processor's cache."""

Values = NDArray[np.float32]


class OtherRowsError(ValueError):
    """Two recordings have different rows."""


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


def pieces(signal: Signal, timesteps: str) -> Iterator[Piece]:
    """The rows of a signal by sequence and timestep, ROWS at a time; one part is held in memory.

    Args:
        signal: of a run.
        timesteps: all, last, each sequence's own, or a slice of them such as 0:10.
    """
    for rows, values in signal.read():
        if timesteps == "last":
            here = rows.final
        elif timesteps == "all":
            here = np.ones(len(rows.sequence), bool)
        else:
            here = np.isin(rows.timestep, selection.steps_of(timesteps, signal.timesteps))
        whole = Piece(_keys(rows)[here], selection.chosen_rows(values, here))
        yield from (whole[start : start + ROWS] for start in range(0, len(whole), ROWS))


def together(one: Iterable[Piece], other: Iterable[Piece]) -> Iterator[tuple[Values, Values]]:
    """The values [U, r] and [V, r] of the same rows of both, as many at a time as both pieces have.

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


def _keys(rows: RowKeys) -> NDArray[np.int64]:
    return rows.sequence.astype(np.int64) << 32 | rows.timestep
