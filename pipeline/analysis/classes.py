"""How much a unit tells of the class: sums by class that merge, and what follows from them."""

from dataclasses import dataclass

import numpy as np
import scipy.stats
from numpy.typing import NDArray

Float = NDArray[np.float64]


@dataclass(frozen=True)
class ClassSums:
    """Per class and unit: how many sequences, and the sums that an analysis of variance needs."""

    count: NDArray[np.int64]
    """Sequences of each class [K]."""
    mean: Float
    """Mean of x [K, U]; 0 for a class without sequences."""
    m2: Float
    """sum (x - mean)^2 within the class [K, U]."""
    magnitude: Float
    """Mean of |x| [K, U]."""


def class_sums(values: NDArray[np.floating], labels: NDArray[np.integer], k: int) -> ClassSums:
    """The sums of values [U, B], one row per sequence, by their labels [B] in 0 … k - 1."""
    x = values.astype(np.float64)
    count = np.bincount(labels, minlength=k)
    mean, m2, magnitude = np.zeros((3, k, len(x)))
    for label in np.flatnonzero(count):
        of_class = x[:, labels == label]
        mean[label] = of_class.mean(axis=1)
        m2[label] = ((of_class - mean[label][:, np.newaxis]) ** 2).sum(axis=1)
        magnitude[label] = np.abs(of_class).mean(axis=1)
    return ClassSums(count, mean, m2, magnitude)


def merge(a: ClassSums, b: ClassSums) -> ClassSums:
    """The sums of both sets of sequences together (Chan, Golub & LeVeque 1983)."""
    count = a.count + b.count
    share = (b.count / np.maximum(count, 1))[:, np.newaxis]
    d = b.mean - a.mean
    return ClassSums(
        count,
        a.mean + d * share,
        a.m2 + b.m2 + d**2 * a.count[:, np.newaxis] * share,
        a.magnitude + (b.magnitude - a.magnitude) * share,
    )


@dataclass(frozen=True)
class Anova:
    """One-way analysis of variance over classes, per unit [U]; NaN for a constant unit."""

    f_statistic: Float
    p_value: Float
    eta2: Float
    omega2: Float


def anova(sums: ClassSums) -> Anova:
    """Fixed-effects one-way analysis of variance (Fisher 1925), with its effect sizes.

    With SS_b and SS_w the sums of squares between and within the K classes that occur, over N
    sequences: F = (SS_b / (K - 1)) / (SS_w / (N - K)), eta^2 = SS_b / (SS_b + SS_w) and
    omega^2 = (SS_b - (K - 1) MS_w) / (SS_b + SS_w + MS_w) (Hays 1963).
    """
    present = sums.count > 0
    n, df_between = int(sums.count.sum()), int(present.sum()) - 1
    df_within = n - df_between - 1
    if df_between < 1 or df_within < 1:
        return Anova(*np.full((4, sums.mean.shape[1]), np.nan))
    weights = sums.count[:, np.newaxis]
    grand = (weights * sums.mean).sum(axis=0) / n
    between = (weights * (sums.mean - grand) ** 2).sum(axis=0)
    within = sums.m2.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_within = within / df_within
        f_statistic = between / df_between / mean_within
        eta2 = between / (between + within)
        omega2 = (between - df_between * mean_within) / (between + within + mean_within)
    return Anova(f_statistic, scipy.stats.f.sf(f_statistic, df_between, df_within), eta2, omega2)


def q_values(p: Float) -> Float:
    """Benjamini & Hochberg's (1995) adjusted p-values [U]; NaN stays, and is not counted."""
    q = np.full_like(p, np.nan)
    known = ~np.isnan(p)
    if known.any():
        q[known] = scipy.stats.false_discovery_control(p[known])
    return q


def selectivity(sums: ClassSums) -> tuple[Float, NDArray[np.int64]]:
    """Class selectivity of |x| and the class that it prefers, both [U].

    (mu_max - mu_rest) / (mu_max + mu_rest), with mu_max the largest class mean of |x| and mu_rest
    the mean of the other classes' means (Morcos et al. 2018). It can be high without the unit
    mattering, and ignores all classes but one (Gale et al. 2019): read it beside eta^2. NaN where
    fewer than two classes occur or the unit is silent.
    """
    present = np.flatnonzero(sums.count)
    means = sums.magnitude[present]
    best = means.argmax(axis=0)
    largest = means.max(axis=0)
    if len(present) < 2:
        return np.full(means.shape[1], np.nan), present[best]
    rest = (means.sum(axis=0) - largest) / (len(present) - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (largest - rest) / (largest + rest), present[best]
