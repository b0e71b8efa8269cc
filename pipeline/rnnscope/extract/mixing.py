"""Sequences that change one another: what is recorded of one must not depend on its batch.

A layer that computes over the axis of the batch, such as ``x - ops.mean(x, axis=0)``, gives states
that depend on which sequences happen to be run together. It is found by running a sequence among
others and among copies of itself. (A cell that does so is found by the proof.)
"""

import keras
import numpy as np
from numpy.typing import NDArray

from rnnscope.data import Batch, Split
from rnnscope.errors import UserError
from rnnscope.extract import forgetful
from rnnscope.models.batches import fixed_batch

POOL, FEWEST = 32, 3
"""Sequences among which different ones are sought, and the smallest batch that is run."""
ROUNDING = 1e-4
"""Relative to the largest value: differences that may come from the order of a sum."""


def refuse(model: keras.Model, split: Split) -> None:
    """Raise if what a recurrent layer reads of a sequence, or an output, depends on the others.

    Args:
        model: the model; it is as before afterwards.
        split: the test split.

    Raises:
        UserError: with the layer, and what to do.
    """
    fixed = fixed_batch(model)
    different = _different(split)
    if fixed == 1 or len(different) < 2:
        return
    among = np.resize(different, fixed or FEWEST)
    mixed = _parts(model, split.take(among))
    for row in (0, 1):
        alone = _parts(model, split.take(np.full_like(among, among[row])))
        for (what, together), (_, values) in zip(mixed, alone, strict=True):
            if _differ(together[row], values[row]):
                raise UserError(_line(model, what, fixed))


def _different(split: Split) -> NDArray[np.intp]:
    """The numbers of the first few sequences that differ from one another."""
    some = split.take(np.arange(min(POOL, len(split))))
    arrays = [some.x, *some.others.values()]
    seen: dict[bytes, int] = {}
    for number in range(len(some.x)):
        seen.setdefault(b"".join(np.ascontiguousarray(x[number]).tobytes() for x in arrays), number)
    return np.array(list(seen.values()))


def _parts(model: keras.Model, batch: Batch) -> list[tuple[str, NDArray[np.float64]]]:
    """What is computed of each sequence of a batch [B, ...], and what it is."""
    given, outputs = forgetful.passed(model, batch)
    found = [
        (f"what layer '{layer}' is given", part)
        for layer, each in given.items()
        for part in (each.x, *each.states, each.mask)
        if part is not None
    ]
    found += [("its output", output) for output in keras.tree.flatten(outputs)]
    return [
        (what, np.asarray(values, np.float64))
        for what, values in found
        if values.ndim and len(values) == len(batch.x)
    ]


def _differ(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    largest = np.nanmax(np.abs(one), initial=1.0)
    return not np.allclose(one, other, rtol=0, atol=ROUNDING * largest, equal_nan=True)


def _line(model: keras.Model, what: str, fixed: int | None) -> str:
    alone = (
        f"it was saved for batches of {fixed}: save it for batches of 1"
        if fixed
        else "extract.batch_size=1 runs each sequence alone"
    )
    return (
        f"model '{model.name}': {what} of a sequence depends on the other sequences of its batch, "
        "as after a mean over axis 0; let its layers compute over the axes of one sequence; "
        f"{alone}"
    )
