"""The permutation test of information, against labels that are really shuffled."""

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
    bins,
    coarser,
    joint_counts,
    of_shuffled,
    p_values,
    plug_in,
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


def table(line: Float, labels: NDArray[np.integer], bins: int) -> NDArray[np.int64]:
    """How often each bin of values [N] occurs with each of their labels [N]."""
    order = np.argsort(line)
    there, codes = np.unique(labels, return_inverse=True)
    ends = np.flatnonzero(np.diff(line[order], append=np.inf)) + 1
    return joint_counts(ends, codes[order], len(there), bins)


def measured(
    values: Float, labels: NDArray[np.integer], bins: int, permutations: int, seed: int
) -> Float:
    """The p-values [U] of what values [U, N] tell of labels [N]."""
    return p_values((table(line, labels, bins) for line in values), permutations, seed)


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
        np.testing.assert_array_equal(coarser(narrow, bins), table(line, classes, bins))


@QUICK
@given(**SHAPES)
def test_bins_are_equally_full_and_never_part_equal_values(
    n: int, k: int, bins: int, seed: int
) -> None:
    values, labels = drawn(n, k, seed)
    for line in values:
        counts = table(line, labels, bins)
        assert counts.shape[0] <= bins
        assert (counts.sum(axis=1) > 0).all()
        np.testing.assert_array_equal(counts.sum(axis=0), np.unique_counts(labels).counts)
        # Of all cuts of the sorted values into these bins, none lies within equal values.
        ordered = np.sort(line)
        cuts = counts.sum(axis=1).cumsum()[:-1]
        assert (ordered[cuts - 1] < ordered[cuts]).all()
    full = table(values[0], labels, bins).sum(axis=1)  # no two are equal
    assert len(full) == min(bins, n)
    assert full.max() - full.min() <= 1


def test_values_are_counted_with_their_own_class() -> None:
    values, labels = np.array([0.3, -1, 5, 2, 0.1, 9]), np.array([0, 1, 1, 0, 0, 1])
    assert table(values, labels, 3).tolist() == [[1, 1], [2, 0], [0, 2]]


def test_a_constant_has_one_bin() -> None:
    assert table(np.full(5, 0.1), np.array([0, 1, 1, 0, 1]), 16).tolist() == [[2, 3]]


@pytest.mark.parametrize(
    ("sequences", "classes", "expected"),
    [(359, 10, 7), (50, 10, 2), (10_000, 10, 16), (800, 10, 16), (799, 10, 15), (60, 2, 6)],
)
def test_bins_have_five_sequences_of_each_class(
    sequences: int, classes: int, expected: int
) -> None:
    assert bins(sequences, classes) == expected


# the statistic


@QUICK
@given(**SHAPES)
def test_it_is_the_information_of_scikit_learn(n: int, k: int, bins: int, seed: int) -> None:
    values, labels = drawn(n, k, seed)
    for line in values:
        counts = table(line, labels, bins)
        expected = mutual_info_score(*placed(counts)) / np.log(2)
        assert plug_in(counts) == pytest.approx(expected, abs=1e-12)
    both = np.stack([counts, counts[::-1]])
    np.testing.assert_allclose(plug_in(both), plug_in(counts), atol=1e-12)


@QUICK
@given(seed=st.integers(0, 999))
def test_neither_the_order_of_rows_and_units_nor_any_rising_function_changes_it(seed: int) -> None:
    values, labels = drawn(150, 3, seed)
    random = np.random.default_rng(seed)
    rows, units = random.permutation(150), random.permutation(3)
    expected = measured(values, labels, 16, 50, 7)
    changed = measured(values[units][:, rows] ** 3 * 5 - 1, labels[rows], 16, 50, 7)
    np.testing.assert_array_equal(changed, expected[units])


# its null


@pytest.mark.parametrize("unit", [0, 2])  # without and with equal values
def test_its_null_is_that_of_labels_really_shuffled(unit: int) -> None:
    values, labels = drawn(120, 4, 3)
    labels = labels.clip(1)  # one class has half of all values
    line, random = values[unit], np.random.default_rng(0)
    found = of_shuffled(table(line, labels, 8), 2000, 0)
    shuffled = [plug_in(table(line, random.permutation(labels), 8)) for _ in range(2000)]
    assert scipy.stats.ks_2samp(found, shuffled).pvalue > 0.05
    assert found.mean() == pytest.approx(np.mean(shuffled), abs=4 * found.std() / np.sqrt(1000))
    told = measured(line[np.newaxis], labels, 8, 2000, 0)
    exceeding = np.mean(np.array(shuffled) >= plug_in(table(line, labels, 8)))
    assert told.item() == pytest.approx(exceeding, abs=0.05)


@pytest.mark.parametrize("n", [100, 359])
def test_its_p_values_are_uniform_where_labels_mean_nothing(n: int) -> None:
    random = np.random.default_rng(0)
    labels = random.permutation(np.arange(n) % 10)
    p = measured(random.normal(size=(500, n)), labels, bins(n, 10), 10_000, 0)
    assert scipy.stats.kstest(p, "uniform").pvalue > 0.05


def test_its_p_value_counts_the_data_as_one_of_the_shuffles() -> None:
    """Of few values most shuffles give the same table: these count as giving as much."""
    labels = np.array([0, 0, 1, 1])
    found = measured(np.array([[0.0, 1, 2, 3], [0, 2, 1, 3], [5, 5, 5, 5]]), labels, 2, 3000, 0)
    # One in three of the ways to part 4 values in 2 and 2 gives the classes, or their opposite.
    assert found == pytest.approx([1 / 3, 1, 1], abs=0.03)


@pytest.mark.parametrize(("n", "k", "bins"), [(600, 3, 4), (40, 12, 8), (500, 400, 16)])
@pytest.mark.parametrize("cells", [1, 1000, 10**9])
def test_shuffles_a_few_at_a_time_are_bit_for_bit_those_at_once(
    n: int, k: int, bins: int, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both by Patefield's draws, of the first shape, and by shuffles of the labels themselves."""
    values, labels = drawn(n, k, 0)
    monkeypatch.setattr(module, "CELLS", cells)
    for line in values:
        counts = table(line, labels, bins)
        tables = scipy.stats.random_table(counts.sum(axis=1), counts.sum(axis=0), seed=5).rvs(23)
        np.testing.assert_array_equal(of_shuffled(counts, 23, 5), plug_in(tables))


def test_many_classes_take_no_more_memory_than_few() -> None:
    values = np.random.default_rng(0).normal(size=(4, 3000))
    labels = np.random.default_rng(1).integers(0, 2000, 3000)
    tracemalloc.start()
    measured(values, labels, 16, 200, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16e6  # all shuffles at once: 160


def test_a_unit_that_tells_of_the_class_has_the_smallest_p_there_is() -> None:
    labels = np.arange(400) % 4
    values = labels + np.random.default_rng(0).uniform(size=(3, 400))
    assert (measured(values, labels, 16, 200, 0) == 1 / 201).all()


def test_without_permutations_there_is_no_p() -> None:
    assert np.isnan(measured(*drawn(100, 3, 0), 16, 0, 0)).all()


def test_the_seed_draws_the_shuffles() -> None:
    values, labels = drawn(100, 3, 0)
    one, same, other = (measured(values, labels, 16, 50, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
