"""Covariances of several groups of rows: sums that merge over parts, over groups, and all but one.

Products are of centred values, and merged pairwise (Chan, Golub & LeVeque 1983), which avoids the
cancellation of plain sums of products.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

MARGIN = 1 + 1e-6
"""What the sums' own rounding, in float64, may add to a constant unit's squares."""


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
    def rounding(self) -> Float:
        """The largest sum (x - mean)^2 that rounding alone makes of a constant [G, U]."""
        return rounding(self.count[:, np.newaxis], self.mean)

    @property
    def constant(self) -> NDArray[np.bool_]:
        """Which units vary by no more than the rounding of their stored values [G, U]."""
        return np.diagonal(self.m2, axis1=1, axis2=2) <= self.rounding


@dataclass(frozen=True)
class Within:
    """Products of the deviations of U units from the mean of the row's own group."""

    m2: Float
    """Their sum over the rows of all groups [U, U]."""
    rounding: Float
    """The largest sum of squares that rounding alone makes of units constant in each group [U]."""

    def __add__(self, other: "Within") -> "Within":
        return Within(self.m2 + other.m2, self.rounding + other.rounding)

    @property
    def constant(self) -> NDArray[np.bool_]:
        """Which units vary within no group by more than the rounding of their values [U]."""
        return np.diagonal(self.m2) <= self.rounding


def rounding(count: int | NDArray[np.int64], mean: Float) -> Float:
    """The largest sum (x - mean)^2 over count rows that rounding alone makes of a constant [...].

    Stored as float32, a constant is torn between two neighbouring numbers at most, and either is
    half their distance from the mean.
    """
    distance = np.spacing(np.abs(mean).astype(np.float32)).astype(np.float64)
    found: Float = MARGIN * count * (distance / 2) ** 2
    return found


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
    mean = (sums.count @ sums.mean / np.maximum(count, 1))[np.newaxis]
    between = (sums.mean - mean) * np.sqrt(sums.count)[:, np.newaxis]
    return Covariances(count, mean, (sums.m2.sum(axis=0) + between.T @ between)[np.newaxis])


def within(sums: Covariances) -> Within:
    """The products within all groups together."""
    return Within(sums.m2.sum(axis=0), sums.rounding.sum(axis=0))


def without_each(sums: Covariances) -> Iterator[Covariances]:
    """For each group in turn the sums over the rows of all others, as one group.

    Nothing is subtracted, so that no digits are lost where one group holds most of the variance.
    """
    later = np.cumsum(sums.m2[::-1], axis=0)[::-1]
    earlier = np.zeros_like(sums.m2[0])
    for group, m2 in enumerate(sums.m2):
        others = np.arange(len(sums.count)) != group
        count, mean = sums.count[others], sums.mean[others]
        rest = pool(Covariances(count, mean, np.zeros((0, *m2.shape))))
        rest.m2[0] += earlier
        if group + 1 < len(later):
            rest.m2[0] += later[group + 1]
        yield rest
        earlier += m2


def split(sums: Covariances, size: int) -> Iterator[Covariances]:
    """The sums of the first ``size`` groups, of the next as many, and so on; views."""
    for start in range(0, len(sums.count), size):
        some = slice(start, start + size)
        yield Covariances(sums.count[some], sums.mean[some], sums.m2[some])


def join(each: Iterable[Covariances]) -> Covariances:
    """All groups of several sums, one after the other."""
    each = list(each)
    return Covariances(
        np.concatenate([sums.count for sums in each]),
        np.concatenate([sums.mean for sums in each]),
        np.concatenate([sums.m2 for sums in each]),
    )
