"""Quantiles: exact as pandas has them, or counted between the values of a sample."""

import functools

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnscope import states
from rnnscope.analysis.units.quantiles import COUNTED, Counted, at_ranks, exact, sample_of
from rnnscope.analysis.units.sampling import Sample, Values

QUICK = settings(max_examples=30, deadline=None, derandomize=True)
LEVELS = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]

Float = NDArray[np.float64]


def drawn(seed: int, count: int, units: int = 3) -> NDArray[np.float32]:
    """Values [U, R] of very different ranges."""
    random = np.random.default_rng(seed)
    scale = 10.0 ** random.integers(-3, 4, (units, 1))
    return np.asarray(random.normal(size=(units, count)) * scale + scale, np.float32)


def rows_of(first: int, count: int) -> states.RowKeys:
    """The keys of rows first … first + count - 1, 7 to a sequence."""
    numbers = np.arange(first, first + count, dtype=np.int32)
    return states.RowKeys(numbers // 7, numbers % 7, None)


def counted(values: Values, parts: int = 1, levels: list[float] = LEVELS, seed: int = 0) -> Float:
    """Quantiles by counting values [U, R], part by part in some order."""
    cuts = np.array_split(np.arange(values.shape[1]), parts)
    np.random.default_rng(seed).shuffle(cuts)
    pieces = [(values[:, cut], rows_of(cut[0], len(cut))) for cut in cuts if len(cut)]
    found = Counted(functools.reduce(Sample.merge, (sample_of(*piece) for piece in pieces)))
    for piece, _ in pieces:
        found.add(piece)
    return found.quantiles(*extremes(values), levels)


def extremes(values: Values) -> tuple[Float, Float]:
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
    scale = np.abs(values).max(axis=1, keepdims=True)
    assert (np.abs(got - expected) <= 1e-14 * scale).all()
    for one, other in zip(pieces, before, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("count", [COUNTED, 3 * COUNTED + 1])
def test_of_many_values_each_rank_is_that_of_all_values_sorted(count: int) -> None:
    """Whatever they are: saturated, constant, zeros of both signs, subnormal, with an outlier."""
    random = np.random.default_rng(count)
    z = random.normal(size=count).astype(np.float32)
    lines = {
        "spread": z,
        "rows of both signs at 1": np.tanh(9 * z),
        "latched": np.where(z < 1, np.float32(1), np.float32(1) - np.abs(z) / 1_000_000),
        "constant": np.full(count, 0.1, np.float32),
        "zeros": np.where(z < 0, np.float32(-0.0), np.float32(0)),
        "subnormal": z * np.float32(1e-40),
        "outlier": np.where(np.arange(count) == 7, np.float32(3e38), z),
        "wide": np.exp(20 * z) * np.sign(random.normal(size=count)).astype(np.float32),
    }
    ranks = np.unique([0, 1, 199, 200, count // 2, count - 1, *random.integers(0, count, 20)])
    for name, line in lines.items():
        assert line.dtype == np.float32
        ordered, before = np.sort(line), line.copy()
        np.testing.assert_array_equal(at_ranks(line, ranks), ordered[ranks], name)
        np.testing.assert_array_equal(line, before, name)
        want = np.quantile(line.astype(np.float64), LEVELS)
        np.testing.assert_allclose(
            exact([line[np.newaxis]], LEVELS)[0], want, rtol=1e-13, err_msg=name
        )


@QUICK
@given(seed=st.integers(0, 999), count=st.integers(1, 300), parts=st.integers(1, 5))
def test_counted_quantiles_of_few_rows_are_those_of_pandas(
    seed: int, count: int, parts: int
) -> None:
    """All rows are in the sample."""
    values = drawn(seed, count)
    values[1] = values[1].round(1)  # ties
    expected = pd.DataFrame(values.astype(np.float64).T).quantile(LEVELS).to_numpy().T
    got = counted(values, min(parts, count))
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12 * np.abs(values).max())


def test_counted_quantiles_lie_within_a_thousandth_of_the_rows_of_the_exact_ones() -> None:
    random = np.random.default_rng(0)
    z = random.normal(size=60_000)
    outlier, latched = z.copy(), np.where(random.random(60_000) < 0.3, 1, z)
    outlier[7] = 1e4
    lines = [z, outlier, latched, np.exp(9 * z), 1 / (1 + np.exp(-9 - z)), z.round(1)]
    values = np.array(lines, np.float32)
    got = counted(values, parts=4)
    for line, quantile in zip(np.sort(values, axis=1), got, strict=True):
        low = np.searchsorted(line, quantile, "left") / len(line)
        high = np.searchsorted(line, quantile, "right") / len(line)
        assert (low <= np.array(LEVELS) + 1e-3).all()
        assert (high >= np.array(LEVELS) - 1e-3).all()


def test_an_outlier_does_not_move_the_others() -> None:
    """N(0, 1) and one value of 1e4: bins of equal width give 2.63 for 1.64."""
    values = np.random.default_rng(0).normal(size=(5, 200_000)).astype(np.float32)
    values[:, 0] = 1e4
    got = counted(values, parts=3)
    np.testing.assert_allclose(got[:, 5], scipy.stats.norm.ppf(0.95), atol=0.03)
    np.testing.assert_allclose(got[:, 3], 0, atol=0.03)


@QUICK
@given(seed=st.integers(0, 99), parts=st.integers(2, 9))
def test_the_order_and_number_of_parts_change_nothing(seed: int, parts: int) -> None:
    values = drawn(seed, 9000)
    np.testing.assert_array_equal(counted(values, parts, seed=seed), counted(values))


@pytest.mark.parametrize("value", [0.0, 0.1, -1e6, 1e-30])
def test_the_quantiles_of_a_constant_are_that_constant(value: float) -> None:
    values = np.full((2, 100), value, np.float32)
    got = counted(values)
    np.testing.assert_array_equal(got, np.full((2, 7), np.float64(np.float32(value))))
    np.testing.assert_array_equal(exact([values], LEVELS), got)


@QUICK
@given(seed=st.integers(0, 999), count=st.sampled_from([1, 2, 50, 5000]))
def test_quantiles_rise_with_their_level_and_stay_in_range(seed: int, count: int) -> None:
    values = drawn(seed, count)
    low, high = extremes(values)
    for got in (counted(values), exact([values], LEVELS)):
        assert (np.diff(got, axis=1) >= 0).all()
        assert ((got >= low[:, np.newaxis]) & (got <= high[:, np.newaxis])).all()
