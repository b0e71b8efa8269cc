"""The measures of two recordings over all timesteps: planted networks, nulls and intervals."""

import numpy as np
import pytest
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from rnnscope.analysis.compare.sums import MEASURES, PERMUTATIONS, Measure, Sums
from rnnscope.analysis.statistics import jackknife
from tests.analysis.compare.test_similarity import measured, rotation
from tests.analysis.compare.test_timestep import cka, textbook_cka

Float = NDArray[np.float64]


def summed(x: Float, y: Float, lengths: NDArray[np.int64] | None = None, seed: int = 0) -> Sums:
    """The sums of states [N, T, U] and [N, T, V] of sequences of some lengths [N]."""
    n, timesteps, _ = x.shape
    lengths = np.full(n, timesteps) if lengths is None else lengths
    ranks = np.random.default_rng(seed).permuted(np.tile(np.arange(n), (PERMUTATIONS, 1)), axis=1)
    group = jackknife.groups(np.arange(n))
    sums = Sums(x.shape[2], y.shape[2])
    for step in range(timesteps):
        there = lengths > step
        if there.any():
            both = x[there, step].T, y[there, step].T
            sums.add(*both, group[there], ranks[:, there])
    return sums


def compared(
    x: Float, y: Float, lengths: NDArray[np.int64] | None = None, sources: int | None = None
) -> dict[str, Measure]:
    with threadpool_limits(1, "blas"):
        sums = summed(x, y, lengths)
        return sums.measures(sums.representations(0.99), len(x) if sources is None else sources)


def at_once(x: Float, y: Float) -> float:
    """Debiased CKA of all rows, as if they were independent."""
    with threadpool_limits(1, "blas"):
        return cka(*(each.reshape(-1, each.shape[2]).T for each in (x, y)))


def latched(seed: int, n: int, timesteps: int, units: int = 128) -> Float:
    """A network that keeps one random state per sequence, with a little noise [N, T, U]."""
    random = np.random.default_rng(seed)
    kept = random.normal(size=(n, 1, units)) @ random.normal(size=(units, units))
    return np.asarray(kept + 0.1 * random.normal(size=(n, timesteps, units)))


def drawn(seed: int, n: int = 120, timesteps: int = 6, units: int = 7) -> Float:
    random = np.random.default_rng(seed)
    return np.asarray(
        random.normal(size=(n, timesteps, units)) @ random.normal(size=(units, units))
    )


@pytest.mark.parametrize(("n", "timesteps", "rows"), [(80, 20, 0.44), (359, 8, 0.14)])
def test_independent_networks_that_latch_are_not_similar(
    n: int, timesteps: int, rows: float
) -> None:
    apart, together = [], []
    for seed in range(3):
        x, y = (latched(1000 * k + seed, n, timesteps) for k in (1, 2))
        found = compared(x, y)["cka"]
        apart.append((found.value, found.null))
        together.append(at_once(x, y))
    assert np.abs(apart).max() <= 0.05
    assert np.mean(together) == pytest.approx(rows, abs=0.05)


