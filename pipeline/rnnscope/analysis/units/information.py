"""Whether a unit's value tells of the class: a permutation test of their mutual information.

The test's statistic is the plug-in information in a few bins of equal count. Its size is biased,
but alike for the data and their shuffles; the size reported is that of ``nearest``.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import scipy.special
import scipy.stats
from numpy.typing import NDArray

Float = NDArray[np.float64]
Counts = NDArray[np.int64]

CELLS = 2**18
"""Cells of shuffled tables held at a time; with many classes the tables of all shuffles would not
fit in memory."""
MOST_BINS = 16


def bins(sequences: int, classes: int) -> int:
    """How many bins the test uses: five sequences of each class in each, from 2 to 16 bins."""
    return max(2, min(MOST_BINS, sequences // (5 * classes)))


def p_values(tables: Iterable[Counts], permutations: int, seed: int) -> Float:
    """Share of shuffles of the labels with as much information as the data [U].

    The data count as one of the shuffles: with P of them no p-value is below 1 / (P + 1). Units
    with the same number of values in each bin share their shuffles. NaN without permutations.

    Args:
        tables: of each unit, as ``joint_counts`` gives them [B, K].
        permutations: how often labels are shuffled.
        seed: of the shuffles.
    """
    found = []
    shuffled: dict[bytes, Float] = {}
    for counts in tables:
        margin = counts.sum(axis=1).tobytes()
        if margin not in shuffled:  # the same for all units without ties
            shuffled[margin] = np.sort(of_shuffled(counts, permutations, seed))
        # Rounding must not tell equal tables apart.
        less = np.searchsorted(shuffled[margin], plug_in(counts) - 1e-12)
        found.append((1 + permutations - less) / (1 + permutations) if permutations else np.nan)
    return np.array(found, np.float64)


def joint_counts(ends: NDArray[np.intp], classes: NDArray[np.integer], k: int, bins: int) -> Counts:
    """How often each bin of equal count occurs with each class [<= bins, K].

    Equal values share a bin.

    Args:
        ends: where each run of equal values ends, of N values in rising order.
        classes: the class of each value, in that order [N], in 0 … k - 1.
        k: number of classes.
        bins: most bins.
    """
    ranks = _quantile_ranks(len(classes), bins)
    edges = np.unique(np.append(ends[np.searchsorted(ends, ranks)], len(classes)))
    place = np.repeat(np.arange(len(edges)), np.diff(edges, prepend=0))
    return np.bincount(place * k + classes, minlength=len(edges) * k).reshape(-1, k)


def coarser(counts: Counts, bins: int) -> Counts:
    """The table [<= bins, K] of ``joint_counts``, from counts in many narrow bins [B, K]."""
    through = counts.sum(axis=1).cumsum()
    edges = np.unique(np.searchsorted(through, _quantile_ranks(int(through[-1]), bins))) + 1
    starts = np.concatenate([[0], edges[edges < len(counts)]])
    found: Counts = np.add.reduceat(counts, starts, axis=0)
    return found[found.any(axis=1)][:, counts.any(axis=0)]


def _quantile_ranks(n: int, bins: int) -> NDArray[np.int64]:
    """The ranks, from 1, of the last of n sorted values in each quantile bin but the last one."""
    return -(-np.arange(1, bins, dtype=np.int64) * n // bins)


def of_shuffled(counts: Counts, permutations: int, seed: int) -> Float:
    """The information [P] in the tables that P shuffles of the labels of counts [B, K] give.

    Shuffling labels preserves the number of values in each bin and in each class and nothing else,
    so tables are drawn with these margins. At most ``CELLS`` cells or one table are held at a time.
    """
    if 1 in counts.shape or not permutations:  # SciPy leaves its draws of one bin unfilled
        return np.zeros(permutations)
    return np.concatenate([plug_in(each) for each in _tables(counts, permutations, seed)])


def _tables(counts: Counts, permutations: int, seed: int) -> Iterator[Counts]:
    """P random tables with the margins of counts [B, K], in chunks [<= P, B, K].

    They do not depend on ``CELLS``. Tables of few cells are filled cell by cell, at a cost
    independent of N (Patefield 1981); for many cells the N labels are shuffled (Boyett 1979). SciPy
    decides by the same rule.
    """
    bins, classes = counts.sum(axis=1), counts.sum(axis=0)
    n, size = int(bins.sum()), max(1, CELLS // counts.size)
    chunks = [min(size, permutations - start) for start in range(0, permutations, size)]
    if n > np.log(n + 1) * counts.size:
        table = scipy.stats.random_table(bins, classes, seed=seed)
        yield from (table.rvs(number, method="patefield") for number in chunks)
        return
    # SciPy's own shuffles restart with each call and would depend on the chunks.
    random = np.random.RandomState(seed)
    labels = np.repeat(np.arange(len(classes)), classes)
    place = np.repeat(np.arange(len(bins)) * len(classes), bins)
    for number in chunks:
        tables = np.empty((number, *counts.shape), np.int64)
        for each in tables:
            random.shuffle(labels)
            each.ravel()[:] = np.bincount(place + labels, minlength=counts.size)
        yield tables


def plug_in(counts: Counts) -> Float:
    """Mutual information of tables of counts [..., B, K] in bits, with its bias [...].

    H(bin) + H(class) - H(bin, class), H = log n - (sum c log c) / n over counts c of n in all.
    """
    n = counts.sum(axis=(-2, -1))
    of_count = scipy.special.xlogy(np.arange(n.max() + 1), np.arange(n.max() + 1))
    cells = of_count[counts].sum(axis=(-2, -1))
    bins, classes = (of_count[counts.sum(axis=axis)].sum(axis=-1) for axis in (-1, -2))
    found: Float = ((cells - bins - classes) / n + np.log(n)) / np.log(2)
    return found
