"""The loss of each sequence in TensorFlow, so that it has a gradient."""

from typing import Any

import tensorflow as tf

from rnnscope.extract.outcome import TINY
from rnnscope.models.scores import LOGITS, SIGMOID

Tensor = Any

LOSS, SCORE = "loss", "score"
MEASURES = (LOSS, SCORE)
"""The loss, and the score of the correct class: its logit, or the logarithm of its probability."""


def measures(output: Tensor, y: Tensor, valid: Tensor, kind: str, of: str) -> Tensor:
    """What gradients are taken of, for each sequence [B]; see ``losses`` for the arguments.

    Of timesteps with classes of their own the score is the mean over those that are valid.
    """
    if of == LOSS:
        return losses(output, y, valid, kind)
    if kind == LOGITS:
        each = tf.gather(output, y, axis=-1, batch_dims=len(y.shape))
        return each if len(y.shape) == 1 else _mean(each, valid)
    return -losses(output, y, valid, kind)


def losses(output: Tensor, y: Tensor, valid: Tensor, kind: str) -> Tensor:
    """The loss of each sequence [B] as ``extract.outcome`` has it.

    Cross-entropy in nats of classes, squared error of numbers; of timesteps the mean over those
    that are valid. Of probabilities it is in double precision, with the same least one: where a
    probability is 0 the gradient is 0, and the loss leaps to that of the least one.

    Args:
        output: the model's output that is scored, [B, ...] or [B, T, ...].
        y: classes, int32, or numeric targets [B], [B, T] or [B, T, D].
        valid: which timesteps are no padding [B, T].
        kind: what the output holds, as ``models.scores`` has it.
    """
    if y.dtype.is_floating:
        each = tf.square(tf.reshape(output, tf.shape(y)) - tf.cast(y, output.dtype))
        each = tf.reduce_mean(each, axis=2) if len(y.shape) == 3 else each
    else:
        each = _cross_entropy(output, y, kind)
    if len(y.shape) == 1:
        return each
    return _mean(each, valid)


def _mean(each: Tensor, valid: Tensor) -> Tensor:
    """The mean [B] over valid timesteps [B, T]."""
    count = tf.reduce_sum(tf.cast(valid, each.dtype), axis=1)
    return tf.reduce_sum(tf.where(valid, each, tf.zeros_like(each)), axis=1) / count


def _cross_entropy(output: Tensor, y: Tensor, kind: str) -> Tensor:
    """-log of the probability of each class y."""
    if kind == LOGITS:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(y, output)
    if kind == SIGMOID:
        p = tf.cast(tf.reshape(output, tf.shape(y)), tf.float64)
        p = tf.where(y == 1, p, 1 - p)
    else:
        p = tf.cast(tf.gather(output, y, axis=-1, batch_dims=len(y.shape)), tf.float64)
    return -tf.math.log(tf.maximum(p, TINY))
