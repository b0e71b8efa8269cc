"""What ``intervene`` is asked to set: units, timesteps and values, read and checked."""

from collections.abc import Iterable, Mapping, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope.errors import UserError
from rnnscope.live.arrays import Array, plain

Float = NDArray[np.float32]


def units_of(units: Any, count: int, layer: str) -> list[int]:
    """The units, each once, of a cell that has so many."""
    # The columns of a value are those of the units in their order, which a set does not have.
    ordered = isinstance(units, Iterable) and not isinstance(units, Set | Mapping)
    asked = [_whole(each) for each in (units if ordered else [units])]
    if not asked or not all(0 <= each < count for each in asked):
        raise UserError(
            f"unit={units}: must be whole numbers from 0 to {count - 1}, those of '{layer}'"
        )
    if len(set(asked)) < len(asked):
        raise UserError(f"unit={units}: names one twice")
    return asked


def window_of(at: Any, timesteps: int) -> range:
    """The timesteps that are asked for, one after another."""
    start = stop = _whole(at)
    if start >= 0:
        stop = start + 1
    elif isinstance(at, slice) and at.step in (None, 1):
        start = 0 if at.start is None else _whole(at.start)
        stop = timesteps if at.stop is None else _whole(at.stop)
    if not 0 <= start < stop <= timesteps:
        raise UserError(
            f"at={at}: must be a timestep, or a slice of them such as slice(12, 15); there are "
            f"{timesteps}, from 0"
        )
    return range(start, stop)


def values_of(value: Any, shape: tuple[int, int, int], *, single: bool) -> Float:
    """What is set [N, W, units].

    Args:
        value: as ``intervene`` takes it.
        shape: N, W and the number of units.
        single: whether one unit was asked for, whose axis the value lacks.
    """
    alone = value is None or isinstance(value, bool | int | float | str | np.generic)
    array = Array(np.asarray(value)) if alone else plain(value, "value")
    if array.lengths is not None:
        raise UserError("value: its rows differ in length; past a sequence's own give any number")
    given = array.numbers
    if given.dtype.kind not in "fiub":
        raise UserError(f"value is of type {given.dtype}; must be a number, or an array of them")
    wanted = shape[:2] if single else shape
    try:
        whole = np.broadcast_to(given, wanted).reshape(shape)
    except ValueError:
        raise UserError(
            f"value of shape {list(given.shape)}: must be a number, or fit {list(wanted)}, "
            f"[sequences, timesteps{'' if single else ', units'}]"
        ) from None
    if not np.isfinite(whole).all():
        raise UserError("value: holds NaN or an infinity; past a sequence's length give any number")
    if np.abs(whole.astype(np.float64)).max() > np.finfo(np.float32).max:
        raise UserError("value: holds a number past float32, in which states are computed")
    return np.ascontiguousarray(whole, np.float32)


def _whole(value: Any) -> int:
    """A whole number; -1 for anything else."""
    return int(value) if isinstance(value, int | np.integer) and not isinstance(value, bool) else -1
