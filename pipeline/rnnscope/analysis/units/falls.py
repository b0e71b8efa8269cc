"""Which lags of an autocorrelation are its first fall, and how far it falls over them.

R is that of all sequences and without each of G' groups of them, [1 + G', U, L]; what its errors
are follows from how far it moves without a group.
"""

import numpy as np
from numpy.typing import NDArray

from rnnscope.analysis.statistics import jackknife
from rnnscope.analysis.units.decays import Series

Float = NDArray[np.float64]
Bools = NDArray[np.bool_]
Places = NDArray[np.intp]

ERRORS = 2
"""Standard errors by which R falls below 0, and rises again, if it oscillates."""
ROUNDING = 1e-9
"""Differences of R below this are rounding error, not a drop."""


def first_drop(r: Float) -> tuple[Places, Bools]:
    """The place of the first drop of R [U, L], and whether there is one [U].

    Without a drop it is that of the first lag known.
    """
    known = np.isfinite(r)
    # What follows each lag: R at the next lag that is known.
    following = np.full_like(r, np.nan)
    for place in range(r.shape[1] - 2, -1, -1):
        here = known[:, place + 1]
        following[:, place] = np.where(here, r[:, place + 1], following[:, place + 1])
    falls = following - r < -ROUNDING
    dropped: Bools = np.logical_or.reduce(falls, axis=1)
    return np.where(dropped, falls.argmax(axis=1), known.argmax(axis=1)), dropped


def end_of_fall(r: Float, begin: Places) -> Places:
    """The last place of the fall of R [1 + G', U, L] from some place on: [U] each.

    R oscillates if the lags at which it is first below 0 have a mean below -2 standard errors, and
    it then rises by as much; its fall ends where it is lowest. Other falls end with the lags.
    """
    place, whole = np.arange(r.shape[2]), r[0]
    below = (whole <= 0) & (place > begin[:, np.newaxis])
    begun = np.logical_or.accumulate(below, axis=1)
    ended = np.logical_or.accumulate(begun & (whole > 0), axis=1)
    trough = below & ~ended
    depth = np.where(trough, r, 0).sum(axis=2) / np.maximum(trough.sum(axis=1), 1)
    lowest = np.where(trough, whole, np.inf).argmin(axis=1)
    rise = r - np.take_along_axis(r, lowest[np.newaxis, :, np.newaxis], axis=2)
    rises = (rise[0] > ERRORS * error(rise)) & (place > lowest[:, np.newaxis])
    oscillates = (depth[0] < -ERRORS * error(depth)) & rises.any(axis=1)
    return np.where(oscillates, lowest, r.shape[2] - 1)


def fitted(
    r: Float,
    pairs: Float,
    lags: Places,
    begin: Places,
    end: Places,
) -> Series:
    """What is fitted of R [1 + G', U, L]: the lags between two places [U], with their pairs."""
    place = np.arange(len(lags))
    inside = (place >= begin[:, np.newaxis]) & (place <= end[:, np.newaxis])
    weights = np.where(np.isfinite(r) & inside, pairs[:, np.newaxis], 0)
    with np.errstate(invalid="ignore"):
        weights /= weights.sum(axis=2, keepdims=True)
    elapsed = (lags - lags[begin][:, np.newaxis]).clip(0)
    return Series(np.nan_to_num(r), weights, elapsed.astype(np.float64))


def drop(series: Series) -> tuple[Float, Float]:
    """How far R lies below its first lag at those after, on average [1 + G', U].

    And how many timesteps these are after the first, on average [U].
    """
    place = (series.weights[0] > 0).argmax(axis=1)[np.newaxis, :, np.newaxis]
    first, weight = (
        np.take_along_axis(each, np.broadcast_to(place, (len(each), *place.shape[1:])), axis=2)
        for each in (series.r, series.weights)
    )
    after = 1 - weight[..., 0]
    drop = (series.weights * (first - series.r)).sum(axis=2) / after
    return drop, (series.weights[0] * series.elapsed).sum(axis=1) / after[0]


def above_0(statistic: Float) -> Bools:
    """Whether the interval of a statistic [1 + G', U] lies above 0 [U]."""
    found: Bools = statistic[0] > quantile(statistic) * error(statistic)
    return found


def error(statistic: Float) -> Float:
    """The standard error of a statistic [1 + G', ...] by its groups; 0 for a single group."""
    return np.nan_to_num(jackknife.standard_error(statistic[1:]))


def quantile(statistic: Float) -> float:
    """Student's t for a statistic's interval [1 + G', ...]."""
    return jackknife.quantile(len(statistic) - 1) if len(statistic) > 2 else 0.0
