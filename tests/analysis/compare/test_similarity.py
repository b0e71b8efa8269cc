"""Measures of two representations of the same rows: invariances, planted answers, textbooks."""

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.linalg import orthogonal_procrustes
from scipy.spatial import procrustes as scipy_procrustes

from rnnscope.analysis.compare import similarity
from rnnscope.analysis.compare.similarity import Representation
from rnnscope.analysis.compare.sums import POOLED

QUICK = settings(max_examples=40, deadline=None, derandomize=True)

Float = NDArray[np.float64]
seeds = st.integers(0, 999)


def alone(x: NDArray[np.floating], variance: float = 0.99) -> Representation:
    """A representation of values [U, R]."""
    m2 = centred(x) @ centred(x).T
    return similarity.representation(m2, variance, np.diagonal(m2))


def both(
    x: NDArray[np.floating], y: NDArray[np.floating], variance: float = 0.99
) -> tuple[Representation, Representation, Float]:
    return alone(x, variance), alone(y, variance), centred(x) @ centred(y).T


def measured(
    x: NDArray[np.floating], y: NDArray[np.floating], variance: float = 0.99
) -> dict[str, float]:
    return {name: of(*both(x, y, variance)) for name, of in POOLED.items()}


def drawn(seed: int, units: int = 6, rows: int = 80) -> Float:
    """Correlated units [U, R] of different sizes, away from 0."""
    random = np.random.default_rng(seed)
    return random.normal(size=(units, units)) @ random.normal(size=(units, rows)) + 3


def rotation(seed: int, units: int) -> Float:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(units, units)))[0]


def centred(x: NDArray[np.floating]) -> Float:
    x = x.astype(np.float64)
    return np.asarray(x - x.mean(axis=1, keepdims=True))


def textbook_cca(x: Float, y: Float) -> Float:
    """Canonical correlations by QR (Björck & Golub 1973)."""
    bases = [np.linalg.qr(centred(each).T)[0] for each in (x, y)]
    return np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)


def principal(x: Float, variance: float) -> Float:
    """The first principal components [k, R] that make up a share of the variance."""
    _, s, vt = np.linalg.svd(centred(x), full_matrices=False)
    kept = int(np.searchsorted(np.cumsum(s**2) / np.sum(s**2), variance)) + 1
    return s[:kept, np.newaxis] * vt[:kept]


@QUICK
@given(seed=seeds, scale=st.floats(1e-3, 1e3), shift=st.floats(-10, 10))
def test_procrustes_does_not_see_rotations_scales_and_shifts(
    seed: int, scale: float, shift: float
) -> None:
    x = drawn(seed)
    found = measured(x, scale * rotation(seed, 6) @ x + shift)
    assert found["procrustes"] == pytest.approx(0, abs=1e-9)


@QUICK
@given(seed=seeds, v=st.integers(1, 6))
def test_procrustes_is_what_is_left_after_the_best_rotation(seed: int, v: int) -> None:
    x, y = centred(drawn(seed, 6)), np.zeros((6, 80))
    y[:v] = centred(drawn(seed + 1, v) + x[:v])
    x, y = x / np.linalg.norm(x), y / np.linalg.norm(y)
    best, _ = orthogonal_procrustes(y.T, x.T)
    expected = np.linalg.norm(x.T - y.T @ best) ** 2
    found = measured(x, y[:v])["procrustes"]
    assert found == pytest.approx(expected, rel=1e-9)
    assert 0 <= found <= 2
    # scipy also scales one to fit the other: its disparity d is 1 - (1 - found / 2)^2.
    *_, disparity = scipy_procrustes(x.T, y.T)
    assert disparity == pytest.approx(1 - (1 - found / 2) ** 2, rel=1e-9)


def test_procrustes_of_what_has_nothing_in_common_is_2() -> None:
    x = np.zeros((2, 4))
    x[0], x[1] = [1, -1, 0, 0], [0, 0, 1, -1]
    assert measured(x[:1], x[1:])["procrustes"] == pytest.approx(2)


@QUICK
@given(seed=seeds, variance=st.floats(0.5, 1))
def test_svcca_is_1_for_an_invertible_map_within_the_components_kept(
    seed: int, variance: float
) -> None:
    x = drawn(seed)
    random = np.random.default_rng(seed)
    kept = principal(x, variance)
    mixed = random.normal(size=(len(kept), len(kept))) @ kept
    # All of the mixture's own variance is kept: the map is inverted within the subspace.
    a, _, products = both(x, mixed, variance)
    assert similarity.svcca(a, alone(mixed, 1.0), products) == pytest.approx(1, abs=1e-6)


