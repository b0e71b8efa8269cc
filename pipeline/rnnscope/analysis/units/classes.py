"""What a unit's values carry about the class: sums by class that merge, and statistics of them."""

from dataclasses import dataclass

import numpy as np
import scipy.stats
from numpy.typing import NDArray

Float = NDArray[np.float64]


@dataclass(frozen=True)
class ClassSums:
    """Counts by class, and means and sums of squares by class and unit."""

    count: NDArray[np.int64]
    """Rows of each class [K]."""
    mean: Float
    """Mean of x [K, U]; 0 for a class without rows."""
    m2: Float
    """sum (x - mean)^2 within the class [K, U]."""
    magnitude: Float
    """Mean of |x| [K, U]."""


def class_sums(values: NDArray[np.floating], labels: NDArray[np.integer], k: int) -> ClassSums:
    """The sums of values [U, R] by the labels [R] of their rows, in 0 … k - 1, in float64."""
    count = np.bincount(labels, minlength=k)
    mean, m2, magnitude = np.zeros((3, len(values), k))
    there = np.flatnonzero(count)
    order, sizes = np.argsort(labels, kind="stable"), count[there]
    starts = np.cumsum(sizes) - sizes
    for unit, line in enumerate(values if len(there) else ()):
        x = line[order].astype(np.float64)  # a line at a time stays in the processor's cache
        magnitude[unit, there] = np.add.reduceat(np.abs(x), starts) / sizes
        mean[unit, there] = of_class = np.add.reduceat(x, starts) / sizes
        x -= np.repeat(of_class, sizes)
        m2[unit, there] = np.add.reduceat(x * x, starts)
    return ClassSums(count, mean.T, m2.T, magnitude.T)


def merge(a: ClassSums, b: ClassSums) -> ClassSums:
    """The sums of both sets of rows together (Chan, Golub & LeVeque 1983)."""
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
    rows: F = (SS_b / (K - 1)) / (SS_w / (N - K)), eta^2 = SS_b / (SS_b + SS_w) and
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


def selectivity(sums: ClassSums) -> Float:
    """Class selectivity of |x| [U]: (mu_max - mu_rest) / (mu_max + mu_rest) (Morcos et al. 2018).

    mu_max is the largest class mean of |x|, mu_rest the mean of the other classes' means. It can
    be high where the network does not depend on the unit, and ignores all classes but one (Gale et
    al. 2019): read it beside eta^2. NaN where fewer than two classes occur or the unit is silent.
    """
    means = sums.magnitude[sums.count > 0]
    if len(means) < 2:
        return np.full(means.shape[1], np.nan)
    largest = means.max(axis=0)
    rest = (means.sum(axis=0) - largest) / (len(means) - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (largest - rest) / (largest + rest)


def preferred_class(sums: ClassSums) -> NDArray[np.int64]:
    """The class with the largest mean of x [U]; of equals the first."""
    present = np.flatnonzero(sums.count)
    return present[sums.mean[present].argmax(axis=0)]


def dprime(sums: ClassSums, preferred: NDArray[np.int64]) -> Float:
    """Distance of the preferred class from all others, in standard deviations [U].

    (mu_p - mu_r) / sqrt((s_p^2 + s_r^2) / 2), ddof = 1 (Green & Swets 1966, for unequal
    variances). NaN where either side has fewer than two rows, or the unit is constant; infinite
    where each side is, and they differ.
    """
    chosen = np.arange(len(sums.count))[:, np.newaxis] == preferred
    sides = [_pooled(sums, chosen), _pooled(sums, ~chosen)]
    (mean_p, variance_p), (mean_r, variance_r) = sides
    with np.errstate(divide="ignore", invalid="ignore"):
        return (mean_p - mean_r) / np.sqrt((variance_p + variance_r) / 2)


def _pooled(sums: ClassSums, chosen: NDArray[np.bool_]) -> tuple[Float, Float]:
    """Mean and sample variance [U] of all rows of the classes chosen [K, U]."""
    count = chosen * sums.count[:, np.newaxis]
    n = count.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (count * sums.mean).sum(axis=0) / n
        m2 = (chosen * sums.m2 + count * (sums.mean - mean) ** 2).sum(axis=0)
        return mean, np.where(n > 1, m2 / (n - 1), np.nan)


def auc(
    values: NDArray[np.floating], labels: NDArray[np.integer], preferred: NDArray[np.int64]
) -> Float:
    """Area under the ROC curve of values [U, R], each unit's preferred class [U] against the rest.

    The share of pairs of rows in which the one of the preferred class is larger, ties counted half
    (Mann & Whitney 1947; Hanley & McNeil 1982). NaN where a side is empty.
    """
    area = np.full(len(values), np.nan)
    for unit, (line, label) in enumerate(zip(values, preferred, strict=True)):
        chosen = labels == label
        n = int(chosen.sum())
        if 0 < n < len(line):
            ranks = scipy.stats.rankdata(line)[chosen].sum()
            area[unit] = (ranks - n * (n + 1) / 2) / (n * (len(line) - n))
    return area


def auc_of_counts(counts: NDArray[np.int64], preferred: int) -> float:
    """``auc`` of one unit, from the counts [B, K] of its rows in B rising bins, by class.

    Rows of one bin count as equal. NaN where a side is empty.
    """
    chosen = counts[:, preferred].astype(np.float64)
    rest = counts.sum(axis=1) - chosen
    if not chosen.any() or not rest.any():
        return np.nan
    below = rest.cumsum() - rest
    return float((chosen * (below + rest / 2)).sum() / (chosen.sum() * rest.sum()))
