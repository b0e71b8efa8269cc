"""How similar two representations of the same rows are, from sums that merge over parts.

A representation is the values [U, R] of U units over R rows. No matrix is R by R: all measures
follow from sums over rows of products of units, in memory of U^2, whatever R is.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from rnnscope.analysis.statistics import spectrum
from rnnscope.analysis.statistics.covariance import Covariances

Float = NDArray[np.float64]

MEASURES = ("cka", "procrustes", "svcca", "matched_correlation")


@dataclass(frozen=True)
class Representation:
    """What the measures need of one representation X [U, R], centred over its rows."""

    count: int
    """R"""
    mean: Float
    """[U]"""
    deviation: Float
    """Root of sum x^2 of each unit [U]; NaN for a constant one."""
    power: float
    """||X||_F^2; 0 where no unit varies."""
    gram: float
    """||X X^T||_F^2"""
    axes: Float
    """[k, U], such that axes X are the first k principal components, each of length 1."""


@dataclass(frozen=True)
class Products:
    """Sums over rows of products of two centred representations."""

    products: Float
    """sum x y^T, [U, V]"""
    norms: Float
    """sum |x|^4, sum |x|^2 |y|^2, sum |y|^4"""

    def __add__(self, other: "Products") -> "Products":
        return Products(self.products + other.products, self.norms + other.norms)


def representation(sums: Covariances, variance: float) -> Representation:
    """What the measures need of a representation, from the covariance of its only group.

    Args:
        sums: over all rows, as one group.
        variance: share of the variance that the kept principal components hold.
    """
    (count,), (mean,), (m2,), (constant,) = sums.count, sums.mean, sums.m2, sums.constant
    varies = not constant.all()
    values, vectors = np.linalg.eigh(m2)
    kept = int(spectrum.components_for(variance, values[np.newaxis])[0]) if varies else 0
    first = slice(len(values) - kept, None)
    return Representation(
        count=int(count),
        mean=mean,
        deviation=np.where(constant, np.nan, np.sqrt(np.diagonal(m2))),
        power=float(np.trace(m2)) if varies else 0.0,
        gram=float(np.sum(m2**2)),
        axes=vectors[:, first].T / np.sqrt(values[first])[:, np.newaxis],
    )


def nothing(a: Representation, b: Representation) -> Products:
    """The sums over no rows."""
    return Products(np.zeros((len(a.mean), len(b.mean))), np.zeros(3))


def products(
    x: NDArray[np.floating], y: NDArray[np.floating], a: Representation, b: Representation
) -> Products:
    """The sums over some rows, values [U, r] and [V, r] of the representations a and b."""
    x = x - a.mean[:, np.newaxis]
    y = y - b.mean[:, np.newaxis]
    p, q = np.einsum("ur,ur->r", x, x), np.einsum("ur,ur->r", y, y)
    return Products(x @ y.T, np.array([p @ p, p @ q, q @ q]))


def measures(
    a: Representation, b: Representation, sums: Products, matched: Float
) -> dict[str, float]:
    """Every measure of two representations; NaN where one of them does not vary at all.

    Args:
        a: one of them.
        b: the other.
        sums: of both.
        matched: correlations of the matched units.
    """
    if not (a.power and b.power):
        return dict.fromkeys(MEASURES, np.nan)
    correlation = float(np.abs(matched).mean())
    found = cka(a, b, sums), procrustes(a, b, sums), svcca(a, b, sums), correlation
    return dict(zip(MEASURES, found, strict=True))


def cka(a: Representation, b: Representation, sums: Products) -> float:
    """Linear CKA, debiased: HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)), K = X^T X, L = Y^T Y.

    1 for representations equal up to rotation and scale, never above; 0 on average for independent
    ones, so that it may be below 0 (Kornblith et al. 2019; Nguyen, Raghu & Kornblith 2021). NaN for
    fewer than 4 rows, or where all rows but one are equal.
    """
    n = a.count
    if n < 4:
        return np.nan
    xx, xy, yy = sums.norms
    across = _hsic(float(np.sum(sums.products**2)), xy, a.power * b.power, n)
    of_a, of_b = _hsic(a.gram, xx, a.power**2, n), _hsic(b.gram, yy, b.power**2, n)
    if of_a <= spectrum.NOTHING * a.gram or of_b <= spectrum.NOTHING * b.gram:
        return np.nan
    return float(across / np.sqrt(of_a * of_b))


def procrustes(a: Representation, b: Representation, sums: Products) -> float:
    """Orthogonal Procrustes distance, of X and Y scaled to ||X||_F = ||Y||_F = 1.

    ||X||_F^2 + ||Y||_F^2 - 2 ||X Y^T||_* = 2 - 2 ||X Y^T||_*, the least of ||X - Q Y||_F^2 over
    all rotations and reflections Q; 0 for equal up to those, at most 2 (Schönemann 1966; Ding,
    Denain & Steinhardt 2021). The narrower one counts as padded with zeros.
    """
    nuclear = np.linalg.svd(sums.products, compute_uv=False).sum()
    return max(0.0, 2 - 2 * float(nuclear) / float(np.sqrt(a.power * b.power)))


def svcca(a: Representation, b: Representation, sums: Products) -> float:
    """Mean canonical correlation of the first principal components of both (Raghu et al. 2017).

    As many correlations as the one with fewer components has.
    """
    found = np.linalg.svd(a.axes @ sums.products @ b.axes.T, compute_uv=False)
    return float(np.minimum(found, 1).mean())


def correlations(a: Representation, b: Representation, sums: Products) -> Float:
    """Pearson's r of each unit of one with each of the other [U, V]; NaN for a constant unit."""
    return np.clip(sums.products / b.deviation / a.deviation[:, np.newaxis], -1, 1)


def matching(r: Float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The matched units of one and of the other [M], from correlations [U, V].

    One to one, such that the sum of |r| is largest (Kuhn 1955; for units Li et al. 2016). Constant
    units, and those that the wider one has too many, are not matched.
    """
    rows, columns = (np.flatnonzero(~np.isnan(r).all(axis=axis)) for axis in (1, 0))
    one, other = linear_sum_assignment(np.abs(r[np.ix_(rows, columns)]), maximize=True)
    return rows[one], columns[other]


def _hsic(products: float, norms: float, powers: float, n: int) -> float:
    """n (n-3) times the unbiased estimate of HSIC (Song et al. 2012), for linear kernels.

    tr(K'L') + (1 K' 1)(1 L' 1) / ((n-1)(n-2)) - 2 (1 K' L' 1) / (n-2), where K' is K with 0 along
    its diagonal. Centred, K's rows sum to 0, so that K' 1 is minus the diagonal, |x|^2 of each row,
    and no n by n matrix is needed: tr(K'L') = ||X Y^T||_F^2 - sum |x|^2 |y|^2.

    Args:
        products: ||X Y^T||_F^2.
        norms: sum |x|^2 |y|^2.
        powers: ||X||_F^2 ||Y||_F^2.
        n: rows.
    """
    return products - norms + powers / ((n - 1) * (n - 2)) - 2 * norms / (n - 2)