@QUICK
@given(seed=seeds, v=st.integers(1, 8), variance=st.floats(0.3, 1))
def test_svcca_is_the_mean_correlation_by_svd_and_qr(seed: int, v: int, variance: float) -> None:
    x, y = drawn(seed), drawn(seed + 1, v)
    y[0] += 5 * x[0]
    expected = textbook_cca(principal(x, variance), principal(y, variance)).mean()
    assert measured(x, y, variance)["svcca"] == pytest.approx(expected, rel=1e-6)


def test_svcca_leaves_out_what_makes_up_little_variance() -> None:
    random = np.random.default_rng(0)
    shared, noise = random.normal(size=(2, 5, 4000))
    x, y = shared.copy(), shared.copy()
    x[3:], y[3:] = 0.01 * noise[:2], 0.01 * noise[3:]
    assert measured(x, y)["svcca"] == pytest.approx(1, abs=1e-2)
    assert measured(x, y, variance=1.0)["svcca"] < 0.7


@QUICK
@given(seed=seeds, more=st.integers(0, 4))
def test_matching_finds_a_permutation_with_its_signs(seed: int, more: int) -> None:
    random = np.random.default_rng(seed)
    x = random.normal(size=(6, 300))
    order, signs = random.permutation(6), random.choice([-1, 1], 6)
    scale = random.uniform(0.1, 9, 6)
    other = (signs * scale)[:, np.newaxis] * x[order] + random.normal(size=(6, 1))
    y = np.concatenate([random.normal(size=(more, 300)), other])
    r = similarity.correlations(*both(x, y))
    one, two = similarity.matching(r)
    assert dict(zip(two.tolist(), one.tolist(), strict=True)) == {
        more + place: unit for place, unit in enumerate(order)
    }
    by_place = {int(unit): sign for unit, sign in zip(order, signs, strict=True)}
    np.testing.assert_allclose(r[one, two], [by_place[unit] for unit in one], atol=1e-12)
    assert measured(x, y)["matched_correlation"] == pytest.approx(1)


def test_the_matching_is_the_best_of_all() -> None:
    x, y = drawn(1, 4), drawn(2, 5)
    r = np.abs(np.corrcoef(x, y)[:4, 4:])
    best = max(
        r[np.arange(4), list(chosen)].mean() for chosen in itertools.permutations(range(5), 4)
    )
    assert measured(x, y)["matched_correlation"] == pytest.approx(best)


@QUICK
@given(seed=seeds, u=st.integers(1, 5), v=st.integers(1, 5))
def test_correlations_are_numpys(seed: int, u: int, v: int) -> None:
    x, y = drawn(seed, u), drawn(seed + 1, v)
    expected = np.corrcoef(x, y)[:u, u:]
    np.testing.assert_allclose(similarity.correlations(*both(x, y)), expected, atol=1e-9)


@QUICK
@given(seed=seeds, v=st.integers(1, 8))
def test_no_measure_tells_one_from_the_other(seed: int, v: int) -> None:
    x, y = drawn(seed), drawn(seed + 1, v)
    assert measured(x, y) == pytest.approx(measured(y, x), rel=1e-9)


def test_a_constant_unit_is_matched_with_none_and_changes_nothing() -> None:
    x, y = drawn(5), drawn(6, 5)
    without = measured(x, y)
    x, y = np.insert(x, 2, 0.5, axis=0), np.insert(y, 0, -0.75, axis=0)
    one, other = similarity.matching(similarity.correlations(*both(x, y)))
    assert len(one) == 5
    assert 2 not in one
    assert 0 not in other
    assert measured(x, y) == pytest.approx(without, rel=1e-9)


def test_what_varies_but_for_rounding_is_constant() -> None:
    x = drawn(7)
    m2 = centred(x) @ centred(x).T
    squares = np.diagonal(m2).copy()
    m2[2], m2[:, 2] = 1e-8, 1e-8
    m2[2, 2] = 1e-15 * squares[2]
    found = similarity.representation(m2, 0.99, squares)
    assert np.isnan(found.deviation).tolist() == [unit == 2 for unit in range(6)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nothing = similarity.representation(np.zeros((6, 6)), 0.99, squares)
    assert nothing.power == 0
    assert np.isnan(nothing.deviation).all()
