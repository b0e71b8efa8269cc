"""The number of dimensions: planted spectra, few sequences, and the intervals' coverage."""

import numpy as np
import pytest
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from rnnscope.analysis.population.dimensions import Dimensions, dimensions
from rnnscope.analysis.population.reached import Reached
from rnnscope.analysis.statistics import covariance, jackknife

Float = NDArray[np.float64]


def measured(values: Float, sources: int | None = None) -> Dimensions:
    """Of values [U, N] at one timestep."""
    n = values.shape[1]
    group = jackknife.groups(np.arange(n))
    sums = covariance.empty(jackknife.GROUPS, len(values))
    with threadpool_limits(1, "blas"):
        for number in range(jackknife.GROUPS):
            covariance.add(sums, number, values[:, group == number])
        return dimensions([sums], np.array([n if sources is None else sources]))[0]


@pytest.mark.parametrize(("n", "uncorrected"), [(20, 14), (64, 31), (359, 54)])
def test_64_equal_dimensions_are_64_however_few_the_sequences(n: int, uncorrected: int) -> None:
    random = np.random.default_rng(0)
    found = [measured(random.normal(size=(64, n))) for _ in range(50)]
    assert np.mean([each.ratio for each in found]) == pytest.approx(64, abs=3)
    assert np.mean([each.naive for each in found]) == pytest.approx(uncorrected, abs=1)


@pytest.mark.slow
@pytest.mark.parametrize("n", [60, 359])
@pytest.mark.parametrize("decay", [1, 2])
def test_the_interval_covers_the_number_of_planted_dimensions(n: int, decay: int) -> None:
    variances = 1 / np.arange(1, 33.0) ** decay
    true = variances.sum() ** 2 / (variances**2).sum()
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(32, 32)))[0]
    random = np.random.default_rng(1)
    covered = []
    for _ in range(200):
        x = turn @ (np.sqrt(variances)[:, np.newaxis] * random.normal(size=(32, n)))
        found = measured(x)
        covered.append(found.low[0] <= true <= found.high[0])
    assert 0.9 <= np.mean(covered) <= 0.99


def test_the_interval_is_that_of_leaving_out_groups() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(5, 5)) @ random.normal(size=(5, 90)) + 3

    def by_hand(values: Float) -> float:
        s, n = np.cov(values), values.shape[1] - 1
        first, second = np.trace(s), np.trace(s @ s)
        above = (n + 1) * first**2 - 2 * second
        return float(above / n / (second - first**2 / n))

    left = np.array([by_hand(x[:, np.arange(90) % 20 != group]) for group in range(20)])
    error = np.sqrt(19 / 20 * ((left - left.mean()) ** 2).sum())
    found = measured(x)
    assert found.ratio[0] == pytest.approx(by_hand(x))
    # Student's t at 19 degrees of freedom, of a table
    assert found.low[0] == pytest.approx(by_hand(x) - 2.0930 * error, rel=1e-4)
    assert found.high[0] == pytest.approx(by_hand(x) + 2.0930 * error, rel=1e-4)


def test_few_sources_or_few_sequences_have_no_interval() -> None:
    x = np.random.default_rng(0).normal(size=(4, 60))
    assert not np.isnan([measured(x).low, measured(x).high]).any()
    assert np.isnan([measured(x, 39).low, measured(x, 39).high]).all()
    few = measured(x[:, :2])
    assert np.isnan([few.ratio, few.low]).all()
    assert few.naive[0] == pytest.approx(1)


def test_the_sources_that_reach_each_timestep_are_counted_once() -> None:
    step, sequence = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 1, 2, 0, 2, 2], np.int32)
    shared = Reached(4, np.array([0, 1, 0]))
    own = Reached(4, np.arange(3))
    for some in (slice(2), slice(2, None)):
        for each in (shared, own):
            each.add(step[some], sequence[some])
    assert shared.sources.tolist() == [2, 1, 1, 0]
    assert own.sources.tolist() == [3, 2, 1, 0]
