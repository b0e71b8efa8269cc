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
from numpy.typing import NDArray

from rnnscope.analysis.statistics import covariance
from rnnscope.analysis.statistics.jackknife import GROUPS

Float = NDArray[np.float64]
Ints = NDArray[np.int64]

STILL = 1e-12
"""Share of the variance below which pairs k apart count as constant: rounding of the sums."""


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
        self.lags = lags
        self.size = scipy.fft.next_fast_len(present.shape[1] + lags, real=True)
        self.groups, starts = np.unique(groups, return_index=True)
        self.pieces = [slice(*ends) for ends in zip(starts, [*starts[1:], None], strict=True)]
        self.spectrum = scipy.fft.rfft(present.astype(np.float64), self.size).conj()
        count = self._back(self._by_group((self.spectrum * self.spectrum.conj()).real))
        self.count = self._spread(np.rint(count[:, : lags + 1]).astype(np.int64))
        self.sequences = present.sum(axis=0)

    def sums(self, lines: Float, mean: Float) -> LagSums:
        """The sums of fluctuations [U, N, T], 0 where no row is present, about a mean [U, T].

        All lags at once by the Wiener-Khinchin theorem: a correlation is a product of spectra.
        """
        shape = (len(lines), GROUPS, self.lags + 1)
        product, first, second = np.zeros((3, *shape))
        for unit, d in enumerate(lines):  # a unit at a time stays in the processor's cache
            spectrum = scipy.fft.rfft(d, self.size)
            power = self._back(self._by_group(spectrum.real**2 + spectrum.imag**2))
            squares = scipy.fft.rfft(d * d, self.size)
            squares *= self.spectrum
            both = self._back(self._by_group(squares))
            product[unit] = self._spread(power[:, : self.lags + 1])
            second[unit] = self._spread(both[:, : self.lags + 1])
            first[unit] = self._spread(both[:, -np.arange(self.lags + 1)])
        rounding = covariance.rounding(self.sequences, mean).sum(axis=1)
        return LagSums(product, first, second, self.count, rounding)

    def _by_group(self, values: NDArray[Any]) -> NDArray[Any]:
        """The sums of values [N, ...] over the sequences of each group that occurs."""
        return np.stack([values[piece].sum(axis=0) for piece in self.pieces])

    def _back(self, spectrum: NDArray[np.inexact]) -> Float:
        return np.asarray(scipy.fft.irfft(spectrum, self.size))

    def _spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values of the groups that occur, among all groups [G, ...]."""
        found = np.zeros((GROUPS, *values.shape[1:]), values.dtype)
        found[self.groups] = values
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
