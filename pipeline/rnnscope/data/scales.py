"""Splits whose inputs are on different scales: bytes beside floats, 0 to 255 beside 0 to 1."""

import logging
from dataclasses import dataclass

import numpy as np

from rnnscope.data.dataset import Split
from rnnscope.data.lengths import blocks
from rnnscope.data.mapped import LazyArray, read, release
from rnnscope.errors import UserError

BYTE = 255
PIECES = 4
"""Runs of sequences, spread over a split, of which the range is measured."""
COPIED = 16
"""Pieces of a run that are measured one by one, as each is copied for it."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Range:
    """The range of an input's finite values."""

    low: float
    high: float
    whole: bool
    """Whether they are whole numbers."""


def refuse_other_scales(splits: dict[str, Split], where: str) -> None:
    """Raise where one split's inputs are scaled and another's are not.

    Args:
        splits: with the same inputs.
        where: what to call the data.

    Raises:
        UserError: bytes, which are pixels and scaled to [0, 1], beside another type; or whole
            numbers up to 255 beside values in [0, 1].
    """
    test = splits["test"]
    for name in ("", *test.others):
        arrays = {
            f"x_{name}_{part}" if name else f"x_{part}": split.others[name] if name else split.x
            for part, split in splits.items()
        }
        _refuse_bytes(arrays, where)
        _refuse_unscaled({key: _range(array) for key, array in arrays.items()}, where)


def _refuse_bytes(arrays: dict[str, LazyArray], where: str) -> None:
    pixels = [key for key, x in arrays.items() if x.dtype == np.uint8 and len(x.shape) > 2]
    others = [key for key in arrays if key not in pixels]
    if pixels and others:
        one, other = pixels[0], others[0]
        raise UserError(
            f"{where}: {one} holds bytes (uint8), which are scaled to [0, 1], and {other} holds "
            f"{arrays[other].dtype}, which is not: give both in one type and scale, such as "
            f"{one}.astype('float32') / 255"
        )


def _refuse_unscaled(ranges: dict[str, Range], where: str) -> None:
    known = list(ranges.items())
    for key, small in known:
        for other, large in known:
            in_one = small.low >= 0 and 0.5 < small.high <= 1 and not small.whole
            if in_one and large.whole and large.low >= 0 and 2 < large.high <= BYTE:
                raise UserError(
                    f"{where}: {other} holds whole numbers from {large.low:g} to {large.high:g}, "
                    f"and {key} values from {small.low:.3g} to {small.high:.3g}: is only one of "
                    "them scaled? Give both on one scale"
                )


def _range(x: LazyArray) -> Range:
    """The range of the values in some runs of sequences, spread over all."""
    every = list(blocks(x))
    chosen = {n * len(every) // PIECES for n in range(PIECES)}
    low, high, whole = np.inf, -np.inf, True
    for number in sorted(chosen):
        for values in np.array_split(read(x, every[number]), COPIED):
            if values.dtype.kind == "f":
                values = values[np.isfinite(values)]
                whole = whole and bool((values == np.rint(values)).all())
            if values.size:
                low, high = min(low, float(values.min())), max(high, float(values.max()))
        release(x)
    return Range(low, high, whole)
