"""How units correlate with annotations of single timesteps: depth, count, a token's class."""

from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from rnnscope.analysis.statistics import jackknife
from rnnscope.analysis.statistics.jackknife import GROUPS

Float = NDArray[np.float64]
Counts = NDArray[np.int64]

ROUNDING = 1e-14
"""A spread below this, relative to the mean, is rounding error of float64."""
SHARED = 1e-12
"""A share of the variance within timesteps below this is rounding error."""


@dataclass(frozen=True)
class CoMoments:
    """Sums of centred products of U units and A covariates, over the rows where both are known.

    Of one set of rows, or of several along leading axes.
    """

    count: Counts
    """Rows [..., A]."""
    unit_mean: Float
    """[..., U, A]"""
    mean: Float
    """Of the covariates [..., A]."""
    unit_m2: Float
    """sum (x - mean)^2 [..., U, A]"""
    m2: Float
    """sum (a - mean)^2 [..., A]"""
    product: Float
    """sum (x - mean) (a - mean) [..., U, A]"""

    @property
    def varying(self) -> NDArray[np.bool_]:
        """Where both vary by more than rounding [..., U, A]."""
        count, mean, m2 = (each[..., np.newaxis, :] for each in (self.count, self.mean, self.m2))
        return (self.unit_m2 > count * (ROUNDING * self.unit_mean) ** 2) & (
            m2 > count * (ROUNDING * mean) ** 2
        )

    @property
    def correlation(self) -> Float:
        """Pearson's r [..., U, A]; NaN where either varies by no more than rounding."""
        return _pearson(self.product, self.unit_m2, self.m2, self.varying)

    def group(self, number: int) -> "CoMoments":
        """One of several sets of rows."""
        return CoMoments(*(getattr(self, name)[number] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class TimeSums:
    """Plain sums by timestep, over the same rows; they add up."""

    count: Counts
    """Rows [T, A]."""
    units: Float
    """sum x [T, U, A]"""
    covariates: Float
    """sum a [T, A]"""

    def __add__(self, other: "TimeSums") -> "TimeSums":
        return TimeSums(
            self.count + other.count,
            self.units + other.units,
            self.covariates + other.covariates,
        )


@dataclass(frozen=True)
class CovariateSums:
    """Of U units and A covariates."""

    grouped: CoMoments
    """By group of sequences [G, ...]."""
    over_time: TimeSums


def covariate_sums(
    values: NDArray[np.floating],
    covariates: Float,
    groups: NDArray[np.integer],
    timestep: NDArray[np.integer],
    timesteps: int,
) -> CovariateSums:
    """The sums over values [U, R] and covariates [A, R], without rows whose covariate is NaN.

    Args:
        values: one unit per line.
        covariates: one per line, NaN where it is not known.
        groups: the group of sequences of each row, in 0 … G - 1 [R].
        timestep: of each row [R].
        timesteps: T, past every timestep that occurs.
    """
    units, kinds = len(values), len(covariates)
    grouped = _zero((GROUPS,), units, kinds)
    over_time = TimeSums(
        np.zeros((timesteps, kinds), np.int64),
        np.zeros((timesteps, units, kinds)),
        np.zeros((timesteps, kinds)),
    )
    if not kinds:
        return CovariateSums(grouped, over_time)
    for number in np.unique(groups):
        rows = np.flatnonzero(groups == number)
        found = comoments(values[:, rows], covariates[:, rows])
        for name in CoMoments.__dataclass_fields__:
            getattr(grouped, name)[number] = getattr(found, name)
    patterns, which = np.unique(~np.isnan(covariates), axis=0, return_inverse=True)
    for number, known in enumerate(patterns):  # mostly one: all rows
        kind, here = np.flatnonzero(which.ravel() == number), timestep[known]
        over_time.count[:, kind] = np.bincount(here, minlength=timesteps)[:, np.newaxis]
        for unit, line in enumerate(values):
            total = np.bincount(here, line[known], timesteps)
            over_time.units[:, unit, kind] = total[:, np.newaxis]
        for each in kind:
            over_time.covariates[:, each] = np.bincount(here, covariates[each, known], timesteps)
    return CovariateSums(grouped, over_time)


def comoments(values: NDArray[np.floating], covariates: Float) -> CoMoments:
    """The sums over values [U, R] and covariates [A, R], without rows whose covariate is NaN."""
    x = values.astype(np.float64, order="C")  # sums along lines are pairwise, and rounded less
    known = (~np.isnan(covariates)).astype(np.float64)
    count = known.sum(axis=1)
    rows = np.maximum(count, 1)
    shift = x.mean(axis=1, keepdims=True)
    x -= shift
    a = np.where(known > 0, covariates, 0).astype(np.float64, order="C")
    mean = a.sum(axis=1) / rows
    a -= known * mean[:, np.newaxis]
    unit_mean = x @ known.T / rows
    unit_m2 = ((x * x) @ known.T - rows * unit_mean**2).clip(0)
    product = x @ a.T - unit_mean * a.sum(axis=1)
    unit_mean = np.where(count > 0, shift + unit_mean, 0)
    return CoMoments(count.astype(np.int64), unit_mean, mean, unit_m2, (a * a).sum(axis=1), product)


def merge(a: CovariateSums, b: CovariateSums) -> CovariateSums:
    """The sums over both sets of rows together."""
    return CovariateSums(merge_comoments(a.grouped, b.grouped), a.over_time + b.over_time)


def merge_comoments(a: CoMoments, b: CoMoments) -> CoMoments:
    """The sums over both sets of rows together (Chan, Golub & LeVeque 1983)."""
    count = a.count + b.count
    share = b.count / np.maximum(count, 1)
    weight = a.count * share
    d, e = b.unit_mean - a.unit_mean, b.mean - a.mean
    by_unit, weights = share[..., np.newaxis, :], weight[..., np.newaxis, :]
    return CoMoments(
        count,
        a.unit_mean + d * by_unit,
        a.mean + e * share,
        a.unit_m2 + b.unit_m2 + d**2 * weights,
        a.m2 + b.m2 + e**2 * weight,
        a.product + b.product + d * e[..., np.newaxis, :] * weights,
    )


@dataclass(frozen=True)
class Best:
    """The covariate with the largest |r| of each unit."""

    place: NDArray[np.intp]
    """Which it is [U]; -1 if none varies."""
    r: Float
    """Pearson's r over all rows [U]."""
    low: Float
    """Bounds of its interval [U]."""
    high: Float
    within: Float
    """r after each timestep's mean over sequences is taken from both [U]; NaN where that leaves
    nothing of either."""


def best(sums: CovariateSums, sources: int) -> Best:
    """The covariate with the largest |r| over all rows, given the number of sources."""
    groups = [sums.grouped.group(number) for number in range(GROUPS)]
    whole = reduce(merge_comoments, groups)
    r = whole.correlation
    place = np.where(np.isnan(r), -1, np.abs(r)).argmax(axis=1)

    def of_best(each: Float) -> Float:
        return np.take_along_axis(each, place[:, np.newaxis], axis=1)[:, 0]

    rest = jackknife.all_but_one(groups, merge_comoments)
    left_out = np.array([of_best(each.correlation) for each in rest if each is not None])
    low, high = jackknife.interval(of_best(r), left_out, sources)
    within = of_best(_within(whole, sums.over_time))
    found = np.where(np.isnan(of_best(r)), -1, place)
    return Best(found, of_best(r), low, high, within)


def _within(whole: CoMoments, over_time: TimeSums) -> Float:
    """Pearson's r [U, A] of what each timestep's mean leaves: all products but those of means."""
    count = over_time.count
    rows = np.maximum(count, 1)
    x = over_time.units / rows[:, np.newaxis] - whole.unit_mean
    a = over_time.covariates / rows - whole.mean
    weighted = count * a
    unit_m2 = whole.unit_m2 - np.einsum("ta,tua->ua", count, x**2)
    m2 = whole.m2 - (weighted * a).sum(axis=0)
    product = whole.product - np.einsum("ta,tua->ua", weighted, x)
    left = (unit_m2 > SHARED * whole.unit_m2) & (m2 > SHARED * whole.m2)
    return _pearson(product, unit_m2, m2, left & whole.varying)


def _pearson(product: Float, unit_m2: Float, m2: Float, varying: NDArray[np.bool_]) -> Float:
    scale = np.sqrt(unit_m2.clip(0)) * np.sqrt(m2.clip(0))[..., np.newaxis, :]
    r = np.divide(product, scale, out=np.full_like(scale, np.nan), where=varying)
    return r.clip(-1, 1)


def _zero(groups: tuple[int, ...], units: int, kinds: int) -> CoMoments:
    """The sums over no rows."""
    of_kind, of_unit = (*groups, kinds), (*groups, units, kinds)
    return CoMoments(
        np.zeros(of_kind, np.int64),
        np.zeros(of_unit),
        np.zeros(of_kind),
        np.zeros(of_unit),
        np.zeros(of_kind),
        np.zeros(of_unit),
    )
