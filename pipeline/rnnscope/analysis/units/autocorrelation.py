"""The autocorrelation of a unit's fluctuations within sequences, from sums that add up.

Fluctuations are x minus its mean over sequences at each timestep. As this mean is not taken over
time, short sequences do not bias R. With d the fluctuation, and sums over all pairs of timesteps k
apart of the same sequence,

    R(k) = sum d_t d_t+k / sqrt(sum d_t^2 · sum d_t+k^2)

which stays within -1 and 1 also where the variance changes over time. Sums are kept by group of
sequences, so that R is known without each group as well.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from rnnscope.analysis.statistics import covariance
from rnnscope.analysis.statistics.jackknife import GROUPS

Float = NDArray[np.float64]
Ints = NDArray[np.int64]

STILL = 1e-12
"""Share of the variance below which pairs k apart count as constant: rounding of the sums."""
MANY = 16
"""Sequences per timestep from which on products of all pairs take less time than spectra."""


@dataclass(frozen=True)
class LagSums:
    """Sums over all pairs of timesteps k apart, k = 0 … L, for U units, by group of sequences."""

    product: Float
    """sum d_t d_t+k [U, G, L + 1]"""
    first: Float
    """sum d_t^2 over the same pairs [U, G, L + 1]"""
    second: Float
    """sum d_t+k^2 over the same pairs [U, G, L + 1]"""
    pairs: Ints
    """How many pairs there are, the same for all units [G, L + 1]."""
    rounding: Float
    """The largest sum d_t^2 that rounding alone makes of equal sequences [U]."""

    def __add__(self, other: "LagSums") -> "LagSums":
        return LagSums(
            self.product + other.product,
            self.first + other.first,
            self.second + other.second,
            self.pairs + other.pairs,
            self.rounding + other.rounding,
        )


def no_sums(units: int, lags: int) -> LagSums:
    """The sums over no sequences."""
    product, first, second = np.zeros((3, units, GROUPS, lags + 1))
    return LagSums(product, first, second, np.zeros((GROUPS, lags + 1), np.int64), np.zeros(units))


class Pairs:
    """The pairs of timesteps k = 0 … L apart that are present, as the sums of every unit need them.

    Args:
        present: which timesteps of which sequence have a row [N, T]; sequences of one group
            follow one another.
        groups: the group of each sequence [N], rising.
        lags: L.
    """

    def __init__(self, present: NDArray[np.bool_], groups: NDArray[np.integer], lags: int):
        self.lags, self.present = lags, present.astype(np.float64)[np.newaxis]
        many = len(present) >= MANY * present.shape[1]
        self.correlate = by_products if many else by_spectra
        self.groups, self.starts = np.unique(groups, return_index=True)
        self.whole = bool(present.all())
        pairs, _ = self._squares(self.present)
        self.count = np.rint(self._spread(pairs)[0]).astype(np.int64)
        self.sequences = present.sum(axis=0)

    def sums(self, lines: Float, mean: Float) -> LagSums:
        """The sums of fluctuations [U, N, T], 0 where no row is present, about a mean [U, T]."""
        product = self.correlate(lines, lines, self.starts, self.lags)[:, :, self.lags :]
        first, second = map(self._spread, self._squares(lines * lines))
        rounding = covariance.rounding(self.sequences, mean).sum(axis=1)
        return LagSums(self._spread(product), first, second, self.count, rounding)

    def _squares(self, squares: Float) -> tuple[Float, Float]:
        """Of all pairs the sums of the squares [U, N, T] at t, and at t + k, [U, G', L + 1]."""
        if not self.whole:
            both = self.correlate(squares, self.present, self.starts, self.lags)
            return both[:, :, self.lags :], both[:, :, self.lags :: -1]
        by_group = np.add.reduceat(squares, self.starts, axis=1)
        upto = by_group.cumsum(axis=2)[:, :, ::-1]
        onward = by_group[:, :, ::-1].cumsum(axis=2)[:, :, ::-1]
        return upto[:, :, : self.lags + 1], onward[:, :, : self.lags + 1]

    def _spread(self, values: Float) -> Float:
        """Values [U, G', ...] of the groups that occur, among all groups [U, G, ...]."""
        found = np.zeros((len(values), GROUPS, *values.shape[2:]))
        found[:, self.groups] = values
        return found


def by_products(x: Float, y: Float, starts: NDArray[np.intp], lags: int) -> Float:
    """sum x_n,t y_n,t+k over t and the n of each group, for k = -L … L [U, G, 2 L + 1].

    Args:
        x: [U, N, T].
        y: likewise, or the same for all units [1, N, T].
        starts: the first n of each group [G].
        lags: L.
    """
    units, _, timesteps = x.shape
    padded = np.zeros((units, len(starts), timesteps, timesteps + 2 * lags))
    ends = [*starts[1:], None]
    for group, piece in enumerate(map(slice, starts, ends)):
        product = padded[:, group, :, lags : lags + timesteps]
        np.matmul(x[:, piece].transpose(0, 2, 1), y[:, piece], out=product)
    unit, group, row, column = padded.strides
    shape, strides = (*padded.shape[:3], 2 * lags + 1), (unit, group, row + column, column)
    return np.asarray(as_strided(padded, shape, strides, writeable=False).sum(axis=2))


def by_spectra(x: Float, y: Float, starts: NDArray[np.intp], lags: int) -> Float:
    """The same by the Wiener-Khinchin theorem: a correlation is a product of spectra."""
    size = scipy.fft.next_fast_len(x.shape[2] + lags, real=True)
    found = np.empty((len(x), len(starts), 2 * lags + 1))
    shared = scipy.fft.rfft(y[0], size) if len(y) < len(x) else None
    for unit, line in enumerate(x):  # a unit at a time stays in the processor's cache
        spectrum = scipy.fft.rfft(line, size)
        other = shared
        if other is None:
            other = spectrum if y is x else scipy.fft.rfft(y[unit], size)
        by_group = np.add.reduceat(spectrum.conj() * other, starts)
        found[unit] = scipy.fft.irfft(by_group, size)[:, np.arange(-lags, lags + 1)]
    return found


def joined(sums: list[LagSums]) -> LagSums:
    """The sums of several lists of units over the same sequences, one after the other."""
    return LagSums(
        np.concatenate([each.product for each in sums]),
        np.concatenate([each.first for each in sums]),
        np.concatenate([each.second for each in sums]),
        sums[0].pairs,
        np.concatenate([each.rounding for each in sums]),
    )


@dataclass(frozen=True)
class Autocorrelation:
    """R(k), k = 0 … L, of all sequences and without each group of them."""

    every: Float
    """[1 + G', U, L + 1]: of all sequences, then without each of the G' groups that have rows; NaN
    where a unit fluctuates by no more than rounding, or where no pair is k apart."""
    pairs: Ints
    """How many pairs each is of [1 + G', L + 1]."""

    @property
    def r(self) -> Float:
        """Of all sequences [U, L + 1]."""
        whole: Float = self.every[0]
        return whole

    @property
    def left_out(self) -> Float:
        """Without each of the groups [G', U, L + 1]."""
        others: Float = self.every[1:]
        return others

    @property
    def still(self) -> NDArray[np.bool_]:
        """Which units do not fluctuate [U]."""
        return np.isnan(self.r[:, 0])

    @cached_property
    def time(self) -> Float:
        """The autocorrelation time 1 + 2 sum R(k), up to the first R(k) <= 0 [U] (Sokal 1997).

        How many timesteps count as one independent one. NaN where an R(k) before is not known, or
        where there is no lag.
        """
        r = self.r[:, 1:]
        if not r.shape[1]:
            return np.full(len(r), np.nan)
        ended = np.logical_or.accumulate(r <= 0, axis=1)
        found: Float = 1 + 2 * np.where(ended, 0, r).sum(axis=1)
        return found


def autocorrelation(sums: LagSums) -> Autocorrelation:
    """R(k) from the sums of all sequences."""
    there = sums.pairs[:, 0] > 0

    def with_left_out(values: NDArray[Any]) -> NDArray[Any]:
        """Sums over groups, axis 0: of all, and of all but each."""
        whole = values.sum(axis=0)
        return np.concatenate([whole[np.newaxis], whole - values[there]])

    product, first, second = (
        with_left_out(np.moveaxis(each, 1, 0)) for each in (sums.product, sums.first, sums.second)
    )
    pairs = with_left_out(sums.pairs)
    # Where nothing fluctuates only rounding is left, of either sign: of the sums, or of the values,
    # which correlates as sequences are rounded alike.
    known = np.minimum(first, second) > STILL * first[:1, :, :1]
    known &= (pairs > 0)[:, np.newaxis]
    known &= (first[0, :, 0] > sums.rounding)[:, np.newaxis]
    scale = np.sqrt((first * second).clip(0))
    r = np.divide(product, scale, out=np.full_like(scale, np.nan), where=known)
    return Autocorrelation(r, pairs)
