"""The batches that a model is trained on: their order, their form, and their stream."""

import itertools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rnnscope import models
from rnnscope.data import Batch, Split


class Batches:
    """Endless batches; the order of each pass over the data is drawn from the seed."""

    def __init__(self, model: keras.Model, split: Split, size: int, seed: int):
        self.model, self.split, self.size, self.seed = model, split, min(size, len(split)), seed
        self.per_pass = len(split) // self.size
        self.order = (-1, np.arange(0))

    def __getitem__(self, number: int) -> tuple[Any, ...]:
        """Batch number ``number`` of the training, from 0, as ``examples`` gives it."""
        turn, place = divmod(number, self.per_pass)
        if turn != self.order[0]:
            self.order = turn, np.random.default_rng((self.seed, turn)).permutation(len(self.split))
        chosen = self.order[1][place * self.size : (place + 1) * self.size]
        return examples(self.model, self.split.take(chosen))


def examples(model: keras.Model, batch: Batch) -> tuple[Any, ...]:
    """A batch as ``fit`` takes it: inputs, labels or targets, and weights where there is padding.

    Labels are classes [B] or [B, T], targets numbers [B, 1] or [B, T, D], as the model's outputs.
    Weights [B, T] are 0 for padding.
    """
    assert batch.y is not None
    single = batch.y.dtype.kind == "f" and batch.y.ndim < 3
    y = batch.y[..., np.newaxis] if single else batch.y
    padded = batch.y.ndim > 1 and batch.lengths is not None
    weights = (batch.valid.astype(np.float32),) if padded else ()
    return models.inputs(model, batch), y, *weights


def streamed(model: keras.Model, batches: Batches) -> tf.data.Dataset:
    """The batches as an endless tf.data stream."""
    first = batches[0]
    free = models.sequence_shape(model)[0] is None
    timesteps = batches.split.timesteps

    def spec(values: Any) -> tf.TensorSpec:
        """Any number of sequences, and any length where the model takes any."""
        shape = [None if free and n == timesteps else n for n in values.shape[1:2]]
        return tf.TensorSpec([None, *shape, *values.shape[2:]], values.dtype)

    def endless() -> Iterator[tuple[Any, ...]]:
        return (batches[number] for number in itertools.count())

    signature = (models.signature(model), *map(spec, first[1:]))
    stream = tf.data.Dataset.from_generator(endless, output_signature=signature)
    return _untuned(stream.prefetch(2))


def _untuned(stream: tf.data.Dataset) -> tf.data.Dataset:
    """The stream without its tuning thread, for which its release waits up to a minute."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return stream.with_options(options)


def whole(model: keras.Model, split: Split | None) -> Any:
    """A split as ``fit`` takes its validation data."""
    if split is None:
        return None
    values = examples(model, split.take(slice(None)))
    return _untuned(tf.data.Dataset.from_tensor_slices(values).batch(512))
