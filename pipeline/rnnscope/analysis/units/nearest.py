"""Mutual information between the class and a unit's value, by nearest neighbours (Ross 2014)."""

from dataclasses import dataclass

import numpy as np
import scipy.special
from numpy.typing import NDArray

Float = NDArray[np.float64]
Places = NDArray[np.intp]

K = 3
"""Neighbours of the same class that set the distance."""
NOISE = 1e-10
"""Size of the noise that breaks ties, in standard deviations of the unit (Kraskov et al. 2004)."""


def information(values: NDArray[np.floating], labels: NDArray[np.integer], noise: Float) -> Float:
    """Information of values [U, N] about labels [N], in bits [U].

    psi(N) + psi(k) - <psi(n)> - <psi(m)>, with n the rows of a row's class and m the rows, of any
    class, nearer than its k-th nearest of its own class, itself included. As in scikit-learn k is
    smaller for classes of fewer than k + 1 rows, and classes of a single row are left out; unlike
    there the estimate, which has no bias where nothing is told, is not cut off at 0.

    Args:
        values: one unit per line.
        labels: the class of each row.
        noise: of each row, about 1 in size [N]; a tiny part of it breaks ties.

    Returns:
        NaN where no class has two rows; 0 for a constant unit.
    """
    counts = np.bincount(labels)
    kept = np.flatnonzero(counts[labels] > 1)
    if not len(kept):
        return np.full(len(values), np.nan)
    windows = Windows.of(counts[counts > 1])
    psi = scipy.special.digamma(np.arange(1, len(kept) + 1))
    known = psi[-1] + psi[windows.k - 1].mean() - psi[windows.size - 1].mean()
    noise, labels = noise[kept], labels[kept]
    found = np.zeros(len(values))
    for unit, line in enumerate(values):
        x = line[kept].astype(np.float64)
        if x.min() < x.max():
            x /= x.std()
            x += NOISE * max(1, np.abs(x).mean()) * noise
            order = np.argsort(x)
            within = windows.rows_within(x[order], labels[order])
            found[unit] = (known - psi[within - 1].mean()) / np.log(2)
    return found


@dataclass(frozen=True)
class Windows:
    """Runs of k + 1 neighbours within N rows sorted by class and then by value.

    The k-th nearest of a row is the farther end of the narrowest run that the row is in.
    """

    size: Places
    """Rows of each row's class [N]."""
    k: Places
    """Neighbours [N]."""
    left: list[Places]
    """Where a run begins, for each place that the row may have in it [k + 1, N]."""
    right: list[Places]
    """Where it ends [k + 1, N]."""
    outside: list[NDArray[np.bool_]]
    """Whether it leaves the class [k + 1, N]."""

    @classmethod
    def of(cls, counts: NDArray[np.int64]) -> "Windows":
        """The runs, given how many rows each class has, two at least."""
        size, row = np.repeat(counts, counts), np.arange(counts.sum())
        start = np.repeat(np.cumsum(counts) - counts, counts)
        k = np.minimum(K, size - 1)
        left = [row - place for place in range(K + 1)]
        right = [each + k for each in left]
        outside = [
            (first < start) | (last >= start + size) | (place > k)
            for place, (first, last) in enumerate(zip(left, right, strict=True))
        ]
        last = len(row) - 1
        left, right = ([each.clip(0, last) for each in ends] for ends in (left, right))
        return cls(size, k, left, right, outside)

    def rows_within(self, x: Float, labels: NDArray[np.integer]) -> Places:
        """How many of the rows are nearer than the k-th nearest of the same class, itself included.

        Args:
            x: values in rising order [N].
            labels: their classes.

        Returns:
            In the order of classes, then of values [N].
        """
        rank = np.argsort(labels, kind="stable")
        y = x[rank]
        radius, other = np.full(len(y), np.inf), np.zeros_like(rank)
        for left, right, outside in zip(self.left, self.right, self.outside, strict=True):
            below, above = y - y[left], y[right] - y
            far = np.maximum(below, above)
            far[outside] = np.inf
            nearer = far < radius
            np.copyto(radius, far, where=nearer)
            np.copyto(other, np.where(below >= above, rank[left], rank[right]), where=nearer)
        # The neighbour itself marks one end exactly, whatever the rounding of the radius.
        lower = x[other] < y
        end = np.searchsorted(x, np.where(lower, y + radius, y - radius))
        within: Places = np.where(lower, end - other - 1, other - end)
        return within
