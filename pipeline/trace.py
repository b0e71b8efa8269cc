"""The heart: any pass of a Keras model, and every signal of its recurrent layers with it.

All of Keras' recurrent layers end in one method, ``inner_loop(sequences, initial_state, mask,
training)``. While ``recording`` is open that method is replaced on each of them by one that
computes all signals, keeps them, and returns to Keras what the stock method would have returned.
The model itself is neither rebuilt nor copied, and is as it was afterwards.

    with recording(model) as trace:
        outputs = model(inputs, training=False)
    trace.layers["lstm"].signals["c"]        # [T, B, U]

Two paths lead there. An LSTM with the standard activations is one fused op. Any other cell runs
in the loop that Keras itself runs, with a step that also hands out its states; the gates of the
known cells then come from one product over all timesteps.
"""

import contextlib
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from pipeline import cells
from pipeline.errors import UserError
from pipeline.reading import Reading, reading

Tensor = Any
"""A TensorFlow tensor, eager or symbolic."""

BUILT_IN_CELLS = (keras.layers.LSTMCell, keras.layers.GRUCell, keras.layers.SimpleRNNCell)
LAYERS = (keras.layers.RNN, keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN)


@dataclass(frozen=True)
class LayerTrace:
    """The signals of one recurrent cell in one forward pass."""

    cell: Any
    """The Keras cell that was recorded."""
    signals: dict[str, Tensor]
    """Signal -> [T, B, U], time first as the ops return them, aligned to input time. Rows that the
    mask excludes mean nothing. On the fused path gradients flow through h and c; those of the
    gates are None."""
    initial: dict[str, Tensor]
    """The states before the first timestep [B, U]."""
    reading: Reading
    """Which timesteps the layer read, in which order."""
    path: str
    """How it was had: "fused" or "loop"."""

    def before(self) -> dict[str, Tensor]:
        """The states before each timestep, [T, B, U] each."""
        return {
            name: self.reading.previous(self.signals[name], initial)
            for name, initial in self.initial.items()
        }


@dataclass(frozen=True)
class Trace:
    """What one forward pass left behind."""

    layers: dict[str, LayerTrace] = field(default_factory=dict)
    """By name; the cells of a stack as ``name.cell0``, ``name.cell1``; a layer's second call as
    ``name.call1``."""
    handed: dict[str, list[Tensor]] = field(default_factory=dict)
    """By layer: what Keras was given, outputs [B, T, U] in the order of its steps and the final
    states [B, U]."""


def recurrent_layers(model: keras.Model) -> dict[str, keras.layers.RNN]:
    """The model's recurrent layers by name, in the order in which the model holds them.

    A layer inside another is named after both: ``bidirectional.forward``, ``encoder.lstm``.
    """
    return dict(_recurrent(model, ""))


@contextlib.contextmanager
def recording(model: keras.Model) -> Iterator[Trace]:
    """While open, a forward pass of ``model`` fills the trace.

    It may be opened inside a ``tf.function``. Whatever happens inside, the layers are as before
    afterwards.

    Raises:
        UserError: a recurrent layer that cannot be recorded, with its name and the reason.
    """
    layers = recurrent_layers(model)
    _refuse(model, layers)
    trace = Trace()
    # A layer called in a graph of its own, inside a loop say, has signals nobody else can read.
    home = tf.compat.v1.get_default_graph() if not tf.executing_eagerly() else None
    with _replaced(layers, lambda name, layer: _recorder(name, layer, trace, home)):
        yield trace


@contextlib.contextmanager
def returning_everything(model: keras.Model) -> Iterator[dict[str, list[Tensor]]]:
    """While open, a pass of ``model`` runs the stock loops and keeps what they return.

    Layer name -> outputs [B, T, U] in the order of its steps, then the final states [B, U]: the
    other side of the proof, to hold against ``Trace.handed``.
    """
    kept: dict[str, list[Tensor]] = {}
    with _replaced(recurrent_layers(model), lambda name, layer: _stock(name, layer, kept)):
        yield kept


