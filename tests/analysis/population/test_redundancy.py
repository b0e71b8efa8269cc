"""Correlations and clusters of units: planted answers, and against NumPy."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnscope.analysis.population import redundancy
from rnnscope.analysis.population.columns import CORRELATION
from rnnscope.analysis.population.redundancy import ALONE
from rnnscope.analysis.statistics import covariance

QUICK = settings(max_examples=40, deadline=None, derandomize=True)

Float = NDArray[np.float64]


def correlated(values: NDArray[np.floating], parts: int = 3) -> Float:
    """Correlations of values [U, R] that are taken in by parts."""
    sums = covariance.empty(1, len(values))
    for part in np.array_split(values, parts, axis=1):
        covariance.add(sums, 0, part)
    return redundancy.correlation(sums.m2[0], sums.constant[0])


def clustered(values: NDArray[np.floating], redundant: float = 0.9) -> list[int]:
    return redundancy.clusters(correlated(values), redundant).tolist()


def drawn(seed: int, units: int = 8, rows: int = 300) -> NDArray[np.float32]:
    """Independent units [U, R]."""
    return np.random.default_rng(seed).normal(size=(units, rows)).astype(np.float32)


@QUICK
@given(seed=st.integers(0, 999), units=st.integers(2, 9), parts=st.integers(1, 6))
def test_correlations_are_numpys(seed: int, units: int, parts: int) -> None:
    random = np.random.default_rng(seed)
    values = random.normal(size=(units, units)) @ random.normal(size=(units, 40)) + 5
    np.testing.assert_allclose(correlated(values, parts), np.corrcoef(values), rtol=1e-8, atol=1e-9)


def test_a_constant_unit_has_no_correlation_and_no_cluster() -> None:
    values = drawn(0)
    values[[2, 5]] = 0.1
    values[6] = values[0]
    r = correlated(values)
    assert np.flatnonzero(np.isnan(r).all(axis=0)).tolist() == [2, 5]
    assert np.isnan(r).sum() == 2 * 8 + 2 * 6
    assert clustered(values) == [0, ALONE, ALONE, ALONE, ALONE, ALONE, 0, ALONE]


@pytest.mark.parametrize("redundant", [0.5, 0.9, 1.0])
def test_copies_of_any_sign_and_scale_land_in_one_cluster(redundant: float) -> None:
    values = drawn(1).astype(np.float64)
    values[3] = 2 * values[1] + 7
    values[6] = -0.3 * values[1]
    assert clustered(values, redundant) == [-1, 0, -1, 0, -1, -1, 0, -1]


@QUICK
@given(seed=st.integers(0, 999))
def test_signs_scales_and_offsets_do_not_change_the_clusters(seed: int) -> None:
    random = np.random.default_rng(seed)
    values = random.normal(size=(8, 8)) ** 3 @ drawn(seed).astype(np.float64)
    signs = random.choice([-1, 1], (8, 1))
    changed = signs * random.uniform(0.1, 9, (8, 1)) * values + random.normal(size=(8, 1))
    assert clustered(values, 0.6) == clustered(changed, 0.6)


def test_clusters_are_numbered_by_size_and_then_by_first_unit() -> None:
    values = drawn(2, units=9)
    values[7] = values[0]
    values[[4, 8]] = values[1]
    values[6] = -values[3]
    assert clustered(values) == [1, 0, ALONE, 2, 0, ALONE, 2, 1, 0]


def test_a_chain_is_cut_where_units_agree_too_little_on_average() -> None:
    r = np.array([[1, 0.95, 0.7], [0.95, 1, 0.94], [0.7, 0.94, 1]])
    assert redundancy.clusters(r, 0.9).tolist() == [0, 0, ALONE]
    # 0.82 = (0.7 + 0.94) / 2 joins them all, though 0.7 is below.
    assert redundancy.clusters(r, 0.83).tolist() == [0, 0, ALONE]
    assert redundancy.clusters(r, 0.81).tolist() == [0, 0, 0]


@pytest.mark.parametrize("units", [1, 2, 20])
def test_units_of_their_own_form_no_cluster(units: int) -> None:
    assert clustered(drawn(3, units)) == [ALONE] * units


def test_each_pair_has_one_row_with_the_cluster_of_both() -> None:
    values = drawn(4, units=5)
    values[4] = values[1]
    values[3] = values[0]
    values[2] = 0
    r = correlated(values)
    units = np.array([2, 3, 5, 7, 11], np.int32)
    raw = np.where(np.isnan(r), np.nan, 0.5)
    pooled = SimpleNamespace(
        correlation=r, raw_correlation=raw, cluster=redundancy.clusters(r, 0.9), units=units
    )
    table = CORRELATION.frame(pooled)
    pairs = list(zip(table["unit"], table["other"], strict=True))
    assert pairs == list(itertools.combinations(units, 2))
    joined = table.dropna(subset="cluster")
    assert joined[["unit", "other", "cluster"]].to_numpy().tolist() == [[2, 7, 0], [3, 11, 1]]
    assert table["correlation"].isna().tolist() == [5 in pair for pair in pairs]
    np.testing.assert_array_equal(table["raw_correlation"].dropna(), 0.5)
    np.testing.assert_allclose(table["correlation"][0], np.corrcoef(values[0], values[1])[0, 1])
