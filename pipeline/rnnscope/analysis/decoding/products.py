"""Sums of states and of the inputs some timesteps before, in groups of sequences.

All that a ridge regression of earlier inputs on states, and its score on other sequences, need are
sums of products. They are taken part by part, so that memory does not grow with the number of
sequences.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Sums:
    """Over the rows of G groups of sequences at S steps, of D regressors and J targets.

    All values are taken less ``x_shift`` and ``y_shift``, close to the means at their step, so that
    no digits are lost where they are far from 0.
    """

    count: NDArray[np.int64]
    """Rows [G, S]."""
    x: Float
    """[G, S, D]"""
    y: Float
    """[G, S, J]"""
    xx: Float
    """Products [G, D, D]."""
    xy: Float
    """[G, D, J]"""
    yy: Float
    """Squares [G, J]."""
    x_shift: Float
    """[S, D]"""
    y_shift: Float
    """[S, J]"""

    def add(self, x: Float, y: Float, group: NDArray[np.intp], step: NDArray[np.intp]) -> None:
        """Take in rows, in place, as the sums may fill the memory.

        Args:
            x: regressors [R, D].
            y: targets [R, J].
            group: of each row [R].
            step: likewise, by its place among the S.
        """
        order = np.lexsort((step, group))
        group, step = group[order], step[order]
        x, y = x[order] - self.x_shift[step], y[order] - self.y_shift[step]
        cell = group * self.count.shape[1] + step
        first = np.flatnonzero(np.diff(cell, prepend=-1))
        place = group[first], step[first]
        self.count[place] += np.diff(np.append(first, len(cell)))
        self.x[place] += np.add.reduceat(x, first)
        self.y[place] += np.add.reduceat(y, first)
        for each in np.unique(group):
            here = slice(*np.searchsorted(group, [each, each + 1]))
            self.xx[each] += x[here].T @ x[here]
            self.xy[each] += x[here].T @ y[here]
            self.yy[each] += np.einsum("rj,rj->j", y[here], y[here])

    def only(self, regressors: slice) -> "Sums":
        """Those of some of the regressors; views."""
        return Sums(
            self.count,
            self.x[..., regressors],
            self.y,
            self.xx[:, regressors, regressors],
            self.xy[:, regressors],
            self.yy,
            self.x_shift[:, regressors],
            self.y_shift,
        )


@dataclass(frozen=True)
class Products:
    """Products of the rows of some groups, about the means of some other groups at each step."""

    xx: Float
    """[D, D]"""
    xy: Float
    """[D, J]"""
    yy: Float
    """[J]"""


def empty(groups: int, x_shift: Float, y_shift: Float) -> Sums:
    """The sums over no rows, about [S, D] and [S, J]."""
    (steps, d), j = x_shift.shape, y_shift.shape[1]
    return Sums(
        np.zeros((groups, steps), np.int64),
        np.zeros((groups, steps, d)),
        np.zeros((groups, steps, j)),
        np.zeros((groups, d, d)),
        np.zeros((groups, d, j)),
        np.zeros((groups, j)),
        x_shift,
        y_shift,
    )


def means(sums: Sums, groups: NDArray[np.intp]) -> tuple[Float, Float]:
    """Mean at each step over the rows of some groups, less the shifts [S, D] and [S, J].

    Each step has rows in these groups.
    """
    count = sums.count[groups].sum(axis=0)[:, np.newaxis]
    return sums.x[groups].sum(axis=0) / count, sums.y[groups].sum(axis=0) / count


def about(sums: Sums, groups: NDArray[np.intp], x_mean: Float, y_mean: Float) -> Products:
    """The products of the rows of some groups, less given means at each step."""
    count = sums.count[groups].sum(axis=0)[:, np.newaxis]
    x, y = sums.x[groups].sum(axis=0), sums.y[groups].sum(axis=0)
    own = x.T @ x_mean
    return Products(
        sums.xx[groups].sum(axis=0) - own - own.T + x_mean.T @ (count * x_mean),
        sums.xy[groups].sum(axis=0) - x.T @ y_mean - x_mean.T @ y + x_mean.T @ (count * y_mean),
        sums.yy[groups].sum(axis=0) - (2 * y * y_mean - count * y_mean**2).sum(axis=0),
    )
