"""The values of brought states: where sequences end, and as float32 without a silent change."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope.data.lengths import blocks
from rnnscope.data.mapped import release
from rnnscope.errors import UserError
from rnnscope.extract.brought.arrays import Given, rows
from rnnscope.extract.finite import all_finite

WHOLE = 2**24
"""The largest whole number up to which float32 holds all of them."""
GATES = "ifozr"
"""Signals between 0 and 1."""
ROUNDING = 1e-4
"""How far a gate that was rounded may lie outside."""
AS_STORED = ("float32", "float16", "int8", "uint8", "int16", "uint16", "bool")
"""Types whose values float32 holds as they are."""


def ends(given: Given) -> NDArray[np.int32] | None:
    """Valid timesteps [N]: before the timesteps at which all units are NaN; None where all are.

    Raises:
        UserError: two arrays do not end at the same timesteps, or a sequence is nothing but NaN.
    """
    count, timesteps = given.shape
    known: NDArray[np.int32] | None = None
    first = ""
    for layer, signals in given.arrays.items():
        for signal, array in signals.items():
            name = f"{layer}/{signal}"
            own = np.full(count, timesteps, np.int32)
            for block in blocks(array) if array.dtype.kind == "f" else ():
                values = rows(array, block.start, block.stop, f"{given.where}: {name}")
                there = ~np.isnan(values).all(axis=2)
                last = timesteps - there[:, ::-1].argmax(axis=1)
                own[block] = np.where(there.any(axis=1), last, 0)
                release(array)
            if not own.all():
                raise UserError(
                    f"{given.where}: {name}[{int(own.argmin())}] is NaN at every timestep: leave "
                    "the sequence out, here and in the data"
                )
            if known is None:
                known, first = own, name
            elif (differ := known != own).any():
                at = int(differ.argmax())
                raise UserError(
                    f"{given.where}: sequence {at} has {known[at]} timesteps before NaN in {first} "
                    f"and {own[at]} in {name}: give lengths_test in data.path"
                )
    return None if known is None or (known == timesteps).all() else known


def columns(
    values: NDArray[Any], kept: NDArray[np.bool_], units: list[int], first: int, where: str
) -> NDArray[np.float32]:
    """The values [U', R] of some units at the R timesteps kept, in float32.

    Args:
        values: of consecutive sequences [B, T, U].
        kept: which of their timesteps are rows [B, T].
        units: the numbers of the U' units.
        first: number of the first sequence.
        where: what to call the array in an error.

    Raises:
        UserError: a value that is not a finite number, or that float32 does not hold.
    """
    chosen = values if len(units) == values.shape[2] else values[:, :, units]
    own = chosen[kept]  # [R, U']
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(own.T, np.float32)
    if own.dtype.kind in "iu" and own.dtype.itemsize > 2:
        bad = (own > WHOLE) | (own < -WHOLE)
        why = f"past {WHOLE:,}, up to which float32 holds whole numbers: scale them"
    elif all_finite(stored):
        return stored
    else:
        bad, why = ~np.isfinite(stored.T), "not a finite number: put a number there, or leave "
        why += "the sequence out; padding lies beyond lengths_test of data.path, or is NaN in all "
        why += "units where data.path has neither x_test nor lengths_test"
    if bad.any():
        row, unit = np.argwhere(bad)[0]
        sequence, timestep = (int(axis[row]) for axis in np.nonzero(kept))
        value = own[row, unit]
        if own.dtype.kind == "f" and np.isfinite(value):
            why = "past what float32 holds: scale the states down"
        raise UserError(
            f"{where}[{first + sequence}, {timestep}, {units[unit]}] is {value:.6g}, {why}"
        )
    return stored


def refuse_gates(
    stored: NDArray[np.float32],
    kept: NDArray[np.bool_],
    units: list[int],
    first: int,
    where: str,
) -> None:
    """Raise where a gate is not between 0 and 1, as before its sigmoid.

    Args:
        stored: its values [U', R], in float32.
        kept: which timesteps are rows [B, T].
        units: the numbers of the U' units.
        first: number of the first sequence.
        where: what to call the array.

    Raises:
        UserError: with the first such value.
    """
    bad = (stored < -ROUNDING) | (stored > 1 + ROUNDING)
    if bad.any():
        row, unit = np.argwhere(bad.T)[0]
        sequence, timestep = (int(axis[row]) for axis in np.nonzero(kept))
        raise UserError(
            f"{where}[{first + sequence}, {timestep}, {units[unit]}] is {stored[unit, row]:.6g}, "
            "and a gate is between 0 and 1: give it as after its sigmoid, 1 / (1 + exp(-x)), or "
            "name the signal s0"
        )