def _recurrent(layer: keras.layers.Layer, prefix: str) -> Iterator[tuple[str, keras.layers.RNN]]:
    for child in layer._flatten_layers(include_self=False, recursive=False):
        # The name becomes a folder's: hidden ones would be passed over by readers.
        name = f"{prefix}{child.name.lstrip('._').replace('/', '-') or 'layer'}"
        if isinstance(child, keras.layers.Bidirectional):
            yield f"{name}.forward", child.forward_layer
            yield f"{name}.backward", child.backward_layer
        elif isinstance(child, keras.layers.RNN):
            yield name, child
        else:
            yield from _recurrent(child, f"{name}.")


@contextlib.contextmanager
def _replaced(
    layers: dict[str, keras.layers.RNN],
    make: Callable[[str, keras.layers.RNN], Callable[..., Any]],
) -> Iterator[None]:
    """Replace each layer's inner loop for a while."""
    try:
        for name, layer in layers.items():
            # Past Keras' attribute tracking, so that nothing of it remains.
            object.__setattr__(layer, "inner_loop", make(name, layer))
        yield
    finally:
        for layer in layers.values():
            with contextlib.suppress(AttributeError):
                object.__delattr__(layer, "inner_loop")


def _refuse(model: keras.Model, layers: dict[str, keras.layers.RNN]) -> None:
    """Raise for what cannot be recorded; better than a number that is not true."""
    held = {id(cell) for layer in layers.values() for cell in _cells(layer)}
    for layer in model._flatten_layers():
        if isinstance(layer, BUILT_IN_CELLS) and id(layer) not in held:
            raise UserError(f"cell '{layer.name}': called outside keras.layers.RNN; wrap it in one")
        if isinstance(layer, keras.layers.TimeDistributed) and recurrent_layers(layer):
            inner = ", ".join(recurrent_layers(layer))
            raise UserError(
                f"layer '{inner}': inside TimeDistributed it has two kinds of timesteps"
            )
    for name, layer in layers.items():
        kind = type(layer).__name__
        if type(layer).inner_loop not in {known.inner_loop for known in LAYERS}:
            raise UserError(f"layer '{name}': {kind} has an inner loop of its own")


def _recorder(
    name: str, layer: keras.layers.RNN, trace: Trace, home: Any
) -> Callable[..., tuple[Tensor, Tensor, Any]]:
    """A stand-in for ``layer.inner_loop`` that keeps every signal."""

    def inner_loop(
        sequences: Tensor, initial_state: Any, mask: Tensor = None, training: bool = False
    ) -> tuple[Tensor, Tensor, Any]:
        if home is not None and tf.compat.v1.get_default_graph() is not home:
            raise UserError(f"layer '{name}': called inside a loop of the model's own")
        if training and any(cells.drops(cell) for cell in _cells(layer)):
            raise UserError(f"layer '{name}': called with training=True, it drops inputs at random")
        mask = tf.nest.flatten(mask)[0] if mask is not None else None
        # A stateful layer hands in its variables, which move on at the end of the pass.
        initial_state = tf.nest.map_structure(tf.identity, initial_state)
        here = _called(name, trace.handed)
        read = reading(mask, layer.go_backwards)
        if cells.can_fuse(layer.cell, layer.compute_dtype):
            output, states = _fused(here, layer, sequences, initial_state, read, trace)
        else:
            output, states = _loop(here, layer, sequences, initial_state, read, trace, training)
        trace.handed[here] = [output, *tf.nest.flatten(states)]
        return output[:, -1], output, states

    return inner_loop


def _fused(
    name: str,
    layer: keras.layers.RNN,
    sequences: Tensor,
    initial_state: list[Tensor],
    read: Reading,
    trace: Trace,
) -> tuple[Tensor, list[Tensor]]:
    """Record by the fused op. Returns outputs and final states as Keras wants them."""
    h, c = initial_state
    x = read.pack(tf.transpose(sequences, (1, 0, 2)))
    packed = cells.fused(layer.cell, x, h, c)
    signals = {signal: read.unpack(values) for signal, values in packed.items()}
    trace.layers[name] = LayerTrace(layer.cell, signals, {"h": h, "c": c}, read, "fused")
    output = read.as_keras(packed["h"], layer.zero_output_for_mask)
    return output, [read.final(packed["h"], h), read.final(packed["c"], c)]


