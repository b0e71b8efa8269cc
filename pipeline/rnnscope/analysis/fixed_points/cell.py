"""One timestep of a layer's cell in float64, as a function of its state.

The weights are those of the model, cast from the precision in which they are; rounding of float32
would hide fixed points behind a floor of q of about 1e-14. The copy is of Keras' own cell, called
as Keras calls it.
"""

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from rnnscope.trace import cells, loops

Tensor = Any

OPTIONS = ("units", "activation", "recurrent_activation", "use_bias", "reset_after")
"""What decides what a stock cell computes, as far as it has it."""
WEIGHTS = ("kernel", "recurrent_kernel", "bias")


@dataclass(frozen=True)
class Dynamics:
    """s' = F(s, x): the state s [S] of a cell, h or h and c behind each other, after one step."""

    cell: Any
    """Keras' own, in float64."""
    states: tuple[str, ...]
    """The names of its states."""
    units: int
    features: int
    """F, how many numbers its input has."""

    @property
    def size(self) -> int:
        """S."""
        return self.units * len(self.states)

    def step(self, s: Tensor, x: Tensor) -> Tensor:
        """The states [B, S] one timestep after the states s [B, S], given inputs x [B, F]."""
        parts = tf.split(s, len(self.states), axis=-1)
        _, _, after = loops.called(self.cell, x, parts, training=False)
        return tf.concat(after, axis=-1)

    def linearised(self, s: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """F(s, x) [B, S], and its Jacobians [B, S, S], dF_i/ds_j at [., i, j].

        They are of automatic differentiation, all rows of all matrices in one backward pass.
        """
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(s)
            after = self.step(s, x)
        return after, tape.batch_jacobian(after, s)


def dynamics_of(cell: Any, features: int) -> Dynamics:
    """The dynamics of one of Keras' own cells, once it is built.

    Args:
        cell: an LSTM, GRU or simple RNN, by ``trace.cells.stock_kind``.
        features: how many numbers its input has.
    """
    kind = cells.stock_kind(cell)
    assert kind is not None
    options = {name: getattr(cell, name) for name in OPTIONS if hasattr(cell, name)}
    copy = kind(**options, dtype="float64")
    copy.build((None, features))
    for name in WEIGHTS:
        if (weights := getattr(cell, name, None)) is not None:
            getattr(copy, name).assign(tf.cast(tf.convert_to_tensor(weights), tf.float64))
    count = len(tf.nest.flatten(cell.state_size))
    return Dynamics(copy, cells.states_of(cell, count), cells.units(cell), features)


def features_of(cell: Any) -> int:
    """How many numbers the input of a stock cell has, once it is built."""
    return int(cell.kernel.shape[0])


def why_not(dynamics: Dynamics) -> str | None:
    """Why a step cannot be taken in float64; None if it can.

    A user's own activation may hold numbers of float32.
    """
    try:
        zeros = tf.zeros((1, dynamics.size), tf.float64)
        dynamics.step(zeros, tf.zeros((1, dynamics.features), tf.float64))
    except (tf.errors.InvalidArgumentError, TypeError, ValueError):
        return "its activation does not compute in float64"
    return None
