"""The sequences of a split batch by batch, as many at a time as the model takes."""

from collections.abc import Iterator

import keras
import numpy as np

from rnnscope.data import Batch, Split


def fixed_batch(model: keras.Model) -> int | None:
    """The batch size that a model insists on; None where any fits."""
    inputs = getattr(model, "inputs", None) or []  # a subclassed model has none
    return next((int(each.shape[0]) for each in inputs if each.shape[0]), None)


def batches(
    model: keras.Model, split: Split, sequences: range, size: int
) -> Iterator[tuple[Batch, int]]:
    """Consecutive sequences in batches, each with the number of them that it holds.

    A model of a fixed batch size gets its last batch filled up with the last sequence.

    Args:
        model: what they are for.
        split: whose sequences they are.
        sequences: their numbers, without a gap.
        size: of a batch, where the model takes any.
    """
    fixed = fixed_batch(model)
    for start in sequences[:: fixed or size]:
        stop = min(start + (fixed or size), sequences.stop)
        missing = fixed - (stop - start) if fixed else 0
        index = np.pad(np.arange(start, stop), (0, missing), mode="edge")
        yield split.take(index if missing else slice(start, stop)), stop - start