def _loop(
    name: str,
    layer: keras.layers.RNN,
    sequences: Tensor,
    initial_state: Any,
    read: Reading,
    trace: Trace,
    training: bool,
) -> tuple[Tensor, Any]:
    """Record by Keras' own loop. Returns outputs and final states as it gave them."""
    stacked = isinstance(layer.cell, keras.layers.StackedRNNCells)
    stack = _cells(layer)

    def step(x: Tensor, states: Any) -> tuple[Any, Any]:
        """One timestep of the cells, one above the other; all they give is the step's output."""
        outputs, after = [], []
        for cell, state in zip(stack, states if stacked else [states], strict=True):
            takes_training = isinstance(cell, keras.Layer) and cell._call_has_training_arg
            given = list(state) if tf.nest.is_nested(state) else [state]
            x, new = cell(x, given, **({"training": training} if takes_training else {}))
            outputs.append(x)
            after.append(tf.nest.flatten(new))
        return (outputs, after), tf.nest.pack_sequence_as(states, tf.nest.flatten(after))

    # Keras' own loop, run for an object that has all it asks of a layer.
    stand_in = types.SimpleNamespace(
        cell=step,
        stateful=False,
        unroll=False,
        return_sequences=True,
        go_backwards=layer.go_backwards,
        zero_output_for_mask=layer.zero_output_for_mask,
    )
    _, (outputs, states), final = keras.layers.RNN.inner_loop(
        stand_in, sequences, initial_state, mask=read.mask, training=training
    )
    x = _in_time(sequences)
    for number, cell in enumerate(stack):
        given = tf.nest.flatten(initial_state[number] if stacked else initial_state)
        names = cells.states_of(cell, len(given))
        signals = {
            signal: _flat(_in_time(values, read.backwards), 2)
            for signal, values in zip(names, states[number], strict=True)
        }
        initial = {signal: _flat(value, 1) for signal, value in zip(names, given, strict=True)}
        whole = LayerTrace(cell, signals, initial, read, "loop")
        signals |= cells.gates(cell, x, whole.before())
        trace.layers[f"{name}.cell{number}" if stacked else name] = whole
        x = _in_time(outputs[number], read.backwards)
    return outputs[-1], final


def _stock(name: str, layer: keras.layers.RNN, kept: dict[str, list[Tensor]]) -> Callable[..., Any]:
    """A stand-in for ``layer.inner_loop`` that runs the stock one and keeps all that it returns."""
    stock = layer.inner_loop

    def inner_loop(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor, Any]:
        returns_sequences = layer.return_sequences
        layer.return_sequences = True
        try:
            last, outputs, states = stock(*args, **kwargs)
        finally:
            layer.return_sequences = returns_sequences
        kept[_called(name, kept)] = [outputs, *tf.nest.flatten(states)]
        return last, outputs, states

    return inner_loop


def _called(name: str, before: dict[str, Any]) -> str:
    """The name of a layer's next call: its own, then ``name.call1``, ``name.call2``, ..."""
    calls = sum(key == name or key.startswith(f"{name}.call") for key in before)
    return f"{name}.call{calls}" if calls else name


def _cells(layer: keras.layers.RNN) -> list[Any]:
    """The cells of a layer, the lowest first."""
    if isinstance(layer.cell, keras.layers.StackedRNNCells):
        return list(layer.cell.cells)
    return [layer.cell]


def _in_time(x: Tensor, backwards: bool = False) -> Tensor:
    """x [B, T, ...] in the order of Keras' steps as [T, B, ...] in input time."""
    x = tf.transpose(x, (1, 0, *range(2, len(x.shape))))
    return tf.reverse(x, [0]) if backwards else x


def _flat(x: Tensor, lead: int) -> Tensor:
    """x with all after its ``lead`` first dimensions in one, as floats."""
    if len(x.shape) > lead + 1:
        x = tf.reshape(x, tf.concat([tf.shape(x)[:lead], [-1]], axis=0))
    return x if x.dtype.is_floating else tf.cast(x, tf.float32)
