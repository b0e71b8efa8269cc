"""Measures of similarity: invariances, planted answers, and the textbook's n by n formulas."""

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
from rnnscope.analysis.compare.similarity import MEASURES, Products, Representation
from rnnscope.analysis.statistics import covariance

QUICK = settings(max_examples=40, deadline=None, derandomize=True)

Float = NDArray[np.float64]
seeds = st.integers(0, 999)


def alone(
    x: NDArray[np.floating], variance: float = 0.99, parts: list[NDArray[np.int64]] | None = None
) -> Representation:
    """A representation of values [U, R], taken in by parts of its rows."""
    sums = covariance.empty(1, len(x))
    for part in [np.arange(x.shape[1])] if parts is None else parts:
        covariance.add(sums, 0, x[:, part])
    return similarity.representation(sums, variance)


def both(
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    variance: float = 0.99,
    parts: list[NDArray[np.int64]] | None = None,
) -> tuple[Representation, Representation, Products]:
    a, b = alone(x, variance, parts), alone(y, variance, parts)
    sums = similarity.nothing(a, b)
    for part in [np.arange(x.shape[1])] if parts is None else parts:
        sums += similarity.products(x[:, part], y[:, part], a, b)
    return a, b, sums


def measured(
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    variance: float = 0.99,
    parts: list[NDArray[np.int64]] | None = None,
) -> dict[str, float]:
    a, b, sums = both(x, y, variance, parts)
    r = similarity.correlations(a, b, sums)
    return similarity.measures(a, b, sums, r[similarity.matching(r)])


def drawn(seed: int, units: int = 6, rows: int = 80) -> Float:
    """Correlated units [U, R] of different sizes, away from 0."""
    random = np.random.default_rng(seed)
    return random.normal(size=(units, units)) @ random.normal(size=(units, rows)) + 3


def rotation(seed: int, units: int) -> Float:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(units, units)))[0]


def centred(x: Float) -> Float:
    return x - x.mean(axis=1, keepdims=True)


def textbook_hsic(k: Float, l: Float) -> float:  # noqa: E741
    """The unbiased estimator of Song et al. 2012, from n by n kernels."""
    n = len(k)
    k, l = k - np.diag(np.diag(k)), l - np.diag(np.diag(l))  # noqa: E741
    one = np.ones(n)
    first = np.trace(k @ l) + (one @ k @ one) * (one @ l @ one) / ((n - 1) * (n - 2))
    return float((first - 2 / (n - 2) * (one @ k @ l @ one)) / (n * (n - 3)))


def textbook_cka(x: Float, y: Float) -> float:
    k, l = x.T @ x, y.T @ y  # noqa: E741
    return textbook_hsic(k, l) / np.sqrt(textbook_hsic(k, k) * textbook_hsic(l, l))


def biased_cka(x: Float, y: Float) -> float:
    """Kornblith et al. 2019, in feature space."""
    x, y = centred(x), centred(y)
    across, of_x, of_y = (np.linalg.norm(a @ b.T) for a, b in ((x, y), (x, x), (y, y)))
    return float(across**2 / of_x / of_y)


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
def test_cka_and_procrustes_do_not_see_rotations_scales_and_shifts(
    seed: int, scale: float, shift: float
) -> None:
    x = drawn(seed)
    found = measured(x, scale * rotation(seed, 6) @ x + shift)
    assert found["cka"] == pytest.approx(1, abs=1e-9)
    assert found["procrustes"] == pytest.approx(0, abs=1e-9)


@QUICK
@given(seed=seeds, u=st.integers(1, 6), v=st.integers(1, 9), n=st.integers(5, 40))
def test_cka_is_the_textbooks_with_n_by_n_kernels(seed: int, u: int, v: int, n: int) -> None:
    x, y = drawn(seed, u, n), drawn(seed + 1, v, n)
    y[: min(u, v)] += x[: min(u, v)]
    # Kernels that are not centred lose digits, ours do not.
    assert measured(x, y)["cka"] == pytest.approx(textbook_cka(x, y), rel=1e-5, abs=1e-7)


