"""Covariances of several groups of rows: sums that merge over parts, and over groups.

Products are of centred values, and merged pairwise (Chan, Golub & LeVeque 1983), which avoids the
cancellation of plain sums of products.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

ROUNDING = 2.0**-23
"""Relative rounding of stored values, float32."""


@dataclass(frozen=True)
class Covariances:
    """Count, mean and centred products of U units, in each of G groups of rows."""

    count: NDArray[np.int64]
    """[G]"""
    mean: Float
    """[G, U]; 0 for a group without rows."""
    m2: Float
    """sum (x - mean)(x - mean)^T, [G, U, U]; divided by count - 1 the covariance."""

    @property
    def constant(self) -> NDArray[np.bool_]:
        """Which units vary by no more than the rounding of their stored values [G, U]."""
        squares = np.diagonal(self.m2, axis1=1, axis2=2)
        return squares <= self.count[:, np.newaxis] * (ROUNDING * self.mean) ** 2


def empty(groups: int, units: int) -> Covariances:
    """The sums over no rows."""
    return Covariances(
        np.zeros(groups, np.int64), np.zeros((groups, units)), np.zeros((groups, units, units))
    )


def add(sums: Covariances, group: int, values: NDArray[np.floating]) -> None:
    """Add values [U, R] to one group's sums, in place, as m2 may fill the memory.

    With n and n' rows whose means differ by d, the products of both sets together are those within
    each plus n n' / (n + n') d d^T; the latter enters as one more column of the same product.
    """
    units, new = values.shape
    if not new:
        return
    old = int(sums.count[group])
    x = np.empty((units, new + 1))
    x[:, :new] = values
    mean = x[:, :new].mean(axis=1)
    x[:, :new] -= mean[:, np.newaxis]
    d = mean - sums.mean[group]
    x[:, new] = d * np.sqrt(old * new / (old + new))
    sums.m2[group] += x @ x.T
    sums.mean[group] += d * (new / (old + new))
    sums.count[group] += new


def pool(sums: Covariances) -> Covariances:
    """The sums over the rows of all groups together, as one group."""
    count = sums.count.sum(keepdims=True)
    mean = (sums.count @ sums.mean / count)[np.newaxis]
    between = (sums.mean - mean) * np.sqrt(sums.count)[:, np.newaxis]
    return Covariances(count, mean, (sums.m2.sum(axis=0) + between.T @ between)[np.newaxis])


def join(each: Iterable[Covariances]) -> Covariances:
    """All groups of several sums, one after the other."""
    each = list(each)
    return Covariances(
        np.concatenate([sums.count for sums in each]),
        np.concatenate([sums.mean for sums in each]),
        np.concatenate([sums.m2 for sums in each]),
    )
