"""Moments that merge: those of all rows from those of parts, in any order.

Pairwise merging of central moments (Chan, Golub & LeVeque 1983; third and fourth: Pébay 2008)
avoids the cancellation of sums of powers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Count, mean, sums of centred powers, and extremes of U units."""

    count: int
    mean: Float
    """[U]"""
    m2: Float
    """sum (x - mean)^2, [U]"""
    m3: Float
    """sum (x - mean)^3, [U]"""
    m4: Float
    """sum (x - mean)^4, [U]"""
    min: Float
    """[U]"""
    max: Float
    """[U]"""

    @property
    def variance(self) -> Float:
        """Sample variance, ddof = 1 [U]; NaN for a single value."""
        return self.m2 / (self.count - 1) if self.count > 1 else np.full_like(self.m2, np.nan)

    @property
    def std(self) -> Float:
        """Sample standard deviation, ddof = 1 [U]."""
        return np.sqrt(self.variance)

    @property
    def skewness(self) -> Float:
        """Skewness m3/n / (m2/n)^1.5 [U]; NaN for a constant."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.sqrt(self.count) * self.m3 / self.m2**1.5

    @property
    def kurtosis(self) -> Float:
        """Excess kurtosis m4/n / (m2/n)^2 - 3 [U]; NaN for a constant."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.count * self.m4 / self.m2**2 - 3


def moments(values: NDArray[np.floating]) -> Moments:
    """The moments of values [U, R], one unit per line, R >= 1, summed in float64."""
    units, count = values.shape
    mean, m2, m3, m4 = np.zeros((4, units))
    for unit, line in enumerate(values):  # a line at a time stays in the processor's cache
        x = line.astype(np.float64)
        mean[unit] = x.mean()
        x -= mean[unit]
        power = x * x
        m2[unit] = power.sum()
        power *= x  # no dot products: BLAS would start threads beside those of other parts
        m3[unit] = power.sum()
        power *= x
        m4[unit] = power.sum()
    extremes = values.min(axis=1), values.max(axis=1)
    return Moments(count, mean, m2, m3, m4, *(each.astype(np.float64) for each in extremes))


def merge(a: Moments, b: Moments) -> Moments:
    """The moments of both sets of rows together."""
    n = a.count + b.count
    p, q = a.count / n, b.count / n
    d = b.mean - a.mean
    return Moments(
        count=n,
        mean=a.mean + d * q,
        m2=a.m2 + b.m2 + d**2 * n * p * q,
        m3=a.m3 + b.m3 + d**3 * n * p * q * (p - q) + 3 * d * (p * b.m2 - q * a.m2),
        m4=a.m4
        + b.m4
        + d**4 * n * p * q * (p**2 - p * q + q**2)
        + 6 * d**2 * (p**2 * b.m2 + q**2 * a.m2)
        + 4 * d * (p * b.m3 - q * a.m3),
        min=np.minimum(a.min, b.min),
        max=np.maximum(a.max, b.max),
    )
