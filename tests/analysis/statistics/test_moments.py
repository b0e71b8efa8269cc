"""Moments against SciPy, and those of a whole from those of its parts."""

import functools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnscope.analysis.statistics.moments import Moments, merge, moments

QUICK = settings(max_examples=40, deadline=None, derandomize=True)
SHAPES = {
    "units": st.integers(1, 5),
    "count": st.integers(2, 300),
    "offset": st.sampled_from([0.0, -3.0, 1e3, 1e6]),
    "spread": st.sampled_from([1.0, 1e-3, 1e3]),
    "seed": st.integers(0, 999),
}

Float = NDArray[np.float64]


def drawn(units: int, count: int, offset: float, spread: float, seed: int) -> Float:
    """Skewed values [U, R], so that every moment has something to say."""
    values = np.random.default_rng(seed).gamma(2.0, spread, (units, count))
    values *= np.where(np.arange(units) % 2, -1, 1)[:, np.newaxis]
    return np.asarray(values + offset)


def assert_same(one: Moments, other: Moments, tolerance: float) -> None:
    """Each sum to a relative tolerance, of the sum's own scale where it may cancel to nothing."""
    assert one.count == other.count
    np.testing.assert_array_equal(one.min, other.min)
    np.testing.assert_array_equal(one.max, other.max)
    scale = np.sqrt(other.m2 / other.count)
    for power, name in enumerate(("m2", "m3", "m4"), start=2):
        error = np.abs(getattr(one, name) - getattr(other, name))
        assert (error <= tolerance * other.count * scale**power).all(), name
    assert (
        np.abs(one.mean - other.mean) <= tolerance * np.maximum(np.abs(other.mean), scale)
    ).all()


@QUICK
@given(**SHAPES)
def test_moments_are_those_of_scipy(
    units: int, count: int, offset: float, spread: float, seed: int
) -> None:
    values = drawn(units, count, offset, spread, seed)
    got = moments(values)
    # Subtracting a constant first costs SciPy none of the digits that an offset would.
    centred = values - values.mean(axis=1, keepdims=True)
    assert got.count == count
    np.testing.assert_allclose(got.mean, values.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(got.std, centred.std(axis=1, ddof=1), rtol=1e-6)
    np.testing.assert_allclose(
        got.skewness, scipy.stats.skew(centred, axis=1), rtol=1e-5, atol=1e-5
    )
    np.testing.assert_allclose(
        got.kurtosis, scipy.stats.kurtosis(centred, axis=1), rtol=1e-5, atol=1e-5
    )
    np.testing.assert_array_equal(got.min, values.min(axis=1))
    np.testing.assert_array_equal(got.max, values.max(axis=1))


def test_float32_far_from_zero_keeps_its_spread() -> None:
    values = (1e6 + np.random.default_rng(0).normal(size=(3, 5000))).astype(np.float32)
    exact = values.astype(np.float64)
    got = moments(values)
    np.testing.assert_allclose(got.mean, exact.mean(axis=1), rtol=1e-14)
    np.testing.assert_allclose(got.variance, exact.var(axis=1, ddof=1), rtol=1e-10)
    np.testing.assert_allclose(got.kurtosis, scipy.stats.kurtosis(exact, axis=1), atol=1e-8)


@QUICK
@given(**SHAPES, parts=st.integers(2, 8))
def test_any_parts_in_any_order_have_the_moments_of_the_whole(
    units: int, count: int, offset: float, spread: float, seed: int, parts: int
) -> None:
    values = drawn(units, count, offset, spread, seed)
    random = np.random.default_rng(seed)
    cuts = np.unique(random.integers(1, count, parts - 1))
    pieces = [piece for piece in np.split(values, cuts, axis=1) if piece.shape[1]]
    order = random.permutation(len(pieces))
    merged = functools.reduce(merge, [moments(pieces[place]) for place in order])
    # An offset of 1e6 spreads costs as many digits of the mean, whatever the order.
    lost = max(1.0, abs(offset) / spread * 1e-4)
    assert_same(merged, moments(values), 1e-10 * lost)


@QUICK
@given(seed=st.integers(0, 999))
def test_merging_is_associative_and_commutative(seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b, c = (moments(random.gamma(2.0, 1.0, (3, count))) for count in random.integers(1, 50, 3))
    assert_same(merge(a, b), merge(b, a), 1e-12)
    assert_same(merge(merge(a, b), c), merge(a, merge(b, c)), 1e-12)


def test_parts_with_means_far_apart_merge_as_one() -> None:
    random = np.random.default_rng(0)
    parts = [random.gamma(2.0, 1.0, (2, 50)) + offset for offset in (-100, 0, 30, 1000)]
    whole = np.concatenate(parts, axis=1)
    merged = functools.reduce(merge, map(moments, parts))
    assert_same(merged, moments(whole), 1e-12)
    np.testing.assert_allclose(merged.skewness, scipy.stats.skew(whole, axis=1), rtol=1e-10)
    np.testing.assert_allclose(merged.kurtosis, scipy.stats.kurtosis(whole, axis=1), rtol=1e-10)


@pytest.mark.parametrize("value", [0.0, 0.1, -3.3, 1e6])
def test_a_constant_has_no_variance_and_no_shape(value: float) -> None:
    values = np.full((2, 1001), value, np.float32)
    whole = moments(values)
    merged = merge(moments(values[:, :17]), moments(values[:, 17:]))
    for each in (whole, merged):
        assert each.variance.tolist() == [0, 0]
        assert np.isnan(each.skewness).all()
        assert np.isnan(each.kurtosis).all()
        np.testing.assert_array_equal(each.mean, values[:, 0].astype(np.float64))


def test_a_single_row_has_a_mean_and_no_variance() -> None:
    single = moments(np.array([[2.0], [-1.0]]))
    assert single.mean.tolist() == single.min.tolist() == single.max.tolist() == [2, -1]
    assert np.isnan(single.variance).all()
    assert np.isnan(single.std).all()


def test_single_rows_merge_to_all_rows() -> None:
    values = np.random.default_rng(0).normal(size=(2, 40))
    merged = functools.reduce(merge, [moments(column[:, np.newaxis]) for column in values.T])
    assert_same(merged, moments(values), 1e-12)


def test_the_values_given_are_not_changed() -> None:
    values = np.random.default_rng(0).normal(size=(2, 40))
    before = values.copy()
    moments(values)
    np.testing.assert_array_equal(values, before)
