"""Exact lengths, and finite inputs, of arrays that may be larger than memory."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rnnscope.data.mapped import LazyArray, release
from rnnscope.data.missing import described
from rnnscope.errors import UserError

BLOCK = 2**24
"""Bytes that are checked at a time."""


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
