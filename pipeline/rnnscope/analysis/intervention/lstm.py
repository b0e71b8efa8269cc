"""An LSTM from a window on, in K copies of B sequences at once.

All copies of a sequence have the same inputs, and the same states before the window. What depends
on these alone is computed once for all of them: the part of the inputs in every gate, and the gates
of the first timestep of the window. What is left for each copy is a product with h a timestep.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from rnnscope.analysis.intervention.changes import Change, lstm_stepped
from rnnscope.trace import cells

Tensor = Any


def from_window(
    cell: keras.layers.LSTMCell,
    change: Change,
    x: Tensor,
    before: Sequence[Tensor],
    values: Callable[[Tensor], Tensor],
    steps: Tensor,
    copies: Tensor,
    *,
    sequences: bool,
) -> tuple[Tensor, list[Tensor]]:
    """The outputs of an LSTM from the window on [R, S, U], and its last h and c [R, U]; R = K B.

    Args:
        cell: with the standard activations, in single precision.
        change: what is done, row by row of R.
        x: the inputs from the first step of the window on [S, B, F].
        before: h and c one step earlier [B, U] each.
        values: of a step of the window, what ``Change.of`` takes [R, U].
        steps: how many of S are in the window, at least one.
        copies: K.
        sequences: whether outputs are wanted of every step; if not, they are the last alone.
    """
    count, units, last = tf.shape(x)[1], cell.units, tf.shape(x)[0]
    recurrent = tf.convert_to_tensor(cell.recurrent_kernel)
    drive = tf.tensordot(x, tf.convert_to_tensor(cell.kernel), 1)
    if cell.bias is not None:
        drive += tf.convert_to_tensor(cell.bias)

    def copied(each: Tensor) -> Tensor:
        return tf.ensure_shape(tf.tile(each, (copies, 1)), (None, units))

    def loop(
        changing: Change | None, start: Tensor, stop: Tensor, states: list[Tensor], outputs: Tensor
    ) -> tuple[list[Tensor], Tensor]:
        def body(t: Tensor, states: list[Tensor], outputs: Tensor) -> Any:
            whole = tf.reshape(states[0] @ recurrent, (copies, count, 4 * units)) + drive[t]
            gates = cells.lstm_gates(cell, tf.reshape(whole, (-1, 4 * units)))
            value = None if changing is None else values(t)
            states = lstm_stepped(cell, changing, gates, states, value)
            return t + 1, states, outputs.write(t, states[0]) if sequences else outputs

        _, states, outputs = tf.while_loop(lambda t, *_: t < stop, body, (start, states, outputs))
        return states, outputs

    first = cells.lstm_gates(cell, before[0] @ recurrent + drive[0])
    gates = {name: copied(gate) for name, gate in first.items()}
    states = list(map(copied, before))
    states = lstm_stepped(cell, change, gates, states, values(tf.constant(0)))
    outputs = tf.TensorArray(tf.float32, last, element_shape=(None, units)).write(0, states[0])
    states, outputs = loop(change, tf.constant(1), steps, states, outputs)
    states, outputs = loop(None, steps, last, states, outputs)
    if not sequences:
        return states[0][:, tf.newaxis], states
    return tf.transpose(outputs.stack(), (1, 0, 2)), states
