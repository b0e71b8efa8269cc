"""How long a unit's fluctuations last: their autocorrelation, and the decay fitted to it.

Fluctuations are x minus its mean over sequences at each timestep.
With d the fluctuation, and sums over all pairs of timesteps k apart of the same sequence,

    R(k) = sum d_t d_t+k / sqrt(sum d_t^2 · sum d_t+k^2)

which stays within -1 and 1 also where the variance changes over time. The intrinsic timescale is
the tau of R(k) = A (e^(-k/tau) + B) (Murray et al. 2014). On short sequences it is biased low
(Zeraati et al. 2022).
"""

import enum
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
import scipy.optimize
from numpy.typing import NDArray

Float = NDArray[np.float64]

SHORTEST = 0.1
"""Shortest timescale fitted, in units of the distance between the first two lags: a faster decay
falls below 1e-4 of its height between them and cannot be told from a step."""
LONGEST = 10
"""Longest timescale fitted, in units of the largest lag: a slower decay cannot be told from a
straight line."""
FEWEST = 4
"""Fewest lags that a fit of three parameters needs."""
ROUNDING = 1e-9
"""Differences of R below this are rounding error, not a drop."""


class Failure(enum.StrEnum):
    """Why a unit has no timescale."""

    STILL = "the unit does not fluctuate"
    FEW_LAGS = f"fewer than {FEWEST} lags"
    NO_DROP = "the autocorrelation does not drop"
    LATE_DROP = f"fewer than {FEWEST} lags from the first drop on"
    FAST = "the decay is faster than the lags can tell"
    SLOW = "the decay is slower than the lags can tell"
    RISE = "the autocorrelation rises"


@dataclass(frozen=True)
class LagSums:
    """Sums over all pairs of timesteps k apart, k = 0 … L, for U units; they add up."""

    product: Float
    """sum d_t d_t+k [U, L + 1]"""
    first: Float
    """sum d_t^2 over the same pairs [U, L + 1]"""
    second: Float
    """sum d_t+k^2 over the same pairs [U, L + 1]"""

    def __add__(self, other: "LagSums") -> "LagSums":
        return LagSums(
            self.product + other.product, self.first + other.first, self.second + other.second
        )

    @property
    def autocorrelation(self) -> Float:
        """R(k) [U, L + 1]; NaN where a unit does not fluctuate, or where no pair is k apart."""
        # Where nothing fluctuates only rounding is left, of either sign.
        known = np.minimum(self.first, self.second) > 1e-12 * self.first[:, :1]
        scale = np.sqrt((self.first * self.second).clip(0))
        return np.divide(self.product, scale, out=np.full_like(scale, np.nan), where=known)


def lag_sums(lines: Float, present: NDArray[np.bool_], lags: int) -> LagSums:
    """The sums up to ``lags`` of fluctuations [U, N, T], 0 where ``present`` [N, T] is False.

    All lags at once by the Wiener-Khinchin theorem: a correlation is a product of spectra.
    """
    units, _, timesteps = lines.shape
    size = scipy.fft.next_fast_len(timesteps + lags, real=True)
    pairs = scipy.fft.rfft(present.astype(np.float64), size)
    product, first, second = np.empty((3, units, lags + 1))
    for unit, d in enumerate(lines):  # a unit at a time stays in the processor's cache
        spectrum = scipy.fft.rfft(d, size)
        power = (spectrum.real**2 + spectrum.imag**2).sum(axis=0)
        squares = (scipy.fft.rfft(d * d, size) * pairs.conj()).sum(axis=0)
        product[unit] = scipy.fft.irfft(power, size)[: lags + 1]
        both = scipy.fft.irfft(squares, size)
        second[unit] = both[: lags + 1]
        first[unit] = both[-np.arange(lags + 1)]
    return LagSums(product, first, second)


def joined(sums: list[LagSums]) -> LagSums:
    """The sums of several lists of units, one after the other."""
    names = ("product", "first", "second")
    return LagSums(*(np.concatenate([getattr(each, name) for each in sums]) for name in names))


