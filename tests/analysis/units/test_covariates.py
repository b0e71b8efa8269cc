"""Correlation of units with annotations of single timesteps, against NumPy."""

import functools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnscope.analysis.statistics import jackknife
from rnnscope.analysis.units.covariates import (
    CovariateSums,
    best,
    comoments,
    covariate_sums,
    merge,
    merge_comoments,
)

QUICK = settings(max_examples=40, deadline=None, derandomize=True)

Float = NDArray[np.float64]


def drawn(seed: int, count: int, units: int = 4, kinds: int = 3) -> tuple[Float, Float]:
    """Values [U, R] and covariates [A, R] that go along; of some rows some are not known."""
    random = np.random.default_rng(seed)
    covariates = random.normal(size=(kinds, count)) * 10.0 ** np.arange(kinds)[:, np.newaxis] + 3
    values = random.normal(size=(units, kinds)) @ covariates + random.normal(size=(units, count))
    covariates[random.random(covariates.shape) < 0.2] = np.nan
    return values, covariates


def by_numpy(values: Float, covariates: Float) -> Float:
    """Pearson's r [U, A] over the rows where the covariate is known."""
    found = np.full((len(values), len(covariates)), np.nan)
    for kind, line in enumerate(covariates):
        known = ~np.isnan(line)
        for unit, x in enumerate(values):
            if known.sum() > 1:
                found[unit, kind] = np.corrcoef(x[known], line[known])[0, 1]
    return found


@QUICK
@given(seed=st.integers(0, 999), count=st.integers(1, 200), parts=st.integers(1, 6))
def test_correlations_are_those_of_numpy_however_the_rows_are_parted(
    seed: int, count: int, parts: int
) -> None:
    values, covariates = drawn(seed, count)
    pieces = np.array_split(np.arange(count), min(parts, count))
    np.random.default_rng(seed).shuffle(pieces)
    sums = [comoments(values[:, piece], covariates[:, piece]) for piece in pieces]
    got = functools.reduce(merge_comoments, sums)
    np.testing.assert_allclose(got.correlation, by_numpy(values, covariates), rtol=1e-9, atol=1e-12)
    assert got.count.tolist() == (~np.isnan(covariates)).sum(axis=1).tolist()
    assert (np.abs(got.correlation[np.isfinite(got.correlation)]) <= 1).all()


def test_neither_scale_nor_offset_of_either_changes_more_than_the_sign() -> None:
    values, covariates = drawn(0, 300)
    expected = comoments(values, covariates).correlation
    moved = comoments(5 - 1e-6 * values, 1e3 + 1e3 * covariates).correlation
    np.testing.assert_allclose(moved, -expected, rtol=1e-6)


@pytest.mark.parametrize("constant", [0.0, 0.1, -1e6 / 3])
def test_what_does_not_vary_correlates_with_nothing(constant: float) -> None:
    values, covariates = drawn(0, 999)
    covariates[1] = constant
    values[2] = np.float32(constant)
    for pieces in ([range(999)], np.array_split(np.arange(999), 7)):
        sums = [comoments(values[:, piece], covariates[:, piece]) for piece in pieces]
        r = functools.reduce(merge_comoments, sums).correlation
        assert np.isnan(r[:, 1]).all()
        assert np.isnan(r[2]).all()
        assert np.isfinite(np.delete(r, 2, axis=0)[:, [0, 2]]).all()


def test_what_is_the_same_correlates_wholly() -> None:
    values, _ = drawn(0, 500)
    r = comoments(values, np.stack([values[0] / 7, -values[1]])).correlation
    assert (r[0, 0], r[1, 1]) == (pytest.approx(1, abs=1e-14), pytest.approx(-1, abs=1e-14))


def test_a_covariate_that_is_nowhere_known_has_no_correlation() -> None:
    values, covariates = drawn(0, 50)
    covariates[2] = np.nan
    assert np.isnan(comoments(values, covariates).correlation[:, 2]).all()
    assert comoments(values, covariates[:0]).correlation.shape == (4, 0)


# the best one


def recorded(
    seed: int, n: int = 90, t: int = 5
) -> tuple[Float, Float, NDArray[np.intp], NDArray[np.intp]]:
    """Values, covariates, and the sequence and timestep of each row; with a drift of both."""
    random = np.random.default_rng(seed)
    sequence, timestep = np.nonzero(np.arange(t) < random.integers(1, t + 1, n)[:, np.newaxis])
    values, covariates = drawn(seed, len(sequence))
    return values + 3 * timestep, covariates - 50 * timestep, sequence, timestep


