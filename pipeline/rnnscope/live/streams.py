"""A ``tf.data.Dataset`` of batches, read into memory once."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from rnnscope.errors import UserError


def collected(dataset: tf.data.Dataset, ranks: Mapping[str, int]) -> tuple[Any, Any]:
    """All of x, in the structure that it has, and the labels, None if there are none.

    It is read once, so that sequences and labels stay together also where it is shuffled.

    Args:
        dataset: of batches of x, or of (x, y) or (x, y, weights).
        ranks: of the model's inputs, [B, T, F] is 3, by name.

    Raises:
        UserError: it has no end, or no batches, or batches that do not fit together.
    """
    if int(dataset.cardinality()) == tf.data.INFINITE_CARDINALITY:
        raise UserError("x is a tf.data.Dataset without an end: give x.take(batches)")
    spec = dataset.element_spec
    pairs = isinstance(spec, tuple)
    if pairs and len(spec) > 3:
        raise UserError(f"x gives tuples of {len(spec)}; must be batches of x, or of (x, y)")
    _refuse_single(spec[0] if pairs else spec, ranks)
    every = [(each if pairs else (each,))[:2] for each in dataset]
    if not every:
        raise UserError("x is a tf.data.Dataset without any batch")
    columns = [
        _joined(list(parts), "xy"[place]) for place, parts in enumerate(zip(*every, strict=True))
    ]
    labels = columns[1] if len(columns) > 1 else None
    if isinstance(labels, dict | list | tuple):
        raise UserError("the y of x has several parts: give those to be scored as labels")
    return columns[0], labels


def _refuse_single(spec: Any, ranks: Mapping[str, int]) -> None:
    """Raise where elements are single sequences."""
    leaves = tf.nest.flatten(spec)
    known = [leaf.shape.rank for leaf in leaves if leaf.shape.rank is not None]
    if len(known) == len(ranks) and all(
        a + 1 == b for a, b in zip(known, ranks.values(), strict=True)
    ):
        raise UserError(
            "x is a tf.data.Dataset of single sequences: give x.batch(512), or of sequences of "
            "different lengths x.ragged_batch(512)"
        )


def _joined(parts: list[Any], name: str) -> Any:
    """Batches of one structure, joined along their first axis."""
    first = parts[0]
    if isinstance(first, Mapping):
        return {key: _joined([each[key] for each in parts], f"{name}['{key}']") for key in first}
    if isinstance(first, tuple | list):
        return [_joined(list(each), name) for each in zip(*parts, strict=True)]
    if isinstance(first, tf.RaggedTensor):
        return tf.concat(parts, axis=0)
    if isinstance(first, tf.SparseTensor):
        return first  # refused by its kind
    arrays = [each.numpy() for each in parts]
    shapes = [each.shape[1:] for each in arrays]
    odd = next((number for number, shape in enumerate(shapes) if shape != shapes[0]), None)
    if odd is not None:
        raise UserError(
            f"{name}: batch {odd} has sequences of shape {shapes[odd]}, batch 0 of {shapes[0]}: "
            "what is padding is not known; give ragged batches, x.ragged_batch(512)"
        )
    return np.concatenate(arrays)
