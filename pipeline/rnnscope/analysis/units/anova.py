"""How much of a unit's variance lies between classes, and the test of equal means."""

from dataclasses import dataclass

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from rnnscope.analysis.statistics.testing import log10_f_sf
from rnnscope.analysis.units.classes import ClassSums

Float = NDArray[np.float64]

ROUNDING = 2.0**-24
"""Relative rounding of stored values, float32."""


@dataclass(frozen=True)
class Effect:
    """Effect sizes of one-way analysis of variance over classes, per unit [U]."""

    eta2: Float
    omega2: Float


def effect(sums: ClassSums) -> Effect:
    """Shares of the variance that lie between classes.

    With SS_b and SS_w the sums of squares between and within the K classes that occur, over N rows,
    and MS_w = SS_w / (N - K): eta^2 = SS_b / (SS_b + SS_w) (Fisher 1925) and
    omega^2 = (SS_b - (K - 1) MS_w) / (SS_b + SS_w + MS_w) (Hays 1963). NaN for a constant unit, and
    where a single class occurs or as many as rows.
    """
    present = sums.count > 0
    n, df_between = int(sums.count.sum()), int(present.sum()) - 1
    df_within = n - df_between - 1
    if df_between < 1 or df_within < 1:
        return Effect(*np.full((2, sums.mean.shape[1]), np.nan))
    weights = sums.count[:, np.newaxis]
    grand = (weights * sums.mean).sum(axis=0) / n
    between = (weights * (sums.mean - grand) ** 2).sum(axis=0)
    within = sums.m2.sum(axis=0)
    with np.errstate(invalid="ignore"):
        mean_within = within / df_within
        eta2 = between / (between + within)
        omega2 = (between - df_between * mean_within) / (between + within + mean_within)
    return Effect(eta2, omega2)


@dataclass(frozen=True)
class Welch:
    """Welch's test of equal means, per unit [U]; NaN where it does not exist."""

    f_statistic: Float
    p_value: Float
    log10_p: Float


def welch(sums: ClassSums) -> Welch:
    """Whether classes have the same mean, whatever their variances (Welch 1951).

    Over the K classes of two rows or more, with n, m and s^2 the rows, mean and variance of each,
    w = n / s^2, W = sum w, M = sum w m / W and L = sum (1 - w / W)^2 / (n - 1):

        F = sum w (m - M)^2 / (K - 1) / (1 + 2 (K - 2) L / (K^2 - 1)), at K - 1 and
        (K^2 - 1) / 3 L degrees of freedom.

    NaN for fewer than two such classes, a constant unit, and where the values of a class are equal
    up to the rounding of float32: its weight would be infinite. Where those of every class are, F
    is infinite.
    """
    tested = sums.count > 1
    k = int(tested.sum())
    if k < 2:
        return Welch(*np.full((3, sums.mean.shape[1]), np.nan))
    n = sums.count[tested, np.newaxis].astype(np.float64)
    mean, m2 = sums.mean[tested], sums.m2[tested]
    flat = m2 / (n - 1) <= ROUNDING**2 / 3 * (mean**2 + m2 / n).max(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where(flat, np.nan, n / (m2 / (n - 1)))
        share = weight / weight.sum(axis=0)
        spread = ((1 - share) ** 2 / (n - 1)).sum(axis=0)
        between = (weight * (mean - (share * mean).sum(axis=0)) ** 2).sum(axis=0) / (k - 1)
        f = between / (1 + 2 * (k - 2) * spread / (k**2 - 1))
        df_within = (k**2 - 1) / (3 * spread)
        p, log10_p = scipy.stats.f.sf(f, k - 1, df_within), log10_f_sf(f, float(k - 1), df_within)
    apart = flat.all(axis=0) & (mean != mean[0]).any(axis=0)
    f[apart], p[apart], log10_p[apart] = np.inf, 0, -np.inf
    return Welch(f, p, log10_p)
