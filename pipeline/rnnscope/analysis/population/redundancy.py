"""Redundant units: correlations between units, and clusters of those that correlate strongly."""

import numpy as np
from numpy.typing import NDArray
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

Float = NDArray[np.float64]

ALONE = -1
"""The cluster of a unit that is in none."""


def correlation(m2: Float, constant: NDArray[np.bool_]) -> Float:
    """Pearson's r between units [U, U] from their centred products; NaN for a constant unit.

    Args:
        m2: sums of products of deviations from means [U, U].
        constant: which units vary by no more than rounding [U].
    """
    deviation = np.where(constant, np.nan, np.sqrt(np.diagonal(m2)))
    return np.clip(m2 / deviation / deviation[:, np.newaxis], -1, 1)


def clusters(r: Float, redundant: float) -> NDArray[np.int32]:
    """The cluster of each unit [U] from correlations [U, U]; ALONE where it is in none.

    Average linkage (Sokal & Michener 1958) on 1 - |r|, cut at 1 - redundant: within a cluster |r|
    is at least ``redundant`` on average. Clusters are of two units or more, numbered from 0 by
    size, the largest first, then by first unit. A constant unit is in none.
    """
    found = np.full(len(r), ALONE, np.int32)
    varying = np.flatnonzero(~np.isnan(np.diagonal(r)))
    if len(varying) < 2:
        return found
    distance = 1 - np.abs(r[np.ix_(varying, varying)])
    tree = hierarchy.linkage(squareform(distance, checks=False), "average")
    # The margin keeps rounding from separating equal units at redundant = 1.
    names = hierarchy.fcluster(tree, 1 - redundant + 1e-9, "distance")
    members = [varying[names == name] for name in np.unique(names)]
    joined = [each for each in members if len(each) > 1]
    for number, each in enumerate(sorted(joined, key=lambda each: (-len(each), each[0]))):
        found[each] = number
    return found
