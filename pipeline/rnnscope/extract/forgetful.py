"""A pass in which recurrent layers remember nothing: each step is computed from zero states.

A change of the input then stays in its place behind a recurrent layer too, and a difference of
rounding does not grow over the timesteps. The model runs as it is, whatever lies in between.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from rnnscope import models, trace
from rnnscope.data import Batch
from rnnscope.errors import UserError
from rnnscope.models.feeding import ran
from rnnscope.trace import cells, loops
from rnnscope.trace.drawing import seeds_from
from rnnscope.trace.recording import called


class Given(NamedTuple):
    """What a call of a recurrent layer is given."""

    x: Any
    """Its sequences [B, T, ...]."""
    states: list[Any]
    """Its initial states [B, ...]."""
    mask: Any
    """[B, T], or None."""


def passed(model: keras.Model, batch: Batch) -> tuple[dict[str, Given], Any]:
    """What each call of a recurrent layer is given, and the model's outputs.

    The model is as before afterwards.
    """
    given: dict[str, Given] = {}
    inputs = models.inputs(model, batch)
    with unchanged(model), loops.replaced(trace.recurrent_layers(model), _keeping(given)):
        outputs = ran(model, functools.partial(model, training=False), inputs)
    return given, outputs


def refuse_changing(model: keras.Model, batch: Batch) -> None:
    """Raise if a pass in inference changes a variable that is no state of a recurrent layer.

    Results would depend on what was run before, in which order and in which parts. (Of a cell this
    is found by the proof.)

    Raises:
        UserError: with the variable.
    """
    kept = [(each, np.array(each)) for each in _watched(model)]
    inputs = models.inputs(model, batch)
    with unchanged(model), loops.replaced(trace.recurrent_layers(model), _keeping({})):
        ran(model, functools.partial(model, training=False), inputs)
        now = [np.array(each) for each, _ in kept]
    changed = None
    for (variable, before), after in zip(kept, now, strict=True):
        if before.tobytes() != after.tobytes():
            variable.assign(before)
            changed = changed or getattr(variable, "path", variable.name)
    if changed:
        raise UserError(
            f"model '{model.name}': a pass in inference changes its variable '{changed}', so that "
            "states depend on what was run before; let its layer change it in training only"
        )


def _watched(model: keras.Model) -> list[Any]:
    """The variables of a model and those that its layers keep, without states of recurrent ones."""
    states = {id(each) for each in loops.state_variables(model)}
    own = [each for layer in model._flatten_layers() for each in _variables(vars(layer))]
    found = [*model.variables, *own]
    return [each for each in {id(one): one for one in found}.values() if id(each) not in states]


def _variables(kept: Any) -> Iterator[Any]:
    """TensorFlow's variables among what a layer keeps, also in its lists and dictionaries."""
    if isinstance(kept, tf.Variable):
        yield kept
    elif isinstance(kept, Mapping | list | tuple):
        for each in kept.values() if isinstance(kept, Mapping) else kept:
            yield from _variables(each)


@contextlib.contextmanager
def unchanged(model: keras.Model) -> Iterator[None]:
    """While open, passes change nothing in a model, and every random draw is the same one."""
    # The states of a stateful layer are none of the model's variables.
    variables = [*model.non_trainable_variables, *loops.state_variables(model)]
    kept = [(each, np.array(each)) for each in variables]
    try:
        with seeds_from(lambda self, ordered=True: tf.constant([0, 1], tf.uint32)):
            yield
    finally:
        for variable, values in kept:
            variable.assign(values)


def _keeping(given: dict[str, Given]) -> Callable[[str, keras.layers.RNN], loops.Loop]:
    """Replacements of inner loops that keep what they are given."""
    return functools.partial(_forgetful, given)


def _forgetful(given: dict[str, Given], name: str, layer: keras.layers.RNN) -> loops.Loop:
    """An inner loop that computes each step from zero states, and keeps what the layer reads."""

    def inner_loop(
        sequences: Any, initial_state: Any, mask: Any = None, training: bool = False
    ) -> tuple[Any, Any, Any]:
        # A stateful layer passes its variables, which are updated at the end of the pass.
        initial_state = tf.nest.map_structure(tf.identity, initial_state)
        given[called(name, given)] = Given(sequences, tf.nest.flatten(initial_state), mask)
        timesteps = sequences.shape[1]
        stock = all(cells.stock_kind(cell) for cell in loops.cells_of(layer))
        # Another cell may hold what belongs to its sequences: it takes one step of them at a time.
        steps = [_rows(sequences)] if stock else [sequences[:, t] for t in range(timesteps)]
        found = [_from_zero(layer.cell, x, initial_state) for x in steps]

        def in_steps(*values: Any) -> Any:
            if stock:
                (rows,) = values
                made = tf.reshape(rows, (-1, timesteps, *rows.shape[1:]))
            else:
                made = tf.stack(values, axis=1)
            return tf.reverse(made, [1]) if layer.go_backwards else made

        outputs, states = tf.nest.map_structure(in_steps, *found)
        final = tf.nest.map_structure(lambda state: state[:, -1], states)
        return outputs[:, -1], outputs, tf.nest.pack_sequence_as(initial_state, final)

    return inner_loop


def _rows(sequences: Any) -> Any:
    """[B, T, ...] as [B T, ...]."""
    return tf.reshape(sequences, (-1, *sequences.shape[2:]))


def _from_zero(cell: Any, x: Any, like: Any) -> tuple[Any, list[Any]]:
    """One step of a cell over inputs [B, ...] from zeros: its output and the states after."""
    states = [tf.identity(state) for state in tf.nest.flatten(like)]
    zeros = [tf.zeros((len(x), *state.shape[1:]), state.dtype) for state in states]
    given = tf.nest.pack_sequence_as(like, zeros)
    output, after = cell(x, given if tf.nest.is_nested(given) else [given])
    return output, tf.nest.flatten(after)
