"""Proof that recorded signals are what the layer computes: the largest residuals, by kind.

recurrence_c    c - (f c' + i g)      LSTM: every row, from the recorded signals alone
recurrence_h    h - o tanh c          LSTM: likewise;  GRU: h - (z h' + (1 - z) g)
stock_h         h - h of Keras' own loop                  a sample of sequences, every row
stock_outputs   outputs returned to Keras - its own       the same sample
stock_states    final states - those of ``return_state``  the same sample
"""

import tensorflow as tf

from rnnscope.trace import cells
from rnnscope.trace.reading import Tensor
from rnnscope.trace.recording import LayerTrace


def recurrence(trace: LayerTrace) -> dict[str, Tensor]:
    """Largest |residual| of each of the cell's state equations over all valid rows; scalars."""
    mask = trace.reading.mask
    return {
        kind: _largest(residual, None if mask is None else tf.transpose(mask))
        for kind, residual in cells.residuals(trace.cell, trace.signals, trace.before()).items()
    }


def against_stock(top: LayerTrace, handed: list[Tensor], stock: list[Tensor]) -> dict[str, Tensor]:
    """Largest |difference| from what Keras' own loop returns for the same batch; scalars.

    Args:
        top: the trace of the layer's cell, or of the top cell of a stack.
        handed: what was returned to Keras: outputs [B, T, U], then the final states [B, U].
        stock: the same from Keras' own loop.
    """
    states = [_largest(a - b) for a, b in zip(handed[1:], stock[1:], strict=True)]
    found = {
        "stock_outputs": _largest(handed[0] - stock[0]),
        "stock_states": tf.reduce_max(tf.stack(states)),
    }
    if "h" in top.signals:
        h = tf.transpose(stock[0], (1, 0, 2))
        h = tf.reverse(h, [0]) if top.reading.backwards else h
        mask = top.reading.mask
        found["stock_h"] = _largest(
            top.signals["h"] - h, None if mask is None else tf.transpose(mask)
        )
    return found


def _largest(residual: Tensor, mask: Tensor | None = None) -> Tensor:
    """max |residual| [T, B, U] over the rows of a mask [T, B], as float32."""
    residual = tf.abs(residual)
    if mask is not None:
        residual = tf.where(mask[:, :, tf.newaxis], residual, tf.zeros_like(residual))
    return tf.cast(tf.reduce_max(residual), tf.float32)
