"""Sequences that change one another: what is recorded of one must not depend on its batch.

A layer that computes over the axis of the batch, such as ``x - ops.mean(x, axis=0)``, gives states
that depend on which sequences happen to be run together; a layer that keeps count of what it has
seen, states that depend on what was run before. Both are found by running sequences among others.
(A cell that does so is found by the proof.)
"""

import math
from collections.abc import Iterator

import keras
import numpy as np
from numpy.typing import NDArray

from rnnscope.data import Batch, Split
from rnnscope.errors import UserError
from rnnscope.extract import forgetful
from rnnscope.extract.rounding import relative
from rnnscope.models.batches import fixed_batch

SIZES = (12, 8)
"""Sequences that are run together. With two sizes a layer that takes the k-th sequence before, in
the order of a ring, is missed for no k below 24."""
TIMESTEPS = 100_000
"""Of all sequences of such a batch, of which there are then fewer, but three."""
POOL = 1000
"""Sequences among which different ones are sought."""
SAME, OTHER = 1e-6, 1e-4
"""Relative to a feature's largest value: what rounding may change where all shapes are the same,
and where the batch has another size."""

Parts = list[tuple[str, NDArray[np.float64]]]
"""What is computed of each sequence [B, ..., F], and what it is."""


def refuse(model: keras.Model, split: Split) -> None:
    """Raise if what a recurrent layer reads of a sequence, or an output, depends on the others.

    Args:
        model: the model; it is as before afterwards.
        split: the test split.

    Raises:
        UserError: with the layer, and what to do.
    """
    fixed = fixed_batch(model)
    most = max(3, TIMESTEPS // split.timesteps)
    sizes = [fixed] if fixed else sorted({min(size, most) for size in SIZES}, reverse=True)
    different = _different(split, max(sizes))
    forgetful.refuse_changing(model, split.take(np.resize(different, sizes[0])))
    if fixed == 1 or len(different) < 2:
        return
    whole: Parts = []
    for size in sizes:
        among = np.resize(different, size)
        parts = _parts(model, split.take(among))
        _compare(model, whole, parts, np.arange(size), OTHER)
        for kept in _kept(size):
            changed = np.where(kept, among, np.resize(np.roll(different, 1), size))
            _compare(model, parts, _parts(model, split.take(changed)), np.flatnonzero(kept), SAME)
        whole = whole or parts


def _kept(size: int) -> Iterator[NDArray[np.bool_]]:
    """Which sequences stay while the others are changed [B]: some drawn by lot, then the others."""
    draw = np.random.default_rng(0)
    kept = np.arange(size) == 0
    if size > 3:
        kept[draw.permutation(size)[: size // 2]] = True
    yield kept
    yield ~kept


def _different(split: Split, most: int) -> NDArray[np.intp]:
    """The numbers of a few sequences that differ from one another, from all over the split."""
    among = np.unique(np.linspace(0, len(split) - 1, min(POOL, len(split))).astype(int))
    found: dict[bytes, int] = {}
    for numbers in np.array_split(among, math.ceil(len(among) / most)):
        some = split.take(numbers)
        arrays = [some.x, *some.others.values()]
        for row, number in enumerate(numbers):
            content = b"".join(np.ascontiguousarray(x[row]).tobytes() for x in arrays)
            found.setdefault(content, int(number))
        if len(found) >= most:
            break
    return np.array(list(found.values())[:most])


def _parts(model: keras.Model, batch: Batch) -> Parts:
    """What recurrent layers are given of a batch, and the outputs."""
    given, outputs = forgetful.passed(model, batch)
    found = [
        (f"what layer '{layer}' is given", part)
        for layer, each in given.items()
        for part in (each.x, *each.states, each.mask)
    ]
    found += [("its output", output) for output in keras.tree.flatten(outputs)]
    arrays = [(what, np.asarray(part, np.float64)) for what, part in found if part is not None]
    return [(what, each) for what, each in arrays if each.ndim and len(each) == len(batch.x)]


def _compare(
    model: keras.Model, one: Parts, other: Parts, rows: NDArray[np.intp], rounding: float
) -> None:
    """Raise if sequences with these places in two batches were not computed alike."""
    for (what, known), (_, found) in zip(one, other, strict=bool(one)):
        a, b = known[rows], found[rows]
        if (relative(a, b) > rounding).any():
            raise UserError(
                f"model '{model.name}': {what} of a sequence depends on the other sequences of its "
                "batch, as after a mean over axis 0; let its layers compute over the axes of one "
                "sequence, or save it for batches of 1 (batch_size=1 in keras.Input)"
            )
