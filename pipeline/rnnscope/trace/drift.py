"""Whole sequences by two other loops: Keras' own, and one in float64."""

from typing import Any

import tensorflow as tf

from rnnscope.trace import cells, equations, loops
from rnnscope.trace.reading import Tensor
from rnnscope.trace.recording import Call, outputs_and_states
from rnnscope.trace.steps import dropout_masks


def of_keras(call: Call) -> list[Tensor]:
    """Outputs [B, T, U] in the order of steps and final states [B, 1, U] of Keras' own loop."""
    layer = call.layer
    returns_sequences = layer.return_sequences
    layer.return_sequences = True
    try:
        with dropout_masks(call, call.sequences[:, 0]):
            _, outputs, states = type(layer).inner_loop(
                layer, call.sequences, call.initial_state, mask=call.mask, training=call.training
            )
    finally:
        layer.return_sequences = returns_sequences
    return outputs_and_states([outputs, *tf.nest.flatten(states)])


def in_float64(call: Call) -> list[Tensor] | None:
    """The same of a loop in float64 over the cells' equations; None where one is not known."""
    if not all(cells.stock_kind(trace.cell) for trace in call.cells.values()):
        return None
    stacked = loops.stacked(call.layer)

    def step(x: Tensor, states: Any) -> tuple[Tensor, Any]:
        after = []
        for trace, state in zip(call.cells.values(), states if stacked else [states], strict=True):
            before = dict(zip(trace.initial, tf.nest.flatten(state), strict=True))
            found = equations.signals(trace.cell, x, before, rounding=False)
            x = found["h"].value
            after.append([found[name].value for name in before])
        return x, tf.nest.pack_sequence_as(states, tf.nest.flatten(after))

    sequences, initial = tf.nest.map_structure(
        lambda values: tf.cast(values, tf.float64), (call.sequences, call.initial_state)
    )
    mask = None if call.mask is None else tf.cast(call.mask, tf.bool)
    _, outputs, states = loops.stock_loop(call.layer, step, sequences, initial, mask, False)
    return outputs_and_states([outputs, *tf.nest.flatten(states)])