def test_debiased_cka_of_independent_data_is_0_on_average_and_the_biased_one_is_not() -> None:
    random = np.random.default_rng(0)
    draws = [random.normal(size=(2, 30, 60)) for _ in range(200)]
    debiased = [measured(x, y)["cka"] for x, y in draws]
    error = np.std(debiased) / np.sqrt(len(draws))
    assert abs(np.mean(debiased)) < 4 * error < 0.02
    assert min(debiased) < 0
    assert np.mean([biased_cka(x, y) for x, y in draws]) > 0.3


@QUICK
@given(seed=seeds, n=st.integers(5, 30))
def test_debiased_cka_is_never_above_1(seed: int, n: int) -> None:
    assert abs(measured(drawn(seed, 5, n), drawn(seed + 1, 5, n))["cka"]) <= 1 + 1e-12


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
    a, b, _ = both(x, mixed, variance)
    b = alone(mixed, 1.0)
    sums = similarity.products(x, mixed, a, b)
    assert similarity.svcca(a, b, sums) == pytest.approx(1, abs=1e-6)


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
    a, b, sums = both(x, y)
    r = similarity.correlations(a, b, sums)
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


@QUICK
@given(seed=seeds, count=st.integers(1, 20))
def test_parts_of_any_number_in_any_order_give_the_same(seed: int, count: int) -> None:
    x, y = drawn(seed), drawn(seed + 1, 4)
    parts = np.array_split(np.random.default_rng(seed).permutation(80), count)
    assert measured(x, y, parts=parts) == pytest.approx(measured(x, y), rel=1e-10)


def test_sums_of_parts_add_up_in_any_order() -> None:
    x, y = drawn(0), drawn(1, 4)
    a, b, whole = both(x, y)
    one, two = (similarity.products(x[:, p], y[:, p], a, b) for p in (slice(33), slice(33, 80)))
    for sums in (one + two, two + one):
        np.testing.assert_allclose(sums.products, whole.products, rtol=1e-10)
        np.testing.assert_allclose(sums.norms, whole.norms, rtol=1e-10)


def test_far_from_0_no_digits_are_lost() -> None:
    x, y = drawn(3, rows=200), drawn(4, 4, rows=200)
    y[0] += x[0]
    parts = np.array_split(np.arange(200), 7)
    far = measured(x + 1e6, y - 1e6, parts=parts)
    assert far == pytest.approx(measured(x, y), rel=1e-6)


def test_a_constant_unit_is_matched_with_none_and_changes_nothing() -> None:
    x, y = drawn(5).astype(np.float32), drawn(6, 5).astype(np.float32)
    without = measured(x, y)
    x, y = np.insert(x, 2, 0.1, axis=0), np.insert(y, 0, -0.7, axis=0)
    a, b, sums = both(x, y)
    one, other = similarity.matching(similarity.correlations(a, b, sums))
    assert len(one) == 5
    assert 2 not in one
    assert 0 not in other
    assert measured(x, y) == pytest.approx(without, rel=1e-9)


def test_what_does_not_exist_is_nan_and_warns_of_nothing() -> None:
    x, nothing = drawn(7), np.full((3, 80), 0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for pair in ((x, nothing), (nothing, x), (nothing, nothing)):
            found = measured(*pair)
            assert list(found) == list(MEASURES)
            assert np.isnan(list(found.values())).all()
        few = measured(x[:, :3], drawn(8)[:, :3])
        assert np.isnan(few["cka"])
        assert not np.isnan(few["procrustes"])


def test_cka_with_a_single_row_that_differs_does_not_exist() -> None:
    x = np.zeros((2, 50))
    x[:, 7] = [1, 2]
    found = measured(x, drawn(9, rows=50))
    assert np.isnan(found["cka"])
    assert found["procrustes"] > 0
