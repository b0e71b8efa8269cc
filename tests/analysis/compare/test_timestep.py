"""Two representations at one timestep, against the textbook's n by n formulas."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnscope.analysis.compare import timestep
from rnnscope.analysis.statistics import jackknife

QUICK = settings(max_examples=40, deadline=None, derandomize=True)

Float = NDArray[np.float64]
seeds = st.integers(0, 999)


def drawn(seed: int, units: int = 6, sequences: int = 80) -> Float:
    """Correlated units [U, n] of different sizes, away from 0."""
    random = np.random.default_rng(seed)
    return random.normal(size=(units, units)) @ random.normal(size=(units, sequences)) + 3


def rotation(seed: int, units: int) -> Float:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(units, units)))[0]


def found(x: Float, y: Float, group: NDArray[np.intp] | None = None) -> Float:
    """HSIC times n (n - 3), of all sequences and without each group [1 + G]."""
    group = np.zeros(x.shape[1], np.intp) if group is None else group
    a, b = timestep.centred(x, group), timestep.centred(y, group)
    squares = np.array([(each**2).sum() for each in timestep.products(a, b)])
    return timestep.hsic(squares, a.squares, b.squares, a.count)


def cka(x: Float, y: Float) -> float:
    return float((found(x, y) / np.sqrt(found(x, x) * found(y, y)))[0])


def textbook_hsic(x: Float, y: Float) -> float:
    """The unbiased estimator of Song et al. 2012, from n by n kernels.

    It does not see where the data lies; its digits suffer where that is far from 0.
    """
    n = x.shape[1]
    x, y = (each - each.mean(axis=1, keepdims=True) for each in (x, y))
    k, l = (each.T @ each for each in (x, y))  # noqa: E741
    k, l = k - np.diag(np.diag(k)), l - np.diag(np.diag(l))  # noqa: E741
    one = np.ones(n)
    first = np.trace(k @ l) + (one @ k @ one) * (one @ l @ one) / ((n - 1) * (n - 2))
    return float((first - 2 / (n - 2) * (one @ k @ l @ one)) / (n * (n - 3)))


def textbook_cka(x: Float, y: Float) -> float:
    return float(textbook_hsic(x, y) / np.sqrt(textbook_hsic(x, x) * textbook_hsic(y, y)))


def biased_cka(x: Float, y: Float) -> float:
    """Kornblith et al. 2019, in feature space."""
    x, y = (each - each.mean(axis=1, keepdims=True) for each in (x, y))
    across, of_x, of_y = (np.linalg.norm(a @ b.T) for a, b in ((x, y), (x, x), (y, y)))
    return float(across**2 / of_x / of_y)


@QUICK
@given(seed=seeds, scale=st.floats(1e-3, 1e3), shift=st.floats(-10, 10))
def test_cka_does_not_see_rotations_scales_and_shifts(
    seed: int, scale: float, shift: float
) -> None:
    x = drawn(seed)
    assert cka(x, scale * rotation(seed, 6) @ x + shift) == pytest.approx(1, abs=1e-9)


@QUICK
@given(seed=seeds, u=st.integers(1, 6), v=st.integers(1, 9), n=st.integers(5, 40))
def test_cka_is_the_textbooks_with_n_by_n_kernels(seed: int, u: int, v: int, n: int) -> None:
    x, y = drawn(seed, u, n), drawn(seed + 1, v, n)
    y[: min(u, v)] += x[: min(u, v)]
    assert cka(x, y) == pytest.approx(textbook_cka(x, y), rel=1e-7, abs=1e-9)


def test_debiased_cka_of_independent_data_is_0_on_average_and_the_biased_one_is_not() -> None:
    random = np.random.default_rng(0)
    draws = [random.normal(size=(2, 30, 60)) for _ in range(200)]
    debiased = [cka(x, y) for x, y in draws]
    error = np.std(debiased) / np.sqrt(len(draws))
    assert abs(np.mean(debiased)) < 4 * error < 0.02
    assert min(debiased) < 0
    assert np.mean([biased_cka(x, y) for x, y in draws]) > 0.3


@QUICK
@given(seed=seeds, n=st.integers(5, 30))
def test_debiased_cka_is_never_above_1(seed: int, n: int) -> None:
    assert abs(cka(drawn(seed, 5, n), drawn(seed + 1, 5, n))) <= 1 + 1e-12


@QUICK
@given(seed=seeds, n=st.integers(5, 70))
def test_without_a_group_all_is_as_if_it_had_not_been_there(seed: int, n: int) -> None:
    random = np.random.default_rng(seed)
    group = np.sort(random.integers(0, jackknife.GROUPS, n))
    # Groups whose means differ, so that leaving one out moves the centre.
    x, y = (drawn(seed + k, 4, n) + random.normal(size=(4, 20))[:, group] for k in (0, 1))
    for got, left in zip(found(x, y, group)[1:], range(jackknife.GROUPS), strict=True):
        kept = group != left
        count = int(kept.sum())
        if count < 4:
            assert np.isnan(got)
        else:
            expected = textbook_hsic(x[:, kept], y[:, kept]) * count * (count - 3)
            assert got == pytest.approx(expected, rel=1e-7, abs=1e-7 * abs(found(x, x)[0]))
    a, b = timestep.centred(x, group), timestep.centred(y, group)
    for got, left in zip(timestep.products(a, b), range(-1, jackknife.GROUPS), strict=True):
        kept = group != left
        if kept.sum() > 1:
            expected = np.cov(x[:, kept], y[:, kept])[:4, 4:] * (kept.sum() - 1)
            np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)


def test_the_effective_number_of_sequences() -> None:
    group = np.zeros(100, np.intp)
    equal = np.where(np.arange(100) % 2, 1.0, -1.0)[np.newaxis]
    assert timestep.centred(equal, group).effective == pytest.approx(100)
    few = np.zeros((3, 100))
    few[:, :2] = [[1, -1], [2, -2], [0, 0]]
    assert timestep.centred(few, group).effective == pytest.approx(2)
    assert timestep.centred(np.full((3, 100), 0.3), group).effective == 0


def test_a_unit_that_only_rounding_moves_is_0() -> None:
    low = np.float32(1e6)
    torn = np.array([low, np.nextafter(low, np.float32(np.inf))])[np.arange(60) % 2]
    noise = np.random.default_rng(0).normal(1e6, 0.1, 60).astype(np.float32)
    found = timestep.centred(np.stack([torn, noise]), np.zeros(60, np.intp))
    assert (found.values[0] == 0).all()
    assert found.values[1].std() == pytest.approx(0.1, rel=0.3)


@QUICK
@given(seed=seeds, n=st.integers(2, 30))
def test_each_sequence_has_one_partner_that_is_not_itself(seed: int, n: int) -> None:
    rank = np.random.default_rng(seed).permutation(n + 5)[:n]
    partner = timestep.partners(rank)
    assert sorted(partner) == list(range(n))
    assert (partner != np.arange(n)).all()
    # Without some, the others keep their partners if these are still there.
    kept = np.random.default_rng(seed + 1).random(n) < 0.7
    numbers = np.flatnonzero(kept)
    fewer = numbers[timestep.partners(rank[kept])] if kept.any() else numbers
    still = kept[partner[numbers]]
    assert (fewer[still] == partner[numbers][still]).all()


def test_what_does_not_exist_is_nan_and_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(found(drawn(7)[:, :3], drawn(8)[:, :3])[0])
        assert found(drawn(7), np.full((3, 80), 0.3))[0] == 0
