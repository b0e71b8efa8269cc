"""What a unit tells of the class, against SciPy, scikit-learn and by hand."""

import functools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.feature_selection import f_classif
from sklearn.metrics import roc_auc_score

from rnnscope.analysis.units.classes import (
    ClassSums,
    anova,
    auc,
    auc_of_counts,
    class_sums,
    dprime,
    merge,
    preferred_class,
    selectivity,
)

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
@given(seed=st.integers(0, 999), k=st.integers(2, 6), count=st.integers(20, 120))
def test_the_analysis_of_variance_is_that_of_scipy_and_scikit_learn(
    seed: int, k: int, count: int
) -> None:
    values, labels = drawn(seed, count=count, k=k)
    got = anova(class_sums(values, labels, k))
    groups = [values[:, labels == label] for label in range(k)]
    scipys = scipy.stats.f_oneway(*groups, axis=1)
    np.testing.assert_allclose(got.f_statistic, scipys.statistic, rtol=1e-8)
    np.testing.assert_allclose(got.p_value, scipys.pvalue, rtol=1e-6)
    f_statistic, p_value = f_classif(values.T, labels)
    np.testing.assert_allclose(got.f_statistic, f_statistic, rtol=1e-8)
    np.testing.assert_allclose(got.p_value, p_value, rtol=1e-6)


@QUICK
@given(seed=st.integers(0, 999), k=st.integers(2, 6))
def test_effect_sizes_follow_from_f(seed: int, k: int) -> None:
    values, labels = drawn(seed, k=k)
    got = anova(class_sums(values, labels, k))
    between, within = k - 1, len(labels) - k
    f = got.f_statistic
    np.testing.assert_allclose(got.eta2, f * between / (f * between + within), rtol=1e-10)
    omega2 = between * (f - 1) / (between * (f - 1) + len(labels))
    np.testing.assert_allclose(got.omega2, omega2, rtol=1e-8, atol=1e-12)
    assert (got.omega2 <= got.eta2).all()
    assert ((got.eta2 >= 0) & (got.eta2 <= 1)).all()


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
    one, other = anova(class_sums(values, labels, 3)), anova(class_sums(values, spread, 7))
    np.testing.assert_allclose(one.f_statistic, other.f_statistic)
    np.testing.assert_allclose(one.p_value, other.p_value)
    few, many = class_sums(values, labels, 3), class_sums(values, spread, 7)
    np.testing.assert_allclose(selectivity(few), selectivity(many))
    preferred = preferred_class(many)
    np.testing.assert_array_equal(np.array([0, 2, 5])[preferred_class(few)], preferred)
    np.testing.assert_allclose(dprime(few, preferred_class(few)), dprime(many, preferred))


@pytest.mark.parametrize("value", [0.0, 0.1, -7.7])
def test_a_constant_unit_has_no_statistic(value: float) -> None:
    values, labels = drawn(0)
    values = values.astype(np.float32)
    values[2] = value
    parts = np.split(np.arange(len(labels)), [11, 50])
    sums = [class_sums(values[:, part], labels[part], 4) for part in parts]
    got = anova(functools.reduce(merge, sums))
    for name in ("f_statistic", "p_value", "eta2", "omega2"):
        assert np.flatnonzero(np.isnan(getattr(got, name))).tolist() == [2], name


def test_a_unit_that_is_the_class_is_explained_whole() -> None:
    _, labels = drawn(0)
    got = anova(class_sums(labels[np.newaxis].astype(np.float32), labels, 4))
    assert [got.eta2.item(), got.omega2.item(), got.p_value.item()] == [1, 1, 0]


@pytest.mark.parametrize(("labels", "k"), [([0, 0, 0, 0], 1), ([1, 1, 1, 1], 3), ([0, 1, 2, 3], 4)])
def test_too_few_classes_or_sequences_give_no_statistic(labels: list[int], k: int) -> None:
    sums = class_sums(np.arange(8.0).reshape(2, 4), np.array(labels), k)
    for each in vars(anova(sums)).values():
        assert np.isnan(each).all()


def test_scale_and_offset_do_not_change_what_a_unit_tells() -> None:
    values, labels = drawn(0)
    one, other = (anova(class_sums(each, labels, 4)) for each in (values, 5 - 1000 * values))
    np.testing.assert_allclose(one.f_statistic, other.f_statistic, rtol=1e-8)
    np.testing.assert_allclose(one.omega2, other.omega2, rtol=1e-8)


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
    assert preferred_class(sums).tolist() == [1, 0, 2, 2, 0]


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


