"""Mutual information between the class and a unit's value, and its null distribution."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy.stats
from numpy.typing import NDArray

Float = NDArray[np.float64]
Counts = NDArray[np.int64]

CELLS = 2**18
"""Cells of shuffled tables held at a time; with many classes the tables of all shuffles would not
fit in memory."""


@dataclass(frozen=True)
class Information:
    """Information of U units about the class."""

    bits: Float
    """Mutual information, from 0 to H(class) [U]."""
    null: Float
    """Its mean over shuffled labels, in the same range [U]."""
    p_value: Float
    """Share of shuffles with as much information, the data counted as one of them [U]: with P
    shuffles never below 1 / (P + 1)."""


def information(tables: Iterable[Counts], permutations: int, seed: int) -> Information:
    """Mutual information of units with the class, from the table of counts [B, K] of each.

    Corrected for its bias in small samples (Miller 1955). Units with the same number of values in
    each bin share their shuffles. Without permutations null and p-values are NaN.

    Args:
        tables: as ``joint_counts`` gives them.
        permutations: how often labels are shuffled.
        seed: of the shuffles.
    """
    bits, null, p_value = [], [], []
    shuffled: dict[bytes, Float] = {}
    for counts in tables:
        most = entropy(counts.sum(axis=0))
        found = corrected(counts)
        bits.append(found.clip(0, most))
        if not permutations:
            null.append(np.nan)
            p_value.append(np.nan)
            continue
        margin = counts.sum(axis=1).tobytes()
        if margin not in shuffled:  # the same for all units without ties
            shuffled[margin] = of_shuffled(counts, permutations, seed)
        others = shuffled[margin]
        null.append(others.clip(0, most).mean())
        # Rounding must not tell equal tables apart.
        p_value.append((1 + (others >= found - 1e-12).sum()) / (1 + permutations))
    return Information(*np.array([bits, null, p_value], np.float64))


def joint_counts(values: NDArray[np.floating], classes: NDArray[np.integer], bins: int) -> Counts:
    """How often each quantile bin occurs with each class [<= bins, K]; equal values share a bin."""
    places = _quantile_ranks(len(values), bins) - 1
    edges = np.unique(np.partition(values, places)[places])
    place = np.searchsorted(edges, values)
    k = int(classes.max()) + 1
    counts = np.bincount(place * k + classes, minlength=(len(edges) + 1) * k).reshape(-1, k)
    return counts[counts.any(axis=1)]


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
    if 1 in counts.shape:  # SciPy leaves its draws unfilled there; the information is 0
        return np.zeros(permutations)
    return np.concatenate([corrected(each) for each in _tables(counts, permutations, seed)])


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


def corrected(counts: Counts) -> Float:
    """Mutual information of tables of counts [..., B, K] in bits, Miller-Madow corrected [...].

    H(bin) + H(class) - H(bin, class), each with (occupied cells - 1) / 2N added. May be negative.
    """
    n = counts.sum(axis=(-2, -1))
    cells = counts.reshape(*counts.shape[:-2], -1)
    terms = (counts.sum(axis=-1), 1), (counts.sum(axis=-2), 1), (cells, -1)
    total: Float = sum(
        sign * (entropy(each) + ((each > 0).sum(axis=-1) - 1) / (2 * n * np.log(2)))
        for each, sign in terms
    )
    return total


def entropy(counts: Counts) -> Float:
    """-sum p log2 p over the last axis, p = counts / their sum, in bits."""
    result: Float = scipy.stats.entropy(counts, base=2, axis=-1)
    return result
