"""The eigenvalues of a covariance, and measures of dimension from them."""

import numpy as np
from numpy.typing import NDArray

from rnnscope.analysis.statistics.covariance import Covariances

Float = NDArray[np.float64]

NOTHING = 1e-12
"""Largest share of the variance that counts as rounding."""


def eigenvalues(sums: Covariances) -> Float:
    """Eigenvalues of each group's centred products [G, U], rising; NaN where no unit varies.

    They are those of the covariance times count - 1, a factor that cancels in every measure here.
    """
    found = np.maximum(np.linalg.eigvalsh(sums.m2), 0)
    found[sums.constant.all(axis=1)] = np.nan
    return found


def traces(sums: Covariances) -> tuple[Float, Float]:
    """tr M and tr M^2 of each group's centred products M [G]; NaN where no unit varies."""
    trace = np.einsum("guu->g", sums.m2)
    square = np.einsum("guv,guv->g", sums.m2, sums.m2)
    still = sums.constant.all(axis=1)
    return np.where(still, np.nan, trace), np.where(still, np.nan, square)


def participation_ratio(count: NDArray[np.int64], trace: Float, square: Float) -> Float:
    """(sum l)^2 / sum l^2 of the eigenvalues l of the covariance that N rows are drawn from [...].

    k where k dimensions share the variance equally, and 1 where one has it all (Rajan, Abbott &
    Sompolinsky 2010; Gao et al. 2017). Both sums are estimated without the bias of few rows
    (Srivastava 2005, for normal values). With n = N - 1 and S the sample's covariance:

        sum l^2    n^2 / ((n - 1)(n + 2)) (tr S^2 - (tr S)^2 / n)
        (sum l)^2  n (n + 1) / ((n - 1)(n + 2)) ((tr S)^2 - 2 tr S^2 / (n + 1))

    The ratio may exceed the number of units by chance; it is infinite where the rows spread equally
    along n directions, as drawn from more dimensions than can be told. NaN for fewer than 3 rows.

    Args:
        count: N [...].
        trace: tr M of the centred products M = n S [...].
        square: tr M^2 [...].
    """
    n = np.asarray(count, np.float64) - 1
    known = n >= 2
    above = (n + 1) * trace**2 - 2 * square
    below = n * square - trace**2
    below = np.where(below <= NOTHING * n * square, 0, below)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(known, above / below, np.nan)


def participation_ratio_naive(trace: Float, square: Float) -> Float:
    """(tr M)^2 / tr M^2 of centred products M [...]: never more than the rows, less 1."""
    return trace**2 / square


def components_for(share: float, values: Float) -> Float:
    """How many of the largest eigenvalues [G, U] make up a share of their sum [G]; NaN stays."""
    largest = values[:, ::-1].cumsum(axis=1)
    reached = largest >= (share - NOTHING) * largest[:, -1:]
    return np.where(np.isnan(values[:, 0]), np.nan, reached.argmax(axis=1) + 1.0)