@dataclass(frozen=True)
class Decay:
    """The fitted decay of one unit."""

    timescale: float
    """tau, in timesteps; NaN where the fit failed."""
    r2: float
    """Share of the variance of R(k), over the lags fitted, that the decay explains."""
    failure: Failure | None
    """Why there is no timescale, if there is none."""


def decay(autocorrelation: Float) -> Decay:
    """Fit A (e^(-k/tau) + B) to R(k) [L + 1], from its first drop on, by least squares.

    Lags whose R is NaN are left out. For a given tau the best A and A B follow from linear
    regression; tau is searched on a logarithmic grid, and then about the best point of it.
    """
    lags = 1 + np.flatnonzero(np.isfinite(autocorrelation[1:]))
    drops = np.flatnonzero(np.diff(autocorrelation[lags]) < -ROUNDING)
    if np.isnan(autocorrelation[0]):
        return _failed(Failure.STILL)
    if len(lags) < FEWEST:
        return _failed(Failure.FEW_LAGS)
    if not len(drops):
        return _failed(Failure.NO_DROP)
    lags = lags[drops[0] :]
    if len(lags) < FEWEST:
        return _failed(Failure.LATE_DROP)
    r = autocorrelation[lags]
    fitted = functools.partial(_fitted, lags=lags, r=r)
    shortest = SHORTEST * (lags[1] - lags[0])
    grid = np.linspace(np.log(shortest), np.log(LONGEST * lags[-1]), 64)
    best = int(fitted(grid).misfit.argmin())
    if best == 0:
        return _failed(Failure.FAST)
    if best == len(grid) - 1:
        return _failed(Failure.SLOW)
    log_tau = _least(fitted, *grid[best - 1 : best + 2])
    found = fitted(log_tau)
    if found.slope <= 0:
        return _failed(Failure.RISE)
    r2 = 1 - found.misfit / ((r - r.mean()) ** 2).sum()
    return Decay(float(np.exp(log_tau)), float(r2), None)


def _failed(why: Failure) -> Decay:
    return Decay(np.nan, np.nan, why)


@dataclass(frozen=True)
class _Fit:
    """The best fit for each tau, [G] or a number each."""

    slope: Float
    """A, at the first lag."""
    misfit: Float
    """Sum of squared residuals."""
    gradient: Float
    """Of the misfit, by log tau."""


def _least(fitted: Callable[[Any], _Fit], low: float, best: float, high: float) -> float:
    """The log tau of least misfit between low and high; ``best`` is the best one known."""

    def gradient(log_tau: float) -> float:
        return float(fitted(log_tau).gradient)

    # A minimum is flat and found to half the digits only; a zero of the gradient to all of them.
    start, stop = (low, best) if gradient(best) > 0 else (best, high)
    if gradient(start) <= 0 <= gradient(stop):
        return float(scipy.optimize.brentq(gradient, start, stop))
    # Where the minimum is too shallow for that, the gradient is rounding error or has two zeros.
    found = scipy.optimize.minimize_scalar(
        lambda log_tau: float(fitted(log_tau).misfit), bounds=(low, high), method="bounded"
    )
    return float(found.x if found.fun < fitted(best).misfit else best)


def _fitted(log_tau: Float | float, lags: NDArray[np.intp], r: Float) -> _Fit:
    """The regression of r on e^(-k/tau) for each tau, k counted from the first lag on."""
    # Counted from the first lag: a fast decay after a late drop would otherwise underflow.
    rate = (lags - lags[0]) / np.exp(log_tau)[..., np.newaxis]
    x = np.exp(-rate)
    centred = x - x.mean(axis=-1, keepdims=True)
    slope = (centred * r).sum(axis=-1) / (centred**2).sum(axis=-1)
    residual = r - r.mean() - slope[..., np.newaxis] * centred
    gradient = -2 * slope * (residual * x * rate).sum(axis=-1)
    return _Fit(slope, (residual**2).sum(axis=-1), gradient)


def forget_timescale(mean: Float) -> Float:
    """-1 / ln(mean f) in timesteps [U]: how long a cell state lasts (Mahto et al. 2021).

    The cell state c = f c' decays by the factor f per step, to 1/e after this many steps.
    """
    with np.errstate(divide="ignore", invalid="ignore"):  # a made-up gate may be negative
        return 1 / np.abs(np.log(mean))
