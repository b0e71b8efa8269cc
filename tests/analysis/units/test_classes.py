"""Which class a unit codes for, and how well, against scikit-learn and by hand."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from rnnscope.analysis.units.anova import effect
from rnnscope.analysis.units.classes import (
    ClassSums,
    auc,
    class_sums,
    dprimes,
    merge,
    preferred_class,
    selectivity,
)
from rnnscope.analysis.units.final_step import Held

QUICK = settings(max_examples=40, deadline=None, derandomize=True)

Float = NDArray[np.float64]
Labels = NDArray[np.int64]


def drawn(seed: int, units: int = 6, count: int = 90, k: int = 4) -> tuple[Float, Labels]:
    """Values [U, B] that depend on their labels more and more from unit to unit."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, k, count)
    labels[:k] = np.arange(k)
    effect = np.linspace(0, 2, units)[:, np.newaxis] * random.normal(size=k)[labels]
    return random.normal(size=(units, count)) + effect, labels


def assert_same(one: ClassSums, other: ClassSums) -> None:
    for name in ("count", "mean", "m2", "magnitude"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-10, atol=1e-12)


@QUICK
@given(seed=st.integers(0, 999), parts=st.integers(2, 6))
def test_any_parts_in_any_order_have_the_sums_of_the_whole(seed: int, parts: int) -> None:
    values, labels = drawn(seed)
    random = np.random.default_rng(seed)
    cuts = np.unique(random.integers(1, len(labels), parts - 1))
    pieces = np.split(np.arange(len(labels)), cuts)
    order = random.permutation(len(pieces))
    sums = [class_sums(values[:, pieces[n]], labels[pieces[n]], 4) for n in order]
    assert_same(functools.reduce(merge, sums), class_sums(values, labels, 4))


def test_parts_that_lack_classes_merge_as_others_do() -> None:
    values, labels = drawn(0)
    order = np.argsort(labels, kind="stable")
    pieces = np.split(order, np.arange(7, len(labels), 7))
    sums = [class_sums(values[:, piece], labels[piece], 4) for piece in pieces]
    assert_same(functools.reduce(merge, sums), class_sums(values, labels, 4))


def test_a_class_without_sequences_counts_as_none() -> None:
    values, labels = drawn(0, k=3)
    spread = np.array([0, 2, 5])[labels]
    few, many = class_sums(values, labels, 3), class_sums(values, spread, 7)
    np.testing.assert_allclose(selectivity(few), selectivity(many))
    label, dprime = preferred_class(dprimes(few))
    other, same = preferred_class(dprimes(many))
    np.testing.assert_array_equal(np.array([0, 2, 5])[label], other)
    np.testing.assert_allclose(dprime, same)


# selectivity and the preferred class


def test_selectivity_runs_from_equal_means_to_one_class_alone() -> None:
    labels = np.array([0, 0, 1, 1, 2, 2])
    values = np.array(
        [
            [0, 0, 3, 5, 0, 0],  # one class alone
            [1, 3, 2, 2, 3, 1],  # equal means
            [1, 1, 1, 1, 4, 4],  # (4 - 1) / (4 + 1)
            [-1, -1, -6, -6, 1, 1],  # on |x|
            [0, 0, 0, 0, 0, 0],
        ]
    )
    sums = class_sums(values.astype(np.float32), labels, 3)
    np.testing.assert_allclose(selectivity(sums), [1, 0, 0.6, 5 / 7, np.nan])


@QUICK
@given(seed=st.integers(0, 999))
def test_selectivity_lies_between_0_and_1_whatever_the_scale_or_the_names(seed: int) -> None:
    values, labels = drawn(seed)
    found = selectivity(class_sums(values, labels, 4))
    assert ((found >= 0) & (found <= 1)).all()
    scaled = selectivity(class_sums(-values * 1000, labels, 4))
    np.testing.assert_allclose(scaled, found, rtol=1e-10, atol=1e-12)
    names = np.random.default_rng(seed).permutation(4)
    renamed = selectivity(class_sums(values, names[labels], 4))
    np.testing.assert_allclose(renamed, found, rtol=1e-10, atol=1e-12)


def test_selectivity_is_blind_to_coding_by_sign_where_eta2_is_not() -> None:
    random = np.random.default_rng(0)
    labels = np.arange(10_000) % 10
    values = np.where(labels < 5, 1, -1) + random.normal(0, np.sqrt(0.03), (20, 10_000))
    sums = class_sums(values, labels, 10)
    # Of a variance of 1 between classes and 0.03 within.
    assert effect(sums).eta2.mean() == pytest.approx(0.97, abs=0.005)
    assert selectivity(sums).mean() == pytest.approx(0.007, abs=0.003)


def test_one_class_alone_has_no_selectivity() -> None:
    sums = class_sums(np.ones((2, 3)), np.array([1, 1, 1]), 3)
    assert np.isnan(selectivity(sums)).all()
    label, dprime = preferred_class(dprimes(sums))
    assert label.tolist() == [-1, -1]
    assert np.isnan(dprime).all()


# the preferred class against the rest


def test_dprime_by_hand() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    values = np.array([[4.0, 5.0, 6.0, 1.0, 3.0, 2.0], [0.0, 2.0, 1.0, 7.0, 9.0, 2.0]])
    found = dprimes(class_sums(values, labels, 3))
    # First unit, class 0: means 5 and 2, both variances 1. Second, class 1: means 8 and 5/4,
    # variances 2 and (9 - 4 · (5/4)^2) / 3 = 11/12.
    expected = [3, 6.75 / np.sqrt((2 + 11 / 12) / 2)]
    np.testing.assert_allclose([found[0, 0], found[1, 1]], expected, rtol=1e-12)
    assert np.isnan(found[2]).all()  # a single row
    label, dprime = preferred_class(found)
    assert label.tolist() == [0, 1]
    np.testing.assert_allclose(dprime, expected, rtol=1e-12)


