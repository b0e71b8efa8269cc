"""Covariances that merge, against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnscope.analysis.statistics import covariance
from rnnscope.analysis.statistics.covariance import Covariances

QUICK = settings(max_examples=40, deadline=None, derandomize=True)

Float = NDArray[np.float64]


def summed(
    values: NDArray[np.floating], groups: NDArray[np.int64], parts: list[NDArray[np.int64]]
) -> Covariances:
    """The sums of values [U, R] by group [R], taken in part by part; each part is row numbers."""
    sums = covariance.empty(int(groups.max()) + 1, len(values))
    for part in parts:
        for group in np.unique(groups[part]):
            covariance.add(sums, int(group), values[:, part[groups[part] == group]])
    return sums


def drawn(seed: int, units: int, rows: int, groups: int) -> tuple[Float, NDArray[np.int64]]:
    """Values [U, R] with correlated units whose mean differs by group, and the groups [R]."""
    random = np.random.default_rng(seed)
    group = random.integers(0, groups, rows)
    mixed = random.normal(size=(units, units)) @ random.normal(size=(units, rows))
    return mixed + 3 * random.normal(size=(units, groups))[:, group], group


def cut(random: np.random.Generator, rows: int, parts: int) -> list[NDArray[np.int64]]:
    """The row numbers in random parts."""
    return np.array_split(random.permutation(rows), parts)


@QUICK
@given(
    seed=st.integers(0, 999),
    units=st.integers(1, 7),
    groups=st.integers(1, 5),
    parts=st.integers(1, 9),
)
def test_any_parts_in_any_order_give_numpys_covariance_of_each_group(
    seed: int, units: int, groups: int, parts: int
) -> None:
    values, group = drawn(seed, units, 60, groups)
    sums = summed(values, group, cut(np.random.default_rng(seed), 60, parts))
    for number, count in enumerate(np.bincount(group)):
        rows = values[:, group == number]
        assert sums.count[number] == count
        if count > 1:
            np.testing.assert_allclose(sums.mean[number], rows.mean(axis=1), rtol=1e-10, atol=1e-12)
            got = sums.m2[number] / (count - 1)
            np.testing.assert_allclose(got, np.cov(rows).reshape(units, units), rtol=1e-9)


@QUICK
@given(seed=st.integers(0, 999), units=st.integers(1, 7), groups=st.integers(1, 6))
def test_groups_pooled_at_once_or_in_turn_give_numpys_covariance_of_all_rows(
    seed: int, units: int, groups: int
) -> None:
    values, group = drawn(seed, units, 60, groups)
    sums = summed(values, group, cut(np.random.default_rng(seed), 60, 3))
    half = len(sums.count) // 2
    some = [
        covariance.pool(Covariances(sums.count[each], sums.mean[each], sums.m2[each]))
        for each in (slice(half), slice(half, None))
        if sums.count[each].sum()
    ]
    for got in (covariance.pool(sums), covariance.pool(covariance.join(some))):
        assert got.count.tolist() == [60]
        np.testing.assert_allclose(got.mean[0], values.mean(axis=1), rtol=1e-10, atol=1e-12)
        expected = np.cov(values).reshape(units, units)
        np.testing.assert_allclose(got.m2[0] / 59, expected, rtol=1e-9, atol=1e-10)


def test_digits_survive_a_mean_that_dwarfs_the_spread() -> None:
    values, group = drawn(0, 4, 400, 3)
    far = values + 1e8
    sums = summed(far, group, cut(np.random.default_rng(0), 400, 20))
    got = covariance.pool(sums).m2[0] / 399
    np.testing.assert_allclose(got, np.cov(far - 1e8), rtol=1e-6)


def test_no_rows_change_nothing() -> None:
    sums = covariance.empty(1, 2)
    covariance.add(sums, 0, np.array([[1.0, 3.0], [2.0, 5.0]]))
    covariance.add(sums, 0, np.empty((2, 0)))
    assert sums.count.tolist() == [2]
    assert sums.mean.tolist() == [[2, 3.5]]
    assert sums.m2.tolist() == [[[2, 3], [3, 4.5]]]


@pytest.mark.parametrize("value", [0.0, 0.1, -7.7, 1e-30])
def test_a_constant_unit_is_one_in_any_parts(value: float) -> None:
    values, group = drawn(0, 3, 200, 4)
    values = values.astype(np.float32)
    values[1] = value
    sums = summed(values, group, cut(np.random.default_rng(1), 200, 9))
    pooled = covariance.pool(sums)
    assert pooled.m2[0, 1, 1] == 0
    assert pooled.constant.tolist() == [[False, True, False]]
    assert (sums.constant == [False, True, False]).all()


def test_a_unit_that_only_rounding_moves_is_constant() -> None:
    values, group = drawn(0, 3, 200, 4)
    values = values.astype(np.float32)
    low = np.float32(0.7)
    flicker = np.array([low, np.nextafter(low, np.float32(1))])
    values[2] = flicker[np.arange(200) % 2]
    # The same spread about 0 is no rounding: float32 tells it apart from 0.
    values[1] = values[2] - low
    sums = summed(values, group, cut(np.random.default_rng(1), 200, 5))
    assert sums.m2[0, 2, 2] > 0
    assert covariance.pool(sums).constant.tolist() == [[False, False, True]]


def test_noise_of_a_tenth_about_a_million_is_no_constant() -> None:
    random = np.random.default_rng(0)
    noise = random.normal(size=(4, 400))
    noise[1] = 0.8 * noise[0] + 0.6 * noise[1]
    values = (1e6 + 0.1 * noise).astype(np.float32)  # float32 tells 1/16 apart here
    sums = summed(values, np.arange(400) % 3, cut(random, 400, 7))
    assert not sums.constant.any()
    assert not covariance.within(sums).constant.any()
    pooled = covariance.pool(sums)
    assert not pooled.constant.any()
    m2 = pooled.m2[0]
    assert m2[0, 1] / np.sqrt(m2[0, 0] * m2[1, 1]) == pytest.approx(0.8, abs=0.07)


@pytest.mark.parametrize("value", [1e6, 0.3, -0.7, 1.0, -2.0, 3e-9])
def test_what_counts_as_constant_is_two_neighbouring_numbers(value: float) -> None:
    low = np.float32(value)
    high = np.nextafter(low, np.float32(np.inf))
    apart = np.nextafter(np.nextafter(high, np.float32(np.inf)), np.float32(np.inf))
    which = np.arange(200) < 100
    values = np.stack([np.where(which, other, low) for other in (high, apart)])
    sums = summed(values, np.zeros(200, np.int64), [np.arange(200)])
    assert sums.constant.tolist() == [[True, False]]


@QUICK
@given(seed=st.integers(0, 999), units=st.integers(1, 5), groups=st.integers(2, 6))
def test_without_each_group_are_the_rows_of_the_others(seed: int, units: int, groups: int) -> None:
    values, group = drawn(seed, units, 60, groups)
    sums = summed(values, group, cut(np.random.default_rng(seed), 60, 3))
    found = list(covariance.without_each(sums))
    assert len(found) == len(sums.count)
    for left, rest in enumerate(found):
        rows = values[:, group != left]
        assert rest.count.tolist() == [rows.shape[1]]
        np.testing.assert_allclose(rest.mean[0], rows.mean(axis=1), rtol=1e-10, atol=1e-12)
        expected = np.cov(rows).reshape(units, units) * (rows.shape[1] - 1)
        np.testing.assert_allclose(rest.m2[0], expected, rtol=1e-9, atol=1e-9)


def test_without_the_group_that_has_all_the_variance_no_digits_are_lost() -> None:
    values, group = drawn(0, 3, 300, 3)
    small = np.where(group == 1, 1e9 * values, values)
    sums = summed(small, group, [np.arange(300)])
    rest = list(covariance.without_each(sums))[1]
    np.testing.assert_allclose(rest.m2[0] / (rest.count[0] - 1), np.cov(values[:, group != 1]))


def test_within_groups_is_what_is_left_of_rows_less_their_groups_mean() -> None:
    values, group = drawn(0, 4, 90, 5)
    values[2] = np.arange(5)[group]  # varies between groups alone
    sums = summed(values, group, cut(np.random.default_rng(0), 90, 4))
    means = np.stack([values[:, group == each].mean(axis=1) for each in range(5)], axis=1)
    left = values - means[:, group]
    parts = list(covariance.split(sums, 2))
    assert [len(each.count) for each in parts] == [2, 2, 1]
    some = covariance.within(parts[0]) + covariance.within(parts[1]) + covariance.within(parts[2])
    for found in (covariance.within(sums), some):
        np.testing.assert_allclose(found.m2, left @ left.T, rtol=1e-10, atol=1e-10)
        assert found.constant.tolist() == [False, False, True, False]
    assert not covariance.pool(sums).constant.any()
