"""Decays fitted to many series at a time: exact ones, and against SciPy's own least squares."""

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnscope.analysis.units import decays
from rnnscope.analysis.units.decays import Decays, Series, fit

QUICK = settings(max_examples=40, deadline=None, derandomize=True)

Float = NDArray[np.float64]


def fitted(r: Float, weights: Float | None = None, free: bool = True, first: int = 1) -> Decays:
    """The decays of R [S, L] at the lags first, first + 1, …; one unit."""
    weights = np.ones(r.shape) if weights is None else np.broadcast_to(weights, r.shape)
    weights = weights / weights.sum(axis=1, keepdims=True)
    elapsed = np.arange(r.shape[1], dtype=np.float64)[np.newaxis]
    series = Series(r[:, np.newaxis], weights[:, np.newaxis], elapsed)
    return fit(series, np.array([free]), 1.0)


def misfit(tau: float, r: Float, weights: Float, free: bool) -> float:
    """Weighted squares that the best height and offset leave, neither below 0, by SciPy."""
    columns = [np.exp(-np.arange(len(r)) / tau)] + [np.ones(len(r))] * free
    root = np.sqrt(weights / weights.sum())
    return float(scipy.optimize.nnls(np.stack(columns, axis=1) * root[:, np.newaxis], r * root)[1])


@pytest.mark.parametrize("offset", [0.0, 0.3])
@pytest.mark.parametrize("tau", [0.3, 1.0, 5.5, 12.0, 60.0, 5000.0])
@pytest.mark.parametrize("size", [0.6, 1e-6])
def test_an_exact_decay_is_found(tau: float, offset: float, size: float) -> None:
    lags = np.arange(30)
    weights = np.random.default_rng(0).uniform(0.1, 1, 30)
    found = fitted((size * (np.exp(-lags / tau) + offset))[np.newaxis], weights)
    assert np.exp(found.log_tau).item() == pytest.approx(tau, rel=1e-6)
    assert found.height.item() == pytest.approx(size, rel=1e-5)
    assert found.offset.item() == pytest.approx(size * offset, rel=1e-3, abs=1e-5 * size)
    assert found.r2.item() == pytest.approx(1, abs=1e-9)


@QUICK
@given(tau=st.floats(0.5, 60), seed=st.integers(0, 999), free=st.booleans())
def test_no_other_decay_fits_better(tau: float, seed: int, free: bool) -> None:
    random = np.random.default_rng(seed)
    offset = random.uniform(-0.2, 0.5)
    r = np.exp(-np.arange(30) / tau) + offset + random.normal(scale=0.02, size=(3, 30))
    weights = random.uniform(0, 1, 30)
    found = fitted(r, weights, free)
    for line, log_tau, r2 in zip(r, found.log_tau[:, 0], found.r2[:, 0], strict=True):
        best = misfit(float(np.exp(min(log_tau, 50))), line, weights, free)
        others = [misfit(each, line, weights, free) for each in np.geomspace(0.1, 1e6, 200)]
        assert best <= min(others) * (1 + 1e-9)
        mean = np.average(line, weights=weights)
        spread = np.average((line - mean) ** 2, weights=weights)
        assert r2 == pytest.approx(1 - best**2 / spread, rel=1e-7, abs=1e-7)
    assert (found.height >= 0).all()
    assert (found.offset >= 0).all()


@QUICK
@given(seed=st.integers(0, 999), ahead=st.integers(1, 8))
def test_lags_without_weight_do_not_count(seed: int, ahead: int) -> None:
    random = np.random.default_rng(seed)
    r = np.exp(-np.arange(20) / 4) + random.normal(scale=0.05, size=20)
    expected = fitted(r[np.newaxis])
    some = np.concatenate([random.normal(size=ahead), r])[np.newaxis]
    elapsed = np.maximum(np.arange(ahead + 20.0) - ahead, 0)[np.newaxis]
    weights = np.where(np.arange(ahead + 20) >= ahead, 1 / 20, 0)[np.newaxis, np.newaxis]
    found = fit(Series(some[:, np.newaxis], weights, elapsed), np.array([True]), 1.0)
    for name in ("log_tau", "height", "offset", "r2"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-9)


def test_each_series_is_fitted_by_itself() -> None:
    random = np.random.default_rng(0)
    r = np.exp(-np.arange(25) / random.uniform(1, 20, (12, 1))) + 0.03 * random.normal(
        size=(12, 25)
    )
    together = fitted(r)
    for place, line in enumerate(r):
        alone = fitted(line[np.newaxis])
        assert alone.log_tau.item() == pytest.approx(together.log_tau[place, 0], abs=1e-12)


def test_what_rises_or_does_not_change_has_an_infinite_timescale() -> None:
    lags = np.arange(20)
    r = np.array([0.5 + 0.01 * lags, np.full(20, 0.3), 0.5 - 0.4 * np.exp(-lags / 5)])
    for free in (True, False):
        found = fitted(r, free=free)
        assert np.isposinf(found.log_tau[[0, 2]]).all()
        assert found.log_tau[1].item() > np.log(1e6)


def test_a_step_down_has_the_shortest_timescale() -> None:
    found = fitted(np.where(np.arange(20) == 0, 0.6, 0.2)[np.newaxis])
    assert np.exp(found.log_tau).item() == pytest.approx(decays.SHORTEST, rel=1e-6)
    assert found.offset.item() == pytest.approx(0.2, rel=1e-3)


def test_rounding_moves_no_timescale() -> None:
    """A minimum found by comparing misfits would move by a hundred million times as much."""
    random = np.random.default_rng(0)
    r = np.exp(-np.arange(50) / 9) + random.normal(scale=0.05, size=(20, 50))
    moved = r * (1 + random.uniform(-1e-15, 1e-15, r.shape))
    for free in (True, False):
        one, other = fitted(r, free=free), fitted(moved, free=free)
        np.testing.assert_allclose(np.exp(one.log_tau), np.exp(other.log_tau), rtol=1e-11)
