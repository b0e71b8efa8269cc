"""What the class explains of a unit's variance, and the test of it, against SciPy."""

import functools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.feature_selection import f_classif

from rnnscope.analysis.units import final_step
from rnnscope.analysis.units.anova import effect, welch
from rnnscope.analysis.units.classes import ClassSums, class_sums, merge

QUICK = settings(max_examples=40, deadline=None, derandomize=True)

Float = NDArray[np.float64]
Labels = NDArray[np.int64]


def drawn(seed: int, units: int = 6, count: int = 90, k: int = 4) -> tuple[Float, Labels]:
    """Values [U, B] that depend on their labels more and more from unit to unit."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, k, count)
    labels[: 2 * k] = np.arange(2 * k) % k
    effect = np.linspace(0, 2, units)[:, np.newaxis] * random.normal(size=k)[labels]
    spread = random.uniform(0.2, 3, k)[labels]
    return spread * random.normal(size=(units, count)) + effect, labels


def in_parts(values: Float, labels: Labels, k: int, parts: int) -> ClassSums:
    pieces = np.array_split(np.arange(len(labels)), parts)
    sums = [class_sums(values[:, piece], labels[piece], k) for piece in pieces]
    return functools.reduce(merge, sums)


@QUICK
@given(
    seed=st.integers(0, 999), k=st.integers(2, 6), count=st.integers(20, 120), n=st.integers(1, 5)
)
def test_the_test_is_that_of_scipy_and_the_effect_that_of_scikit_learn(
    seed: int, k: int, count: int, n: int
) -> None:
    values, labels = drawn(seed, count=count, k=k)
    sums = in_parts(values, labels, k, n)
    groups = [values[:, labels == label] for label in range(k)]
    scipys = scipy.stats.f_oneway(*groups, axis=1, equal_var=False)
    found = welch(sums)
    np.testing.assert_allclose(found.f_statistic, scipys.statistic, rtol=1e-8)
    np.testing.assert_allclose(found.p_value, scipys.pvalue, rtol=1e-6)
    np.testing.assert_allclose(found.log10_p, np.log10(scipys.pvalue), rtol=1e-6, atol=1e-9)
    f, _ = f_classif(values.T, labels)
    between, within = k - 1, len(labels) - k
    np.testing.assert_allclose(effect(sums).eta2, f * between / (f * between + within), rtol=1e-8)
    omega2 = between * (f - 1) / (between * (f - 1) + len(labels))
    np.testing.assert_allclose(effect(sums).omega2, omega2, rtol=1e-8, atol=1e-12)


def test_it_agrees_with_another_test_of_unequal_variances() -> None:
    random = np.random.default_rng(0)
    sizes, spread = (40, 80, 120), (3.0, 1.0, 0.5)
    labels = np.repeat(np.arange(3), sizes)
    values = random.normal(size=(200, 240)) * np.repeat(spread, sizes) + 0.3 * (labels == 1)
    found = welch(class_sums(values, labels, 3)).p_value
    others = [
        scipy.stats.alexandergovern(*(line[labels == label] for label in range(3))).pvalue
        for line in values
    ]
    np.testing.assert_allclose(np.log10(found), np.log10(others), atol=0.1, rtol=0.05)


def test_unequal_variances_and_sizes_do_not_make_it_reject() -> None:
    """Of 10,000 tests 5 % are rejected, ± 0.2 %; the equal-variance test rejects 30 %."""
    random = np.random.default_rng(0)
    sizes, spread = (15, 30, 60, 120), (4.0, 2.0, 1.0, 0.5)
    labels = np.repeat(np.arange(4), sizes)
    values = random.normal(size=(10_000, len(labels))) * np.repeat(spread, sizes)
    sums = class_sums(values, labels, 4)
    assert 0.04 < (welch(sums).p_value < 0.05).mean() < 0.06
    equal = scipy.stats.f_oneway(*(values[:, labels == label] for label in range(4)), axis=1)
    assert (equal.pvalue < 0.05).mean() > 0.25


def test_a_class_without_sequences_counts_as_none_and_one_of_a_single_is_not_tested() -> None:
    values, labels = drawn(0, k=3)
    spread = np.array([0, 2, 5])[labels]
    one = class_sums(values, labels, 3)
    other = class_sums(values, spread, 7)
    alone = class_sums(np.c_[values, np.full(len(values), 9)], np.append(spread, 6), 7)
    for sums in (other, alone):
        for name in ("f_statistic", "p_value", "log10_p"):
            np.testing.assert_allclose(getattr(welch(sums), name), getattr(welch(one), name))
    np.testing.assert_allclose(effect(one).eta2, effect(other).eta2)
    assert (effect(alone).eta2 != effect(one).eta2).all()


def test_without_variance_within_a_class_there_is_no_test() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 20)
    values = 0.5 + random.normal(0, 0.1, size=(30, 60)).astype(np.float32)
    values[:15, labels == 0] = np.float32(0.7)
    found = welch(class_sums(values, labels, 3))
    for each in vars(found).values():
        assert np.isnan(each[:15]).all()
        assert np.isfinite(each[15:]).all()
    assert np.isfinite(effect(class_sums(values, labels, 3)).eta2).all()
    # Of units that are 0 or 1 by chance, most have such a class: their p would be tiny.
    binary = random.integers(0, 2, size=(500, 20)).astype(np.float32)
    tested = welch(class_sums(binary, np.repeat(np.arange(10), 2), 10)).p_value
    assert np.isnan(tested).mean() > 0.95


@pytest.mark.parametrize("value", [0.0, 0.1, -7.7])
def test_a_constant_unit_has_no_statistic(value: float) -> None:
    values, labels = drawn(0)
    values = values.astype(np.float32)
    values[2] = value
    sums = in_parts(values, labels, 4, 3)
    for found in (effect(sums), welch(sums)):
        for each in vars(found).values():
            assert np.flatnonzero(np.isnan(each)).tolist() == [2]


def test_a_unit_that_is_the_class_is_explained_whole() -> None:
    _, labels = drawn(0)
    sums = class_sums(labels[np.newaxis].astype(np.float32), labels, 4)
    assert [effect(sums).eta2.item(), effect(sums).omega2.item()] == [1, 1]
    assert welch(sums).p_value.item() < 1e-100
    assert welch(sums).log10_p.item() < -100


@pytest.mark.parametrize(("labels", "k"), [([0, 0, 0, 0], 1), ([1, 1, 1, 1], 3), ([0, 1, 2, 3], 4)])
def test_too_few_classes_or_sequences_give_no_statistic(labels: list[int], k: int) -> None:
    sums = class_sums(np.arange(8.0).reshape(2, 4), np.array(labels), k)
    for found in (effect(sums), welch(sums)):
        for each in vars(found).values():
            assert np.isnan(each).all()


def test_scale_and_offset_do_not_change_what_a_unit_tells() -> None:
    values, labels = drawn(0)
    one, other = (class_sums(each, labels, 4) for each in (values, 5 - 1000 * values))
    np.testing.assert_allclose(welch(one).f_statistic, welch(other).f_statistic, rtol=1e-8)
    np.testing.assert_allclose(effect(one).omega2, effect(other).omega2, rtol=1e-8)


# intervals


def test_the_interval_is_that_of_leaving_out_each_group_by_hand() -> None:
    values, labels = drawn(3, count=130)
    groups = np.arange(130) % 20
    pieces = np.array_split(np.arange(130), 5)
    sums = [
        final_step.final_sums(
            values[:, piece].astype(np.float32), labels[piece].astype(np.int32), groups[piece], 4
        )
        for piece in (pieces[n] for n in (3, 0, 4, 1, 2))
    ]
    found = functools.reduce(final_step.merge, sums).effect(130)
    values = values.astype(np.float32).astype(np.float64)

    def eta2(keep: NDArray[np.bool_]) -> Float:
        f, _ = f_classif(values[:, keep].T, labels[keep])
        n = keep.sum()
        explained: Float = f * 3 / (f * 3 + n - 4)
        return explained

    rest = np.array([eta2(groups != group) for group in range(20)])
    error = np.sqrt(19 / 20 * ((rest - rest.mean(axis=0)) ** 2).sum(axis=0))
    half = scipy.stats.t.ppf(0.975, 19) * error
    whole = eta2(np.ones(130, bool))
    np.testing.assert_allclose(found["eta2"], whole, rtol=1e-9)
    np.testing.assert_allclose(found["eta2_low"], whole - half, rtol=1e-7)
    np.testing.assert_allclose(found["eta2_high"], whole + half, rtol=1e-7)
    few = functools.reduce(final_step.merge, sums).effect(39)
    assert np.isnan(few["omega2_low"]).all()
    assert np.isfinite(few["omega2"]).all()


@pytest.mark.parametrize("effect_size", [0.3, 1.0])
def test_the_interval_of_omega2_covers_the_planted_one(effect_size: float) -> None:
    """In 90 to 99 % of 200 data sets."""
    random = np.random.default_rng(0)
    k, n = 5, 400
    planted = effect_size * np.array([-1.5, -0.5, 0, 0.5, 1.5])
    # Of classes that are as frequent, and a variance of 1 within.
    expected = planted.var() / (1 + planted.var())
    labels = np.arange(n) % k
    random.shuffle(labels)
    values = (planted[labels] + random.normal(size=(200, n))).astype(np.float32)
    sums = final_step.final_sums(values, labels.astype(np.int32), np.arange(n) % 20, k)
    found = sums.effect(n)
    covered = (found["omega2_low"] <= expected) & (expected <= found["omega2_high"])
    assert 0.90 <= covered.mean() <= 0.99
