"""Proof that recorded signals are what the layer computes: the largest residuals, by kind.

recurrence_c    c - (f c' + i g)         every row, from the recorded signals alone
recurrence_h    h - o tanh c             every row, likewise
stock_h         h - h of Keras' own loop         a sample of sequences, every timestep
stock_c         last c - c of ``return_state``   the same sample
"""

from typing import Any

import tensorflow as tf

from pipeline.trace import LayerTrace

Tensor = Any


def recurrence(trace: LayerTrace) -> dict[str, Tensor]:
    """Largest |residual| of the LSTM's two state equations over all valid rows; scalars."""
    h, c, i, f, o, g = (trace.signals[name] for name in ("h", "c", "i", "f", "o", "g"))
    before = _previous(c, trace)
    return {
        "recurrence_c": _largest(c - (f * before + i * g), trace.mask),
        "recurrence_h": _largest(h - o * tf.tanh(c), trace.mask),
    }


def against_stock(trace: LayerTrace, stock: list[Tensor]) -> dict[str, Tensor]:
    """Largest |difference| to what Keras' own loop returned for the same batch; scalars.

    Args:
        trace: the layer's recorded signals.
        stock: h in the order read [B, T, U], then the final h and c [B, U].
    """
    h = tf.transpose(stock[0], (1, 0, 2))
    c = trace.signals["c"]
    if trace.backwards:
        h, last = tf.reverse(h, [0]), c[0]
    elif trace.mask is None:
        last = c[-1]
    else:
        lengths = tf.reduce_sum(tf.cast(trace.mask, tf.int32), axis=1)
        last = tf.gather(tf.transpose(c, (1, 0, 2)), lengths - 1, axis=1, batch_dims=1)
    return {
        "stock_h": _largest(trace.signals["h"] - h, trace.mask),
        "stock_c": tf.reduce_max(tf.abs(last - stock[2])),
    }


def _previous(c: Tensor, trace: LayerTrace) -> Tensor:
    """C one step earlier in the layer's own reading order [T, B, U]."""
    first = trace.initial["c"][tf.newaxis]
    if not trace.backwards:
        return tf.concat([first, c[:-1]], axis=0)
    before = tf.concat([c[1:], first], axis=0)
    if trace.mask is None:
        return before
    # A sequence read backwards starts at its last valid timestep, wherever that is.
    lengths = tf.reduce_sum(tf.cast(trace.mask, tf.int32), axis=1)
    starts = tf.one_hot(lengths - 1, tf.shape(c)[0], axis=0, on_value=True, off_value=False)
    return tf.where(starts[:, :, tf.newaxis], first, before)


def _largest(residual: Tensor, mask: Tensor | None) -> Tensor:
    """Max |residual| over the valid rows of [T, B, U]."""
    residual = tf.abs(residual)
    if mask is not None:
        valid = tf.transpose(tf.cast(mask, tf.bool))[:, :, tf.newaxis]
        residual = tf.where(valid, residual, tf.zeros_like(residual))
    return tf.reduce_max(residual)
