"""Mutual information by nearest neighbours, against scikit-learn and what is known."""

import numpy as np
import pytest
import scipy.integrate
import scipy.special
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.feature_selection import mutual_info_classif

from rnnscope.analysis.units.nearest import information

QUICK = settings(max_examples=40, deadline=None, derandomize=True)

Float = NDArray[np.float64]
Labels = NDArray[np.int64]


def drawn(seed: int, n: int, k: int, units: int = 4) -> tuple[Float, Labels]:
    """Values [U, N] that depend more and more on their labels [N]."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, k, n)
    effect = np.linspace(0, 3, units)[:, np.newaxis] * random.normal(size=k)[labels]
    return random.normal(size=(units, n)) + effect, labels


def noise(n: int, seed: int = 0) -> Float:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, n)


@QUICK
@given(seed=st.integers(0, 999), n=st.integers(60, 400), k=st.integers(2, 4))
@example(seed=0, n=5000, k=10)
def test_it_is_that_of_scikit_learn(seed: int, n: int, k: int) -> None:
    values, labels = drawn(seed, n, k)
    found = information(values, labels * 3, noise(n)) * np.log(2)
    expected = mutual_info_classif(values.T, labels, random_state=0)
    np.testing.assert_allclose(found.clip(0), expected, atol=1e-6)


@QUICK
@given(seed=st.integers(0, 999), n=st.integers(4, 60), k=st.integers(1, 30))
def test_of_small_classes_it_is_that_of_the_definition(seed: int, n: int, k: int) -> None:
    """Of a class of 8 rows or fewer scikit-learn rounds its distances."""
    values, labels = drawn(seed, n, k)
    found = information(values, labels, noise(n)) * np.log(2)
    kept = np.bincount(labels)[labels] > 1
    if not kept.any():
        assert np.isnan(found).all()
        return
    labels = labels[kept]
    for unit, x in enumerate(values[:, kept]):
        psi = []
        for here, label in zip(x, labels, strict=True):
            distance = np.sort(np.abs(x[labels == label] - here))
            k = min(3, len(distance) - 1)
            nearer = (np.abs(x - here) < distance[k]).sum()
            psi.append(scipy.special.digamma([k, len(distance), nearer]) @ [1, -1, -1])
        expected = scipy.special.digamma(len(x)) + np.mean(psi)
        assert found[unit] == pytest.approx(expected, abs=1e-6)


def test_a_unit_that_is_the_class_tells_all_of_it() -> None:
    labels = np.arange(1000) % 10
    values = labels + 0.5 * np.random.default_rng(0).uniform(size=(50, 1000))
    found = information(values, labels, noise(1000))
    np.testing.assert_allclose(found, 3.32, atol=0.05)


def test_two_normal_classes_tell_as_much_as_their_integral() -> None:
    labels = np.arange(1000) % 2
    values = np.random.default_rng(0).normal(size=(100, 1000)) + 2 * labels - 1
    assert information(values, labels, noise(1000)).mean() == pytest.approx(0.486, abs=0.03)

    def density(x: float) -> float:
        p = (np.exp(-((x - 1) ** 2) / 2) + np.exp(-((x + 1) ** 2) / 2)) / np.sqrt(8 * np.pi)
        return float(-p * np.log2(p))

    mixed = scipy.integrate.quad(density, -12, 12)[0]
    assert mixed - np.log2(2 * np.pi * np.e) / 2 == pytest.approx(0.486, abs=0.001)


@pytest.mark.parametrize("n", [50, 100, 359, 1000])
def test_what_tells_nothing_has_none_on_average(n: int) -> None:
    labels = np.random.default_rng(1).permutation(np.arange(n) % 10)
    values = np.random.default_rng(n).normal(size=(300, n))
    found = information(values, labels, noise(n))
    assert found.mean() == pytest.approx(0, abs=0.02)
    assert (found < 0).any()


def test_ties_are_broken_by_noise_that_is_that_of_no_class() -> None:
    random = np.random.default_rng(0)
    labels = np.arange(2000) % 4
    two = random.integers(0, 2, (100, 2000)).astype(np.float32)
    assert information(two, labels, noise(2000)).mean() == pytest.approx(0, abs=0.01)
    told = np.where(labels < 2, 1, two[0]).astype(np.float32)
    # 1 bit in half of the rows on average: H(x) - H(x | class) of 3/4 against 1 and 1/2.
    expected = -(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25)) - 0.5
    assert information(told[np.newaxis], labels, noise(2000))[0] == pytest.approx(
        expected, abs=0.05
    )
    again = information(told[np.newaxis], labels, noise(2000, 1))[0]
    assert again == pytest.approx(expected, abs=0.05)


def test_a_constant_tells_nothing_and_classes_of_a_single_row_cannot_be_told() -> None:
    labels = np.arange(10) % 2
    assert information(np.full((1, 10), 0.1), labels, noise(10)).tolist() == [0]
    assert np.isnan(information(np.arange(10.0)[np.newaxis], np.arange(10), noise(10))).all()


def test_neither_the_order_of_rows_nor_scale_and_offset_change_it() -> None:
    values, labels = drawn(0, 300, 3)
    order = np.random.default_rng(0).permutation(300)
    expected = information(values, labels, noise(300))
    moved = information(5 - 1000 * values[:, order], labels[order], noise(300)[order])
    np.testing.assert_allclose(moved, expected, rtol=1e-12)
