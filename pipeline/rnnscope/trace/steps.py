"""The steps of each call of a recurrent layer, in the order in which the layer reads.

What the proof compares is gathered here, in the graph of the pass that it proves. The steps follow
from what Keras passed to the layer: its inputs, its mask and its direction. Nothing of the
recorder's packing (``reading``) is used, so that a mistake there shows.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import tensorflow as tf

from rnnscope.errors import UserError
from rnnscope.trace import cells, loops
from rnnscope.trace.drawing import watched
from rnnscope.trace.reading import Tensor
from rnnscope.trace.recording import Call, LayerTrace, Trace, handed


class Stepped(NamedTuple):
    """One cell at every step, called once from its recorded states."""

    signals: dict[str, Tensor]
    """What was recorded, [B, T, U] each."""
    x: Tensor
    """What the cell is given [B, T, ...]."""
    before: dict[str, Tensor]
    """The recorded states one step earlier, [B, T, U] each."""
    initial: dict[str, Tensor]
    """The states before the first step, [B, U] each."""
    output: Tensor
    """What the cell returns [B, T, U]."""
    after: dict[str, Tensor]
    """Its states after the step, [B, T, U] each."""


class Gathered(NamedTuple):
    """One call of a layer, all in the order of its steps."""

    mask: Tensor | None
    """Which steps are read [B, T], bool; None if all are."""
    cells: dict[str, Stepped]
    """Each cell, by name."""
    handed: list[Tensor]
    """What was returned to Keras: outputs [B, T, U] and final states [B, 1, U]."""
    keras: list[Tensor]
    """The same from Keras' own loop over the same inputs."""


@dataclass(frozen=True)
class Steps:
    """The steps of B sequences, in the order of reading."""

    call: Call
    mask: Tensor | None
    """Which steps are read [B, T], bool; None if all are."""
    latest: Tensor | None
    """The last step up to each that is read [B, T], from 0; -1 before the first; None if all are
    read."""

    def in_order(self, x: Tensor) -> Tensor:
        """x [B, T, ...] of input time, in the order of reading."""
        return tf.reverse(x, [1]) if self.call.layer.go_backwards else x

    def recorded(self, signal: Tensor) -> Tensor:
        """A recorded signal [T, B, U] as [B, T, U] in the order of reading."""
        return self.in_order(tf.transpose(signal, (1, 0, 2)))

    def before(self, state: Tensor, initial: Tensor) -> Tensor:
        """A state [B, T, U] one step earlier; ``initial`` [B, U] before the first."""
        whole = tf.concat([initial[:, tf.newaxis], state], axis=1)
        if self.latest is None:
            return whole[:, :-1]
        place = tf.pad(self.latest[:, :-1] + 1, [[0, 0], [1, 0]])
        return tf.gather(whole, place, axis=1, batch_dims=1)


def gathered(trace: Trace, count: Tensor) -> dict[str, Gathered]:
    """Each call of a pass: its first ``count`` sequences at every step.

    To be called in the graph in which the pass was recorded: cells may hold what belongs to its
    batch.

    Raises:
        UserError: a cell draws at random at each timestep.
    """
    return {name: _of_call(call, count) for name, call in trace.calls.items()}


def _of_call(call: Call, count: Tensor) -> Gathered:
    if all(cells.stock_kind(each.cell) for each in call.cells.values()):
        call = call.first(count)  # only Keras' own cells surely take any number of sequences
    steps = _steps(call)
    whole = Gathered(steps.mask, _stepped(steps), call.outputs_and_states(), _by_keras(call))
    return tf.nest.map_structure(lambda x: None if x is None else x[:count], whole)


def _steps(call: Call) -> Steps:
    if call.mask is None:
        return Steps(call, None, None)
    shape = tf.shape(call.sequences)[:2]
    time = tf.broadcast_to(tf.range(shape[1]), shape)
    mask = tf.cast(call.mask, tf.bool)
    mask = tf.reverse(mask, [1]) if call.layer.go_backwards else mask
    places = tf.sort(tf.where(mask, time, shape[1]), axis=1)
    number = tf.cumsum(tf.cast(mask, tf.int32), axis=1)
    latest = tf.gather(places, tf.maximum(number - 1, 0), axis=1, batch_dims=1)
    return Steps(call, mask, tf.where(number > 0, latest, -1))


def _by_keras(call: Call) -> list[Tensor]:
    """Outputs [B, T, U] in the order of steps and final states [B, 1, U] of Keras' own loop."""
    layer = call.layer
    # Another object with the layer's attributes: the layer itself stays as other threads have it.
    whole = object.__new__(type(layer))
    vars(whole).update(vars(layer), return_sequences=True)
    with _dropout_masks(call, call.sequences[:, 0], call.initial_state):
        _, outputs, states = type(layer).inner_loop(
            whole, call.sequences, call.initial_state, mask=call.mask, training=call.training
        )
    outputs, *final = handed(layer, outputs, states)
    return [outputs, *(state[:, tf.newaxis] for state in final)]


