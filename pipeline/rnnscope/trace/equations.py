"""The equations of Keras' own cells in float64, and what rounding may change in one timestep.

They are written here a second time, from the public weights alone, and share no code with the
recording: a gate that was taken for another, a bias that was left out or another activation shows.

A value stands with its ``spread``: how far it may move if every sum is rounded once, relative to
the sum of its absolute terms, in the layer's own precision (the first-order bound of running error
analysis; Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.3). Where inputs
are large and cancel, two right evaluations of one equation differ by as much.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from rnnscope.trace import cells
from rnnscope.trace.reading import Tensor


@dataclass(frozen=True)
class Rounded:
    """A float64 tensor and how far rounding may move it, in the same shape; or 0 of exact sums."""

    value: Tensor
    spread: Tensor
    unit: float
    """Relative rounding error of one operation; 0 computes no spread."""

    def __add__(self, other: "Rounded") -> "Rounded":
        return Rounded(self.value + other.value, self.spread + other.spread, self.unit)

    def __mul__(self, other: "Rounded") -> "Rounded":
        value = self.value * other.value
        if not self.unit:
            return Rounded(value, 0.0, 0.0)
        spread = tf.abs(self.value) * other.spread + tf.abs(other.value) * self.spread
        return Rounded(value, spread + self.unit * tf.abs(value), self.unit)

    def through(self, function: Callable[[Tensor], Tensor]) -> "Rounded":
        """An activation of it."""
        value = function(self.value)
        if not self.unit:
            return Rounded(value, 0.0, 0.0)
        spread = tf.abs(function(self.value + self.spread) - function(self.value - self.spread))
        return Rounded(value, spread + self.unit * tf.abs(value), self.unit)

    def product(self, weights: Tensor) -> "Rounded":
        """[R, F] times weights [F, U]."""
        value = self.value @ weights
        if not self.unit:
            return Rounded(value, 0.0, 0.0)
        terms = self.unit * tf.abs(self.value) + self.spread
        return Rounded(value, terms @ tf.abs(weights), self.unit)

    def split(self, count: int) -> list["Rounded"]:
        """Its columns in ``count`` equal blocks."""
        spreads = tf.split(self.spread, count, -1) if self.unit else [0.0] * count
        blocks = zip(tf.split(self.value, count, -1), spreads, strict=True)
        return [Rounded(value, spread, self.unit) for value, spread in blocks]

    def complement(self) -> "Rounded":
        """1 - it."""
        return Rounded(1 - self.value, self.spread, self.unit)


def signals(
    cell: Any, x: Tensor, before: dict[str, Tensor], rounding: bool = True
) -> dict[str, Rounded]:
    """All signals of one timestep [R, U] of a cell that ``cells.stock_kind`` knows.

    Args:
        cell: the cell.
        x: its inputs [R, F].
        before: its states one timestep earlier, [R, U] each.
        rounding: whether to find the spreads as well.
    """
    dtype = tf.as_dtype(cell.compute_dtype)
    unit = float(tf.experimental.numpy.finfo(dtype.as_numpy_dtype).eps) / 2 if rounding else 0.0
    given = {name: _exact(values, unit) for name, values in before.items()}
    return _EQUATIONS[cells.stock_kind(cell)](cell, _exact(x, unit), given)


def _lstm(
    cell: keras.layers.LSTMCell, x: Rounded, before: dict[str, Rounded]
) -> dict[str, Rounded]:
    drive = x.product(_weights(cell, cell.kernel))
    drive += before["h"].product(_weights(cell, cell.recurrent_kernel))
    if cell.use_bias:
        drive += _bias(cell, cell.bias, x.unit)
    to_i, to_f, to_g, to_o = drive.split(4)
    sigma, tanh = _function(cell, cell.recurrent_activation), _function(cell, cell.activation)
    i, f, o = (gate.through(sigma) for gate in (to_i, to_f, to_o))
    g = to_g.through(tanh)
    c = f * before["c"] + i * g
    return {"h": o * c.through(tanh), "c": c, "i": i, "f": f, "o": o, "g": g}


def _gru(cell: keras.layers.GRUCell, x: Rounded, before: dict[str, Rounded]) -> dict[str, Rounded]:
    h, units = before["h"], cell.units
    sigma, tanh = _function(cell, cell.recurrent_activation), _function(cell, cell.activation)
    recurrent = _weights(cell, cell.recurrent_kernel)
    from_x = x.product(_weights(cell, cell.kernel))
    if cell.use_bias:
        from_x += _bias(cell, cell.bias[0] if cell.reset_after else cell.bias, x.unit)
    x_z, x_r, x_g = from_x.split(3)
    from_h = h.product(recurrent if cell.reset_after else recurrent[:, : 2 * units])
    if cell.reset_after and cell.use_bias:
        from_h += _bias(cell, cell.bias[1], x.unit)
    h_z, h_r, *h_g = from_h.split(3 if cell.reset_after else 2)
    z, r = (x_z + h_z).through(sigma), (x_r + h_r).through(sigma)
    reset = r * h_g[0] if cell.reset_after else (r * h).product(recurrent[:, 2 * units :])
    g = (x_g + reset).through(tanh)
    return {"h": z * h + z.complement() * g, "z": z, "r": r, "g": g}


def _simple(
    cell: keras.layers.SimpleRNNCell, x: Rounded, before: dict[str, Rounded]
) -> dict[str, Rounded]:
    drive = x.product(_weights(cell, cell.kernel))
    drive += before["h"].product(_weights(cell, cell.recurrent_kernel))
    if cell.use_bias:
        drive += _bias(cell, cell.bias, x.unit)
    return {"h": drive.through(_function(cell, cell.activation))}


_EQUATIONS: dict[Any, Callable[..., dict[str, Rounded]]] = {
    keras.layers.LSTMCell: _lstm,
    keras.layers.GRUCell: _gru,
    keras.layers.SimpleRNNCell: _simple,
}


def _exact(values: Tensor, unit: float) -> Rounded:
    values = tf.cast(values, tf.float64)
    return Rounded(values, tf.zeros_like(values) if unit else 0.0, unit)


def _bias(cell: Any, bias: Any, unit: float) -> Rounded:
    values = _weights(cell, bias)
    return Rounded(values, unit * tf.abs(values) if unit else 0.0, unit)


def _weights(cell: Any, weights: Any) -> Tensor:
    """Weights as the cell uses them, in its own precision, as float64."""
    return tf.cast(tf.cast(weights, cell.compute_dtype), tf.float64)


def _function(cell: Any, activation: Any) -> Callable[[Tensor], Tensor]:
    """An activation of float64; one that is not Keras' own is asked in the cell's precision."""
    if activation is None:
        return tf.identity
    if getattr(activation, "__module__", "").startswith("keras.") and not isinstance(
        activation, keras.Layer
    ):
        return lambda a: tf.cast(activation(a), tf.float64)
    return lambda a: tf.cast(activation(tf.cast(a, cell.compute_dtype)), tf.float64)