@QUICK
@given(seed=st.integers(0, 999), parts=st.integers(1, 4), k=st.integers(2, 5))
def test_dprime_is_that_of_all_rows_of_either_side_and_the_largest_is_preferred(
    seed: int, parts: int, k: int
) -> None:
    values, labels = drawn(seed, k=k)
    pieces = np.array_split(np.arange(len(labels)), parts)
    sums = [class_sums(values[:, piece], labels[piece], k) for piece in pieces]
    found = dprimes(functools.reduce(merge, sums))
    expected = np.zeros((k, len(values)))
    for label in range(k):
        chosen, rest = values[:, labels == label], values[:, labels != label]
        deviation = np.sqrt((chosen.var(axis=1, ddof=1) + rest.var(axis=1, ddof=1)) / 2)
        expected[label] = (chosen.mean(axis=1) - rest.mean(axis=1)) / deviation
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    preferred, dprime = preferred_class(found)
    largest = np.abs(expected).max(axis=0)
    np.testing.assert_allclose(np.abs(dprime), largest, rtol=1e-9)
    np.testing.assert_allclose(expected[preferred, np.arange(len(values))], dprime, rtol=1e-9)
    if k == 2:  # both classes are as far from each other
        assert (dprime > 0).all()


def test_a_unit_may_code_by_being_low_for_a_class() -> None:
    labels = np.arange(500) % 5
    values = np.random.default_rng(0).normal(size=(30, 500)) - 3 * (labels == 3)
    label, dprime = preferred_class(dprimes(class_sums(values, labels, 5)))
    assert (label == 3).all()
    assert (dprime < -2).all()
    assert (areas(values, labels, label) < 0.2).all()


@QUICK
@given(seed=st.integers(0, 999))
def test_the_preferred_class_goes_by_any_name_scale_and_sign(seed: int) -> None:
    values, labels = drawn(seed)
    label, dprime = preferred_class(dprimes(class_sums(values, labels, 4)))
    moved = preferred_class(dprimes(class_sums(5 - values * 1000, labels, 4)))
    np.testing.assert_array_equal(moved[0], label)
    np.testing.assert_allclose(moved[1], -dprime, rtol=1e-8)
    names = np.random.default_rng(seed).permutation(4)
    renamed = preferred_class(dprimes(class_sums(values, names[labels], 4)))
    np.testing.assert_array_equal(renamed[0], names[label])


def test_of_classes_that_tie_the_one_is_preferred_for_which_the_unit_is_high() -> None:
    labels = np.array([0, 0, 1, 1, 2, 2])
    values = np.array([[-3.0, -1, -1, 1, 1, 3], [0, 0, 1, 1, 0.1, 0.1]])
    for sign in (1, -1):
        found = dprimes(class_sums(sign * values, labels, 3))
        label, dprime = preferred_class(found)
        assert label[0] == (2 if sign > 0 else 0)
        assert dprime[0] > 0
    two = dprimes(class_sums(np.array([[0.0, 0, 1, 1]]), np.array([0, 0, 1, 1]), 2))
    assert [each.tolist() for each in preferred_class(two)] == [[1], [np.inf]]


def test_dprime_is_infinite_without_noise_and_absent_without_spread_or_rows() -> None:
    labels = np.array([0, 0, 1, 1, 2])
    values = np.array([[1, 1, 0, 0, 0], [0.1] * 5, [0, 1, 0, 1, 9]], np.float32)
    found = dprimes(class_sums(values, labels, 3))
    np.testing.assert_array_equal(found[0, :2], [np.inf, np.nan])
    assert np.isnan(found[2]).all()
    assert preferred_class(found)[0].tolist()[:2] == [0, -1]


def areas(values: Float, labels: Labels, preferred: Labels) -> Float:
    """The area of each unit's preferred class [U]."""
    numbers = np.arange(len(labels), dtype=np.int32)
    held = Held(values.astype(np.float32), labels.astype(np.int32), numbers)
    return held.ranks(preferred, 4).auc


@QUICK
@given(seed=st.integers(0, 999), digits=st.sampled_from([0, 1, 9]))
def test_the_area_is_that_of_scikit_learn_ties_included(seed: int, digits: int) -> None:
    values, labels = drawn(seed)
    values = values.round(digits)
    preferred = preferred_class(dprimes(class_sums(values, labels, 4)))[0]
    got = areas(values, labels, preferred)
    for unit, label in enumerate(preferred):
        expected = roc_auc_score(labels == label, values[unit].astype(np.float32))
        assert got[unit] == pytest.approx(expected, rel=1e-12)


def test_the_area_is_the_share_of_pairs_and_turns_with_the_sign() -> None:
    labels = np.array([0, 0, 1, 1, 1])
    values = np.array([[2.0, 3.0, 1.0, 2.0, 0.0], [0.5] * 5])
    found = areas(values, labels, np.array([0, 0]))
    np.testing.assert_allclose(found, [5.5 / 6, 0.5])
    np.testing.assert_allclose(areas(-values, labels, np.array([0, 0])), [0.5 / 6, 0.5])


def test_without_one_of_the_sides_there_is_no_area() -> None:
    values = np.ones((2, 4))
    assert np.isnan(areas(values, np.array([1, 1, 1, 1]), np.array([1, -1]))).all()
    assert np.isnan([auc(np.array([0]), np.array([4])), auc(np.array([4]), np.array([0]))]).all()
