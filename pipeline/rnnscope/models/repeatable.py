"""Training that repeats bit for bit on a CPU and leaves no global state behind."""

import contextlib
import random
from collections.abc import Iterator

import keras
import tensorflow as tf


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw the seeds of Keras' initialisers and of dropout from ``seed``.

    Keras takes both from Python's generator, whose state is then as before.
    """
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


class CrossEntropy(keras.losses.Loss):
    """Cross-entropy of classes [B] or [B, T] and logits [B, K] or [B, T, K], in nats.

    TensorFlow's own op sums its gradient in an order that may differ between runs on a GPU. Its
    deterministic form, which is this one, is chosen by a switch that holds for the whole process
    and that has no public way back.
    """

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """The cross-entropy of each sequence [B] or timestep [B, T]."""
        shape = tf.shape(y_pred)[:-1]
        classes = tf.reshape(tf.cast(y_true, tf.int64), shape)
        return -tf.gather(tf.nn.log_softmax(y_pred), classes, batch_dims=y_pred.shape.rank - 1)
