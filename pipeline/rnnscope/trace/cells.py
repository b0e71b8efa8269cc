"""What each kind of recurrent cell computes: its signals, and the equations they must satisfy.

sigma and tanh stand for the cell's own activations; ' marks the timestep before.

LSTM (Hochreiter & Schmidhuber 1997; forget gate: Gers, Schmidhuber & Cummins 2000):

    i = sigma(x W_i + h' U_i + b_i)     input gate
    f = sigma(x W_f + h' U_f + b_f)     forget gate
    g = tanh (x W_g + h' U_g + b_g)     candidate
    o = sigma(x W_o + h' U_o + b_o)     output gate
    c = f c' + i g                      cell state
    h = o tanh c                        hidden state

GRU (Cho et al. 2014; ``reset_after`` as in cuDNN):

    z = sigma(x W_z + h' U_z + b_z)     update gate
    r = sigma(x W_r + h' U_r + b_r)     reset gate
    g = tanh (x W_g + (r h') U_g + b_g)             candidate
    g = tanh (x W_g + r (h' U_g + b'_g) + b_g)      candidate, reset after the product
    h = z h' + (1 - z) g                hidden state

A simple RNN has h alone (Elman 1990). A ConvLSTM is an LSTM whose products are convolutions (Shi et
al. 2015); its units are the values of its maps, in C order of (row, column, filter). Any other cell
has its state tensors: s0, s1, ...
"""

import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras.src.layers.rnn import conv_lstm

from rnnscope.trace.fused import lstm
from rnnscope.trace.reading import Tensor

Signals = dict[str, Tensor]

ConvLSTMCell = conv_lstm.ConvLSTMCell
"""The cell of ConvLSTM1D, 2D and 3D, for which Keras has no public name."""

LSTM = ("h", "c", "i", "f", "o", "g")
GRU = ("h", "z", "r", "g")


def states_of(cell: Any, count: int) -> tuple[str, ...]:
    """Names of a cell's ``count`` state tensors."""
    if _computes_as(cell, keras.layers.LSTMCell) or _computes_as(cell, ConvLSTMCell):
        return ("h", "c")
    if _computes_as(cell, keras.layers.GRUCell) or _computes_as(cell, keras.layers.SimpleRNNCell):
        return ("h",)
    return tuple(f"s{number}" for number in range(count))


def units(cell: Any) -> int:
    """U of a known cell, once it is built."""
    if not _computes_as(cell, ConvLSTMCell):
        return int(cell.units)
    return math.prod(cell.get_initial_state(1)[0].shape[1:])


def has_maps(cell: Any) -> bool:
    """Whether a cell's states are maps, as those of a ConvLSTM are."""
    return _computes_as(cell, ConvLSTMCell)


def flat(cell: Any, values: Tensor) -> Tensor:
    """States or outputs of a cell [A, B, ...] as [A, B, U], in floating point."""
    if len(values.shape) > 3:
        if _channels_first(cell):
            values = tf.transpose(values, (0, 1, *range(3, len(values.shape)), 2))
        size = -1 if None in values.shape[2:] else math.prod(values.shape[2:])
        values = tf.reshape(values, (*_sizes(values)[:2], size))
    return values if values.dtype.is_floating else tf.cast(values, tf.float32)


def maps(cell: Any, values: Tensor) -> Tensor:
    """What ``flat`` made of a ConvLSTM's states, [A, B, U], in the shape that they have."""
    shape = cell.get_initial_state(1)[0].shape[1:]
    last = (*shape[1:], shape[0]) if _channels_first(cell) else shape
    values = tf.reshape(values, (*_sizes(values)[:2], *last))
    if not _channels_first(cell):
        return values
    rank = len(values.shape)
    return tf.transpose(values, (0, 1, rank - 1, *range(2, rank - 1)))


def drops(cell: Any) -> bool:
    """Whether a cell drops inputs at random when it is called for training."""
    return bool(getattr(cell, "dropout", 0) or getattr(cell, "recurrent_dropout", 0))


def can_fuse(cell: Any, dtype: str) -> bool:
    """Whether the fused op computes exactly what this cell does."""
    standard = (keras.activations.tanh, keras.activations.sigmoid)
    return (
        _computes_as(cell, keras.layers.LSTMCell)
        and (cell.activation, cell.recurrent_activation) == standard
        and dtype == "float32"
    )


def fused(cell: keras.layers.LSTMCell, x: Tensor, h: Tensor, c: Tensor) -> Signals:
    """All signals [T, B, U] of an LSTM over x [T, B, F], from states h and c [B, U]."""
    units = cell.recurrent_kernel.shape[0]
    bias = tf.zeros(4 * units) if cell.bias is None else cell.bias
    # Read here, so that their gradients reach the variables.
    weights = map(tf.convert_to_tensor, (cell.kernel, cell.recurrent_kernel, bias))
    return dict(zip(LSTM, lstm(x, h, c, *weights), strict=True))


def gates(cell: Any, x: Tensor, before: Signals) -> Signals:
    """A cell's gates [T, B, U], for all timesteps at once.

    Args:
        cell: any cell; if its gates are not known, the result is empty.
        x: its inputs [T, B, F]; of a ConvLSTM [T, B, ...].
        before: its states before each timestep, [T, B, U] each.
    """
    if _computes_as(cell, ConvLSTMCell):
        return _conv_lstm_gates(cell, x, before["h"])
    if _computes_as(cell, keras.layers.LSTMCell):
        return _lstm_gates(cell, x, before["h"])
    if _computes_as(cell, keras.layers.GRUCell):
        return _gru_gates(cell, x, before["h"])
    return {}