def summed(seed: int, parts: int) -> CovariateSums:
    """The sums over whole sequences, part by part and in another order."""
    values, covariates, sequence, timestep = recorded(seed)
    each = []
    for number in np.random.default_rng(seed).permutation(parts):
        rows = sequence % parts == number
        groups = jackknife.groups(sequence[rows])
        each.append(covariate_sums(values[:, rows], covariates[:, rows], groups, timestep[rows], 9))
    return functools.reduce(merge, each)


@QUICK
@given(seed=st.integers(0, 999), parts=st.integers(1, 7))
def test_the_best_has_the_largest_correlation_and_its_interval(seed: int, parts: int) -> None:
    values, covariates, sequence, _ = recorded(seed)
    found = best(summed(seed, parts), 90)
    r = by_numpy(values, covariates)
    assert found.place.tolist() == np.abs(r).argmax(axis=1).tolist()
    rest = []
    for group in range(jackknife.GROUPS):
        rows = sequence % jackknife.GROUPS != group
        rest.append(by_numpy(values[:, rows], covariates[:, rows]))
    low, high = jackknife.interval(r, np.array(rest), 90)
    for unit, kind in enumerate(found.place):
        assert found.r[unit] == pytest.approx(r[unit, kind], rel=1e-9)
        assert found.low[unit] == pytest.approx(low[unit, kind], rel=1e-7)
        assert found.high[unit] == pytest.approx(high[unit, kind], rel=1e-7)


@QUICK
@given(seed=st.integers(0, 999), parts=st.integers(1, 7))
def test_within_timesteps_it_is_that_of_what_their_means_leave(seed: int, parts: int) -> None:
    values, covariates, _, timestep = recorded(seed)
    found = best(summed(seed, parts), 90)
    for unit, kind in enumerate(found.place):
        rows = ~np.isnan(covariates[kind])
        frame = pd.DataFrame({"x": values[unit, rows], "a": covariates[kind, rows]})
        left = frame - frame.groupby(timestep[rows]).transform("mean")
        assert found.within[unit] == pytest.approx(left["x"].corr(left["a"]), rel=1e-8)


def test_two_ramps_correlate_until_each_timestep_loses_its_mean() -> None:
    random = np.random.default_rng(0)
    sequence, timestep = np.divmod(np.arange(300 * 20), 20)
    values = timestep / 3 + random.normal(size=(30, len(timestep)))
    ramp = (timestep + random.normal(size=len(timestep)))[np.newaxis]
    sums = covariate_sums(values, ramp, jackknife.groups(sequence), timestep, 20)
    found = best(sums, 300)
    # Of variances of 33.25 / 9 and 33.25 over time, and of 1 within timesteps.
    expected = 1 / np.sqrt((1 + 9 / 33.25) * (1 + 1 / 33.25))
    assert found.r.mean() == pytest.approx(expected, abs=0.01)
    assert (found.r >= 0.8).all()
    assert (np.abs(found.within) < 0.06).all()
    same = covariate_sums(timestep[np.newaxis] / 5, ramp, jackknife.groups(sequence), timestep, 20)
    assert np.isnan(best(same, 300).within).all()  # no sequence differs from another


def test_the_best_is_of_either_sign_and_none_of_what_does_not_vary() -> None:
    values, covariates = drawn(0, 400)
    covariates = np.array([values[0] + 9, -values[1], np.full(400, 0.1)])
    values[3] = 0.1
    sums = covariate_sums(values, covariates, np.arange(400) % 20, np.zeros(400, np.int64), 1)
    found = best(sums, 400)
    assert found.place.tolist()[:2] == [0, 1]
    assert found.r[:2] == pytest.approx([1, -1], abs=1e-12)
    assert found.place[3] == -1
    assert np.isnan([found.r[3], found.low[3], found.within[3]]).all()
    assert np.isnan(best(sums, 39).low).all()


def test_the_values_given_are_not_changed() -> None:
    values, covariates = drawn(0, 50)
    before = values.copy(), covariates.copy()
    comoments(values, covariates)
    np.testing.assert_array_equal(values, before[0])
    np.testing.assert_array_equal(covariates, before[1])
