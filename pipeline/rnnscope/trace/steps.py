"""The steps of one call of a recurrent layer, in the order in which the layer reads.

They follow from what Keras passed to the layer: its inputs, its mask and its direction. Nothing of
the recorder's packing (``reading``) is used, so that a mistake there shows.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from rnnscope.errors import UserError
from rnnscope.trace import cells, loops
from rnnscope.trace.drawing import watched
from rnnscope.trace.reading import Tensor
from rnnscope.trace.recording import Call, LayerTrace


@dataclass(frozen=True)
class Stepped:
    """One call of one cell at every step, all from recorded states."""

    x: Tensor
    """What the cell was given [B, T, ...]."""
    before: dict[str, Tensor]
    """The recorded states one step earlier, [B, T, U] each."""
    output: Tensor
    """What it returned [B, T, U]."""
    after: dict[str, Tensor]
    """Its states after the step, [B, T, U] each."""


@dataclass(frozen=True)
class Steps:
    """The steps of B sequences, in the order of reading."""

    call: Call
    mask: Tensor | None
    """Which steps are read [B, T], bool; None if all are."""
    latest: Tensor
    """The last step up to each that is read [B, T], from 0; -1 before the first."""
    timestep: Tensor
    """The input timestep of each step [B, T]."""

    def in_order(self, x: Tensor) -> Tensor:
        """x [B, T, ...] of input time, in the order of reading."""
        return tf.reverse(x, [1]) if self.call.layer.go_backwards else x

    def recorded(self, signal: Tensor) -> Tensor:
        """A recorded signal [T, B, U] as [B, T, U] in the order of reading."""
        return self.in_order(tf.transpose(signal, (1, 0, 2)))

    def before(self, state: Tensor, initial: Tensor) -> Tensor:
        """A state [B, T, U] one step earlier; ``initial`` [B, U] before the first."""
        return self._at(state, initial, tf.pad(self.latest[:, :-1] + 1, [[0, 0], [1, 0]]))

    def held(self, values: Tensor, initial: Tensor) -> Tensor:
        """Values [B, T, U] at the last step up to each that is read; ``initial`` where none was."""
        return self._at(values, initial, self.latest + 1)

    def final_timestep(self) -> Tensor:
        """The input timestep of the last step that is read [B, 1]; where none is, of the first."""
        return tf.gather(self.timestep, tf.maximum(self.latest[:, -1:], 0), axis=1, batch_dims=1)

    def _at(self, values: Tensor, initial: Tensor, place: Tensor) -> Tensor:
        whole = tf.concat([initial[:, tf.newaxis], values], axis=1)
        return tf.gather(whole, place, axis=1, batch_dims=1)


def steps_of(call: Call) -> Steps:
    """The steps of a call."""
    shape = tf.shape(call.sequences)[:2]
    time = tf.broadcast_to(tf.range(shape[1]), shape)
    if call.mask is None:
        mask, latest = None, time
    else:
        mask = tf.cast(call.mask, tf.bool)
        mask = tf.reverse(mask, [1]) if call.layer.go_backwards else mask
        places = tf.sort(tf.where(mask, time, shape[1]), axis=1)
        count = tf.cumsum(tf.cast(mask, tf.int32), axis=1)
        found = tf.gather(places, tf.maximum(count - 1, 0), axis=1, batch_dims=1)
        latest = tf.where(count > 0, found, -1)
    timestep = tf.reverse(time, [1]) if call.layer.go_backwards else time
    return Steps(call, mask, latest, timestep)


def stepped(steps: Steps) -> dict[str, Stepped]:
    """Each cell of the layer, by name from the bottom up, called once at every step.

    Keras' own cells take all steps of all sequences as one batch. Any other cell may hold what
    belongs to the B sequences, such as what it attends to: it takes one step of them at a time.
    """
    call = steps.call
    x = steps.in_order(call.sequences)
    before = [_before(steps, trace) for trace in call.cells.values()]
    flat = [
        [
            _as_state(values, like)
            for values, like in zip(of.values(), tf.nest.flatten(given), strict=True)
        ]
        for of, given in zip(before, _by_cell(call, call.initial_state), strict=True)
    ]
    if all(cells.stock_kind(trace.cell) for trace in call.cells.values()):
        lead = tf.shape(x)[:2]
        rows = tf.nest.map_structure(_rows, (x, flat))
        with dropout_masks(call, rows[0]):
            found = _step(call, rows)
        found = tf.nest.map_structure(lambda values: _unrows(values, lead), found)
    else:
        given = tf.nest.map_structure(_swapped, (x, flat))
        first = tf.nest.map_structure(lambda values: values[0], given)
        with dropout_masks(call, first[0]):
            types = tf.nest.map_structure(lambda values: values.dtype, _step(call, first))
            found = tf.map_fn(
                lambda one: _step(call, one), given, fn_output_signature=types, swap_memory=True
            )
        found = tf.nest.map_structure(_swapped, found)
    return {
        name: Stepped(taken, of, _flat(output), dict(zip(of, map(_flat, after), strict=True)))
        for name, of, (taken, output, after) in zip(call.cells, before, found, strict=True)
    }


@contextlib.contextmanager
def dropout_masks(call: Call, x: Tensor) -> Iterator[None]:
    """While open, cells that drop inputs in training have their masks, as in the layer's call.

    A simple RNN's cell asks for them also where it does not use them, and would keep one that
    belongs to an inner graph.
    """
    layer = call.layer
    layer._maybe_config_dropout_masks(layer.cell, x, call.initial_state)
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


def _as_state(values: Tensor, like: Tensor) -> Tensor:
    """A recorded state [B, T, U] in the type and shape [B, T, ...] that its cell has it."""
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


def _flat(x: Tensor) -> Tensor:
    """x [B, T, ...] as [B, T, U]."""
    return tf.reshape(x, tf.concat([tf.shape(x)[:2], [-1]], axis=0))
