"""Jacobians of an LSTM at many states: all at once, and one column at a time as is usual."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from rnnscope.analysis.fixed_points.cell import Dynamics, dynamics_of
from rnnscope.analysis.fixed_points.search import Search
from tests.benchmarks import ours
from tests.benchmarks.problem import FEATURES, Array, ToParquet

POINTS = 40
CHECKED = 2
TOLERANCE = 1e-9


def at_once(folder: Path) -> dict[str, ToParquet]:
    """The stage's own, its graph traced before."""
    dynamics, states, inputs = _given(folder)
    search = Search(dynamics)
    _check(search.jacobians(states[:CHECKED], inputs[:CHECKED]), dynamics, states, inputs)

    def run(_: Array, out: Path) -> None:
        np.save(out / "jacobians.npy", search.jacobians(states, inputs))

    return {"as it comes": run}


def by_column(folder: Path) -> dict[str, ToParquet]:
    """For each state and each of its numbers one backward pass, in a graph traced before."""
    dynamics, states, inputs = _given(folder)

    @tf.function(autograph=False)
    def row(s: tf.Tensor, x: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(s)
            after = dynamics.step(s, x)[0, number]
        return tape.gradient(after, s)[0]

    def jacobians(states: NDArray[np.float64], inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        given = [
            (tf.constant(s[None]), tf.constant(x[None]))
            for s, x in zip(states, inputs, strict=True)
        ]
        numbers = list(map(tf.constant, range(dynamics.size)))
        return np.array([[row(s, x, number).numpy() for number in numbers] for s, x in given])

    _check(jacobians(states[:CHECKED], inputs[:CHECKED]), dynamics, states, inputs)

    def run(_: Array, out: Path) -> None:
        np.save(out / "jacobians.npy", jacobians(states, inputs))

    return {"as it comes": run}


def _given(folder: Path) -> tuple[Dynamics, NDArray[np.float64], NDArray[np.float64]]:
    dynamics = dynamics_of(ours.build(folder).get_layer(ours.LAYER).cell, FEATURES)
    random = np.random.default_rng(1)
    states = random.uniform(-1, 1, (POINTS, dynamics.size))
    return dynamics, states, random.uniform(0, 1, (POINTS, FEATURES))


def _check(
    found: NDArray[np.float64],
    dynamics: Dynamics,
    states: NDArray[np.float64],
    inputs: NDArray[np.float64],
) -> None:
    """Hold Jacobians against a central difference in one direction."""
    random = np.random.default_rng(2)
    direction, h = random.normal(size=dynamics.size), 1e-6
    for number, matrix in enumerate(found):
        s, x = states[number], inputs[number][None]
        ends = [dynamics.step(tf.constant((s + e * direction)[None]), x).numpy() for e in (h, -h)]
        expected = (ends[0] - ends[1])[0] / (2 * h)
        if not np.abs(matrix @ direction - expected).max() <= TOLERANCE * 1e3:
            raise ArithmeticError("the Jacobian is not that of the step")
