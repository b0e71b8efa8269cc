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


def participation_ratio(values: Float) -> Float:
    """(sum l)^2 / sum l^2 of eigenvalues l [G, U]: the number of dimensions [G].

    k where k dimensions share the variance equally, and 1 where one has it all (Rajan, Abbott &
    Sompolinsky 2010; Gao et al. 2017).
    """
    return values.sum(axis=1) ** 2 / (values**2).sum(axis=1)


def components_for(share: float, values: Float) -> Float:
    """How many of the largest eigenvalues [G, U] make up a share of their sum [G]; NaN stays."""
    largest = values[:, ::-1].cumsum(axis=1)
    reached = largest >= (share - NOTHING) * largest[:, -1:]
    return np.where(np.isnan(values[:, 0]), np.nan, reached.argmax(axis=1) + 1.0)
