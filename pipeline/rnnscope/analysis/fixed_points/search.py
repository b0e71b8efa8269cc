"""Fixed points by minimising q = ½‖F(s, x) − s‖² (Sussillo & Barak 2013), all starts at once.

Each step is one of Levenberg (1944) and Marquardt (1963): Gauss and Newton's, damped where it would
not lower q. It takes no notice of stability, so that saddles and unstable points are found as well
as attractors, and converges quadratically at a fixed point. Where q has a minimum above 0, it ends
there: a slow point. Of three dampings the best is taken, and each start has its own, and stops by
itself. q falls with every step that is taken.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from rnnscope.analysis.fixed_points.cell import Dynamics
from rnnscope.terminal import bar

Float = NDArray[np.float64]
Tensor = Any

FIRST = 1e-2
"""The first damping. Its unit is that of AᵀA, A = dF/ds − 1, which has none."""
FACTORS = (0.1, 1.0, 10.0)
"""Dampings that are tried in a step, times that of the start."""
LEAST, MOST = 1e-12, 1e8
"""Of the damping: as a share of 1 + tr AᵀA, so that Cholesky's decomposition exists; beyond, no
step lowers q."""
REJECTED = 100.0
"""Factor of the damping where none of the three lowered q."""
STALLED = 1e-9
"""A step that lowers q by less than this share of it is the last."""
PATIENCE, FALL = 5, 0.8
"""A start is given up where q is still large and after so many steps not below this share of it."""
ROUNDING = 8 * np.finfo(np.float64).eps
"""‖F(s) − s‖ below this, times √S + ‖s‖, is rounding."""
MEMORY = 256_000_000
"""Bytes of the matrices of one block of starts."""
MATRICES = 8
"""How many S × S matrices a start has at a time, about."""


@dataclass(frozen=True)
class Found:
    """Where B starts ended."""

    states: Float
    """[B, S]"""
    q: Float
    """[B]"""
    iterations: NDArray[np.int64]
    """Steps that each start took, those among them that were not lower [B]."""

    def split(self, count: int) -> list["Found"]:
        """The same, in so many equal parts."""
        parts = (np.split(each, count) for each in (self.states, self.q, self.iterations))
        return [Found(*each) for each in zip(*parts, strict=True)]


class Search:
    """The minimisation for one cell; its graph is traced once."""

    def __init__(self, dynamics: Dynamics, what: str = "fixed points"):
        self.dynamics, self.what = dynamics, what
        self.block = max(1, MEMORY // (8 * MATRICES * dynamics.size**2))
        """Starts at a time."""
        self.improved = tf.function(
            self._improved,
            autograph=False,
            input_signature=[
                tf.TensorSpec((None, dynamics.size), tf.float64),
                tf.TensorSpec((None, dynamics.features), tf.float64),
                tf.TensorSpec((None,), tf.float64),
            ],
        )
        states, inputs, _ = self.improved.input_signature
        self.kept_on = tf.function(
            self._kept_on,
            autograph=False,
            input_signature=[states, inputs, tf.TensorSpec((), tf.int32)],
        )
        self.linearised = tf.function(
            dynamics.linearised, autograph=False, input_signature=[states, inputs]
        )

    def minimise(
        self, starts: Float, inputs: Float, iterations: int, tolerance: float, large: float
    ) -> Found:
        """Where starts [B, S] under constant inputs [B, F] end, after so many steps at most.

        Args:
            starts: states.
            inputs: of each start.
            iterations: most steps of each.
            tolerance: a start whose q is below and that no step lowers has arrived.
            large: of q; a start whose q hardly falls while it is above is given up.
        """
        bounds = iterations, tolerance, large
        with bar(total=len(starts), desc=self.what, unit="start") as progress:
            blocks = [
                self._block(starts[cut], inputs[cut], *bounds, progress.update)
                for cut in self.cuts(len(starts))
            ]
        return Found(
            np.concatenate([each.states for each in blocks]),
            np.concatenate([each.q for each in blocks]),
            np.concatenate([each.iterations for each in blocks]),
        )

    def settled(self, starts: Float, inputs: Float, timesteps: int) -> Float:
        """The states [B, S] so many timesteps after starts [B, S], under constant inputs [B, F].

        Those that grow beyond all numbers are left where they were.
        """
        after: Float = self.kept_on(starts, inputs, np.int32(timesteps)).numpy()
        return np.where(np.isfinite(after).all(axis=1, keepdims=True), after, starts)

    def jacobians(self, states: Float, inputs: Float) -> Float:
        """The Jacobians dF/ds [P, S, S] at states [P, S] under inputs [P, F]."""
        cuts = self.cuts(len(states))
        found = [self.linearised(states[cut], inputs[cut])[1].numpy() for cut in cuts]
        return np.concatenate([np.empty((0, *2 * (self.dynamics.size,))), *found])

    def cuts(self, count: int) -> list[slice]:
        """Of so many states those that are taken at a time."""
        return [slice(at, at + self.block) for at in range(0, count, self.block)]

    def _block(
        self,
        starts: Float,
        inputs: Float,
        iterations: int,
        tolerance: float,
        large: float,
        arrived: Callable[[int], object],
    ) -> Found:
        """Where the starts of one block end; how many have is told as they do."""
        states, q = starts.copy(), np.full(len(starts), np.inf)
        damping, taken = np.full(len(starts), FIRST), np.zeros(len(starts), np.int64)
        active, marked = np.arange(len(starts)), np.full(len(starts), np.inf)
        for number in range(1, iterations + 1):
            tried = self.improved(states[active], inputs[active], damping[active])
            after, before_q, after_q, next_damping = (each.numpy() for each in tried)
            states[active], q[active], damping[active] = after, after_q, next_damping
            taken[active] += 1
            size = np.sqrt(after.shape[1]) + np.linalg.norm(after, axis=1)
            better = after_q < before_q
            done = after_q <= 0.5 * (ROUNDING * size) ** 2
            done |= better & (before_q - after_q <= STALLED * before_q)
            done |= ~better & ((after_q <= tolerance) | (next_damping > MOST))
            done |= ~np.isfinite(before_q)
            if number % PATIENCE == 0:
                done |= (after_q > large) & (after_q > FALL * marked[active])
                marked[active] = after_q
            active = active[~done]
            arrived(int(done.sum()))
            if not len(active):
                break
        arrived(len(active))
        return Found(states, q, taken)

    def _kept_on(self, s: Tensor, x: Tensor, timesteps: Tensor) -> Tensor:
        step = self.dynamics.step
        return tf.while_loop(
            lambda at, _: at < timesteps, lambda at, s: (at + 1, step(s, x)), (tf.constant(0), s)
        )[1]

    def _improved(self, s: Tensor, x: Tensor, damping: Tensor) -> tuple[Tensor, ...]:
        """The states after one step, q before and after, and the next damping.

        Args:
            s: [B, S].
            x: [B, F].
            damping: [B].
        """
        after, jacobian = self.dynamics.linearised(s, x)
        residual = after - s
        a = jacobian - tf.eye(self.dynamics.size, dtype=tf.float64)
        normal = tf.matmul(a, a, transpose_a=True)
        slope = tf.linalg.matvec(a, residual, transpose_a=True)
        least = LEAST * (1 + tf.linalg.trace(normal))
        before_q = _q(residual)
        best, best_q, used = s, before_q, damping * REJECTED
        for factor in FACTORS:
            tried = tf.maximum(damping * factor, least)
            damped = tf.linalg.set_diag(normal, tf.linalg.diag_part(normal) + tried[:, tf.newaxis])
            step = tf.linalg.cholesky_solve(tf.linalg.cholesky(damped), slope[..., tf.newaxis])
            there = s - step[..., 0]
            q = _q(self.dynamics.step(there, x) - there)
            lower = q < best_q
            best = tf.where(lower[:, tf.newaxis], there, best)
            best_q, used = tf.where(lower, q, best_q), tf.where(lower, tried, used)
        return best, before_q, best_q, used


def _q(residual: Tensor) -> Tensor:
    return 0.5 * tf.reduce_sum(residual**2, axis=-1)