@QUICK
@given(seed=st.integers(0, 999))
def test_the_preferred_class_has_the_largest_mean_of_x_and_goes_by_any_name(seed: int) -> None:
    values, labels = drawn(seed)
    preferred = preferred_class(class_sums(values, labels, 4))
    means = np.array([values[:, labels == label].mean(axis=1) for label in range(4)])
    np.testing.assert_array_equal(preferred, means.argmax(axis=0))
    moved = preferred_class(class_sums(5 + values * 1000, labels, 4))
    np.testing.assert_array_equal(moved, preferred)
    least = preferred_class(class_sums(-values, labels, 4))
    np.testing.assert_array_equal(least, means.argmin(axis=0))
    names = np.random.default_rng(seed).permutation(4)
    renamed = preferred_class(class_sums(values, names[labels], 4))
    np.testing.assert_array_equal(renamed, names[preferred])


def test_one_class_alone_has_no_selectivity() -> None:
    sums = class_sums(np.ones((2, 3)), np.array([1, 1, 1]), 3)
    assert np.isnan(selectivity(sums)).all()
    assert preferred_class(sums).tolist() == [1, 1]


# the preferred class against the rest


def test_dprime_by_hand() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    values = np.array([[4.0, 5.0, 6.0, 1.0, 3.0, 2.0], [0.0, 2.0, 1.0, 7.0, 9.0, 2.0]])
    found = dprime(class_sums(values, labels, 3), np.array([0, 1]))
    # First unit: means 5 and 2, both variances 1. Second: means 8 and 5/4, variances 2 and
    # (9 - 4 · (5/4)^2) / 3 = 11/12.
    np.testing.assert_allclose(found, [3, 6.75 / np.sqrt((2 + 11 / 12) / 2)], rtol=1e-12)


@QUICK
@given(seed=st.integers(0, 999), parts=st.integers(1, 4))
def test_dprime_is_that_of_all_rows_of_either_side(seed: int, parts: int) -> None:
    values, labels = drawn(seed)
    pieces = np.array_split(np.arange(len(labels)), parts)
    sums = [class_sums(values[:, piece], labels[piece], 4) for piece in pieces]
    whole = functools.reduce(merge, sums)
    preferred = preferred_class(whole)
    for unit, label in enumerate(preferred):
        chosen, rest = values[unit, labels == label], values[unit, labels != label]
        deviation = np.sqrt((chosen.var(ddof=1) + rest.var(ddof=1)) / 2)
        expected = (chosen.mean() - rest.mean()) / deviation
        assert dprime(whole, preferred)[unit] == pytest.approx(expected, rel=1e-10)


def test_dprime_has_no_scale_and_no_offset() -> None:
    values, labels = drawn(0)
    one, other = (class_sums(each, labels, 4) for each in (values, 5 + 1000 * values))
    preferred = preferred_class(one)
    np.testing.assert_allclose(dprime(one, preferred), dprime(other, preferred), rtol=1e-9)


def test_dprime_is_infinite_without_noise_and_absent_without_spread_or_rows() -> None:
    labels = np.array([0, 0, 1, 1, 2])
    values = np.array([[1, 1, 0, 0, 0], [0.1] * 5, [0, 1, 0, 1, 9]], np.float32)
    preferred = np.array([0, 0, 2])
    found = dprime(class_sums(values, labels, 3), preferred)
    np.testing.assert_array_equal(found, [np.inf, np.nan, np.nan])


@QUICK
@given(seed=st.integers(0, 999), digits=st.sampled_from([0, 1, 9]))
def test_the_area_is_that_of_scikit_learn_ties_included(seed: int, digits: int) -> None:
    values, labels = drawn(seed)
    values = values.round(digits)
    preferred = preferred_class(class_sums(values, labels, 4))
    got = auc(values, labels, preferred)
    place = np.unique(values, return_inverse=True)[1].reshape(values.shape)
    counts = np.zeros((len(values), place.max() + 1, 4), np.int64)
    np.add.at(counts, (np.arange(len(values))[:, np.newaxis], place, labels), 1)
    binned = [auc_of_counts(*each) for each in zip(counts, preferred, strict=True)]
    np.testing.assert_allclose(binned, got, rtol=1e-12)
    for unit, label in enumerate(preferred):
        expected = roc_auc_score(labels == label, values[unit])
        assert got[unit] == pytest.approx(expected, rel=1e-12)


def test_the_area_is_the_share_of_pairs_and_turns_with_the_sign() -> None:
    labels = np.array([0, 0, 1, 1, 1])
    values = np.array([[2.0, 3.0, 1.0, 2.0, 0.0], [0.5] * 5])
    found = auc(values, labels, np.array([0, 0]))
    np.testing.assert_allclose(found, [5.5 / 6, 0.5])
    np.testing.assert_allclose(auc(-values, labels, np.array([0, 0])), [0.5 / 6, 0.5])


def test_without_one_of_the_sides_there_is_no_area() -> None:
    values = np.ones((2, 4))
    assert np.isnan(auc(values, np.array([1, 1, 1, 1]), np.array([1, 0]))).all()
    assert all(np.isnan(auc_of_counts(np.array([[0, 4]]), label)) for label in (0, 1))
