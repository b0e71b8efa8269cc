"""Forward passes of a Keras model with the h or c of one unit clamped at a value.

The unit is clamped after every timestep and on every path out of it: its input to all units at the
next timestep, the output of the layer, and the final states, from which another layer may start.
The initial state of its own layer is not changed, because the unit did not compute it: a constant
unit clamped at its value leaves the model unchanged.

    with clamping(model, places(model)["lstm"], "c", unit=17, value=0.0):
        outputs = model(inputs, training=False)

One state is clamped. With h clamped, c evolves on its own and matters only where the layer returns
its final c; with c clamped at m, h = o tanh m still varies with the output gate. At masked
timesteps Keras repeats the output before, here the clamped one, or returns zeros, here too.

As in a recording there are two implementations. An LSTM with the standard activations runs as the
fused op, over copies of its weights that are changed to have that effect. Any other cell runs in
Keras' own loop and is clamped after each timestep.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from rnnscope.trace import cells, loops
from rnnscope.trace.places import Place
from rnnscope.trace.reading import Reading

Tensor = Any

SURE = 100.0
"""The sigmoid of this is 1 in float32; that of its negative is below 1e-43."""


@dataclass(frozen=True)
class Clamp:
    """A state of one unit, clamped at a value."""

    state: str
    """h or c."""
    unit: Tensor
    """Its number, a scalar."""
    value: Tensor
    """A scalar."""

    def at(self, units: int) -> Tensor:
        """True at the unit [U]."""
        return tf.range(units) == self.unit

    def hold(self, values: Tensor) -> Tensor:
        """A state [..., U] with the unit set to the value."""
        value = tf.cast(self.value, values.dtype)
        return tf.where(self.at(values.shape[-1]), value, values)


@contextlib.contextmanager
def clamping(
    model: keras.Model, place: Place, state: str, unit: Tensor, value: Tensor
) -> Iterator[None]:
    """Clamp one unit in every call of its layer, in forward passes of ``model`` inside the context.

    It may be opened inside a ``tf.function``, with unit and value among its arguments. The layers
    are restored on exit, also after an error, and no weight is changed.

    Args:
        model: any that ``trace.recording`` takes.
        place: of the unit's cell.
        state: h or c, one of the place's states.
        unit: its number in the cell, a scalar.
        value: what it is clamped at, a scalar.

    Raises:
        UserError: a recurrent layer whose loop cannot be replaced, with its name and the reason.
    """
    loops.refuse(model, loops.recurrent_layers(model))
    clamp = Clamp(state, unit, value)
    layer = {place.name: place.layer}
    with loops.replaced(layer, lambda name, layer: _clamped(name, layer, place.number, clamp)):
        yield


def _clamped(name: str, layer: keras.layers.RNN, number: int, clamp: Clamp) -> loops.Loop:
    """A replacement for ``layer.inner_loop`` that clamps a unit of cell ``number``."""

    def compute(
        sequences: Tensor, initial_state: Any, read: Reading, training: bool
    ) -> tuple[Tensor, Tensor, Any]:
        if cells.can_fuse(layer.cell, layer.compute_dtype):
            return _fused(layer, clamp, sequences, initial_state, read)
        return _loop(layer, number, clamp, sequences, initial_state, read, training)

    return loops.stand_in(name, layer, compute)


def _fused(
    layer: keras.layers.RNN,
    clamp: Clamp,
    sequences: Tensor,
    initial_state: list[Tensor],
    read: Reading,
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Output at the last timestep, outputs and final states, by the fused op on changed weights."""
    h, c = initial_state
    x = read.pack(tf.transpose(sequences, (1, 0, 2)))
    if clamp.state == "h":
        packed, hold = cells.fused(*_ignoring_h(layer.cell, clamp, x, h), h, c), clamp.hold
    else:
        packed, hold = cells.fused(_constant_c(layer.cell, clamp), x, h, clamp.hold(c)), tf.identity
    held = hold(packed["h"])
    output = read.as_keras(held, layer.zero_output_for_mask)
    last_c = read.final(packed["c"], c)
    if read.mask is None:
        last = hold(packed["h"][-1])  # spares clamping all where only the last is used
        return last, output, [last, last_c]
    return output[:, -1], output, [read.final(held, h), last_c]


@dataclass(frozen=True)
class _Weights:
    """The attributes of an LSTM cell that the fused op uses."""

    units: int
    kernel: Tensor
    """[F, 4 U]"""
    recurrent_kernel: Tensor
    """[U, 4 U]"""
    bias: Tensor
    """[4 U]"""


