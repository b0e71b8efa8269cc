"""Dimensions from eigenvalues: known answers, and against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import ortho_group

from rnnscope.analysis.statistics import covariance, spectrum
from rnnscope.analysis.statistics.covariance import Covariances

QUICK = settings(max_examples=40, deadline=None, derandomize=True)

Float = NDArray[np.float64]


def summed(*groups: NDArray[np.floating]) -> Covariances:
    """The sums of groups of values [U, R]."""
    sums = covariance.empty(len(groups), len(groups[0]))
    for number, values in enumerate(groups):
        covariance.add(sums, number, values)
    return sums


def naive(sums: Covariances) -> Float:
    return spectrum.participation_ratio_naive(*spectrum.traces(sums))


def isotropic(random: np.random.Generator, k: int, units: int, rows: int) -> Float:
    """Values [U, R] with the same variance along k orthogonal directions, and none elsewhere."""
    drawn = random.normal(size=(rows, k))
    white = np.linalg.qr(drawn - drawn.mean(axis=0))[0]
    embedding = np.linalg.qr(random.normal(size=(units, units)))[0][:, :k]
    return 5 * embedding @ white.T + random.normal(size=(units, 1))


@QUICK
@given(seed=st.integers(0, 999), k=st.integers(1, 12), spare=st.integers(0, 9))
def test_k_equal_dimensions_have_a_participation_ratio_of_k(seed: int, k: int, spare: int) -> None:
    values = isotropic(np.random.default_rng(seed), k, k + spare, 40)
    found = spectrum.eigenvalues(summed(values))
    assert naive(summed(values)).item() == pytest.approx(k, rel=1e-9)
    assert spectrum.components_for(0.9, found).item() == -(-9 * k // 10)


@QUICK
@given(seed=st.integers(0, 999), units=st.integers(1, 9), rows=st.integers(2, 30))
def test_dimensions_are_those_of_numpys_covariance(seed: int, units: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    groups = [random.normal(size=(units, units)) @ random.normal(size=(units, rows)) for _ in "abc"]
    found = spectrum.eigenvalues(summed(*groups))
    for group, got in zip(groups, found, strict=True):
        expected = np.linalg.eigvalsh(np.cov(group).reshape(units, units))
        np.testing.assert_allclose(got / (rows - 1), expected, rtol=1e-8, atol=1e-10)
    for group, ratio, ninety in zip(
        groups,
        naive(summed(*groups)),
        spectrum.components_for(0.9, found),
        strict=True,
    ):
        values = np.linalg.eigvalsh(np.cov(group).reshape(units, units))
        assert ratio == pytest.approx(values.sum() ** 2 / (values**2).sum(), rel=1e-8)
        assert 1 - 1e-9 <= ratio <= min(units, rows - 1) + 1e-9
        by_hand = next(n for n in range(1, units + 1) if values[-n:].sum() >= 0.9 * values.sum())
        assert ninety == by_hand


@QUICK
@given(seed=st.integers(0, 999), units=st.integers(2, 8), scale=st.sampled_from([1e-3, 1.0, 1e4]))
def test_turning_moving_or_scaling_all_states_does_not_change_their_dimensions(
    seed: int, units: int, scale: float
) -> None:
    random = np.random.default_rng(seed)
    values = random.normal(size=(units, units)) @ random.normal(size=(units, 50))
    turned = scale * (ortho_group.rvs(units, random_state=seed) @ values + 3)
    one, other = (spectrum.eigenvalues(summed(each)) for each in (values, turned))
    sums = summed(values, turned)
    for ratios in (naive(sums), spectrum.participation_ratio(sums.count, *spectrum.traces(sums))):
        assert ratios[1] == pytest.approx(ratios[0], rel=1e-7)
    assert spectrum.components_for(0.9, one) == spectrum.components_for(0.9, other)


def test_a_share_is_reached_by_the_largest_first() -> None:
    values = np.array([[1.0, 2.0, 7.0], [0.0, 0.0, 5.0], [1.0, 1.0, 1.0], [np.nan] * 3])
    np.testing.assert_array_equal(spectrum.components_for(0.9, values), [2, 1, 3, np.nan])
    np.testing.assert_array_equal(spectrum.components_for(0.5, values), [1, 1, 2, np.nan])


def test_states_that_do_not_vary_have_no_dimensions() -> None:
    random = np.random.default_rng(0)
    moving = random.normal(size=(3, 8)).astype(np.float32)
    still = np.repeat(moving[:, :1], 8, axis=1)
    rounded = np.where(np.arange(8) % 2, still, np.nextafter(still, np.float32(np.inf)))
    one_moves = np.where(np.arange(3)[:, np.newaxis] == 1, moving, still)
    sums = summed(moving, still, moving[:, :1], rounded, one_moves)
    found = spectrum.components_for(0.9, spectrum.eigenvalues(sums))
    corrected = spectrum.participation_ratio(sums.count, *spectrum.traces(sums))
    for each in (naive(sums), corrected, found):
        assert np.isnan(each).tolist() == [False, True, True, True, False]
        assert each[4] == pytest.approx(1)


@QUICK
@given(seed=st.integers(0, 999), units=st.integers(1, 30), rows=st.integers(3, 30))
def test_the_correction_is_srivastavas(seed: int, units: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    values = random.normal(size=(units, units)) @ random.normal(size=(units, rows))
    s, n = np.cov(values).reshape(units, units), rows - 1
    first, second = np.trace(s), np.trace(s @ s)
    outer = (n - 1) * (n + 2)
    below = n**2 / outer * (second - first**2 / n)
    above = n * (n + 1) / outer * (first**2 - 2 * second / (n + 1))
    sums = summed(values)
    found = spectrum.participation_ratio(sums.count, *spectrum.traces(sums)).item()
    assert found == pytest.approx(above / below, rel=1e-6)


def test_rows_equally_far_along_as_many_directions_have_no_largest_dimension() -> None:
    simplex = summed(np.eye(4), np.diag([1.0, 2.0, 3.0, 4.0]), np.eye(4)[:, :2])
    found = spectrum.participation_ratio(simplex.count, *spectrum.traces(simplex))
    assert found[0] == np.inf
    assert 4 < found[1] < np.inf
    assert np.isnan(found[2])
