"""Arrays that may be larger than memory, of which only the rows asked for are read."""

import mmap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LazyArray = Any
"""An array [N, ...], or a stand-in for one that is too large for memory. It has shape, dtype, len()
and [slice or index array], which reads those rows and no others."""

SCATTERED = 16
"""Scattered rows of a memory map that are read at a time: around each, the system may map 2 MB of
the file."""


@dataclass(frozen=True)
class Chosen:
    """The rows ``index`` [N'] of an array in a file."""

    source: LazyArray
    index: NDArray[np.integer]

    @property
    def shape(self) -> tuple[int, ...]:
        """[N', ...]."""
        return (len(self.index), *self.source.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values in the file."""
        return np.dtype(self.source.dtype)

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, index: slice | NDArray[np.integer]) -> NDArray[Any]:
        return read(self.source, self.index[index])


@dataclass(frozen=True)
class Valid:
    """Which timesteps are not padding [N, T], from the lengths [N]."""

    lengths: NDArray[np.int32]
    timesteps: int
    dtype = np.dtype(bool)

    @property
    def shape(self) -> tuple[int, ...]:
        """[N, T]."""
        return len(self.lengths), self.timesteps

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: slice | NDArray[np.integer]) -> NDArray[np.bool_]:
        return np.asarray(np.arange(self.timesteps) < self.lengths[index, np.newaxis])


@dataclass(frozen=True)
class Recoded:
    """An array whose values are changed as its rows are read."""

    source: LazyArray
    change: Callable[[NDArray[Any]], NDArray[Any]]
    """From some rows of the source to the same rows of this array."""
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: slice | NDArray[np.integer]) -> NDArray[Any]:
        values = self.change(read(self.source, index)).astype(self.dtype, copy=False)
        release(self.source)
        return values


def recoded(
    rows: LazyArray,
    change: Callable[[NDArray[Any]], NDArray[Any]],
    shape: tuple[int, ...],
    dtype: Any,
) -> LazyArray:
    """The rows as ``change`` makes them, of this shape and type; those of a file when read."""
    made = Recoded(rows, change, shape, np.dtype(dtype))
    return made[:] if type(rows) is np.ndarray else made


def chosen(rows: LazyArray, index: NDArray[np.integer]) -> LazyArray:
    """The rows at ``index`` [N']; those of a file are not read yet."""
    if isinstance(rows, Chosen):
        return Chosen(rows.source, rows.index[index])
    return rows[index] if type(rows) is np.ndarray else Chosen(rows, index)


def read(rows: LazyArray, index: slice | NDArray[np.integer]) -> NDArray[Any]:
    """Some rows [B, ...]; a slice of an array is a view of it."""
    if isinstance(index, slice) or not isinstance(rows, np.memmap):
        values: NDArray[Any] = rows[index]
        return values
    values = np.empty((len(index), *rows.shape[1:]), rows.dtype)
    for start in range(0, len(index), SCATTERED):
        piece = slice(start, start + SCATTERED)
        values[piece] = rows[index[piece]]
        release(rows)
    return values


def release(rows: LazyArray) -> None:
    """Give back the pages read through a memory map, which count as this process's until then."""
    base: Any = rows.base if isinstance(rows, np.memmap) else None
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
        base.madvise(mmap.MADV_DONTNEED)
