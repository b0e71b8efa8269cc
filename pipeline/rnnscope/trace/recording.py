"""Record every signal of a Keras model's recurrent layers in any forward pass.

While ``recording`` is open, the loop inside each recurrent layer is replaced by one that computes
all signals, keeps them, and returns to Keras what the stock loop would have returned. The model is
neither rebuilt nor copied, and is unchanged afterwards.

    with recording(model) as trace:
        outputs = model(inputs, training=False)
    trace.layers["lstm"].signals["c"]        # [T, B, U]

There are two paths. An LSTM with the standard activations is computed by one fused op. Any other
cell runs in Keras' own loop, with a step that also returns its states; the gates of LSTM and GRU
cells are then computed for all timesteps at once.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import tensorflow as tf

from rnnscope.states import place_of
from rnnscope.trace import cells, loops
from rnnscope.trace.loops import Loop, recurrent_layers
from rnnscope.trace.opened import only_shapes, refuse_inner_graph, without_loops_of_keras
from rnnscope.trace.reading import Reading, Tensor


@dataclass(frozen=True)
class LayerTrace:
    """The signals of one recurrent cell in one forward pass."""

    cell: Any
    """The Keras cell that was recorded."""
    signals: dict[str, Tensor]
    """Signal -> [T, B, U], time first as the ops return them, aligned to input time. Rows that the
    mask excludes are undefined. Gradients flow through all of them, on either path."""
    initial: dict[str, Tensor]
    """The states before the first timestep [B, U]."""
    reading: Reading
    """Which timesteps the layer read, and in which order."""
    path: str
    """How the signals were computed: "fused" or "loop"."""

    def before(self) -> dict[str, Tensor]:
        """The states before each timestep, [T, B, U] each."""
        return {
            name: self.reading.previous(self.signals[name], initial)
            for name, initial in self.initial.items()
        }

    def first(self, count: Tensor) -> "LayerTrace":
        """The signals of the first ``count`` sequences."""
        signals = {name: values[:, :count] for name, values in self.signals.items()}
        initial = {name: values[:count] for name, values in self.initial.items()}
        return replace(self, signals=signals, initial=initial)


@dataclass(frozen=True)
class Call:
    """One call of a recurrent layer: what Keras passed to its loop, and what was returned to it."""

    layer: keras.layers.RNN
    sequences: Tensor
    """[B, T, ...]"""
    initial_state: Any
    """[B, ...] each, in the structure that the layer has it."""
    mask: Tensor | None
    """Which timesteps are read [B, T]; None if all are."""
    training: bool
    handed: list[Tensor]
    """What was returned: outputs [B, T, U] in the order of the steps, then the final states
    [B, U]."""
    cells: dict[str, LayerTrace]
    """What was recorded of its cells, by name, from the bottom up."""

    def first(self, count: Tensor) -> "Call":
        """The same of the first ``count`` sequences."""

        def cut(values: Any) -> Any:
            return tf.nest.map_structure(lambda value: value[:count], values)

        return replace(
            self,
            sequences=cut(self.sequences),
            initial_state=cut(self.initial_state),
            mask=None if self.mask is None else cut(self.mask),
            handed=cut(self.handed),
            cells={name: trace.first(count) for name, trace in self.cells.items()},
        )

    def outputs_and_states(self) -> list[Tensor]:
        """What was returned, outputs [B, T, U] and final states [B, 1, U]."""
        outputs, *states = self.handed
        return [outputs, *(state[:, tf.newaxis] for state in states)]


@dataclass(frozen=True)
class Trace:
    """The recording of one forward pass."""

    layers: dict[str, LayerTrace] = field(default_factory=dict)
    """By name; the cells of a stack as ``name.cell0``, ``name.cell1``; a layer's second call as
    ``name.call1``."""
    calls: dict[str, Call] = field(default_factory=dict)
    """By layer, ``name``, ``name.call1``, ...: what Keras passed to its loop and was returned."""


Compute = Callable[[Tensor, Any, Reading, bool], tuple[Tensor, Any, dict[str, LayerTrace]]]
"""Computes a layer and records it: from sequences [B, T, ...], initial states, how the sequences
are read and whether in training, to outputs [B, T, U] in the order of the steps, final states, and
what was recorded of each cell: "" that of a layer with one, ".cell0", ".cell1", ... of a stack."""


@contextlib.contextmanager
def recording(model: keras.Model) -> Iterator[Trace]:
    """While open, a forward pass of ``model`` fills the trace.

    It may be opened inside a ``tf.function``, and inside another recording, which then has the pass
    too. The layers are restored afterwards, also after an exception. A pass is a call of the model,
    ``model(x, training=False)``; Keras' loops over batches, such as ``predict``, are refused. It is
    of the thread that opens it: inference in another has the model as it is.

    >>> import keras, numpy as np, rnnscope
    >>> model = keras.Sequential([keras.Input((None, 3)), keras.layers.LSTM(4, name="lstm")])
    >>> with rnnscope.recording(model) as trace:
    ...     outputs = model(np.zeros((10, 20, 3), "float32"), training=False)
    >>> trace.layers["lstm"].signals["c"].shape.as_list()  # [timestep, sequence, unit]
    [20, 10, 4]

    Args:
        model: a built Keras model of any form.

    Returns:
        A context whose ``Trace`` is filled by each pass: ``trace.layers[name].signals[signal]`` is
        a tensor [T, B, U], time first, in the precision in which the layer computes.

    Raises:
        UserError: a recurrent layer cannot be recorded, with its name and the reason; or inside,
            the pass is one out of which no values can be kept, with what to write instead.
    """
    with recording_with(model, {}) as trace:
        yield trace


@contextlib.contextmanager
def recording_with(model: keras.Model, computed: Mapping[str, Compute]) -> Iterator[Trace]:
    """The same, with some layers computed in another way.

    Args:
        model: as in ``recording``.
        computed: by the layer's name what computes and records it.
    """
    layers = recurrent_layers(model)
    loops.refuse(model, layers)
    trace = Trace()

    def recorder(name: str, layer: keras.layers.RNN) -> Loop:
        return _Recorder(name, layer, trace, computed.get(name))

    with without_loops_of_keras(model), loops.replaced(layers, recorder):
        yield trace


class _Recorder:
    """A replacement for ``layer.inner_loop`` that keeps every signal."""

    def __init__(self, name: str, layer: keras.layers.RNN, trace: Trace, computed: Compute | None):
        self.name, self.layer, self.trace, self.computed = name, layer, trace, computed
        self.eager = tf.executing_eagerly()
        self.around = loops.replacement(layer)  # of a recording that is open already
        self.stand_in = loops.stand_in(name, layer, self._compute)
        self.cells: dict[str, LayerTrace] = {}

    def __call__(
        self, sequences: Tensor, initial_state: Any, mask: Any = None, training: bool = False
    ) -> tuple[Tensor, Tensor, Any]:
        layer = self.layer
        if only_shapes():
            stock: Loop = type(layer).inner_loop
            return stock(layer, sequences, initial_state, mask=mask, training=training)
        # A stateful layer passes its variables, which are updated at the end of the pass.
        initial_state = tf.nest.map_structure(tf.identity, initial_state)
        mask = None if mask is None else tf.nest.flatten(mask)[0]
        last, outputs, states = self.stand_in(sequences, initial_state, mask, training)
        returned = handed(layer, outputs, states)
        self.keep(Call(layer, sequences, initial_state, mask, training, returned, dict(self.cells)))
        return last, outputs, states

    def keep(self, call: Call) -> None:
        """Add a call to the trace, and to those of the recordings around this one.

        Args:
            call: its cells are named by what follows the name of the call, ``.cell0`` in a stack.
        """
        if self.eager:
            refuse_inner_graph(self.name)
        here = called(self.name, self.trace.calls)
        named = {f"{here}{end}": found for end, found in call.cells.items()}
        self.trace.layers.update(named)
        self.trace.calls[here] = replace(call, cells=named)
        if isinstance(self.around, _Recorder):
            self.around.keep(call)

    def _compute(
        self, sequences: Tensor, initial_state: Any, read: Reading, training: bool
    ) -> tuple[Tensor, Tensor, Any]:
        if self.computed is not None:
            found = self.computed(sequences, initial_state, read, training)
        elif cells.can_fuse(self.layer.cell, self.layer.compute_dtype):
            found = _fused(self.layer, sequences, initial_state, read)
        else:
            found = _loop(self.layer, sequences, initial_state, read, training)
        output, states, self.cells = found
        return output[:, -1], output, states


def _fused(
    layer: keras.layers.RNN, sequences: Tensor, initial_state: list[Tensor], read: Reading
) -> tuple[Tensor, Any, dict[str, LayerTrace]]:
    """Record with the fused op: outputs and final states as Keras expects them, and the cell."""
    h, c = initial_state
    x = read.pack(tf.transpose(sequences, (1, 0, 2)))
    packed = cells.fused(layer.cell, x, h, c)
    signals = {signal: read.unpack(values) for signal, values in packed.items()}
    recorded = LayerTrace(layer.cell, signals, {"h": h, "c": c}, read, "fused")
    output = read.as_keras(packed["h"], layer.zero_output_for_mask)
    return output, [read.final(packed["h"], h), read.final(packed["c"], c)], {"": recorded}


def _loop(
    layer: keras.layers.RNN, sequences: Tensor, initial_state: Any, read: Reading, training: bool
) -> tuple[Tensor, Any, dict[str, LayerTrace]]:
    """Record with Keras' own loop: its outputs and final states, and the cells."""
    stacked = loops.stacked(layer)
    stack = loops.cells_of(layer)

    def step(x: Tensor, states: Any) -> tuple[Any, Any]:
        """One timestep of the stacked cells; the step's output is all their outputs and states."""
        outputs, after = [], []
        for cell, state in zip(stack, states if stacked else [states], strict=True):
            x, _, new = loops.called(cell, x, state, training)
            outputs.append(x)
            after.append(new)
        return (outputs, after), tf.nest.pack_sequence_as(states, tf.nest.flatten(after))

    _, (outputs, states), final = loops.stock_loop(
        layer, step, sequences, initial_state, read.mask, training
    )
    x, recorded = in_time(sequences), {}
    for number, cell in enumerate(stack):
        given = tf.nest.flatten(initial_state[number] if stacked else initial_state)
        names = cells.states_of(cell, len(given))
        signals = {
            signal: cells.flat(cell, in_time(values, read.backwards))
            for signal, values in zip(names, states[number], strict=True)
        }
        initial = {
            signal: cells.flat(cell, value[tf.newaxis])[0]
            for signal, value in zip(names, given, strict=True)
        }
        whole = LayerTrace(cell, signals, initial, read, "loop")
        signals |= cells.gates(cell, x, whole.before())
        recorded[f".cell{number}" if stacked else ""] = whole
        x = in_time(outputs[number], read.backwards)
    return outputs[-1], final, recorded


def handed(layer: keras.layers.RNN, output: Tensor, states: Any) -> list[Tensor]:
    """What an inner loop returns: outputs as [B, T, U], then the final states as [B, U] each."""
    cell = loops.cells_of(layer)[-1]
    final = [cells.flat(cell, state[tf.newaxis])[0] for state in tf.nest.flatten(states)]
    return [cells.flat(cell, output), *final]


def called(name: str, before: dict[str, Any]) -> str:
    """The name of a layer's next call: its own, then ``name.call1``, ``name.call2``, ..."""
    calls = sum(place_of(key) == name for key in before)
    return f"{name}.call{calls}" if calls else name


def in_time(x: Tensor, backwards: bool = False) -> Tensor:
    """x [B, T, ...] in the order of Keras' steps as [T, B, ...] in input time."""
    x = tf.transpose(x, (1, 0, *range(2, len(x.shape))))
    return tf.reverse(x, [0]) if backwards else x
