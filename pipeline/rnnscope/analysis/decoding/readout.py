"""Ridge regression of many targets on states, from sums of products, and its R² on other sequences.

Each timestep's mean over the sequences that are fitted is taken from states and targets: what
follows from the timestep alone, and not from what came in, is neither memory nor explained.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnscope.analysis.decoding import products
from rnnscope.analysis.decoding.products import Products, Sums
from rnnscope.analysis.statistics import covariance

Float = NDArray[np.float64]

PENALTIES = np.logspace(-8, 2, 6)
"""Penalties that are tried for each target, on standardised states, per row."""
INNER = 5
"""Most parts of the sequences that are fitted by which a penalty is chosen."""
CONSTANT = 1e-18
"""Largest share of the squares of an input that varies by rounding alone."""


@dataclass(frozen=True)
class _Fit:
    """The ridge regressions of J targets at each penalty, in coordinates of their own."""

    axes: Float
    """From states to coordinates [D, D]."""
    weights: Float
    """[P, D, J]"""
    x_mean: Float
    """At each step [S, D], less the shift."""
    y_mean: Float
    """[S, J]"""

    def errors(self, sums: Sums, groups: NDArray[np.intp]) -> tuple[Float, Float]:
        """Squared errors of the rows of some groups [P, J], and of the means alone [J]."""
        tested = products.about(sums, groups, self.x_mean, self.y_mean)
        xx, xy = self.axes.T @ tested.xx @ self.axes, self.axes.T @ tested.xy
        squares = [(each * (xx @ each - 2 * xy)).sum(axis=0) for each in self.weights]
        return np.maximum(tested.yy + np.array(squares), 0), tested.yy


def held_out(sums: Sums, fold: NDArray[np.intp]) -> Float:
    """R² of each target on sequences that were not fitted, in parts of folds [F, J].

    Their mean over folds is 1 - sum (y - predicted)² / sum (y - mean)² over all folds, where fold f
    is predicted by what is fitted on all others, and mean is that of the sequences that are fitted,
    at the same timestep: on average about 0 where nothing can be read, so that sums over many
    targets are not biased (Campbell & Thompson 2008). Of a ratio of sums, which a fold that hardly
    varies does not upset, the parts are its value plus each fold's deviation from it. The penalty
    of each target is that of the smallest squared error within the sequences that are fitted, by
    leaving out parts of them in turn. NaN where a target does not vary.

    Args:
        sums: of G groups of sequences, each with rows at every step.
        fold: of each group [G], from 0; at least 2 groups are in the others.
    """
    found = []
    for number in range(int(fold.max()) + 1):
        inside, outside = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        error = np.zeros((len(PENALTIES), sums.yy.shape[1]))
        for part in np.array_split(inside, min(INNER, len(inside))):
            error += _fitted(sums, np.setdiff1d(inside, part)).errors(sums, part)[0]
        best = error.argmin(axis=0)
        errors, squares = _fitted(sums, inside).errors(sums, outside)
        found.append((errors[best, np.arange(len(best))], squares))
    left, whole = np.moveaxis(np.array(found), 1, 0)
    scale = (sums.yy + np.einsum("gs,sj->gj", sums.count, sums.y_shift**2)).sum(axis=0)
    total = np.where(whole.sum(axis=0) > CONSTANT * scale, whole.mean(axis=0), np.nan)
    r2 = 1 - left.mean(axis=0) / total
    return r2 + (whole - left - r2 * whole) / total


def _fitted(sums: Sums, groups: NDArray[np.intp]) -> _Fit:
    """Ridge regression on the rows of some groups."""
    x_mean, y_mean = products.means(sums, groups)
    inside = products.about(sums, groups, x_mean, y_mean)
    rows = int(sums.count[groups].sum())
    scale = _scale(inside, sums, rows)
    values, axes = np.linalg.eigh(inside.xx * np.outer(scale, scale))
    axes = axes * scale[:, np.newaxis]
    target = axes.T @ inside.xy
    weights = [target / (np.maximum(values, 0) + rows * each)[:, np.newaxis] for each in PENALTIES]
    return _Fit(axes, np.array(weights), x_mean, y_mean)


def _scale(inside: Products, sums: Sums, rows: int) -> Float:
    """One over the standard deviation of each regressor [D]; 0 for one that does not vary."""
    square = np.diagonal(inside.xx)
    least = covariance.rounding(rows, np.abs(sums.x_shift).max(axis=0))
    varies = square > least
    return np.where(varies, np.sqrt(rows / np.where(varies, square, 1)), 0.0)
