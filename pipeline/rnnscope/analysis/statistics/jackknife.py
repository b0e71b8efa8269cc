"""Intervals of statistics that follow from sums, by leaving out groups of sequences.

Timesteps of a sequence are not independent, sequences are. Sums are kept in G groups of sequences;
each statistic is computed G times more, from the sums of all groups but one. How far these values
spread tells its standard error (Shao & Tu 1995; Kott 2001).
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import scipy.stats
from numpy.typing import NDArray

Float = NDArray[np.float64]
S = TypeVar("S")

GROUPS = 20
"""G, the number of groups."""
FEWEST = 2 * GROUPS
"""Fewest sources of sequences, that is independent sequences, for an interval."""
TOO_FEW = f"fewer than {FEWEST} independent sequences"
"""Why there is no interval, for the tables."""
LEVEL = 0.95
"""Confidence level of the intervals."""


def groups(sources: NDArray[np.integer]) -> NDArray[np.intp]:
    """The group of each sequence [N], in 0 … G - 1, from the number of its source [N].

    A sequence is a source of its own unless the data says which ones belong together.
    """
    return np.asarray(sources, np.intp) % GROUPS


def standard_error(left_out: Float) -> Float:
    """The standard error [...] of a statistic, from its values without one group each [G, ...].

    s² = (G - 1)/G sum (left_out - its mean)²; NaN for a single group.
    """
    count = len(left_out)
    if count < 2:
        return np.full(left_out.shape[1:], np.nan)
    with np.errstate(invalid="ignore"):
        squares: Float = ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0)
    return np.sqrt(squares * (count - 1) / count)


def quantile(count: int) -> float:
    """Student's t of which a share of 1 - LEVEL lies beyond ±t, from this many groups."""
    return float(scipy.stats.t.ppf((1 + LEVEL) / 2, count - 1))


def interval(
    value: Float, left_out: Float, sources: int | NDArray[np.integer]
) -> tuple[Float, Float]:
    """The 95 % interval of a statistic, lower and upper bound, each [...].

    value ± t s with the standard error s, and t Student's at G - 1 degrees of freedom. Give
    logarithms for a statistic whose error grows with its size.

    Args:
        value: the statistic of all sequences [...].
        left_out: of all groups but one each [G, ...].
        sources: how many independent sources of sequences there are, or of each value [...].

    Returns:
        NaN below FEWEST sources, and where the statistic is NaN or infinite with any
        group left out.
    """
    with np.errstate(invalid="ignore"):
        half = quantile(len(left_out)) * standard_error(left_out)
        low, high = value - half, value + half
    known = np.isfinite(half) & (sources >= FEWEST)
    return np.where(known, low, np.nan), np.where(known, high, np.nan)


def all_but_one(sums: Sequence[S], merge: Callable[[S, S], S]) -> list[S | None]:
    """For each of several sums, those of all others merged; None where there is no other.

    Central moments do not come apart again, so that others are merged rather than one subtracted.
    """
    ends: list[list[S | None]] = []
    for order in (sums, sums[::-1]):
        through: list[S | None] = [None]
        for each in order[:-1]:
            last = through[-1]
            through.append(each if last is None else merge(last, each))
        ends.append(through)
    return [
        after if before is None else before if after is None else merge(before, after)
        for before, after in zip(ends[0], ends[1][::-1], strict=True)
    ]
