"""Forward passes of a Keras model with a state changed within a window of timesteps.

A pass is of R = K B rows: K targets, each in a copy of the same B sequences. Up to the window all
is as it was recorded once of the B sequences. From the window on an LSTM with standard activations
is computed by ``lstm``, and any other cell by Keras' own loop. A layer with a mask runs in Keras'
loop from its first timestep.

The other layers run as the model has them, so that states may go any way on: to layers above, to a
decoder, to an output. Recurrent layers that are called before the changed one cannot depend on it:
they return what was recorded of them, and what only they need is never computed.
"""

import contextlib
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from rnnscope.analysis.intervention import lstm
from rnnscope.analysis.intervention.changes import Change, stepped
from rnnscope.trace import cells, loops
from rnnscope.trace.places import Place
from rnnscope.trace.reading import Reading

Tensor = Any

Kept = dict[str, Any]
"""What was recorded of a layer in B sequences: the ``sequences`` that it was given [B, T, F], its
``outputs`` [B, T, U] in the order of its steps, its ``final`` states [B, U], and of each cell the
``states`` before each step and after the last [1 + T, B, U]."""


@dataclass(frozen=True)
class Span:
    """The window of a pass, and what is set or added in it."""

    start: Tensor
    """First timestep, in input time, a scalar."""
    stop: Tensor
    """The timestep after the last."""
    ends: bool
    """Whether the layer reads nothing after the window."""
    value: Tensor
    """What the state is set to, or what is added to it, at each timestep [W, B or 1, U]; without a
    shift that of every row [W, R, U]. Of several states one after the other [..., S U]."""
    shift: Tensor | None
    """For each target, what is added to the value [K, U]."""

    def values(self, count: Tensor, copies: Tensor) -> Tensor:
        """The values of every row [R, W, U], for K copies of ``count`` sequences."""
        each = tf.transpose(self.value, (1, 0, 2))
        if self.shift is None:
            return each
        each = tf.broadcast_to(each, (count, tf.shape(each)[1], tf.shape(each)[2]))
        found = copied(each, copies) + tf.repeat(self.shift, count, axis=0)[:, tf.newaxis]
        return tf.ensure_shape(found, (None, None, self.shift.shape[-1]))

    def by_timestep(self, count: Tensor) -> Callable[[Tensor], Tensor]:
        """From a timestep of the window, counted from its start, to the values of rows [R, U]."""
        # Of an array that is read in a loop, the gradient costs as much as the array at each step.
        read = tf.TensorArray(self.value.dtype, tf.shape(self.value)[0]).unstack(self.value).read
        if self.shift is None:
            return lambda timestep: tf.ensure_shape(read(timestep), self.value.shape[1:])
        units, shift = self.shift.shape[-1], self.shift[:, tf.newaxis]

        def of_rows(timestep: Tensor) -> Tensor:
            each = tf.broadcast_to(read(timestep), (count, units))
            return tf.reshape(each + shift, (-1, units))

        return of_rows


@contextlib.contextmanager
def holding(
    model: keras.Model, place: Place, change: Change, span: Span, kept: dict[str, Kept]
) -> Iterator[None]:
    """Change a state in forward passes of ``model`` inside the context, which take R rows.

    It is opened inside a ``tf.function``. The layers are restored on exit, also after an error, and
    no weight is changed.

    Args:
        model: any that ``trace.recording`` takes, whose layer is called once.
        place: of the cell, one of ``changes.changeable``.
        change: what is done to which of its states, row by row.
        span: when, and with which values.
        kept: what was recorded of the place's layer and of those called before it.
    """
    every = loops.recurrent_layers(model)
    loops.refuse(model, every)

    def make(name: str, layer: keras.layers.RNN) -> loops.Loop:
        if layer is place.layer:
            return _changing(place, change, span, kept[name])
        return _as_kept(name, layer, kept[name])

    with loops.replaced({name: every[name] for name in kept}, make):
        yield


def copied(x: Tensor, copies: Tensor) -> Tensor:
    """``copies`` copies of x [B, ...], one after the other."""
    tiled = tf.tile(x, tf.concat([[copies], tf.ones([len(x.shape) - 1], tf.int32)], axis=0))
    return tf.ensure_shape(tiled, (None, *x.shape[1:]))


def _copies(rows: Tensor, kept: Kept) -> tuple[Tensor, Tensor]:
    """B, and how many copies of it the rows are."""
    count = tf.shape(kept["outputs"])[0]
    return count, tf.shape(rows)[0] // count


def _as_kept(name: str, layer: keras.layers.RNN, kept: Kept) -> loops.Loop:
    """A replacement for ``layer.inner_loop`` that returns what was recorded."""

    def compute(
        sequences: Tensor, initial_state: Any, read: Reading, training: bool
    ) -> tuple[Tensor, Tensor, Any]:
        _, copies = _copies(sequences, kept)
        outputs = copied(kept["outputs"], copies)
        final = [copied(each, copies) for each in kept["final"]]
        return outputs[:, -1], outputs, tf.nest.pack_sequence_as(initial_state, final)

    return loops.stand_in(name, layer, compute)


def _changing(place: Place, change: Change, span: Span, kept: Kept) -> loops.Loop:
    """A replacement for ``inner_loop`` of the place's layer, with the change."""
    layer = place.layer

    def compute(
        sequences: Tensor, initial_state: Any, read: Reading, training: bool
    ) -> tuple[Tensor, Tensor, Any]:
        if read.mask is not None:
            return _from_the_start(place, change, span, kept, sequences, initial_state, read)
        if not loops.stacked(layer) and cells.can_fuse(layer.cell, layer.compute_dtype):
            return _of_lstm(place, change, span, kept, sequences)
        if layer.go_backwards:
            sequences = tf.reverse(sequences, [1])
        return _from_the_window(place, change, span, kept, sequences, initial_state)

    return loops.stand_in(place.name, layer, compute)


