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


def summed(values: Float, groups: NDArray[np.int64], parts: list[NDArray[np.int64]]) -> Covariances:
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
