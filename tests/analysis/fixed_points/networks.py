"""Small cells of Keras, and their equations in NumPy and float64, which are held against them."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import root

from tests import reference

Float = NDArray[np.float64]
Map = Callable[[Float], Float]
"""From a state [S] to the state one timestep later."""


class Halved(keras.layers.Layer):
    """A cell of a user's own."""

    state_size = output_size = 3

    def call(self, inputs: Any, states: Any) -> Any:
        after = 0.5 * states[0] + inputs
        return after, [after]


def cell(kind: Any, units: int, features: int, seed: int, scale: float, **options: Any) -> Any:
    """A cell with normal weights, which with a larger scale has more fixed points."""
    made = kind(units, **options)
    made.build((None, features))
    random = np.random.default_rng(seed)
    made.set_weights(
        [scale * random.normal(size=each.shape).astype(np.float32) for each in made.get_weights()]
    )
    return made


def ring(n: int) -> Any:
    """h' = tanh(h W), W[i] = −roll(linspace(−1, 1, n), −i)."""
    made = keras.layers.SimpleRNNCell(n, use_bias=False)
    made.build((None, 1))
    made.set_weights([np.zeros((1, n)), ring_weights(n)])
    return made


def ring_weights(n: int) -> Float:
    return np.array([-np.roll(np.linspace(-1, 1, n), -i) for i in range(n)])


def equations(made: Any, x: Float) -> Map:
    """One step of the state, all its tensors behind each other, by the equations alone."""
    weights = [each.astype(np.float64) for each in made.get_weights()]
    tanh = made.activation.__name__
    match type(made).__name__:
        case "LSTMCell":
            names, sigma = "hc", made.recurrent_activation.__name__
            step = reference.lstm_step(weights, tanh, sigma)
        case "GRUCell":
            names, sigma = "h", made.recurrent_activation.__name__
            step = reference.gru_step(weights, tanh, sigma, made.reset_after)
        case _:
            names, step = "h", reference.simple_step(weights, tanh)

    def after(s: Float) -> Float:
        found = step(x, dict(zip(names, np.split(s, len(names)), strict=True)))
        return np.concatenate([found[name] for name in names])

    return after


def jacobian(step: Map, s: Float, h: float = 1e-6) -> Float:
    """Central differences, [i, j] of output i by number j of the state."""
    columns = [(step(s + h * e) - step(s - h * e)) / (2 * h) for e in np.eye(len(s))]
    return np.stack(columns, axis=1)


def roots(step: Map, starts: Float) -> Float:
    """The distinct roots of F(s) − s that SciPy finds from some starts [R, S]."""
    found: list[Float] = []
    for start in starts:
        with np.errstate(over="ignore"):
            solved = root(lambda s: step(s) - s, start, tol=1e-13)
        at = solved.x
        if np.abs(step(at) - at).max() < 1e-11 and not any(
            np.linalg.norm(at - other) < 1e-3 for other in found
        ):
            found.append(at)
    return np.array(found)