STOCK = (keras.layers.LSTMCell, keras.layers.GRUCell, keras.layers.SimpleRNNCell)
"""The cells whose equations are known."""


def stock_kind(cell: Any) -> type | None:
    """Which of Keras' own cells this one computes as; None where that is not known."""
    return next((kind for kind in STOCK if _computes_as(cell, kind)), None)


_MADE = {"__init__", "build", "get_config", "from_config"}
"""What a subclass may define of its own: how a cell is made and saved, not what it computes."""
_ABOUT = {
    "__module__",
    "__qualname__",
    "__doc__",
    "__dict__",
    "__weakref__",
    "__annotations__",
    "__firstlineno__",
    "__static_attributes__",
    "__annotate_func__",
}
"""What Python itself adds to a class."""
_WRAPPED = {"build", "quantize"}
"""Methods that Keras wraps on each layer."""


def _computes_as(cell: Any, kind: Any) -> bool:
    """Whether a cell is of a kind and overrides nothing of it, in its class or on the cell itself.

    What a method uses is not looked for: a subclass that defines anything but how it is made counts
    as another cell.
    """
    if not isinstance(cell, kind) or not kind.call.__module__.startswith("keras.src."):
        return False  # or somebody put another method in the place of Keras' own
    mro = type(cell).__mro__
    own = {name for each in mro[: mro.index(kind)] for name in vars(each)}
    methods = {
        name for each in kind.__mro__ for name, value in vars(each).items() if callable(value)
    }
    replaced = methods & vars(cell).keys() - _WRAPPED
    return own <= _MADE | _ABOUT and not replaced


def _lstm_gates(cell: keras.layers.LSTMCell, x: Tensor, h: Tensor) -> Signals:
    drive = _product(x, cell.kernel) + _product(h, cell.recurrent_kernel)
    if cell.bias is not None:
        drive += tf.cast(cell.bias, x.dtype)
    return lstm_gates(cell, drive)


def lstm_gates(cell: keras.layers.LSTMCell, drive: Tensor) -> Signals:
    """The gates [..., U] of an LSTM from what their activations are of, [..., 4 U]."""
    i, f, g, o = tf.split(drive, 4, axis=-1)
    sigma, tanh = _of_rows(cell.recurrent_activation), _of_rows(cell.activation)
    return {"i": sigma(i), "f": sigma(f), "o": sigma(o), "g": tanh(g)}


def _of_rows(activation: Any) -> Callable[[Tensor], Tensor]:
    """An activation of [T, B, U] that sees [T B, U], as many axes as in a step of the cell."""

    def of_rows(values: Tensor) -> Tensor:
        return tf.reshape(activation(tf.reshape(values, (-1, values.shape[-1]))), tf.shape(values))

    return of_rows


def _conv_lstm_gates(cell: Any, x: Tensor, h: Tensor) -> Signals:
    h = maps(cell, h)
    inputs, states = (tf.reshape(each, (-1, *each.shape[2:])) for each in (x, h))
    kernels = tf.split(tf.cast(cell.kernel, x.dtype), 4, axis=-1)
    recurrent = tf.split(tf.cast(cell.recurrent_kernel, x.dtype), 4, axis=-1)
    biases = [None] * 4 if cell.bias is None else tf.split(tf.cast(cell.bias, x.dtype), 4)
    i, f, g, o = (
        cell.input_conv(inputs, kernel, bias, padding=cell.padding)
        + cell.recurrent_conv(states, own)
        for kernel, own, bias in zip(kernels, recurrent, biases, strict=True)
    )
    sigma, tanh = cell.recurrent_activation, cell.activation
    found = {"i": sigma(i), "f": sigma(f), "o": sigma(o), "g": tanh(g)}
    return {
        name: flat(cell, tf.reshape(gate, (*_sizes(x)[:2], *gate.shape[1:])))
        for name, gate in found.items()
    }


def _channels_first(cell: Any) -> bool:
    return _computes_as(cell, ConvLSTMCell) and cell.data_format == "channels_first"


def _sizes(x: Tensor) -> list[Any]:
    """The sizes of x, as numbers where they are known."""
    sizes = tf.shape(x)
    return [sizes[axis] if size is None else size for axis, size in enumerate(x.shape)]


def _gru_gates(cell: keras.layers.GRUCell, x: Tensor, h: Tensor) -> Signals:
    inner: Tensor = 0
    outer: Tensor = 0
    if cell.bias is not None:
        bias = tf.cast(cell.bias, x.dtype)
        inner, outer = (bias[0], bias[1]) if cell.reset_after else (bias, 0)
    x_z, x_r, x_g = tf.split(_product(x, cell.kernel) + inner, 3, axis=-1)
    sigma, tanh = _of_rows(cell.recurrent_activation), _of_rows(cell.activation)
    if cell.reset_after:
        h_z, h_r, h_g = tf.split(_product(h, cell.recurrent_kernel) + outer, 3, axis=-1)
        z, r = sigma(x_z + h_z), sigma(x_r + h_r)
        return {"z": z, "r": r, "g": tanh(x_g + r * h_g)}
    u_z, u_r, u_g = tf.split(tf.convert_to_tensor(cell.recurrent_kernel), 3, axis=-1)
    z, r = sigma(x_z + _product(h, u_z)), sigma(x_r + _product(h, u_r))
    return {"z": z, "r": r, "g": tanh(x_g + _product(r * h, u_g))}


def _product(x: Tensor, kernel: Tensor) -> Tensor:
    """x [T, B, F] times kernel [F, U], in the precision of x."""
    return tf.tensordot(x, tf.cast(kernel, x.dtype), 1)
