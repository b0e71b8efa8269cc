"""The tail of the F distribution, beyond what float64 can write."""

import numpy as np
import pytest
import scipy.stats

from rnnscope.analysis.statistics import testing
from rnnscope.analysis.statistics.testing import log10_f_sf


@pytest.mark.parametrize("df", [3.7, 50.0, 359.5, 9990.0])
def test_with_2_and_4_degrees_of_freedom_it_is_that_of_the_closed_form(df: float) -> None:
    f = np.array([0.5, 1, 10, 100, 1000, 1e4, 1e6, 1e13])
    within = np.full(len(f), df)
    two = -df / 2 * np.log10(1 + 2 * f / df)
    np.testing.assert_allclose(log10_f_sf(f, 2.0, within), two, rtol=1e-10)
    z = 1 / (1 + 4 * f / df)
    four = df / 2 * np.log10(z) + np.log10(1 + df / 2 * (1 - z))
    np.testing.assert_allclose(log10_f_sf(f, 4.0, within), four, rtol=1e-10)
    assert two.min() < -400 or df < 100


@pytest.mark.parametrize("between", [1.0, 9.0, 99.0])
@pytest.mark.parametrize("df", [2.5, 50.0, 9990.0])
def test_where_both_can_write_it_the_tail_is_that_of_scipy(
    between: float, df: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    f = np.geomspace(2, 1000, 20)
    expected = scipy.stats.f.logsf(f, between, df) / np.log(10)
    written = (expected < -3) & (expected > -290)
    monkeypatch.setattr(testing, "SMALL", 1e-3)
    found = log10_f_sf(f, between, np.full(20, df))
    np.testing.assert_allclose(found[written], expected[written], rtol=1e-10)


def test_one_degree_of_freedom_between_is_the_tail_of_a_normal_distribution() -> None:
    """t with very many degrees of freedom is normal, whose tail SciPy has in logarithms."""
    t = np.array([20.0, 40.0, 60.0])
    expected = (np.log(2) + scipy.stats.norm.logsf(t)) / np.log(10)
    found = log10_f_sf(t**2, 1.0, np.full(3, 1e11))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found[1] < -340


def test_what_is_not_known_stays_so() -> None:
    found = log10_f_sf(np.array([np.nan, 0.0, 1e9]), 3.0, np.array([5.0, 5.0, 500.0]))
    assert np.isnan(found[0])
    assert found[1] == 0
    assert found[2] < -1000