def _from_the_window(
    place: Place, change: Change, span: Span, kept: Kept, sequences: Tensor, initial_state: Any
) -> tuple[Tensor, Tensor, Any]:
    """What the layer returns for sequences [R, T, F] in the order of its steps, without a mask."""
    layer, count, copies = place.layer, *_copies(sequences, kept)
    first, last, values = span.start, span.stop, span.values(count, copies)
    if layer.go_backwards:
        total, values = tf.shape(sequences)[1], tf.reverse(values, [1])
        first, last = total - span.stop, total - span.start
    states = [copied(each[first], copies) for each in kept["states"]]
    states = tf.nest.pack_sequence_as(initial_state, states)
    x = _with(sequences[:, first:last], values, place.units * len(change.states))
    forward = types.SimpleNamespace(go_backwards=False, zero_output_for_mask=False)
    step = _step(place, change, sequences.shape[-1])
    output, outputs, states = loops.stock_loop(forward, step, x, states, None, training=False)
    before = [copied(kept["outputs"][:, :first], copies), outputs]
    if span.ends:
        return output, tf.concat(before, axis=1), states
    output, outputs, states = _rest(layer, sequences[:, last:], states, forward)
    return output, tf.concat([*before, outputs], axis=1), states


def _of_lstm(
    place: Place, change: Change, span: Span, kept: Kept, rows: Tensor
) -> tuple[Tensor, Tensor, Any]:
    """The same of an LSTM with standard activations, for R rows that are copies of B sequences."""
    layer, count, copies = place.layer, *_copies(rows, kept)
    x = tf.transpose(kept["sequences"], (1, 0, 2))
    first, last, total = span.start, span.stop, tf.shape(x)[0]
    if layer.go_backwards:
        x = tf.reverse(x, [0])
        first, last = total - span.stop, total - span.start

    by_timestep = span.by_timestep(count)

    def values(step: Tensor) -> Tensor:
        return by_timestep(last - first - 1 - step if layer.go_backwards else step)

    outputs, states = lstm.from_window(
        layer.cell,
        change,
        x[first:],
        [each[first] for each in kept["states"]],
        values,
        last - first,
        copies,
        sequences=layer.return_sequences,
    )
    if layer.return_sequences:
        outputs = tf.concat([copied(kept["outputs"][:, :first], copies), outputs], axis=1)
    return states[0], outputs, states


def _rest(
    layer: keras.layers.RNN, sequences: Tensor, states: Any, forward: Any
) -> tuple[Tensor, Tensor, Any]:
    """What a layer returns for the steps after the window, without a change."""

    def step(x: Tensor, states: Any) -> tuple[Tensor, Any]:
        after = []
        for cell, state in loops.by_cell(layer, states):
            x, _, new = loops.called(cell, x, state, training=False)
            after.append(new)
        return x, tf.nest.pack_sequence_as(states, tf.nest.flatten(after))

    return loops.stock_loop(forward, step, sequences, states, None, training=False)


def _from_the_start(
    place: Place,
    change: Change,
    span: Span,
    kept: Kept,
    sequences: Tensor,
    initial_state: Any,
    read: Reading,
) -> tuple[Tensor, Tensor, Any]:
    """What the layer returns for sequences [R, T, F] in input time, with a mask."""
    count, copies = _copies(sequences, kept)
    rows, total = count * copies, tf.shape(sequences)[1]
    values = span.values(count, copies)
    values = tf.pad(values, [[0, 0], [span.start, total - span.stop], [0, 0]])
    time = tf.range(total)
    inside = tf.cast((time >= span.start) & (time < span.stop), sequences.dtype)
    inside = tf.broadcast_to(inside[tf.newaxis, :, tf.newaxis], (rows, total, 1))
    x = _with(_with(sequences, values, place.units * len(change.states)), inside, 1)
    step = _step(place, change, sequences.shape[-1])
    return loops.stock_loop(place.layer, step, x, initial_state, read.mask, training=False)


def _with(x: Tensor, more: Tensor, features: int) -> Tensor:
    """x [R, T, F] with so many further features, which a step takes off again."""
    more = tf.ensure_shape(tf.cast(more, x.dtype), (None, None, features))
    return tf.concat([x, more], axis=2)


def _step(place: Place, change: Change, features: int) -> Any:
    """One timestep of the layer with the change, of x [R, F + U] or, with a mask, [R, F + U + 1].

    The further features are the values and, with a mask, whether the timestep is in the window.
    """

    def step(x: Tensor, states: Any) -> tuple[Tensor, Any]:
        end = features + place.units * len(change.states)
        value, inside = x[:, features:end], x[:, end:] > 0 if x.shape[-1] > end else None
        x, after = x[:, :features], []
        for number, (cell, state) in enumerate(loops.by_cell(place.layer, states)):
            if number == place.number:
                given = list(state) if tf.nest.is_nested(state) else [state]
                new = stepped(cell, change, x, given, value, inside)
                x = new[0]
            else:
                x, _, new = loops.called(cell, x, state, training=False)
            after.append(new)
        return x, tf.nest.pack_sequence_as(states, tf.nest.flatten(after))

    return step
