"""Two representations of the same sequences at one timestep: products, and what CKA is made of.

A representation is the values [U, n] of U units in n sequences. No matrix is n by n. Everything is
computed of all sequences and G times more, without each group of them.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnscope.analysis.statistics import covariance, jackknife

Float = NDArray[np.float64]

FEWEST = 20
"""Fewest sequences of a timestep for its CKA to count."""
VARYING = 10
"""Fewest of them that may hold its variance, by their effective number."""
KERNEL = 4
"""Fewest sequences of which the unbiased estimate of HSIC exists."""


@dataclass(frozen=True)
class Centred:
    """One representation, sequences in the order of their groups; of all, then without each."""

    values: Float
    """[U, n], about the mean of all; 0 for a unit that is constant but for rounding."""
    ends: NDArray[np.intp]
    """Where each group ends, and the next starts [G + 1], the first 0."""
    count: NDArray[np.int64]
    """How many sequences are left [1 + G]."""
    mean: Float
    """Their mean [1 + G, U]."""
    squares: Float
    """|x - mean|^2 of each [1 + G, n]; 0 for those left out."""

    @property
    def effective(self) -> float:
        """(sum |x|^2)^2 / sum |x|^4: n if all are equally far from the mean, 1 if one alone is."""
        power = self.squares[0] @ self.squares[0]
        return float(self.squares[0].sum() ** 2 / power) if power else 0.0


def centred(values: NDArray[np.floating], group: NDArray[np.intp]) -> Centred:
    """Values [U, n] of sequences whose groups rise [n]."""
    x = values.astype(np.float64)
    mean = x.mean(axis=1)
    x -= mean[:, np.newaxis]
    n = x.shape[1]
    x[(x**2).sum(axis=1) <= covariance.rounding(n, mean)] = 0
    ends = np.searchsorted(group, np.arange(jackknife.GROUPS + 1))
    count = n - np.append(0, np.diff(ends))
    sums = [
        np.zeros(len(x)),
        *(x[:, slice(*each)].sum(axis=1) for each in itertools.pairwise(ends)),
    ]
    shift = -np.array(sums) / np.maximum(count, 1)[:, np.newaxis]
    own = np.einsum("un,un->n", x, x)
    squares = own - 2 * shift @ x + (shift**2).sum(axis=1, keepdims=True)
    for number, each in enumerate(itertools.pairwise(ends), 1):
        squares[number, slice(*each)] = 0
    return Centred(x, ends, count, shift, squares)


def products(x: Centred, y: Centred) -> Iterator[Float]:
    """sum (x - mean)(y - mean)^T of all sequences, then without each group [U, V], 1 + G times."""
    whole = x.values @ y.values.T
    yield whole
    for number, (start, stop) in enumerate(itertools.pairwise(x.ends), 1):
        rest = whole - x.values[:, start:stop] @ y.values[:, start:stop].T
        # Those left have a mean of their own, as far from that of all as the group is.
        yield rest - x.count[number] * np.outer(x.mean[number], y.mean[number])


def hsic(square: Float | float, p: Float, q: Float, count: NDArray[np.int64]) -> Float:
    """n (n-3) times the unbiased estimate of HSIC (Song et al. 2012), for linear kernels [...].

    tr(K'L') + (1 K' 1)(1 L' 1) / ((n-1)(n-2)) - 2 (1 K' L' 1) / (n-2), where K' is K = X^T X with 0
    along its diagonal. Centred, K's rows sum to 0, so that K' 1 is minus the diagonal, |x|^2 of
    each sequence, and no n by n matrix is needed: tr(K'L') = ||X Y^T||_F^2 - sum |x|^2 |y|^2.

    Args:
        square: ||X Y^T||_F^2 [...].
        p: |x|^2 of each sequence [..., n].
        q: |y|^2 [..., n].
        count: sequences that are not left out [...].

    Returns:
        NaN for fewer than 4 sequences.
    """
    norms, powers = (p * q).sum(axis=-1), p.sum(axis=-1) * q.sum(axis=-1)
    n = np.where(count >= KERNEL, count, np.nan)
    return square - norms + powers / ((n - 1) * (n - 2)) - 2 * norms / (n - 2)


def partners(rank: NDArray[np.intp]) -> NDArray[np.intp]:
    """For each of n sequences another one: the next by rank, of the last the first [n].

    Where sequences end at different timesteps, those that are left have the same partners as long
    as these are left as well.
    """
    order = np.argsort(rank)
    found = np.empty_like(order)
    found[order] = np.roll(order, -1)
    return found
