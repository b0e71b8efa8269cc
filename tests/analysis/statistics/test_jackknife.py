"""Intervals by leaving out groups: by hand, and how often they cover what is true."""

import numpy as np
import pytest
import scipy.stats
from numpy.typing import NDArray

from rnnscope.analysis.statistics import jackknife
from tests.analysis.units.processes import autoregressive

Float = NDArray[np.float64]


def means(values: Float) -> tuple[Float, Float]:
    """The mean over all rows of values [U, N, T], and without each group [G, U]."""
    group = jackknife.groups(np.arange(values.shape[1]))
    without = [values[:, group != each].mean(axis=(1, 2)) for each in range(jackknife.GROUPS)]
    return values.mean(axis=(1, 2)), np.array(without)


def test_of_groups_of_one_the_interval_of_a_mean_is_students() -> None:
    values = np.random.default_rng(0).normal(size=(3, 20, 1))
    mean, left_out = means(values)
    low, high = jackknife.interval(mean, left_out, 40)
    lines = values[..., 0]
    expected = scipy.stats.t.interval(
        0.95, 19, loc=lines.mean(axis=1), scale=scipy.stats.sem(lines, axis=1)
    )
    np.testing.assert_allclose([low, high], expected, rtol=1e-10)


def test_the_interval_of_the_mean_of_dependent_rows_covers_it() -> None:
    """200 data sets; the interval of independent rows would cover it a third of the time."""
    low, high = jackknife.interval(*means(autoregressive(12, (200, 100, 40), 0)), 100)
    assert 0.9 <= ((low <= 0) & (high >= 0)).mean() <= 0.99


@pytest.mark.parametrize(("sources", "known"), [(39, False), (40, True)])
def test_of_few_sources_there_is_none(sources: int, known: bool) -> None:
    found = jackknife.interval(*means(np.random.default_rng(0).normal(size=(3, 60, 2))), sources)
    assert np.isfinite(found).all() == known
    assert np.isnan(found).all() != known


def test_what_is_infinite_without_a_group_has_none() -> None:
    left_out = np.ones((20, 2))
    left_out[3, 1] = np.inf
    low, high = jackknife.interval(np.ones(2), left_out, 100)
    assert np.isnan([low, high]).tolist() == [[False, True]] * 2


def test_a_single_group_has_no_error() -> None:
    assert np.isnan(jackknife.standard_error(np.ones((1, 3)))).all()
