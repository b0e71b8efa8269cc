"""Any pass of a Keras model with the h or c of one unit held at a value.

The unit is held after every timestep, and on every path out of it: what it tells the other units
and itself one timestep later, what the layer hands on, and the final states, from which another
layer may start. What its own layer starts from stays as it is, for that is not the unit's doing:
so a unit that never changes can be held at its value, and nothing changes.

    with clamping(model, places(model)["lstm"], "c", unit=17, value=0.0):
        outputs = model(inputs, training=False)

One state is held. With h held, c goes on by itself, and is heard of only where the layer hands its
final c on; with c held at m, h = o tanh m still moves with the output gate. Where the mask leaves
a timestep out, Keras repeats the output before it, here the held one, or gives zeros, here too.

As in a recording there are two paths. An LSTM with the standard activations is the fused op, over
copies of its weights that are changed so that it computes just that. Any other cell runs in the
loop that Keras itself runs, and is held after each timestep.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from rnnscope.analysis.ablation.places import Place
from rnnscope.trace import cells, loops
from rnnscope.trace.reading import Reading

Tensor = Any

SURE = 100.0
"""The sigmoid of this is 1 in float32; that of its negative is below 1e-43."""


@dataclass(frozen=True)
class Clamp:
    """A state of one unit, held at a value."""

    state: str
    """h or c."""
    unit: Tensor
    """Its number, a scalar."""
    value: Tensor
    """A scalar, in the state's own unit."""

    def at(self, units: int) -> Tensor:
        """Which of the units it is [U], bool."""
        return tf.range(units) == self.unit

    def hold(self, values: Tensor) -> Tensor:
        """A state [..., U] with the unit at the value."""
        value = tf.cast(self.value, values.dtype)
        return tf.where(self.at(values.shape[-1]), value, values)


@contextlib.contextmanager
def clamping(
    model: keras.Model, place: Place, state: str, unit: Tensor, value: Tensor
) -> Iterator[None]:
    """While open, a forward pass of ``model`` runs with one unit held, in every call of its layer.

    It may be opened inside a ``tf.function``, with unit and value among its arguments. Whatever
    happens inside, the layers are as before afterwards, and no weight is written to.

    Args:
        model: any that ``trace.recording`` takes.
        place: of the unit's cell.
        state: h or c, among the place's states.
        unit: its number in the cell, a scalar.
        value: what it is held at, a scalar.

    Raises:
        UserError: a recurrent layer whose loop cannot be replaced, with its name and the reason.
    """
    loops.refuse(model, loops.recurrent_layers(model))
    clamp = Clamp(state, unit, value)
    layer = {place.name: place.layer}
    with loops.replaced(layer, lambda name, layer: _clamped(name, layer, place.number, clamp)):
        yield


def _clamped(name: str, layer: keras.layers.RNN, number: int, clamp: Clamp) -> loops.Loop:
    """A stand-in for ``layer.inner_loop`` that holds a unit of its cell ``number``."""

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
    """By the fused op over changed copies of the weights."""
    h, c = initial_state
    x = read.pack(tf.transpose(sequences, (1, 0, 2)))
    if clamp.state == "h":
        packed, hold = cells.fused(*_deaf_to_h(layer.cell, clamp, x, h), h, c), clamp.hold
    else:
        packed, hold = cells.fused(_constant_c(layer.cell, clamp), x, h, clamp.hold(c)), tf.identity
    held = hold(packed["h"])
    output = read.as_keras(held, layer.zero_output_for_mask)
    last_c = read.final(packed["c"], c)
    if read.mask is None:
        last = hold(packed["h"][-1])  # where no more is asked for, no more is held
        return last, output, [last, last_c]
    return output[:, -1], output, [read.final(held, h), last_c]


@dataclass(frozen=True)
class _Weights:
    """What the fused op asks of an LSTM cell."""

    units: int
    kernel: Tensor
    """[F, 4 U]"""
    recurrent_kernel: Tensor
    """[U, 4 U]"""
    bias: Tensor
    """[4 U]"""


def _deaf_to_h(
    cell: keras.layers.LSTMCell, clamp: Clamp, x: Tensor, h: Tensor
) -> tuple[_Weights, Tensor]:
    """A cell that takes the unit's h for the value, whatever it is, and its inputs [T, B, F + 1].

    What the unit tells the gates is then a constant: it leaves the recurrent kernel for the bias.
    At the first timestep alone it is h [B, U] that is told: the rest comes as one more input.
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
    """A cell whose unit keeps the c that it starts with.

    The unit's i, f and g hear nothing and are 0, 1 and 0, so that c = f c' + i g = c'.
    """
    kernel, recurrent, bias = _weights(cell)
    there = clamp.at(cell.units)
    deaf = tf.concat([there, there, there, tf.zeros_like(there)], axis=0)  # of i, f, g and o
    sure = tf.repeat(tf.constant([-SURE, SURE, 0.0, 0.0], bias.dtype), cell.units)
    return _Weights(
        cell.units,
        tf.where(deaf, tf.zeros_like(kernel), kernel),
        tf.where(deaf, tf.zeros_like(recurrent), recurrent),
        tf.where(deaf, sure, bias),
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
    """By Keras' own loop, with the states of cell ``number`` held after each timestep."""
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
                output = new[0]  # h, in every cell that is known
            x = output
            after.append(new)
        return x, tf.nest.pack_sequence_as(states, tf.nest.flatten(after))

    return loops.stock_loop(layer, step, sequences, initial_state, read.mask, training)


def _held(
    cell: Any, clamp: Clamp, x: Tensor, before: list[Tensor], after: list[Tensor]
) -> list[Tensor]:
    """The states of a known cell after a timestep, the unit held."""
    if clamp.state == "h":
        return [clamp.hold(after[0]), *after[1:]]
    h, c = after
    tanh_c = cell.activation(tf.cast(clamp.value, c.dtype))
    o = _output_gate(cell, clamp.unit, x, before[0])
    return [tf.where(clamp.at(cell.units), o * tanh_c, h), clamp.hold(c)]


def _output_gate(cell: keras.layers.LSTMCell, unit: Tensor, x: Tensor, h: Tensor) -> Tensor:
    """One unit's output gate [B, 1], from inputs [B, F] and h one timestep before [B, U]."""
    column = [3 * cell.units + unit]  # Keras' order is i, f, g, o

    def of(weights: Any) -> Tensor:
        return tf.cast(tf.gather(weights, column, axis=-1), x.dtype)

    drive = x @ of(cell.kernel) + h @ of(cell.recurrent_kernel)
    return cell.recurrent_activation(drive if cell.bias is None else drive + of(cell.bias))
