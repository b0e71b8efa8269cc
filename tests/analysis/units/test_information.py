"""Mutual information against scikit-learn, and its null against labels that are really shuffled."""

import tracemalloc

import numpy as np
import pytest
import scipy.stats
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import mutual_info_score

from rnnscope.analysis.units import information as module
from rnnscope.analysis.units.information import (
    Information,
    coarser,
    corrected,
    entropy,
    information,
    joint_counts,
    of_shuffled,
)

QUICK = settings(max_examples=40, deadline=None, derandomize=True)
SHAPES = {
    "n": st.integers(1, 300),
    "k": st.integers(1, 6),
    "bins": st.integers(2, 20),
    "seed": st.integers(0, 999),
}

Float = NDArray[np.float64]
Labels = NDArray[np.int64]


def drawn(n: int, k: int, seed: int, units: int = 3) -> tuple[Float, Labels]:
    """Values [U, N] that depend more and more on their labels [N]; of the last many are equal."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, k, n)
    effect = np.linspace(0, 2, units)[:, np.newaxis] * random.normal(size=k)[labels]
    values = random.normal(size=(units, n)) + effect
    values[-1] = values[-1].clip(0)
    return values, labels


def placed(counts: NDArray[np.int64]) -> tuple[Labels, Labels]:
    """The bin and the class of every value in a table of counts [B, K]."""
    bins, classes = np.nonzero(counts)
    times = counts[bins, classes]
    return np.repeat(bins, times), np.repeat(classes, times)


def measured(
    values: Float, labels: NDArray[np.integer], bins: int, permutations: int, seed: int
) -> Information:
    """What values [U, N] tell of labels [N]."""
    classes = np.unique(labels, return_inverse=True)[1]
    tables = (joint_counts(line, classes, bins) for line in values)
    return information(tables, permutations, seed)


# bins


@QUICK
@given(**SHAPES)
@example(n=77, k=3, bins=11, seed=0)
def test_from_narrow_bins_come_the_bins_of_the_values_themselves(
    n: int, k: int, bins: int, seed: int
) -> None:
    values, labels = drawn(n, k, seed)
    classes = np.unique(labels, return_inverse=True)[1]
    for line in values:
        there, place = np.unique(line, return_inverse=True)
        place = place + seed % 3  # empty bins before, and after
        narrow = np.zeros((len(there) + 5, k + 1), np.int64)
        np.add.at(narrow, (place, classes + 1), 1)
        np.testing.assert_array_equal(coarser(narrow, bins), joint_counts(line, classes, bins))


@QUICK
@given(**SHAPES)
def test_bins_are_equally_full_and_never_part_equal_values(
    n: int, k: int, bins: int, seed: int
) -> None:
    values, labels = drawn(n, k, seed)
    for line in values:
        counts = joint_counts(line, labels, bins)
        assert counts.shape[0] <= bins
        assert (counts.sum(axis=1) > 0).all()
        np.testing.assert_array_equal(counts.sum(axis=0), np.bincount(labels))
        # Of all cuts of the sorted values into these bins, none lies within equal values.
        ordered = np.sort(line)
        cuts = counts.sum(axis=1).cumsum()[:-1]
        assert (ordered[cuts - 1] < ordered[cuts]).all()
    full = joint_counts(values[0], labels, bins).sum(axis=1)  # no two are equal
    assert len(full) == min(bins, n)
    assert full.max() - full.min() <= 1


def test_values_are_counted_with_their_own_class() -> None:
    values, labels = np.array([0.3, -1, 5, 2, 0.1, 9]), np.array([0, 1, 1, 0, 0, 1])
    assert joint_counts(values, labels, 3).tolist() == [[1, 1], [2, 0], [0, 2]]


def test_a_constant_has_one_bin() -> None:
    assert joint_counts(np.full(5, 0.1), np.array([0, 1, 1, 0, 1]), 16).tolist() == [[2, 3]]


# information


@QUICK
@given(**SHAPES)
def test_before_its_correction_it_is_that_of_scikit_learn(
    n: int, k: int, bins: int, seed: int
) -> None:
    values, labels = drawn(n, k, seed)
    for line in values:
        counts = joint_counts(line, labels, bins)
        plain = mutual_info_score(*placed(counts)) / np.log(2)
        occupied = [(axis > 0).sum() - 1 for axis in (counts.sum(axis=1), counts.sum(axis=0))]
        joint = (counts > 0).sum() - 1
        miller_madow = (sum(occupied) - joint) / (2 * n * np.log(2))
        assert corrected(counts) == pytest.approx(plain + miller_madow, abs=1e-12)


@QUICK
@given(**SHAPES)
def test_it_lies_between_0_and_the_entropy_of_the_class(
    n: int, k: int, bins: int, seed: int
) -> None:
    values, labels = drawn(n, k, seed)
    found = measured(values, labels, bins, 20, 0)
    _, sizes = np.unique(labels, return_counts=True)
    share = sizes / n
    limit = -(share * np.log2(share)).sum()
    assert entropy(sizes) == pytest.approx(limit, abs=1e-12)
    for bits in (found.bits, found.null):
        assert ((bits >= 0) & (bits <= limit + 1e-12)).all()
    assert ((found.p_value > 0) & (found.p_value <= 1)).all()


def test_a_unit_that_is_the_class_tells_all_of_it() -> None:
    labels = np.arange(4000) % 4
    jitter = np.random.default_rng(0).uniform(size=4000)
    values = np.array([labels + 0.5 * jitter, labels // 2 + 0.5 * jitter])
    found = measured(values, labels * 3, 16, 200, 0)  # whatever the classes' numbers
    assert found.bits == pytest.approx([2, 1], abs=0.01)
    assert (found.p_value == 1 / 201).all()


def test_what_tells_nothing_tells_nothing_once_corrected() -> None:
    values = np.random.default_rng(0).normal(size=(200, 1000))
    labels = np.random.default_rng(1).integers(0, 10, 1000)
    found = measured(values, labels, 16, 200, 0)
    tables = [joint_counts(line, labels, 16) for line in values]
    biased = np.mean([mutual_info_score(*placed(table)) / np.log(2) for table in tables])
    raw = np.mean([corrected(table) for table in tables])
    assert biased > 0.08
    assert raw == pytest.approx(0, abs=0.005)
    assert found.bits.max() < 0.06
    assert found.null.mean() == pytest.approx(found.bits.mean(), rel=0.2)


def test_the_correction_takes_most_of_the_bias_away() -> None:
    random = np.random.default_rng(0)

    def table(n: int) -> NDArray[np.int64]:
        labels = random.integers(0, 4, n)
        return joint_counts(labels + random.normal(size=n), labels, 8)

    known = corrected(table(1_000_000))
    few = [table(300) for _ in range(200)]
    plain = np.mean([mutual_info_score(*placed(each)) / np.log(2) for each in few])
    assert plain - known > 0.03
    assert np.mean([corrected(each) for each in few]) - known == pytest.approx(0, abs=0.012)


@QUICK
@given(seed=st.integers(0, 999))
def test_neither_the_order_of_rows_and_units_nor_any_rising_function_changes_it(seed: int) -> None:
    values, labels = drawn(150, 3, seed)
    random = np.random.default_rng(seed)
    rows, units = random.permutation(150), random.permutation(3)
    expected = measured(values, labels, 16, 50, 7)
    changed = measured(values[units][:, rows] ** 3 * 5 - 1, labels[rows], 16, 50, 7)
    for name in ("bits", "null", "p_value"):
        np.testing.assert_allclose(
            getattr(changed, name), getattr(expected, name)[units], rtol=1e-12
        )


# its null


@pytest.mark.parametrize("unit", [0, 2])  # without and with equal values
def test_its_null_is_that_of_labels_really_shuffled(unit: int) -> None:
    values, labels = drawn(120, 4, 3)
    labels = labels.clip(1)  # one class has half of all values
    line, random = values[unit], np.random.default_rng(0)
    found = of_shuffled(joint_counts(line, labels, 8), 2000, 0)
    shuffled = [corrected(joint_counts(line, random.permutation(labels), 8)) for _ in range(2000)]
    assert scipy.stats.ks_2samp(found, shuffled).pvalue > 0.05
    assert found.mean() == pytest.approx(np.mean(shuffled), abs=4 * found.std() / np.sqrt(1000))
    told = measured(line[np.newaxis], labels, 8, 2000, 0)
    assert told.null.item() == pytest.approx(np.clip(shuffled, 0, None).mean(), rel=0.1)
    exceeding = np.mean(np.array(shuffled) >= corrected(joint_counts(line, labels, 8)))
    assert told.p_value.item() == pytest.approx(exceeding, abs=0.05)


def test_its_p_values_are_uniform_where_labels_mean_nothing() -> None:
    random = np.random.default_rng(0)
    labels = np.arange(200) % 5
    p = [
        measured(random.normal(size=(30, 200)), random.permutation(labels), 8, 999, seed).p_value
        for seed in range(20)
    ]
    assert scipy.stats.kstest(np.concatenate(p), "uniform").pvalue > 0.05


def test_its_p_value_counts_the_data_as_one_of_the_shuffles() -> None:
    """Of few values most shuffles give the same table: these count as giving as much."""
    labels = np.array([0, 0, 1, 1])
    found = measured(np.array([[0.0, 1, 2, 3], [0, 2, 1, 3], [5, 5, 5, 5]]), labels, 2, 3000, 0)
    # One in three of the ways to part 4 values in 2 and 2 gives the classes, or their opposite.
    assert found.p_value == pytest.approx([1 / 3, 1, 1], abs=0.03)
    assert found.bits.tolist() == [1, 0, 0]


@pytest.mark.parametrize(("n", "k", "bins"), [(600, 3, 4), (40, 12, 8), (500, 400, 16)])
@pytest.mark.parametrize("cells", [1, 1000, 10**9])
def test_shuffles_a_few_at_a_time_are_bit_for_bit_those_at_once(
    n: int, k: int, bins: int, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both by Patefield's draws, of the first shape, and by shuffles of the labels themselves."""
    values, labels = drawn(n, k, 0)
    monkeypatch.setattr(module, "CELLS", cells)
    for line in values:
        counts = joint_counts(line, np.unique(labels, return_inverse=True)[1], bins)
        tables = scipy.stats.random_table(counts.sum(axis=1), counts.sum(axis=0), seed=5).rvs(23)
        np.testing.assert_array_equal(of_shuffled(counts, 23, 5), corrected(tables))


def test_many_classes_take_no_more_memory_than_few() -> None:
    values = np.random.default_rng(0).normal(size=(4, 3000))
    labels = np.random.default_rng(1).integers(0, 2000, 3000)
    tracemalloc.start()
    measured(values, labels, 16, 200, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16e6  # all shuffles at once: 160


def test_without_permutations_there_is_no_null() -> None:
    values, labels = drawn(100, 3, 0)
    found, with_null = (measured(values, labels, 16, number, 0) for number in (0, 10))
    assert np.isnan([found.null, found.p_value]).all()
    np.testing.assert_array_equal(found.bits, with_null.bits)


def test_the_seed_draws_the_shuffles() -> None:
    values, labels = drawn(100, 3, 0)
    one, same, other = (measured(values, labels, 16, 50, seed).null for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).all()
