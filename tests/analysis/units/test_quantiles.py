"""Quantiles: exact as pandas has them, or from histograms within a bin's width."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnscope.analysis.units.quantiles import BINS, exact, from_histogram, histogram

QUICK = settings(max_examples=30, deadline=None, derandomize=True)
LEVELS = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]

Float = NDArray[np.float64]


def drawn(seed: int, count: int, units: int = 3) -> NDArray[np.float32]:
    """Values [U, R] of very different ranges."""
    random = np.random.default_rng(seed)
    scale = 10.0 ** random.integers(-3, 4, (units, 1))
    return np.asarray(random.normal(size=(units, count)) * scale + scale, np.float32)


def binned(values: NDArray[np.float32], levels: list[float] = LEVELS) -> tuple[Float, Float, Float]:
    """Quantiles from the histogram of values [U, R], and their extremes."""
    low, high = extremes(values)
    return from_histogram(histogram(values, low, high), low, high, levels), low, high


def extremes(values: NDArray[np.float32]) -> tuple[Float, Float]:
    return values.min(axis=1).astype(np.float64), values.max(axis=1).astype(np.float64)


@QUICK
@given(seed=st.integers(0, 999), count=st.integers(1, 300), parts=st.integers(1, 5))
def test_exact_quantiles_are_those_of_pandas_however_the_values_are_parted(
    seed: int, count: int, parts: int
) -> None:
    values = drawn(seed, count)
    expected = pd.DataFrame(values.astype(np.float64).T).quantile(LEVELS).to_numpy().T
    pieces = np.array_split(values, min(parts, count), axis=1)
    np.random.default_rng(seed).shuffle(pieces)
    before = [piece.copy() for piece in pieces]
    got = exact(pieces, LEVELS)
    assert got.dtype == np.float64
    # Interpolated in the values' own precision.
    scale = np.abs(values).max(axis=1, keepdims=True)
    assert (np.abs(got - expected) <= 2e-7 * scale).all()
    for one, other in zip(pieces, before, strict=True):
        np.testing.assert_array_equal(one, other)


@QUICK
@given(seed=st.integers(0, 999), count=st.integers(1, 300))
def test_histogram_quantiles_lie_within_a_bin_of_the_values_they_fall_between(
    seed: int, count: int
) -> None:
    values = drawn(seed, count)
    got, low, high = binned(values)
    width = (high - low)[:, np.newaxis] / BINS * (1 + 1e-6)
    ordered = np.sort(values.astype(np.float64), axis=1)
    # The R x level-th smallest value, or the two around it where that is a whole number.
    places = np.array(LEVELS) * count
    nearest = np.round(places)
    places = np.where(np.abs(places - nearest) < 1e-9, nearest, places)
    below = ordered[:, np.clip(np.ceil(places) - 1, 0, count - 1).astype(int)]
    above = ordered[:, np.clip(np.floor(places), 0, count - 1).astype(int)]
    assert (got >= below - width).all()
    assert (got <= above + width).all()


def test_histogram_quantiles_of_many_values_are_the_exact_ones_within_a_bin() -> None:
    values = np.random.default_rng(0).uniform(-1, 1, (4, 50_000)).astype(np.float32)
    got, low, high = binned(values)
    width = (high - low)[:, np.newaxis] / BINS
    assert (np.abs(got - exact([values], LEVELS)) <= width).all()


@QUICK
@given(seed=st.integers(0, 999), cut=st.integers(1, 299))
def test_counts_add_up_over_parts(seed: int, cut: int) -> None:
    values = drawn(seed, 300)
    low, high = extremes(values)
    parts = [histogram(part, low, high) for part in np.split(values, [cut], axis=1)]
    whole = histogram(values, low, high)
    np.testing.assert_array_equal(sum(parts), whole)
    assert whole.shape == (3, BINS)
    assert whole.sum(axis=1).tolist() == [300, 300, 300]


@pytest.mark.parametrize("value", [0.0, 0.1, -1e6, 1e-30])
def test_the_quantiles_of_a_constant_are_that_constant(value: float) -> None:
    values = np.full((2, 100), value, np.float32)
    got, _, _ = binned(values)
    np.testing.assert_array_equal(got, np.full((2, 7), np.float64(np.float32(value))))
    np.testing.assert_array_equal(exact([values], LEVELS), got)


def test_values_one_float_apart_can_be_counted() -> None:
    one = np.float32(1)
    values = np.array([[one, np.nextafter(one, np.float32(2))] * 50], np.float32)
    got, low, high = binned(values, [0.25, 0.75])
    np.testing.assert_allclose(got, [[low[0], high[0]]], atol=(high[0] - low[0]) / BINS)


@QUICK
@given(seed=st.integers(0, 999), count=st.integers(1, 100))
def test_quantiles_rise_with_their_level_and_stay_in_range(seed: int, count: int) -> None:
    values = drawn(seed, count)
    from_bins, low, high = binned(values)
    for got in (from_bins, exact([values], LEVELS)):
        assert (np.diff(got, axis=1) >= 0).all()
        assert ((got >= low[:, np.newaxis]) & (got <= high[:, np.newaxis])).all()
