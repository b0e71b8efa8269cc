"""The largest residual of some values to others, and where it is.

A residual is |a - b| / max(1, |b|), or with a spread, which is how far rounding may move b, at
least ``spread / ROUNDING`` in the place of 1. Values come in blocks of rows, so few at a time that
all that is computed of them stays in the cache: to write it to memory takes longer.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope.trace.equations import Float

BLOCK = 64
"""Rows that are computed at once."""
ROUNDING = 2e-6
"""A spread of this much counts like a value of 1: a tolerance of 1e-5 allows five of them, each of
which is one rounding of every sum in the step."""


@dataclass(frozen=True)
class Found:
    """A residual with its place among the steps, and both values."""

    residual: float
    sequence: int
    step: int
    unit: int
    recorded: float
    expected: float

    @property
    def rank(self) -> tuple[float, int, int]:
        """By which the worst comes first: NaN is infinite; of equal ones the first in time."""
        return -_ranked(self.residual), self.step, self.sequence


@dataclass
class Largest:
    """The largest residual of values [B T, U], found block by block."""

    timesteps: int
    """T; the steps of a sequence follow one another."""
    counted: NDArray[np.bool_] | None = None
    """Which rows count [B T]; the others' residual is 0. None if all do."""
    found: Found | None = None
    _beaten: float = -1.0
    """What a residual must reach to be named."""

    def add(self, first: int, recorded: Any, expected: Float, spread: Float | float = 0.0) -> None:
        """Compare some rows.

        Args:
            first: the number of the first.
            recorded: what was recorded [R, U].
            expected: what it is held to [R, U].
            spread: how far rounding may move that [R, U].
        """
        residual = np.abs(recorded - expected)
        # Divided by 1 or more it does not grow, and becomes NaN only where it or the spread is.
        if residual.max() < self._beaten and not np.isnan(np.max(spread)):
            return
        scale = np.abs(expected)
        np.maximum(scale, 1.0, out=scale)
        if isinstance(spread, np.ndarray):
            np.maximum(scale, spread / ROUNDING, out=scale)
        residual /= scale
        if self.counted is not None:
            residual[~self.counted[first : first + len(residual)]] = 0
        largest = _ranked(residual.max())
        if largest < self._beaten:
            return
        ranked = _ranked(residual)
        rows = np.flatnonzero((ranked == largest).any(axis=1))
        sequence, step = np.divmod(first + rows, self.timesteps)
        earliest = np.lexsort((sequence, step))[0]
        row = rows[earliest]
        unit = int(ranked[row].argmax())
        found = Found(
            float(residual[row, unit]),
            int(sequence[earliest]),
            int(step[earliest]),
            unit,
            float(recorded[row, unit]),
            float(expected[row, unit]),
        )
        if self.found is None or found.rank < self.found.rank:
            self.found, self._beaten = found, largest


def largest(
    recorded: Any, expected: Any, spread: Float | float = 0.0, timesteps: int = 1
) -> Largest:
    """The largest residual of whole values [B T, U]."""
    found = Largest(timesteps)
    for first in range(0, len(recorded), BLOCK):
        rows = slice(first, first + BLOCK)
        of_rows = spread[rows] if isinstance(spread, np.ndarray) else spread
        found.add(first, recorded[rows], as_float(expected[rows]), of_rows)
    return found


def as_float(x: Any) -> Float:
    """x in float64, not copied where it is."""
    return np.asarray(x).astype(np.float64, copy=False)


def rows_of(x: Any) -> NDArray[Any]:
    """x [B, T, ...] as [B T, ...]."""
    return np.asarray(x).reshape(-1, *x.shape[2:])


def _ranked(residual: Any) -> Any:
    """Residuals by which the worst is found: NaN counts as infinite."""
    return np.where(np.isnan(residual), np.inf, residual)
