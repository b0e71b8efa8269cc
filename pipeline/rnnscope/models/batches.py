"""The sequences of a split, in batches of the size that the model takes."""

from collections.abc import Iterator

import keras
import numpy as np

from rnnscope.data import Batch, Split


def fixed_batch(model: keras.Model) -> int | None:
    """The batch size that a model requires; None if it takes any."""
    inputs = getattr(model, "inputs", None) or []  # a subclassed model has none
    return next((int(each.shape[0]) for each in inputs if each.shape[0]), None)


def batches(
    model: keras.Model, split: Split, sequences: range, size: int
) -> Iterator[tuple[Batch, int]]:
    """Consecutive sequences in batches, each with its number of sequences.

    For a model of a fixed batch size the last batch is filled up with copies of the last sequence,
    which are not counted.

    Args:
        model: the model that the batches are for.
        split: the split that the sequences are from.
        sequences: their numbers, consecutive.
        size: the batch size, if the model takes any.
    """
    fixed = fixed_batch(model)
    for start in sequences[:: fixed or size]:
        stop = min(start + (fixed or size), sequences.stop)
        missing = fixed - (stop - start) if fixed else 0
        index = np.pad(np.arange(start, stop), (0, missing), mode="edge")
        yield split.take(index if missing else slice(start, stop)), stop - start
