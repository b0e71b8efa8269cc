"""Errors and p-values of planted changes, against SciPy."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnscope.analysis.ablation import sums
from rnnscope.analysis.ablation.columns import ABLATION, Clamped, Reruns
from rnnscope.analysis.ablation.sums import SUMMED, Sums, merge, rises, summed
from rnnscope.analysis.statistics.testing import with_q_values

Float = NDArray[np.float64]


def of(change: Float, sources: NDArray[np.intp] | None = None, parts: int = 1) -> Sums:
    """The sums of planted changes [N] of the loss, in so many batches."""
    values = np.zeros((len(SUMMED), len(change)))
    values[2] = change
    count = 0 if sources is None else int(sources.max()) + 1
    found = [
        summed(values[:, part], None if sources is None else sources[part], count)
        for part in np.array_split(np.arange(len(change)), parts)
    ]
    whole = found[0]
    for more in found[1:]:
        whole = merge(whole, more)
    return whole


def p_of(found: Sums) -> float:
    mean, error = found.moments.mean[2:3], found.error[:1]
    return float(rises(mean, error, np.array([found.independent]))[0])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(2, 200), st.floats(-1, 1), st.integers(0, 100), st.integers(1, 5))
def test_p_is_that_of_the_paired_one_sided_t_test(
    count: int, shift: float, seed: int, parts: int
) -> None:
    before, more = np.random.default_rng(seed).normal(size=(2, count))
    after = before + shift + more
    want = scipy.stats.ttest_rel(after, before, alternative="greater").pvalue
    parts = min(parts, count)
    assert p_of(of(after - before, parts=parts)) == pytest.approx(want, rel=1e-7)


def test_what_changes_no_sequence_has_p_1_and_q_1() -> None:
    random = np.random.default_rng(1)
    changes = [np.zeros(30), random.normal(1, 1, 30), np.zeros(30), np.full(30, -1.0)]
    clamped = [Clamped("lstm", unit, "h_zero", 0.0) for unit in range(4)]
    reruns = Reruns(clamped, [of(change) for change in changes], labelled=True)
    table = with_q_values(ABLATION, ABLATION.frame(reruns), ("layer", "method"))
    p = [1, scipy.stats.ttest_1samp(changes[1], 0, alternative="greater").pvalue, 1, 1]
    np.testing.assert_allclose(table["p_value"], p)
    np.testing.assert_allclose(table["q_value"], scipy.stats.false_discovery_control(p))


def test_a_change_that_every_sequence_has_alike_is_certain() -> None:
    assert p_of(of(np.full(10, 0.5))) == 0
    assert p_of(of(np.array([1.0, -1.0]))) == 0.5


def test_q_values_are_over_the_units_of_a_layer_and_method() -> None:
    random = np.random.default_rng(2)
    clamped = [
        Clamped(layer, unit, method, 0.0)
        for layer in "ab"
        for unit in range(5)
        for method in ("h_zero", "h_mean")
    ]
    reruns = Reruns(clamped, [of(random.normal(0.3, 1, 40)) for _ in clamped], labelled=True)
    table = with_q_values(ABLATION, ABLATION.frame(reruns), ("layer", "method"))
    groups = table.groupby(["layer", "method"], observed=True)
    assert groups.ngroups == 4
    for _, rows in groups:
        want = scipy.stats.false_discovery_control(rows["p_value"])
        np.testing.assert_allclose(rows["q_value"], want)


@pytest.mark.parametrize("parts", [1, 4])
def test_sources_of_equal_size_count_by_their_means(parts: int) -> None:
    random = np.random.default_rng(3)
    sources = random.permutation(np.repeat(np.arange(12), 5))
    change = random.normal(0.2, 1, 12)[sources] + random.normal(0, 0.1, 60)
    means = np.array([change[sources == source].mean() for source in range(12)])
    found = of(change, sources, parts)
    assert found.independent == 12
    assert found.error[0] == pytest.approx(scipy.stats.sem(means))
    want = scipy.stats.ttest_1samp(means, 0, alternative="greater").pvalue
    assert p_of(found) == pytest.approx(want)
    # As if each sequence told something new, the error would be √5 times smaller.
    assert found.error[0] > 2 * of(change).error[0]


def test_each_its_own_source_is_as_without_sources() -> None:
    change = np.random.default_rng(4).normal(0.1, 1, 50)
    alone, own = of(change), of(change, np.arange(50))
    assert own.independent == alone.independent == 50
    np.testing.assert_allclose(own.error, alone.error)


def test_a_single_source_has_no_error() -> None:
    found = of(np.arange(5.0), np.zeros(5, np.intp))
    assert np.isnan(found.error).all()
    assert np.isnan(p_of(found))


def test_memory_does_not_grow_with_the_number_of_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums, "SOURCES", 40)
    random = np.random.default_rng(5)
    rejected = 0
    for _ in range(400):  # of sources that differ, and no change on average
        sources = np.repeat(np.arange(100), random.integers(1, 9, 100))
        found = of(random.normal(size=100)[sources], sources)
        assert found.by_source.shape == (3, 40)
        rejected += p_of(found) < 0.05
    assert 400 * 0.02 < rejected < 400 * 0.085