def test_a_drift_that_both_share_is_not_similarity() -> None:
    for seed in range(3):
        drift = np.linspace(0, 5, 20)[:, np.newaxis] * np.ones(16)
        x, y = (drawn(1000 * k + seed, 200, 20, 16) / 4 + drift for k in (1, 2))
        found = compared(x, y)
        assert abs(found["cka"].value) <= 0.05
        assert at_once(x, y) > 0.9
        # Nor do the other measures tell it from what they are of unrelated networks.
        for name in ("procrustes", "svcca", "matched_correlation"):
            assert found[name].value == pytest.approx(found[name].null, abs=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_a_run_with_its_sequences_permuted_is_not_similar_to_itself(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 10, 1000)
    kept = 3 * random.normal(size=(10, 1, 32))[labels]
    x = kept + random.normal(size=(1000, 8, 32)) @ random.normal(size=(32, 32))
    found = compared(x, x[random.permutation(1000)])
    assert abs(found["cka"].value) <= 0.02
    itself = compared(x, x)["cka"]
    assert abs(itself.null) <= 0.02
    assert itself.value == pytest.approx(1)


def test_a_rotation_changes_nothing() -> None:
    x = drawn(0)
    turned = 3 * x @ rotation(0, 7) + np.arange(6)[:, np.newaxis]
    found = compared(x, turned)
    assert found["cka"].value == pytest.approx(1, abs=1e-9)
    assert found["procrustes"].value == pytest.approx(0, abs=1e-9)
    assert found["svcca"].value == pytest.approx(1)
    for name in ("cka", "procrustes", "svcca"):
        each = found[name]
        assert (each.low, each.high) == pytest.approx((each.value, each.value), abs=1e-6)


def test_measures_are_those_of_each_timestep_and_of_what_is_left_of_it() -> None:
    x, y = drawn(0), drawn(1, units=5)
    y += x[..., :5]
    lengths = np.random.default_rng(0).integers(1, 7, 120)
    found = compared(x, y, lengths)
    steps = [(x[lengths > t, t].T, y[lengths > t, t].T) for t in range(6)]
    enough = [textbook_cka(*each) for each in steps if each[0].shape[1] >= 20]
    assert found["cka"].value == pytest.approx(np.mean(enough), rel=1e-9)
    one, other = (
        np.concatenate([v - v.mean(axis=1, keepdims=True) for v in values], axis=1)
        for values in zip(*steps, strict=True)
    )
    for name, value in measured(one, other).items():
        assert found[name].value == pytest.approx(value, rel=1e-9)


def test_the_interval_is_that_of_leaving_out_groups() -> None:
    x, y = drawn(0), drawn(1)
    y += x
    whole = compared(x, y)
    left = []
    for number in range(20):
        kept = np.arange(120) % 20 != number
        found = compared(x[kept], y[kept])
        left.append([found[name].value for name in MEASURES])
    spread = np.array(left)
    error = np.sqrt(19 / 20 * ((spread - spread.mean(axis=0)) ** 2).sum(axis=0))
    for name, each in zip(MEASURES, error, strict=True):
        value = whole[name].value
        # Student's t at 19 degrees of freedom, of a table
        expected = value - 2.0930 * each, value + 2.0930 * each
        assert (whole[name].low, whole[name].high) == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_the_interval_of_cka_covers_what_many_sequences_show() -> None:
    def drawn(random: np.random.Generator, n: int) -> tuple[Float, Float]:
        shared = random.normal(size=(n, 3, 6)) * np.array([3, 2, 1, 1, 0.5, 0.5])
        x, y = (shared @ turn + random.normal(size=(n, 3, 6)) for turn in turns)
        return x, y

    turns = np.random.default_rng(0).normal(size=(2, 6, 6))
    random = np.random.default_rng(1)
    true = compared(*drawn(random, 100_000))["cka"].value
    covered = []
    for _ in range(200):
        found = compared(*drawn(random, 200))["cka"]
        covered.append(found.low <= true <= found.high)
    assert 0.9 <= np.mean(covered) <= 0.99


def test_timesteps_with_few_sequences_or_few_that_vary_do_not_count_for_cka() -> None:
    x, y = drawn(0, n=60), drawn(1, n=60)
    lengths = np.repeat([6, 3], [19, 41])
    assert len(summed(x, y, lengths).cka) == 3
    lengths = np.repeat([6, 3], [20, 40])
    assert len(summed(x, y, lengths).cka) == 6
    x[:, 2] = 0
    x[:4, 2] = 1
    assert len(summed(x, y, lengths).cka) == 5
    none = compared(x[:19], y[:19])
    assert np.isnan([none["cka"].value, none["cka"].null, none["cka"].low]).all()
    assert none["procrustes"].value > 0


def test_few_sources_have_no_interval_but_values_and_nulls() -> None:
    x, y = drawn(0), drawn(1)
    for each in compared(x, y, sources=39).values():
        assert not np.isnan([each.value, each.null]).any()
        assert np.isnan([each.low, each.high]).all()


def test_the_null_of_unrelated_networks_is_what_they_have() -> None:
    values, nulls = [], []
    for seed in range(10):
        lengths = np.random.default_rng(seed).integers(1, 9, 150)
        found = compared(drawn(seed, 150, 8, 12), drawn(100 + seed, 150, 8, 12), lengths)
        values.append([found[name].value for name in MEASURES])
        nulls.append([found[name].null for name in MEASURES])
    np.testing.assert_allclose(np.mean(nulls, axis=0), np.mean(values, axis=0), atol=0.02)


@pytest.mark.parametrize("units", [1, 3])
def test_what_never_varies_has_no_measure(units: int) -> None:
    x, still = drawn(0, units=units), np.full((120, 6, 2), 0.3)
    for pair in ((x, still), (still, x), (still, still)):
        for each in compared(*pair).values():
            assert np.isnan([each.value, each.low, each.high, each.null]).all()


def test_far_from_0_no_digits_are_lost() -> None:
    x, y = drawn(3), drawn(4)
    y += x
    near, far = compared(x, y), compared(x + 1e6, y - 1e6)
    for name in MEASURES:
        assert far[name].value == pytest.approx(near[name].value, rel=1e-6)