def _ignoring_h(
    cell: keras.layers.LSTMCell, clamp: Clamp, x: Tensor, h: Tensor
) -> tuple[_Weights, Tensor]:
    """A cell whose gates read the value in place of the unit's h, and its inputs [T, B, F + 1].

    The unit's input to the gates is then constant and moves from the recurrent kernel to the bias.
    At the first timestep the gates read the initial h [B, U]: the difference is one more input.
    """
    kernel, recurrent, bias = _weights(cell)
    value = tf.cast(clamp.value, bias.dtype)
    row = tf.gather(recurrent, clamp.unit)
    silent = tf.where(clamp.at(cell.units)[:, tf.newaxis], tf.zeros_like(recurrent), recurrent)
    first = tf.one_hot(0, tf.shape(x)[0], dtype=x.dtype)[:, tf.newaxis]
    rest = first * (tf.gather(h, clamp.unit, axis=1) - value)
    weights = _Weights(
        cell.units, tf.concat([kernel, row[tf.newaxis]], axis=0), silent, bias + value * row
    )
    return weights, tf.concat([x, rest[:, :, tf.newaxis]], axis=2)


def _constant_c(cell: keras.layers.LSTMCell, clamp: Clamp) -> _Weights:
    """A cell whose unit keeps its initial c.

    The unit's i, f and g are constant, 0, 1 and 0, so that c = f c' + i g = c'.
    """
    kernel, recurrent, bias = _weights(cell)
    there = clamp.at(cell.units)
    constant = tf.concat([there, there, there, tf.zeros_like(there)], axis=0)  # of i, f, g and o
    fixed = tf.repeat(tf.constant([-SURE, SURE, 0.0, 0.0], bias.dtype), cell.units)
    return _Weights(
        cell.units,
        tf.where(constant, tf.zeros_like(kernel), kernel),
        tf.where(constant, tf.zeros_like(recurrent), recurrent),
        tf.where(constant, fixed, bias),
    )


def _weights(cell: keras.layers.LSTMCell) -> tuple[Tensor, Tensor, Tensor]:
    """Kernel, recurrent kernel and bias, as tensors."""
    bias = tf.zeros(4 * cell.units) if cell.bias is None else cell.bias
    kernel, recurrent, bias = map(tf.convert_to_tensor, (cell.kernel, cell.recurrent_kernel, bias))
    return kernel, recurrent, bias


def _loop(
    layer: keras.layers.RNN,
    number: int,
    clamp: Clamp,
    sequences: Tensor,
    initial_state: Any,
    read: Reading,
    training: bool,
) -> tuple[Tensor, Tensor, Any]:
    """The same by Keras' own loop, with the states of cell ``number`` clamped at each timestep."""
    stacked = loops.stacked(layer)
    stack = loops.cells_of(layer)

    def step(x: Tensor, states: Any) -> tuple[Tensor, Any]:
        after = []
        for place, (cell, state) in enumerate(
            zip(stack, states if stacked else [states], strict=True)
        ):
            output, before, new = loops.called(cell, x, state, training)
            if place == number:
                new = _held(cell, clamp, x, before, new)
                output = new[0]  # h, in every known cell
            x = output
            after.append(new)
        return x, tf.nest.pack_sequence_as(states, tf.nest.flatten(after))

    return loops.stock_loop(layer, step, sequences, initial_state, read.mask, training)


def _held(
    cell: Any, clamp: Clamp, x: Tensor, before: list[Tensor], after: list[Tensor]
) -> list[Tensor]:
    """The states of a known cell after a timestep, with the unit clamped."""
    h, *rest = (cells.flat(cell, state[tf.newaxis])[0] for state in after)
    if clamp.state == "h":
        held = [clamp.hold(h), *rest]
    else:
        (c,) = rest
        tanh_c = cell.activation(tf.cast(clamp.value, c.dtype))
        o = _output_gate(cell, clamp.unit, x, before[0])
        held = [tf.where(clamp.at(h.shape[-1]), o * tanh_c, h), clamp.hold(c)]
    if isinstance(cell, cells.ConvLSTMCell):
        held = [cells.maps(cell, state[tf.newaxis])[0] for state in held]
    return held


def _output_gate(cell: Any, unit: Tensor, x: Tensor, h: Tensor) -> Tensor:
    """One unit's output gate [B, 1], from inputs [B, ...] and h one timestep before [B, ...]."""
    if isinstance(cell, cells.ConvLSTMCell):
        before = {"h": cells.flat(cell, h[tf.newaxis])}
        return tf.gather(cells.gates(cell, x[tf.newaxis], before)["o"][0], [unit], axis=-1)
    column = [3 * cell.units + unit]  # Keras' order is i, f, g, o

    def of(weights: Any) -> Tensor:
        return tf.cast(tf.gather(weights, column, axis=-1), x.dtype)

    drive = x @ of(cell.kernel) + h @ of(cell.recurrent_kernel)
    return cell.recurrent_activation(drive if cell.bias is None else drive + of(cell.bias))
