"""The equations of Keras' own cells in float64, and what rounding may change in one timestep.

They are written here a second time, from the public weights alone, and share no code with the
recording: a gate that was taken for another, a bias that was left out or another activation shows.

A value stands with its ``spread``: how far it may move if every sum is rounded once, relative to
the sum of its absolute terms, in the layer's own precision (the first-order bound of running error
analysis; Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.3). Where inputs
are large and cancel, two right evaluations of one equation differ by as much.
"""

import functools
from collections.abc import Callable, Hashable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from rnnscope.trace import cells

Float = NDArray[np.float64]
Function = Callable[[Float], Float]

IN_ONE_THREAD: ContextVar[bool] = ContextVar("IN_ONE_THREAD", default=False)
"""Whether products are cut so that BLAS, whose threads are not to be set, computes them in one. Its
threads wait for one another longer than the small products of the proof take."""
ONE_THREAD = 2**18
"""Multiplications up to which OpenBLAS starts no threads."""
SMALL = 1e-4
"""A spread up to which an activation counts as straight: what that neglects is a share of the
spread's square, 1e-8."""


@dataclass(frozen=True)
class Activation:
    """An activation in float64."""

    function: Function
    slope: Function | None = None
    """Its derivative from its value, where it is smooth and known: three evaluations of the
    function cost more than all else in a step."""


@dataclass(frozen=True)
class Rounded:
    """A value and how far rounding may move it, in the same shape; 0 where that is not asked."""

    value: Float
    spread: Float | float
    unit: float
    """Relative rounding error of one operation; 0 computes no spread."""

    def __add__(self, other: "Rounded") -> "Rounded":
        return Rounded(self.value + other.value, self.spread + other.spread, self.unit)

    def __iadd__(self, other: "Rounded") -> "Rounded":
        """The sum in the memory of this one, which nothing else may hold."""
        value, spread = self.value, self.spread
        value += other.value
        spread += other.spread
        return Rounded(value, spread, self.unit)

    def __mul__(self, other: "Rounded") -> "Rounded":
        value = self.value * other.value
        if not self.unit:
            return Rounded(value, 0.0, 0.0)
        spread = np.abs(self.value) * other.spread
        spread += np.abs(other.value) * self.spread
        spread += self.unit * np.abs(value)
        return Rounded(value, spread, self.unit)

    def through(self, activation: "Activation") -> "Rounded":
        """An activation of it."""
        function, slope = activation.function, activation.slope
        value = function(self.value)
        if not self.unit:
            return Rounded(value, 0.0, 0.0)
        if slope is not None and np.max(self.spread) <= SMALL:
            spread = 2 * slope(value)
            spread *= self.spread
        else:
            spread = np.abs(function(self.value + self.spread) - function(self.value - self.spread))
        spread += self.unit * np.abs(value)
        return Rounded(value, spread, self.unit)

    def product(self, weights: "Weights") -> "Rounded":
        """[R, F] times weights [F, U]."""
        value = _times(self.value, weights.exact)
        if not self.unit:
            return Rounded(value, 0.0, 0.0)
        # A bound needs no precision.
        terms = self.unit * np.abs(self.value)
        terms += self.spread
        spread = _times(terms.astype(np.float32), weights.sizes)
        return Rounded(value, spread.astype(float), self.unit)

    def split(self, count: int) -> list["Rounded"]:
        """Its columns in ``count`` equal blocks."""
        width = self.value.shape[-1] // count
        blocks = [slice(start, start + width) for start in range(0, count * width, width)]
        spread = self.spread
        return [
            Rounded(
                self.value[..., at],
                spread[..., at] if isinstance(spread, np.ndarray) else spread,
                self.unit,
            )
            for at in blocks
        ]

    def complement(self) -> "Rounded":
        """1 - it."""
        return Rounded(1 - self.value, self.spread, self.unit)


@dataclass(frozen=True)
class Weights:
    """Weights [F, U] of a product."""

    exact: Float

    @functools.cached_property
    def sizes(self) -> NDArray[np.float32]:
        """Their absolute values, for spreads."""
        return np.abs(self.exact).astype(np.float32)

    def columns(self, at: slice) -> "Weights":
        """Those of some units."""
        return Weights(self.exact[:, at])