def _stepped(steps: Steps) -> dict[str, Stepped]:
    """Each cell of the layer, by name from the bottom up, called once at every step.

    Keras' own cells take all steps of all sequences as one batch. Any other cell may hold what
    belongs to the B sequences, such as what it attends to: it takes one step of them at a time.
    """
    call = steps.call
    x = steps.in_order(call.sequences)
    before = [_before(steps, trace) for trace in call.cells.values()]
    flat = [
        [
            _as_state(trace.cell, values, like)
            for values, like in zip(of.values(), tf.nest.flatten(given), strict=True)
        ]
        for trace, of, given in zip(
            call.cells.values(), before, _by_cell(call, call.initial_state), strict=True
        )
    ]
    given = x, flat
    if all(cells.stock_kind(trace.cell) for trace in call.cells.values()):
        rows = tf.nest.map_structure(_rows, given)
        with _dropout_masks(call, *rows):
            found = _step(call, rows)
        lead = tf.shape(x)[:2]
        found = tf.nest.map_structure(lambda values: _unrows(values, lead), found)
    else:
        in_time = tf.nest.map_structure(_swapped, given)
        first = tf.nest.map_structure(lambda values: values[0], in_time)
        with _dropout_masks(call, *first):
            types = tf.nest.map_structure(lambda values: values.dtype, _step(call, first))
            found = tf.map_fn(
                lambda one: _step(call, one), in_time, fn_output_signature=types, swap_memory=True
            )
        found = tf.nest.map_structure(_swapped, found)
    return {
        name: Stepped(
            {signal: steps.recorded(values) for signal, values in trace.signals.items()},
            taken,
            of,
            trace.initial,
            cells.flat(trace.cell, output),
            dict(zip(of, (cells.flat(trace.cell, state) for state in after), strict=True)),
        )
        for (name, trace), of, (taken, output, after) in zip(
            call.cells.items(), before, found, strict=True
        )
    }


@contextlib.contextmanager
def _dropout_masks(call: Call, x: Tensor, states: list[list[Tensor]]) -> Iterator[None]:
    """While open, cells that drop inputs in training have their masks, as in the layer's call.

    A simple RNN's cell asks for them also where it does not use them, and would keep one that
    belongs to an inner graph.
    """
    layer = call.layer
    packed = tf.nest.pack_sequence_as(call.initial_state, tf.nest.flatten(states))
    layer._maybe_config_dropout_masks(layer.cell, x, packed)
    try:
        yield
    finally:
        layer._maybe_reset_dropout_masks(layer.cell)


def _step(call: Call, given: Any) -> list[tuple[Tensor, Tensor, list[Tensor]]]:
    """Inputs, output and states after one timestep, of each cell from the bottom up."""
    x, states = given
    found = []
    structures = _by_cell(call, call.initial_state)
    for (name, trace), like, flat in zip(call.cells.items(), structures, states, strict=True):
        state = tf.nest.pack_sequence_as(like, flat)
        with watched() as drawn:
            output, _, after = loops.called(trace.cell, x, state, call.training)
        if drawn:
            raise UserError(
                f"layer '{name}': its cell draws at random at each timestep, so that no call of "
                "it can be repeated; draw outside of the cell, or only if training=True"
            )
        found.append((x, output, after))
        x = output
    return found


def _by_cell(call: Call, states: Any) -> list[Any]:
    return list(states) if loops.stacked(call.layer) else [states]


def _before(steps: Steps, trace: LayerTrace) -> dict[str, Tensor]:
    return {
        name: steps.before(steps.recorded(trace.signals[name]), initial)
        for name, initial in trace.initial.items()
    }


def _as_state(cell: Any, values: Tensor, like: Tensor) -> Tensor:
    """A recorded state [B, T, U] in the type and shape [B, T, ...] that its cell has it."""
    if cells.has_maps(cell):
        return tf.cast(cells.maps(cell, values), like.dtype)
    shape = tf.concat([tf.shape(values)[:2], tf.shape(like)[1:]], axis=0)
    return tf.ensure_shape(
        tf.cast(tf.reshape(values, shape), like.dtype), (None, None, *like.shape[1:])
    )


def _rows(x: Tensor) -> Tensor:
    """[B, T, ...] as [B T, ...]."""
    rows = tf.reshape(x, tf.concat([[-1], tf.shape(x)[2:]], axis=0))
    return tf.ensure_shape(rows, (None, *x.shape[2:]))


def _unrows(x: Tensor, lead: Tensor) -> Tensor:
    return tf.reshape(x, tf.concat([lead, tf.shape(x)[1:]], axis=0))


def _swapped(x: Tensor) -> Tensor:
    return tf.transpose(x, (1, 0, *range(2, len(x.shape))))
