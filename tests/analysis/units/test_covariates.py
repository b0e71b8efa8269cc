"""Correlation of units with annotations of single timesteps, against NumPy."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnscope.analysis.units.covariates import best, comoments, merge

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
    got = functools.reduce(merge, sums)
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
        r = functools.reduce(merge, sums).correlation
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


def test_the_best_is_the_largest_of_either_sign() -> None:
    nan = np.nan
    r = np.array([[0.1, -0.8, 0.5], [nan, 0.2, -0.1], [nan, nan, nan], [0.3, 0.3, nan]])
    place, found = best(r)
    assert place.tolist() == [1, 1, -1, 0]
    np.testing.assert_array_equal(found, [-0.8, 0.2, nan, 0.3])


def test_the_values_given_are_not_changed() -> None:
    values, covariates = drawn(0, 50)
    before = values.copy(), covariates.copy()
    comoments(values, covariates)
    np.testing.assert_array_equal(values, before[0])
    np.testing.assert_array_equal(covariates, before[1])
