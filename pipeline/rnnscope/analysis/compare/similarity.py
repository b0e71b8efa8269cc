"""How similar two representations are, from sums of products of their units.

A representation is the values [U, R] of U units over R rows, centred: from each is taken the mean
over sequences at its timestep.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from rnnscope.analysis.statistics import spectrum

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Representation:
    """What the measures need of one representation X [U, R]."""

    deviation: Float
    """Root of sum x^2 of each unit [U]; NaN for a constant one."""
    power: float
    """||X||_F^2; 0 where no unit varies."""
    axes: Float
    """[k, U], such that axes X are the first k principal components, each of length 1."""


def representation(m2: Float, variance: float, squares: Float) -> Representation:
    """What the measures need of a representation.

    Args:
        m2: sum x x^T over some of its rows [U, U].
        variance: share of the variance that the kept principal components hold.
        squares: sum x^2 over all rows [U], beside which smaller ones are rounding.
    """
    found = np.diagonal(m2)
    varies = found > spectrum.NOTHING * squares
    if not varies.any():
        return Representation(np.full(len(m2), np.nan), 0.0, np.empty((0, len(m2))))
    values, vectors = np.linalg.eigh(m2)
    first = slice(len(values) - int(spectrum.components_for(variance, values[np.newaxis])[0]), None)
    return Representation(
        deviation=np.sqrt(np.where(varies, found, np.nan)),
        power=float(found.sum()),
        axes=vectors[:, first].T / np.sqrt(values[first])[:, np.newaxis],
    )


def procrustes(a: Representation, b: Representation, products: Float) -> float:
    """Orthogonal Procrustes distance, of X and Y scaled to ||X||_F = ||Y||_F = 1.

    ||X||_F^2 + ||Y||_F^2 - 2 ||X Y^T||_* = 2 - 2 ||X Y^T||_*, the least of ||X - Q Y||_F^2 over
    all rotations and reflections Q; 0 for equal up to those, at most 2 (Schönemann 1966; Ding,
    Denain & Steinhardt 2021). The narrower one counts as padded with zeros.

    Args:
        a: of X [U, R].
        b: of Y [V, R].
        products: X Y^T [U, V].
    """
    nuclear = np.linalg.svd(products, compute_uv=False).sum()
    return max(0.0, 2 - 2 * float(nuclear) / float(np.sqrt(a.power * b.power)))


def svcca(a: Representation, b: Representation, products: Float) -> float:
    """Mean canonical correlation of the first principal components of both (Raghu et al. 2017).

    As many correlations as the one with fewer components has.
    """
    found = np.linalg.svd(a.axes @ products @ b.axes.T, compute_uv=False)
    return float(np.minimum(found, 1).mean())


def correlations(a: Representation, b: Representation, products: Float) -> Float:
    """Pearson's r of each unit of one with each of the other [U, V]; NaN for a constant unit."""
    return np.clip(products / b.deviation / a.deviation[:, np.newaxis], -1, 1)


def matching(r: Float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The matched units of one and of the other [M], from correlations [U, V].

    One to one, such that the sum of |r| is largest (Kuhn 1955; for units Li et al. 2016). Constant
    units, and those that the wider one has too many, are not matched.
    """
    rows, columns = (np.flatnonzero(~np.isnan(r).all(axis=axis)) for axis in (1, 0))
    one, other = linear_sum_assignment(np.abs(r[np.ix_(rows, columns)]), maximize=True)
    return rows[one], columns[other]


def matched_correlation(a: Representation, b: Representation, products: Float) -> float:
    """Mean |r| of the matched units."""
    r = correlations(a, b, products)
    return float(np.abs(r[matching(r)]).mean())
