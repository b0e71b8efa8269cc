"""What a choice of units, sequences or timesteps means: a number, a list or a slice, as in NumPy.

Sequences differ in length, so timesteps are chosen of each sequence by itself: a negative number
counts from its own end.
"""

import operator
from collections.abc import Sequence
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import NDArray

Choice = slice | Sequence[int] | NDArray[Any] | SupportsIndex | None
"""What users give; None for all. Booleans in a list or an array are a mask."""
Plain = slice | NDArray[Any]
"""The same as a slice of Python's integers, or as an array [K] of integers or booleans."""


def plain(what: str, which: Choice) -> Plain:
    """A choice as one of two kinds.

    Raises:
        ValueError: something else than a number, a list or a slice.
    """
    if which is None:
        return slice(None)
    try:
        if isinstance(which, slice):
            return slice(*(_bound(each) for each in (which.start, which.stop, which.step)))
        found = np.asarray(which)
        if found.shape == (0,):
            return found.astype(np.intp)
        if found.ndim == 1 and found.dtype.kind in "iub":
            return found if found.dtype.kind == "b" else found.astype(np.intp)
        if found.ndim == 0 and found.dtype.kind in "iu":
            return found.astype(np.intp)[np.newaxis]
    except (TypeError, ValueError):
        pass
    raise ValueError(f"{what}={which}: must be a number, a list or a slice")


def chosen(what: str, which: Choice, size: int) -> NDArray[np.intp]:
    """The numbers, of 0 … size - 1, that ``which`` selects.

    Raises:
        ValueError: one that is not among them.
    """
    try:
        return np.arange(size)[plain(what, which)]
    except IndexError as error:
        raise ValueError(f"{what}={which}: there are {size}, from 0 to {size - 1}") from error


def from_end(which: Plain) -> bool:
    """Whether a choice of timesteps counts from the end of each sequence."""
    if isinstance(which, slice):
        return any(each is not None and each < 0 for each in (which.start, which.stop, which.step))
    return which.dtype.kind != "b" and bool((which < 0).any())


def placed(
    sequence: NDArray[Any], timestep: NDArray[Any], which: Plain
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The rows that ``which`` selects of each sequence, and the place of each in what it selects.

    Rows come in rising order; of a list, one may come twice: counted from the start and the end.
    The places of a list are those in its ``np.unique``.

    Args:
        sequence: of all rows of some sequences [R], rising.
        timestep: likewise, rising in each sequence. Where only some were recorded, a number from
            the end counts these.
        which: the choice.
    """
    first = np.flatnonzero(np.diff(sequence, prepend=-1))
    after = np.append(first, len(sequence))[1:]
    if isinstance(which, slice):
        return _sliced(timestep, first, after, which)
    numbers = np.unique(which)
    place = np.minimum(np.searchsorted(numbers, timestep), len(numbers) - 1)
    rows = np.flatnonzero(numbers[place] == timestep)
    found, places = [rows], [place[rows]]
    for number, back in enumerate(numbers[numbers < 0]):
        rows = (after + back)[after + back >= first]
        found.append(rows)
        places.append(np.full(len(rows), number))
    order = np.argsort(np.concatenate(found), kind="stable")
    return np.concatenate(found)[order], np.concatenate(places)[order]


def _sliced(
    timestep: NDArray[Any], first: NDArray[np.intp], after: NDArray[np.intp], which: slice
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The rows and places of a slice; a sequence has the rows from ``first`` to ``after``."""
    step = 1 if which.step is None else which.step
    length = timestep[after - 1].astype(np.intp) + 1

    def bound(number: int | None, default: NDArray[np.intp] | int) -> NDArray[np.intp]:
        if number is None:
            return np.broadcast_to(default, length.shape)
        if number >= 0:
            return np.minimum(number, length - (step < 0))
        row = after + number
        return np.where(row >= first, timestep[np.maximum(row, first)], -(step < 0))

    if step > 0:
        start, stop = bound(which.start, 0), bound(which.stop, length)
    else:
        start, stop = bound(which.start, length - 1), bound(which.stop, -1)
    of_row = np.repeat(np.arange(len(first)), after - first)
    far = (timestep - start[of_row]) * np.sign(step)
    near = (timestep < stop[of_row]) if step > 0 else (timestep > stop[of_row])
    rows = np.flatnonzero((far >= 0) & near & (far % abs(step) == 0))
    return rows, far[rows] // abs(step)


def _bound(value: Any) -> int | None:
    return None if value is None else operator.index(value)