class Equations:
    """The equations of one cell that ``cells.stock_kind`` knows, with its weights as they are now.

    Weights are taken in the cell's own precision, as its call does.
    """

    def __init__(self, cell: Any):
        self.cell, self.kind = cell, cells.stock_kind(cell)
        self.dtype = tf.as_dtype(cell.compute_dtype).as_numpy_dtype
        self.unit = float(np.spacing(self.dtype(1))) / 2
        self.kernel = Weights(self._weights(cell.kernel))
        self.recurrent = Weights(self._weights(cell.recurrent_kernel))
        self.bias = self._weights(cell.bias) if cell.use_bias else None
        self.tanh = self._function(cell.activation)
        self.sigma = self._function(getattr(cell, "recurrent_activation", None))

    def signals(
        self, x: Float, before: dict[str, Float], rounding: bool = True
    ) -> dict[str, Rounded]:
        """All signals of one timestep [R, U].

        Args:
            x: the cell's inputs [R, F].
            before: its states one timestep earlier, [R, U] each.
            rounding: whether to find the spreads as well.
        """
        unit = self.unit if rounding else 0.0
        given = {name: _exact(values, unit) for name, values in before.items()}
        return _EQUATIONS[self.kind](self, _exact(x, unit), given)

    @property
    def names(self) -> tuple[str, ...]:
        """Its signals, in the order in which ``signals`` gives them."""
        return _NAMES[self.kind]

    def drive(self, x: Rounded, weights: Weights, bias: Float | None) -> Rounded:
        """x [R, F] times weights [F, U], and the bias [U]."""
        found = x.product(weights)
        if bias is not None:
            found += Rounded(bias, x.unit * np.abs(bias) if x.unit else 0.0, x.unit)
        return found

    def _weights(self, weights: Any) -> Float:
        return np.asarray(weights).astype(self.dtype).astype(np.float64)

    def _function(self, activation: Any) -> Activation:
        """An activation; one that is not Keras' own is asked in the cell's precision."""
        if isinstance(activation, Hashable) and activation in _IN_NUMPY:
            return _IN_NUMPY[activation]
        own = getattr(activation, "__module__", "").startswith("keras.")
        exact = own and not isinstance(activation, keras.Layer)
        dtype = tf.float64 if exact else self.cell.compute_dtype
        return Activation(lambda a: np.asarray(tf.cast(activation(tf.cast(a, dtype)), tf.float64)))


def _lstm(cell: Equations, x: Rounded, before: dict[str, Rounded]) -> dict[str, Rounded]:
    drive = cell.drive(x, cell.kernel, cell.bias)
    drive += before["h"].product(cell.recurrent)
    to_i, to_f, to_g, to_o = drive.split(4)
    i, f, o = (gate.through(cell.sigma) for gate in (to_i, to_f, to_o))
    g = to_g.through(cell.tanh)
    c = f * before["c"]
    c += i * g
    return {"h": o * c.through(cell.tanh), "c": c, "i": i, "f": f, "o": o, "g": g}


def _gru(cell: Equations, x: Rounded, before: dict[str, Rounded]) -> dict[str, Rounded]:
    h, units, after = before["h"], cell.cell.units, cell.cell.reset_after
    to_x, to_h = (None, None) if cell.bias is None else cell.bias if after else (cell.bias, None)
    x_z, x_r, x_g = cell.drive(x, cell.kernel, to_x).split(3)
    if after:
        h_z, h_r, h_g = cell.drive(h, cell.recurrent, to_h).split(3)
    else:
        h_z, h_r = h.product(cell.recurrent.columns(slice(2 * units))).split(2)
    z, r = (x_z + h_z).through(cell.sigma), (x_r + h_r).through(cell.sigma)
    reset = r * h_g if after else (r * h).product(cell.recurrent.columns(slice(2 * units, None)))
    g = (x_g + reset).through(cell.tanh)
    return {"h": z * h + z.complement() * g, "z": z, "r": r, "g": g}


def _simple(cell: Equations, x: Rounded, before: dict[str, Rounded]) -> dict[str, Rounded]:
    drive = cell.drive(x, cell.kernel, cell.bias)
    drive += before["h"].product(cell.recurrent)
    return {"h": drive.through(cell.tanh)}


_EQUATIONS: dict[Any, Callable[..., dict[str, Rounded]]] = {
    keras.layers.LSTMCell: _lstm,
    keras.layers.GRUCell: _gru,
    keras.layers.SimpleRNNCell: _simple,
}
_NAMES: dict[Any, tuple[str, ...]] = {
    keras.layers.LSTMCell: cells.LSTM,
    keras.layers.GRUCell: cells.GRU,
    keras.layers.SimpleRNNCell: ("h",),
}


def _tanh_slope(y: Float) -> Float:
    slope = y * y
    return np.subtract(1.0, slope, out=slope)


def _sigmoid(a: Float) -> Float:
    value = 0.5 * a
    np.tanh(value, out=value)
    value *= 0.5
    value += 0.5
    return value


def _sigmoid_slope(y: Float) -> Float:
    slope = 1 - y
    slope *= y
    return slope


_LINEAR = Activation(lambda a: a, np.ones_like)
_IN_NUMPY: dict[Any, Activation] = {
    keras.activations.tanh: Activation(np.tanh, _tanh_slope),
    keras.activations.sigmoid: Activation(_sigmoid, _sigmoid_slope),
    keras.activations.linear: _LINEAR,
    keras.activations.relu: Activation(lambda a: np.maximum(a, 0.0)),
    None: _LINEAR,
}


def _times(x: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """x [R, F] times weights [F, U], a few rows at a time where ``IN_ONE_THREAD`` says so."""
    rows = ONE_THREAD // max(1, weights.size)
    whole = len(x) // rows * rows if rows else 0
    if not IN_ONE_THREAD.get() or len(x) <= rows or not whole:
        return np.asarray(x @ weights)
    found = np.empty((len(x), weights.shape[1]), np.result_type(x, weights))
    pieces = found[:whole].reshape(-1, rows, weights.shape[1])
    np.matmul(x[:whole].reshape(-1, rows, x.shape[1]), weights, out=pieces)
    np.matmul(x[whole:], weights, out=found[whole:])
    return found


def _exact(values: Float, unit: float) -> Rounded:
    return Rounded(np.asarray(values, np.float64), 0.0, unit)
