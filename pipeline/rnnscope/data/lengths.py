"""Exact lengths, and finite inputs, of arrays that may be larger than memory."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope.data.inputs import Inputs, Name
from rnnscope.data.mapped import LazyArray, release
from rnnscope.data.missing import described
from rnnscope.errors import UserError

BLOCK = 2**24
"""Bytes that are checked at a time."""


def given_lengths(inputs: Inputs, given: dict[Name, NDArray[Any]]) -> dict[Name, NDArray[np.int32]]:
    """The lengths [N] that the data gives, by input; the plain ones are given to their owners.

    Args:
        inputs: of one split.
        given: arrays of lengths, by the input that they name; None for the plain ones.

    Raises:
        UserError: lengths of no input, of one without timesteps, twice, or not from 1 to T.
    """
    at, part = inputs.at, inputs.part
    found: dict[Name, NDArray[np.int32]] = {}
    for name in filter(None, given):
        if name not in inputs.values:
            raise UserError(f"{at}lengths_{name}_{part} has no input: there is no x_{name}_{part}")
        if not inputs.has_time(name):
            raise UserError(
                f"{at}lengths_{name}_{part}: '{name}' has no timesteps (no recurrent layer reads "
                f"along its second axis): leave lengths_{name}_{part} out"
            )
        if name == inputs.plain and None in given:
            raise UserError(
                f"{at}lengths_{name}_{part} and lengths_{part} are both of x_{part}; leave one out"
            )
        found[name] = _lengths(given[name], inputs.values[name], f"{at}lengths_{name}_{part}")
    if None in given:
        plain = given[None]
        counts = plain.size and plain.dtype.kind in "iuf" and np.isfinite(plain).all()
        longest = int(plain.max()) if counts else 0
        for owner in inputs.owners(longest, set(found)):
            found[owner] = _lengths(plain, inputs.values[owner], f"{at}lengths_{part}")
    return found


def measured(x: LazyArray, given: NDArray[np.int32] | None, where: str) -> NDArray[np.int32] | None:
    """The valid timesteps of each sequence [N], from 1 to T; None where all have T.

    They are as given; otherwise a sequence ends where all features are NaN from a timestep on.

    Args:
        x: inputs [N, T, ...].
        given: valid timesteps [N], from 1 to T, where the data has them.
        where: what to call x in an error.

    Raises:
        UserError: a valid input that is not finite in float32, or a sequence of nothing but NaN.
    """
    if x.dtype.kind != "f":
        return given
    steps = np.arange(x.shape[1])
    lengths = np.full(len(x), x.shape[1], np.int32) if given is None else given
    for block in blocks(x):
        values = x[block].reshape(-1, x.shape[1], int(np.prod(x.shape[2:])))
        with np.errstate(over="ignore"):
            finite = np.isfinite(values.astype(np.float32, copy=False)).all(axis=2)
        if not finite.all():
            if given is None:
                # With NaN before the end this count is wrong, and covers the NaN: found below.
                lengths[block] = (~np.isnan(values).all(axis=2)).sum(axis=1)
                if (lengths[block] == 0).any():
                    sequence = block.start + int(lengths[block].argmin())
                    raise UserError(
                        f"{where}[{sequence}] is NaN at every timestep: "
                        f"a length of 0; it must be from 1 to {x.shape[1]}"
                    )
            bad = ~finite & (steps < lengths[block, np.newaxis])
            if bad.any():
                sequence, timestep = np.argwhere(bad)[0]
                hint = "; padding is NaN in all features, on the right" if given is None else ""
                if np.isnan(values[sequence, timestep]).any():
                    hint += described(x, given, where)
                raise UserError(
                    f"{where}[{block.start + sequence}, {timestep}] is not a finite number{hint}"
                )
        release(x)
    return None if given is None and (lengths == x.shape[1]).all() else lengths


def refuse_large(x: LazyArray, where: str) -> None:
    """Raise where a whole number does not fit in int32, the type of tokens."""
    limits = np.iinfo(np.int32)
    if np.can_cast(x.dtype, np.int32):
        return
    for block in blocks(x):
        values = x[block]
        bad = (values < limits.min) | (values > limits.max)
        if bad.any():
            place = np.argwhere(bad)[0]
            value = values[tuple(place)]
            raise UserError(
                f"{where}[{block.start + place[0]}, {place[1]}] is {value}; "
                "a token must be from -2^31 to 2^31 - 1"
            )
        release(x)


def blocks(x: LazyArray) -> Iterator[slice]:
    """Runs of sequences of about ``BLOCK`` bytes."""
    size = max(1, BLOCK // (x.dtype.itemsize * int(np.prod(x.shape[1:]))))
    for start in range(0, len(x), size):
        yield slice(start, min(start + size, len(x)))


def _lengths(values: NDArray[Any], x: NDArray[Any], where: str) -> NDArray[np.int32]:
    """The given lengths [N] or [N, 1], in whole numbers of any type, checked."""
    if values.shape not in (x.shape[:1], (len(x), 1)):
        raise UserError(f"{where} has shape {values.shape}; it must be [{len(x)}], as x")
    values = values.reshape(-1)
    if values.dtype.kind not in "iuf":
        raise UserError(f"{where} has type {values.dtype}; it must hold whole numbers")
    if values.dtype.kind == "f" and (broken := values != np.rint(values)).any():
        first = int(broken.argmax())
        raise UserError(f"{where}[{first}] is {values[first]}; it must hold whole numbers")
    wrong = np.flatnonzero(~((values >= 1) & (values <= x.shape[1])))
    if len(wrong):
        raise UserError(
            f"{where}[{wrong[0]}] is {values[wrong[0]]}; a length is from 1 to {x.shape[1]}"
        )
    return np.array(values, np.int32)
