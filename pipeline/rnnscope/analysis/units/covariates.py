"""How units correlate with annotations of single timesteps: depth, count, a token's class."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

ROUNDING = 1e-14
"""A spread below this, relative to the mean, is rounding error of float64."""


@dataclass(frozen=True)
class CoMoments:
    """Sums of centred products of U units and A covariates, over the rows where both are known."""

    count: NDArray[np.int64]
    """Rows [A]."""
    unit_mean: Float
    """[U, A]"""
    mean: Float
    """Of the covariates [A]."""
    unit_m2: Float
    """sum (x - mean)^2 [U, A]"""
    m2: Float
    """sum (a - mean)^2 [A]"""
    product: Float
    """sum (x - mean) (a - mean) [U, A]"""

    @property
    def correlation(self) -> Float:
        """Pearson's r [U, A]; NaN where either varies by no more than rounding."""
        varies = (self.unit_m2 > self.count * (ROUNDING * self.unit_mean) ** 2) & (
            self.m2 > self.count * (ROUNDING * self.mean) ** 2
        )
        scale = np.sqrt(self.unit_m2) * np.sqrt(self.m2)
        r = np.divide(self.product, scale, out=np.full_like(scale, np.nan), where=varies)
        return r.clip(-1, 1)


def comoments(values: NDArray[np.floating], covariates: Float) -> CoMoments:
    """The sums over values [U, R] and covariates [A, R], without rows whose covariate is NaN."""
    units, kinds = len(values), len(covariates)
    count, (mean, m2) = np.zeros(kinds, np.int64), np.zeros((2, kinds))
    unit_mean, unit_m2, product = np.zeros((3, units, kinds))
    for kind, line in enumerate(covariates):
        known = np.flatnonzero(~np.isnan(line))
        if not len(known):
            continue
        a = line[known]
        count[kind], mean[kind] = len(a), a.mean()
        a -= mean[kind]
        m2[kind] = (a * a).sum()
        for unit, of_unit in enumerate(values):  # a line at a time stays in the cache
            x = of_unit[known].astype(np.float64)
            unit_mean[unit, kind] = x.mean()
            x -= unit_mean[unit, kind]
            unit_m2[unit, kind] = (x * x).sum()
            product[unit, kind] = (x * a).sum()
    return CoMoments(count, unit_mean, mean, unit_m2, m2, product)


def merge(a: CoMoments, b: CoMoments) -> CoMoments:
    """The sums over both sets of rows together (Chan, Golub & LeVeque 1983)."""
    count = a.count + b.count
    share = b.count / np.maximum(count, 1)
    weight = a.count * share
    d, e = b.unit_mean - a.unit_mean, b.mean - a.mean
    return CoMoments(
        count,
        a.unit_mean + d * share,
        a.mean + e * share,
        a.unit_m2 + b.unit_m2 + d**2 * weight,
        a.m2 + b.m2 + e**2 * weight,
        a.product + b.product + d * e * weight,
    )


def best(correlation: Float) -> tuple[NDArray[np.intp], Float]:
    """The covariate with the largest |r| of r [U, A], and that r [U]; -1 and NaN if all are NaN."""
    size = np.where(np.isnan(correlation), -1, np.abs(correlation))
    place = size.argmax(axis=1)
    r = np.take_along_axis(correlation, place[:, np.newaxis], axis=1)[:, 0]
    return np.where(np.isnan(r), -1, place), r
