"""Autocorrelation and its sums, pair by pair."""

import functools
import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnscope import states
from rnnscope.analysis.statistics import jackknife
from rnnscope.analysis.units.autocorrelation import (
    MANY,
    Autocorrelation,
    LagSums,
    autocorrelation,
)
from rnnscope.analysis.units.sums import lag_sums
from rnnscope.analysis.units.tuning import mean_over_time, tuning_sums
from tests.analysis.units.processes import autoregressive

QUICK = settings(max_examples=40, deadline=None, derandomize=True)

Float = NDArray[np.float64]
Bools = NDArray[np.bool_]


def gapped(seed: int, n: int, t: int) -> Bools:
    """Which timesteps have a row [N, T]: sequences of any length, with gaps in them."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, t + 1, n)
    present: Bools = (np.arange(t) < lengths[:, np.newaxis]) & (random.random((n, t)) < 0.8)
    present[:, 0] = True
    return present


def summed(values: Float, present: Bools, lags: int, parts: int = 1) -> LagSums:
    """The sums of values [U, N, T] as the stage takes them: means over time, then each part."""
    sequence, timestep = np.nonzero(present)
    rows = states.RowKeys(sequence.astype(np.int32), timestep.astype(np.int32), None)
    lines = values[:, present].astype(np.float32)
    t = present.shape[1]
    mean = mean_over_time(tuning_sums(lines, rows, 1, t), t)
    found = []
    for piece in np.array_split(np.arange(len(present)), parts):
        here = np.isin(sequence, piece)
        part = states.RowKeys(rows.sequence[here], rows.timestep[here], None)
        groups = jackknife.groups(part.sequence)
        found.append(lag_sums((part, lines[:, here]), mean, lags, groups))
    return functools.reduce(operator.add, found)


def by_hand(values: Float, present: Bools, lags: int, kept: Bools | None = None) -> Float:
    """R(k) [U, L + 1] of values [U, N, T], pair by pair, over the sequences kept [N].

    The means over time are those of all sequences.
    """
    found = np.full((len(values), lags + 1), np.nan)
    chosen = range(len(present)) if kept is None else np.flatnonzero(kept)
    for unit, x in enumerate(values.astype(np.float32).astype(np.float64)):
        d = x - np.array([line[there].mean() for line, there in zip(x.T, present.T, strict=True)])
        for lag in range(lags + 1):
            product = first = second = 0.0
            for sequence in chosen:
                for t in range(present.shape[1] - lag):
                    if present[sequence, t] and present[sequence, t + lag]:
                        product += d[sequence, t] * d[sequence, t + lag]
                        first += d[sequence, t] ** 2
                        second += d[sequence, t + lag] ** 2
            if first and second:
                found[unit, lag] = product / np.sqrt(first * second)
    return found


# the autocorrelation


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value:RuntimeWarning")
@QUICK
@given(n=st.integers(2, 7), t=st.integers(1, 9), lags=st.integers(0, 8), seed=st.integers(0, 999))
def test_the_autocorrelation_is_that_of_a_double_loop_with_any_lengths_and_gaps(
    n: int, t: int, lags: int, seed: int
) -> None:
    lags = min(lags, t - 1)
    present = gapped(seed, n, t)
    # More units than are taken at a time, of very different sizes.
    sizes = np.geomspace(1e-3, 1e3, 11)[:, np.newaxis, np.newaxis]
    values = np.random.default_rng(seed).normal(size=(11, n, t)).cumsum(axis=2) * sizes
    got = autocorrelation(summed(values, present, lags)).r
    np.testing.assert_allclose(got, by_hand(values, present, lags), rtol=1e-7, atol=1e-7)


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("gaps", [True, False])
@pytest.mark.parametrize("n", [MANY * 3 - 1, MANY * 3])
def test_it_is_the_same_of_many_and_of_few_sequences(n: int, gaps: bool) -> None:
    """By products or by spectra; with all timesteps present or not; and without each group."""
    present = gapped(n, n, 3) if gaps else np.ones((n, 3), bool)
    values = np.random.default_rng(n).normal(size=(2, n, 3)).cumsum(axis=2)
    found = autocorrelation(summed(values, present, 2))
    np.testing.assert_allclose(found.r, by_hand(values, present, 2), rtol=1e-9)
    of = jackknife.groups(np.arange(n))
    for group, got in enumerate(found.left_out):
        np.testing.assert_allclose(got, by_hand(values, present, 2, of != group), rtol=1e-9)


@QUICK
@given(parts=st.integers(2, 20), seed=st.integers(0, 99))
def test_the_sums_of_parts_add_up(parts: int, seed: int) -> None:
    present = gapped(seed, 20, 9)
    values = np.random.default_rng(seed).normal(size=(3, 20, 9))
    whole, parted = summed(values, present, 8), summed(values, present, 8, parts)
    for name in ("product", "first", "second", "pairs", "rounding"):
        one, other = getattr(parted, name), getattr(whole, name)
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10 * np.abs(other).max())
    one, other = (autocorrelation(sums).every for sums in (parted, whole))
    np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-10)


def test_any_function_of_time_added_to_all_sequences_changes_nothing() -> None:
    present = gapped(0, 30, 12)
    # Whole numbers, that float32 holds with whatever is added.
    values = np.random.default_rng(0).integers(-50, 50, (4, 30, 12)).cumsum(axis=2).astype(float)
    shapes = [np.zeros(12), np.arange(12), [0, 99] * 6, 2.0 ** np.arange(12)]
    expected = autocorrelation(summed(values, present, 11)).r
    shifted = values + np.array(shapes)[:, np.newaxis, :]
    np.testing.assert_allclose(autocorrelation(summed(shifted, present, 11)).r, expected, rtol=1e-9)


def test_it_stays_within_1_also_where_the_variance_grows() -> None:
    present = np.ones((50, 10), bool)
    values = np.random.default_rng(0).normal(size=(1, 50, 1)) * 3.0 ** np.arange(10)
    got = autocorrelation(summed(values, present, 9)).r
    np.testing.assert_allclose(got, 1, rtol=1e-6)


def test_what_does_not_fluctuate_has_none() -> None:
    values = np.zeros((3, 20, 6))
    values[0] = 0.1
    values[1] = np.arange(6) ** 2 * 0.1  # the same in all sequences
    values[2] = np.random.default_rng(0).normal(size=(20, 6))
    got = autocorrelation(summed(values, np.ones((20, 6), bool), 5, parts=3)).r
    assert np.isnan(got[:2]).all()
    assert np.isfinite(got[2]).all()


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_sequences_that_are_equal_but_for_rounding_do_not_fluctuate(scale: float) -> None:
    """Rounded now to one float32, now to its neighbour, and for several timesteps alike."""
    random = np.random.default_rng(0)
    shared = (scale * random.normal(size=(30, 1, 40))).astype(np.float32)
    up = (autoregressive(3, (30, 100, 40), 0) > random.normal(size=(30, 1, 1))).astype(bool)
    values = np.where(up, np.nextafter(shared, np.float32(np.inf)), shared).astype(np.float64)
    present = gapped(0, 100, 40)
    assert (values.std(axis=1).max(axis=1) > 0).all()
    found = autocorrelation(summed(values, present, 9, parts=3))
    assert found.still.all()
    assert np.isnan(found.every).all()


@pytest.mark.parametrize("size", [0.1, 1.0])
def test_what_fluctuates_by_more_than_rounding_has_one(size: float) -> None:
    """At 1e6 neighbouring numbers of float32 are 0.06 apart."""
    values = 1e6 + size * autoregressive(3, (20, 400, 40), 0)
    got = autocorrelation(summed(values, np.ones((400, 40), bool), 9))
    assert not got.still.any()
    np.testing.assert_allclose(got.r[:, 1].mean(), np.exp(-1 / 3), atol=0.03)


def test_a_lag_whose_pairs_do_not_fluctuate_has_none() -> None:
    present = np.zeros((40, 8), bool)
    present[:, :5] = present[7] = True  # past timestep 4 a single sequence is its own mean
    values = np.random.default_rng(0).normal(size=(30, 40, 8))
    got = autocorrelation(summed(values, present, 7)).r
    assert np.isfinite(got[:, :5]).all()
    assert np.isnan(got[:, 5:]).all()


def test_without_a_group_it_is_that_of_the_other_sequences() -> None:
    present = gapped(3, 45, 7)
    values = np.random.default_rng(3).normal(size=(2, 45, 7)).cumsum(axis=2)
    found = autocorrelation(summed(values, present, 6, parts=4))
    assert found.every.shape == (1 + jackknife.GROUPS, 2, 7)
    for group in range(jackknife.GROUPS):
        kept = np.arange(45) % jackknife.GROUPS != group
        expected = by_hand(values, present, 6, kept)
        np.testing.assert_allclose(found.left_out[group], expected, rtol=1e-9, atol=1e-9)


def test_pairs_are_counted_by_group() -> None:
    present = gapped(1, 50, 9)
    sums = summed(np.random.default_rng(1).normal(size=(1, 50, 9)), present, 8, parts=3)
    for lag in range(9):
        both = (present[:, : 9 - lag] & present[:, lag:]).sum(axis=1)
        by_group = np.bincount(np.arange(50) % 20, weights=both, minlength=20)
        np.testing.assert_array_equal(sums.pairs[:, lag], by_group)


def test_groups_without_sequences_are_not_left_out() -> None:
    values = np.random.default_rng(0).normal(size=(1, 7, 5))
    found = autocorrelation(summed(values, np.ones((7, 5), bool), 4))
    assert found.left_out.shape == (7, 1, 5)
    assert found.pairs[:, 2].tolist() == [21] + [18] * 7


# the autocorrelation time


def test_the_autocorrelation_time_adds_up_to_the_first_lag_without_correlation() -> None:
    r = np.array(
        [
            [1, 0.5, 0.25, -0.1, 0.9],
            [1, 0.5, 0.25, 0.2, 0.1],
            [1, 0.0, 0.25, 0.2, 0.1],
            [1, np.nan, 0.25, 0.2, 0.1],
            [1, 0.5, -0.1, np.nan, 0.1],
        ]
    )
    found = Autocorrelation(r[np.newaxis], np.ones((1, 5), np.int64)).time
    np.testing.assert_allclose(found, [2.5, 3.1, 1, np.nan, 2])


@pytest.mark.parametrize("phi", [0.3, 0.8])
def test_the_autocorrelation_time_of_an_autoregressive_process_is_that_of_its_formula(
    phi: float,
) -> None:
    """(1 + phi) / (1 - phi), the sum of 1 + 2 phi^k (Sokal 1997)."""
    values = autoregressive(-1 / np.log(phi), (5, 2000, 60), 0)
    found = autocorrelation(summed(values, np.ones((2000, 60), bool), 40)).time
    assert np.mean(found) == pytest.approx((1 + phi) / (1 - phi), rel=0.04)


def test_a_single_timestep_has_no_autocorrelation_time() -> None:
    sums = summed(np.random.default_rng(0).normal(size=(2, 9, 1)), np.ones((9, 1), bool), 0)
    assert np.isnan(autocorrelation(sums).time).all()
