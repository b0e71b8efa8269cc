"""Exponential decays with an offset, fitted to many autocorrelations at a time.

The model is R(k) = A (e^(-k/tau) + B) with 0 <= A and 0 <= B, by least squares weighted by the
number of pairs that each R(k) is of (Murray et al. 2014 have no weights and no bound on B). For a
given tau the best A and A B follow from linear regression; tau is searched on a logarithmic grid,
and then about the best point of it.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Bools = NDArray[np.bool_]

SHORTEST = 0.1
"""Shortest timescale fitted, in units of the smallest distance between lags: a faster decay falls
below 1e-4 of its height between them and cannot be told from a step."""
LONGEST = 1e6
"""Longest timescale fitted, in units of the largest lag: over a slower decay R falls by less than
the rounding of stored values, float32."""
GRID = 0.25
"""Largest distance between points of the grid, as a difference of log tau."""
HALVINGS = 50
"""How often the distance is halved: to the last digit of log tau."""


@dataclass(frozen=True)
class Decays:
    """The best decay of each of S series [S, U]; NaN for a series without any pairs."""

    log_tau: Float
    """+inf where the series does not fall."""
    height: Float
    """A e^(-k/tau) at the first lag that is fitted."""
    offset: Float
    """A B."""
    r2: Float
    """Share of the weighted variance over lags that the decay explains."""


@dataclass(frozen=True)
class Series:
    """Autocorrelations from some lag on: S series of each of U units."""

    r: Float
    """R at each lag [S, U, L]; of any value where the weight is 0."""
    weights: Float
    """[S, U, L]; they add up to 1 over lags."""
    elapsed: Float
    """Timesteps since the first lag that is fitted [U, L]; 0 before."""

    @cached_property
    def mean(self) -> Float:
        """Weighted mean of R [S, U]."""
        found: Float = (self.weights * self.r).sum(axis=-1)
        return found

    @cached_property
    def weighted(self) -> Float:
        """R less its mean, times its weight [S, U, L]."""
        return self.weights * (self.r - self.mean[..., np.newaxis])

    def __getitem__(self, some: slice) -> "Series":
        return Series(self.r[some], self.weights[some], self.elapsed)


def fit(series: Series, free: Bools, spacing: float) -> Decays:
    """The best decay of each series [S, U].

    Args:
        series: at least two lags with weight in each.
        free: whether B may be above 0, of each unit [U].
        spacing: smallest distance between lags.
    """
    low, high = np.log(SHORTEST * spacing), np.log(LONGEST * max(series.elapsed.max(), spacing))
    grid = np.linspace(low, high, 2 + int((high - low) / GRID))
    misfits = [_regression(series, free, point).misfit for point in grid]
    best = np.argmin(misfits, axis=0)
    low, high = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, len(grid) - 1)]
    for _ in range(HALVINGS):
        # A minimum is flat and found to half the digits only; a zero of the gradient to all.
        middle = (low + high) / 2
        falls = _regression(series, free, middle).gradient < 0
        low, high = np.where(falls, middle, low), np.where(falls, high, middle)
    log_tau = (low + high) / 2
    found = _regression(series, free, log_tau)
    total = (series.weighted * series.r).sum(axis=-1)
    known = np.isfinite(found.misfit)
    endless = (found.height <= 0) | (best == len(grid) - 1)
    return Decays(
        np.where(known, np.where(endless, np.inf, log_tau), np.nan),
        found.height,
        found.offset,
        1 - np.divide(found.misfit, total, out=np.full_like(total, np.nan), where=total > 0),
    )


@dataclass(frozen=True)
class _Regression:
    """The best height and offset for a given tau [S, U]."""

    height: Float
    offset: Float
    misfit: Float
    """Weighted sum of squared residuals."""
    gradient: Float
    """Half of the misfit's derivative by log tau."""


def _regression(series: Series, free: Bools, log_tau: Float | float) -> _Regression:
    """Least squares of R on e^(-elapsed/tau) and a constant, neither below 0.

    As height and offset are the best ones, the misfit's gradient is that at a constant height and
    offset, also where one of them is at its bound.
    """
    r, weights = series.r, series.weights
    rate = series.elapsed / np.exp(log_tau)[..., np.newaxis]
    fall = np.expm1(-rate)  # of long timescales e^(-rate) would lose all digits
    decay = 1 + fall
    mean_fall = (weights * fall).sum(axis=-1)
    centred = fall - mean_fall[..., np.newaxis]
    with np.errstate(divide="ignore", invalid="ignore"):
        height = (series.weighted * centred).sum(axis=-1) / (weights * centred**2).sum(axis=-1)
        offset = series.mean - height * (1 + mean_fall)
        alone = (weights * decay * r).sum(axis=-1) / (weights * decay**2).sum(axis=-1)
    bound = (offset < 0) | ~free
    height, offset = np.where(bound, alone, height), np.where(bound, 0, offset)
    rises = height <= 0
    height, offset = np.where(rises, 0, height), np.where(rises & free, series.mean, offset)
    residual = r - height[..., np.newaxis] * decay - offset[..., np.newaxis]
    gradient = -height * (weights * residual * decay * rate).sum(axis=-1)
    return _Regression(height, offset, (weights * residual**2).sum(axis=-1), gradient)
