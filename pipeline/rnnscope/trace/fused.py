"""An LSTM over all timesteps at once by TensorFlow's fused op, with a gradient that is right.

The gradient that TensorFlow has for BlockLSTMV2 (seen in 2.21, with errors as large as the gradient
itself, from a single timestep on) is not that of what the op computes, and it has none of the
gates. Here it is that of the LSTM's equations, step by step, of all signals and to any order.
"""

from typing import Any

import tensorflow as tf

Tensor = Any
Made = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]
"""h, c, i, f, o and g, each [T, B, U]."""


@tf.custom_gradient
def lstm(
    x: Tensor, h: Tensor, c: Tensor, kernel: Tensor, recurrent: Tensor, bias: Tensor
) -> tuple[Made, Any]:
    """h, c, i, f, o and g of an LSTM with sigmoid and tanh, [T, B, U] each.

    The op orders its gates i, f, g, o, as Keras does; peepholes and clipping of c are off.

    Args:
        x: inputs [T, B, F].
        h: before the first timestep [B, U].
        c: likewise [B, U].
        kernel: [F, 4 U].
        recurrent: [U, 4 U].
        bias: [4 U].
    """
    given = x, h, c, kernel, recurrent, bias
    peephole = tf.zeros_like(recurrent[:, 0])
    i, c_all, f, o, g, _, h_all = tf.raw_ops.BlockLSTMV2(
        seq_len_max=tf.cast(tf.shape(x)[0], tf.int64),
        x=x,
        cs_prev=c,
        h_prev=h,
        w=tf.concat([kernel, recurrent], axis=0),
        wci=peephole,
        wcf=peephole,
        wco=peephole,
        b=bias,
        cell_clip=0.0,
        use_peephole=False,
    )

    def gradient(*upstream: Tensor) -> list[Tensor]:
        # From what was given alone: what the op made has its wrong gradient, of the second order.
        with tf.GradientTape() as tape:
            tape.watch(given)
            made = _equations(*given)
        none = tf.UnconnectedGradients.ZERO
        return list(tape.gradient(made, given, list(upstream), unconnected_gradients=none))

    return (h_all, c_all, i, f, o, g), gradient


def _equations(
    x: Tensor, h: Tensor, c: Tensor, kernel: Tensor, recurrent: Tensor, bias: Tensor
) -> Made:
    """The same as ``lstm``, one timestep after the other."""

    def step(before: Made, given: Tensor) -> Made:
        h, c, *_ = before
        i, f, g, o = tf.split(given + h @ recurrent, 4, axis=-1)
        i, f, o, g = tf.sigmoid(i), tf.sigmoid(f), tf.sigmoid(o), tf.tanh(g)
        c_now = f * c + i * g
        made = o * tf.tanh(c_now), c_now, i, f, o, g
        return tuple(tf.ensure_shape(each, h.shape) for each in made)

    none = tf.zeros_like(h)
    return tf.scan(step, x @ kernel + bias, (h, c, none, none, none, none))
