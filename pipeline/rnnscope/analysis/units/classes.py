"""What a unit's values carry about the class: sums by class that merge, and statistics of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnscope.analysis.statistics.jackknife import all_but_one

Float = NDArray[np.float64]

TIE = 1e-9
"""Relative differences of |d'| below this are rounding error."""


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

    def only(self, chosen: NDArray[np.intp]) -> "ClassSums":
        """The sums of some classes, in the order given."""
        return ClassSums(
            self.count[chosen], self.mean[chosen], self.m2[chosen], self.magnitude[chosen]
        )


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


def dprimes(sums: ClassSums) -> Float:
    """Distance of each class from all others, in standard deviations, with its sign [K, U].

    (mu_k - mu_r) / sqrt((s_k^2 + s_r^2) / 2), ddof = 1 (Green & Swets 1966, for unequal
    variances). NaN where either side has fewer than two rows, or the unit is constant; infinite
    where each side is, and they differ.
    """
    found = np.full(sums.mean.shape, np.nan)
    there = np.flatnonzero(sums.count)
    each = [sums.only(np.array([label])) for label in there]
    others = all_but_one(each, merge)
    for label, one, rest in zip(there, each, others, strict=True):
        if one.count > 1 and rest is not None and rest.count > 1:
            variance = (one.m2[0] / (one.count - 1) + rest.m2[0] / (rest.count - 1)) / 2
            with np.errstate(divide="ignore", invalid="ignore"):
                found[label] = (one.mean[0] - rest.mean[0]) / np.sqrt(variance)
    return found


def preferred_class(dprime: Float) -> tuple[NDArray[np.int64], Float]:
    """The class with the largest |d'| of d' [K, U] and that d', each [U].

    Of classes that tie, as any two do where no others occur, one with d' > 0. -1 and NaN where no
    class has a d'.
    """
    size = np.where(np.isnan(dprime), -1, np.abs(dprime))
    ties = size >= size.max(axis=0) * (1 - TIE)
    label = np.where(ties, 1 + (dprime > 0), 0).argmax(axis=0)
    found = np.take_along_axis(dprime, label[np.newaxis], axis=0)[0]
    return np.where(np.isnan(found), -1, label), found


def auc(chosen: NDArray[np.int64], rest: NDArray[np.int64]) -> float:
    """Area under the ROC curve of one class against the rest, from their counts in rising bins [B].

    The share of pairs of rows in which the one of that class is larger, ties counted half (Mann &
    Whitney 1947; Hanley & McNeil 1982). Rows of one bin count as equal. NaN where a side is empty.
    """
    pairs = float(chosen.sum()) * float(rest.sum())
    below = rest.cumsum() - rest / 2
    return float((chosen * below).sum() / pairs) if pairs else np.nan
