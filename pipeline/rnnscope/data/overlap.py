"""Sequences that are in two splits, which makes scores on the second one too good."""

import logging
from collections.abc import Iterator
from itertools import combinations

import numpy as np
import xxhash
from numpy.typing import DTypeLike, NDArray

from rnnscope.data.dataset import Split
from rnnscope.data.lengths import blocks
from rnnscope.data.mapped import LazyArray, read, release
from rnnscope.errors import UserError

LOOKED_AT = 2**28
"""Bytes of a split that are compared: all of most data, of more than that blocks spread over it."""
ROWS = 2**18
"""Sequences of a split that are compared at the most."""

log = logging.getLogger(__name__)


def refuse_overlap(splits: dict[str, Split], where: str) -> None:
    """Log in one line how many sequences of one split are in another, whatever they are called.

    Sequences are the same where all inputs are, at every valid timestep.

    Args:
        splits: N sequences each.
        where: what to call the data.

    Raises:
        UserError: every test sequence is in train. Not of whole numbers, such as tokens or one-hot
            vectors: of these the splits may hold all sequences that there are.
    """
    there = [part for part in ("train", "val", "test") if part in splits]
    if len(there) < 2:
        return
    kinds = _types(list(splits.values()))
    digests = {part: _digests(splits[part], kinds) for part in there}
    for one, other in combinations(there, 2):
        seen, known = digests[one], digests[other]
        twice = np.isin(known[1], seen[1])
        if not twice.any():
            continue
        first = int(np.flatnonzero(twice)[0])
        same = int(seen[0][np.flatnonzero(seen[1] == known[1][first])[0]])
        pair = f"x_{other}[{known[0][first]}] is x_{one}[{same}]"
        share = f"{twice.sum():,} of {len(twice):,} {other} sequences ({twice.mean():.1%})"
        if other == "test" and one == "train" and twice.all() and not _whole(splits["test"]):
            raise UserError(
                f"{where}: every test sequence is in train too ({pair}), so scores say nothing of "
                "new ones: leave them out of train; or for states alone give a file of x_test "
                "without x_train"
            )
        log.warning(
            f"{where}: {share} are in {one} too, such as {pair}: scores are too good by them; "
            "leave them out of one split"
        )


def _types(splits: list[Split]) -> list[DTypeLike]:
    """The type that values of all splits have in common, of each input."""
    arrays = zip(*(_inputs(split).values() for split in splits), strict=True)
    return [np.result_type(*(array.dtype for array in each)) for each in arrays]


def _inputs(split: Split) -> dict[str, LazyArray]:
    """The arrays of all inputs, the main one first."""
    return {"": split.x} | dict(sorted(split.others.items()))


def _digests(split: Split, kinds: list[DTypeLike]) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Numbers of sequences [N'], and the XXH3 of all their valid inputs as ``kinds`` [N']."""
    numbers: list[int] = []
    found: list[int] = []
    lengths = [split.lengths, *(split.other_lengths.get(name) for name in sorted(split.others))]
    for block in _spread(split.x):
        pieces = []
        for array, kind in zip(_inputs(split).values(), kinds, strict=True):
            with np.errstate(invalid="ignore"):
                pieces.append(np.ascontiguousarray(read(array, block), kind))
            release(array)
        for row in range(block.stop - block.start):
            digest = 0
            for values, each in zip(pieces, lengths, strict=True):
                valid = values[row] if each is None else values[row, : each[block.start + row]]
                digest = xxhash.xxh3_64_intdigest(valid.tobytes(), seed=digest)
            found.append(digest)
        numbers += range(block.start, block.stop)
    return np.array(numbers, np.int64), np.array(found, np.uint64)


def _spread(x: LazyArray) -> Iterator[slice]:
    """Runs of sequences: all of them, or as many as are compared, spread evenly."""
    every = list(blocks(x))
    size = every[0].stop - every[0].start
    bytes_each = x.dtype.itemsize * int(np.prod(x.shape[1:]))
    most = max(1, min(LOOKED_AT // max(1, size * bytes_each), ROWS // size))
    chosen = every if len(every) <= most else [every[n * len(every) // most] for n in range(most)]
    for block in chosen:
        yield slice(block.start, min(block.stop, block.start + ROWS))


def _whole(split: Split) -> bool:
    """Whether all inputs that are looked at are whole numbers, and no pixels."""
    for x in _inputs(split).values():
        if x.dtype == np.uint8 and len(x.shape) > 2:
            return False
        if x.dtype.kind == "f":
            values = read(x, next(_spread(x)))
            release(x)
            finite = values[np.isfinite(values)]
            if (finite != np.rint(finite)).any():
                return False
    return True
