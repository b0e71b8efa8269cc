"""Autocorrelation by hand, and decays whose timescale is known."""

import functools
import operator

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnscope import states
from rnnscope.analysis.units import timescale
from rnnscope.analysis.units.sums import lag_sums
from rnnscope.analysis.units.timescale import LagSums, decay, forget_timescale
from rnnscope.analysis.units.tuning import mean_over_time, tuning_sums

QUICK = settings(max_examples=40, deadline=None, derandomize=True)

Float = NDArray[np.float64]
Bools = NDArray[np.bool_]


def gapped(seed: int, n: int, t: int) -> Bools:
    """Which timesteps have a row [N, T]: sequences of any length, with gaps in them."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, t + 1, n)
    present: Bools = (np.arange(t) < lengths[:, np.newaxis]) & (random.random((n, t)) < 0.8)
    present[:, 0] = True
    return present


def summed(values: Float, present: Bools, lags: int, parts: int = 1) -> LagSums:
    """The sums of values [U, N, T] as the stage takes them: means over time, then each part."""
    sequence, timestep = np.nonzero(present)
    rows = states.RowKeys(sequence.astype(np.int32), timestep.astype(np.int32), None)
    lines = values[:, present].astype(np.float32)
    t = present.shape[1]
    mean = mean_over_time(tuning_sums(lines, rows, 1, t), t)
    found = []
    for piece in np.array_split(np.arange(len(present)), parts):
        here = np.isin(sequence, piece)
        part = states.RowKeys(rows.sequence[here], rows.timestep[here], None)
        found.append(lag_sums((part, lines[:, here]), mean, lags))
    return functools.reduce(operator.add, found)


def by_hand(values: Float, present: Bools, lags: int) -> Float:
    """R(k) [U, L + 1] of values [U, N, T], pair by pair."""
    found = np.full((len(values), lags + 1), np.nan)
    for unit, x in enumerate(values.astype(np.float32).astype(np.float64)):
        d = x - np.array([line[there].mean() for line, there in zip(x.T, present.T, strict=True)])
        for lag in range(lags + 1):
            product = first = second = 0.0
            for sequence in range(len(present)):
                for t in range(present.shape[1] - lag):
                    if present[sequence, t] and present[sequence, t + lag]:
                        product += d[sequence, t] * d[sequence, t + lag]
                        first += d[sequence, t] ** 2
                        second += d[sequence, t + lag] ** 2
            if first and second:
                found[unit, lag] = product / np.sqrt(first * second)
    return found


def autoregressive(phi: float, shape: tuple[int, ...], seed: int) -> Float:
    """x_t = phi x_(t-1) + noise, over the last axis, long since begun."""
    noise = np.random.default_rng(seed).normal(size=(*shape[:-1], shape[-1] + 300))
    return np.asarray(scipy.signal.lfilter([1], [1, -phi], noise)[..., 300:])


# the autocorrelation


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value:RuntimeWarning")
@QUICK
@given(n=st.integers(2, 7), t=st.integers(1, 9), lags=st.integers(0, 8), seed=st.integers(0, 999))
def test_the_autocorrelation_is_that_of_a_double_loop_with_any_lengths_and_gaps(
    n: int, t: int, lags: int, seed: int
) -> None:
    lags = min(lags, t - 1)
    present = gapped(seed, n, t)
    # More units than are taken at a time, of very different sizes.
    sizes = np.geomspace(1e-3, 1e3, 11)[:, np.newaxis, np.newaxis]
    values = np.random.default_rng(seed).normal(size=(11, n, t)).cumsum(axis=2) * sizes
    got = summed(values, present, lags).autocorrelation
    np.testing.assert_allclose(got, by_hand(values, present, lags), rtol=1e-7, atol=1e-7)


@QUICK
@given(parts=st.integers(2, 20), seed=st.integers(0, 99))
def test_the_sums_of_parts_add_up(parts: int, seed: int) -> None:
    present = gapped(seed, 20, 9)
    values = np.random.default_rng(seed).normal(size=(3, 20, 9))
    whole, parted = summed(values, present, 8), summed(values, present, 8, parts)
    np.testing.assert_allclose(parted.autocorrelation, whole.autocorrelation, rtol=1e-10)


def test_any_function_of_time_added_to_all_sequences_changes_nothing() -> None:
    present = gapped(0, 30, 12)
    # Whole numbers, that float32 holds with whatever is added.
    values = np.random.default_rng(0).integers(-50, 50, (4, 30, 12)).cumsum(axis=2).astype(float)
    shapes = [np.zeros(12), np.arange(12), [0, 99] * 6, 2.0 ** np.arange(12)]
    expected = summed(values, present, 11).autocorrelation
    shifted = values + np.array(shapes)[:, np.newaxis, :]
    np.testing.assert_allclose(summed(shifted, present, 11).autocorrelation, expected, rtol=1e-9)


def test_it_stays_within_1_also_where_the_variance_grows() -> None:
    present = np.ones((50, 10), bool)
    values = np.random.default_rng(0).normal(size=(1, 50, 1)) * 3.0 ** np.arange(10)
    got = summed(values, present, 9).autocorrelation
    np.testing.assert_allclose(got, 1, rtol=1e-6)


def test_what_does_not_fluctuate_has_none() -> None:
    values = np.zeros((3, 20, 6))
    values[0] = 0.1
    values[1] = np.arange(6) ** 2 * 0.1  # the same in all sequences
    values[2] = np.random.default_rng(0).normal(size=(20, 6))
    got = summed(values, np.ones((20, 6), bool), 5, parts=3).autocorrelation
    assert np.isnan(got[:2]).all()
    assert np.isfinite(got[2]).all()


def test_a_lag_whose_pairs_do_not_fluctuate_has_none() -> None:
    present = np.zeros((40, 8), bool)
    present[:, :5] = present[7] = True  # past timestep 4 a single sequence is its own mean
    values = np.random.default_rng(0).normal(size=(30, 40, 8))
    got = summed(values, present, 7).autocorrelation
    assert np.isfinite(got[:, :5]).all()
    assert np.isnan(got[:, 5:]).all()


# the decay fitted to it


@pytest.mark.parametrize("offset", [0.0, 0.3, -0.2])
@pytest.mark.parametrize("tau", [0.3, 1.0, 5.5, 12.0, 60.0])
@pytest.mark.parametrize("size", [0.6, 1e-6])
def test_the_timescale_of_an_exact_decay_is_exact(tau: float, offset: float, size: float) -> None:
    r = size * (np.exp(-np.arange(31) / tau) + offset)
    # What is uncorrelated adds to lag 0 alone, which is not fitted.
    r[0] = 1
    got = decay(r)
    assert got.timescale == pytest.approx(tau, rel=1e-7)
    assert got.r2 == pytest.approx(1, abs=1e-9)
    assert got.failure is None


@QUICK
@given(tau=st.floats(0.5, 30), seed=st.integers(0, 999))
def test_no_other_timescale_fits_better(tau: float, seed: int) -> None:
    lags = np.arange(1, 31)
    noise = np.random.default_rng(seed).normal(scale=0.02, size=30)
    r = np.append(1, np.exp(-lags / tau) + noise)
    got = decay(r)
    if got.failure is not None:
        return
    drop = 1 + np.flatnonzero(np.diff(r[1:]) < 0)[0]

    def misfit(tau: float) -> float:
        design = np.stack([np.exp(-np.arange(drop, 31) / tau), np.ones(31 - drop)], axis=1)
        residual = r[drop:] - design @ np.linalg.lstsq(design, r[drop:], rcond=None)[0]
        return float(residual @ residual)

    best = misfit(got.timescale)
    assert all(misfit(other) >= best * (1 - 1e-9) for other in np.geomspace(0.2, 250, 200))
    spread = ((r[drop:] - r[drop:].mean()) ** 2).sum()
    assert got.r2 == pytest.approx(1 - best / spread, rel=1e-9)


def test_it_is_fitted_from_the_first_drop_on() -> None:
    r = np.concatenate([[1, 0.2, 0.4, 0.7], 0.8 * np.exp(-np.arange(20) / 6.0)])
    assert decay(r).timescale == pytest.approx(6, rel=1e-7)
    late = np.concatenate([np.linspace(0.1, 0.9, 60), 0.91 * np.exp(-np.arange(20) / 0.5)])
    assert decay(late).timescale == pytest.approx(0.5, rel=1e-7)


def test_lags_without_pairs_are_left_out() -> None:
    r = np.exp(-np.arange(41) / 7.0)
    r[1::2] = np.nan  # every other timestep was recorded
    r[38:] = np.nan
    assert decay(r).timescale == pytest.approx(7, rel=1e-7)


def some(random: np.random.Generator) -> Float:
    """Some autocorrelation R(k) [L + 1]: noise, a wave, a decay or a step; mostly with gaps."""
    k = np.arange(int(random.integers(8, 60)) + 1)
    size, tau = 10.0 ** random.uniform([-9, -1], [0, 2.5])
    kinds = (
        random.uniform(-1, 1, len(k)),
        np.exp(-k / tau) * np.cos(k * random.uniform(0, 3.2)),
        0.3 + size * np.exp(-k / tau),
        0.3 + size * (k < random.integers(1, len(k))),
    )
    noise = random.normal(size=len(k)) * size * 10.0 ** random.uniform(-12, 0)
    r = (kinds[random.integers(4)] + noise).clip(-1, 1)
    gaps = (k < 0, k % random.integers(2, 6) != 0, random.random(len(k)) < random.random())
    r[gaps[random.integers(3)]] = np.nan
    r[0] = 1
    return r


def assert_in_range(r: Float) -> None:
    """A timescale that the lags can tell, or the reason why there is none."""
    got = decay(r)
    assert np.isnan([got.timescale, got.r2]).all() == (got.failure is not None)
    if got.failure is None:
        lags = np.flatnonzero(np.isfinite(r))[1:]
        shortest = timescale.SHORTEST * np.diff(lags).min()
        assert shortest <= got.timescale <= timescale.LONGEST * lags[-1]
        assert -1e-9 <= got.r2 <= 1 + 1e-12


@QUICK
@given(seed=st.integers(0, 2**32 - 1))
def test_any_autocorrelation_with_any_gaps_has_a_timescale_or_a_reason(seed: int) -> None:
    random = np.random.default_rng(seed)
    for _ in range(100):
        assert_in_range(some(random))


def test_a_misfit_that_is_flat_to_rounding_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Far below what the lags can tell, where neighbouring gradients may well have one sign."""
    monkeypatch.setattr(timescale, "SHORTEST", 0.01)
    random = np.random.default_rng(0)
    for _ in range(4000):
        assert_in_range(some(random))


def test_a_step_down_between_lags_far_apart_is_no_decay() -> None:
    """Whichever timescale fitted, well below the distance of the lags, all others would too."""
    r = np.append(1, np.where(np.arange(1, 51) < 10, 0.6, 0.2))
    r[np.arange(51) % 5 != 0] = np.nan
    assert decay(r).failure == "the decay is faster than the lags can tell"


def test_rounding_of_the_sums_moves_no_timescale() -> None:
    """A minimum found by comparing misfits would move by a hundred million times as much."""
    random = np.random.default_rng(0)
    for _ in range(20):
        r = np.append(1, np.exp(-np.arange(1, 51) / 9) + random.normal(scale=0.05, size=50))
        moved = decay(r * (1 + random.uniform(-1e-15, 1e-15, 51)))
        assert moved.timescale == pytest.approx(decay(r).timescale, rel=1e-11)


K = np.arange(31)
FAILURES = {
    "the unit does not fluctuate": np.full(31, np.nan),
    "fewer than 4 lags": np.array([1, 0.5, 0.2, 0.1]),
    "the autocorrelation does not drop": np.append(1, 0.5 + 0.01 * K[1:]),
    "fewer than 4 lags from the first drop on": np.append(1 - 0.02 * K[::-1], [0.5, 0.2]),
    "the decay is faster than the lags can tell": np.where(K < 2, 1, 0.1),
    "the decay is slower than the lags can tell": 1 - 0.02 * K,
    "the autocorrelation rises": np.append([1, 0.1], 0.5 - 0.45 * np.exp(-K / 5)),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_fit_that_fails_says_why(failure: str) -> None:
    got = decay(FAILURES[failure])
    assert got.failure == failure
    assert np.isnan([got.timescale, got.r2]).all()


@pytest.mark.parametrize(
    ("r", "failure"),
    [
        (np.array([1.0]), "fewer than 4 lags"),  # sequences of one timestep
        (np.append(1, np.full(10, np.nan)), "fewer than 4 lags"),  # the last timestep alone
        (1 + 1e-16 * np.cos(K), "the autocorrelation does not drop"),  # rounding alone
    ],
)
def test_what_cannot_decay_says_so(r: Float, failure: str) -> None:
    assert decay(r).failure == failure


@pytest.mark.parametrize("phi", [0.5, 0.9, 0.97])
def test_an_autoregressive_process_has_the_timescale_of_its_coefficient(phi: float) -> None:
    """2,000 sequences of 200 steps; of single estimates at 0.97 the standard deviation is 3 %."""
    n, t, units = 2000, 200, 5
    present = np.ones((n, t), bool)
    found = [
        decay(summed(autoregressive(phi, (1, n, t), seed), present, 50).autocorrelation[0])
        for seed in range(units)
    ]
    each = np.array([one.timescale for one in found]) * -np.log(phi)
    assert np.median(each) == pytest.approx(1, rel=0.02)
    assert each == pytest.approx(1, rel=0.05)
    assert min(one.r2 for one in found) > 0.99


def test_a_class_that_is_held_does_not_hide_the_decay_of_the_rest() -> None:
    """What lasts for the whole of each sequence is the offset B."""
    values = autoregressive(0.8, (1, 3000, 60), 0)
    held = values + np.random.default_rng(1).normal(size=(1, 3000, 1))
    present = np.ones(values.shape[1:], bool)
    for each in (values, held):
        got = decay(summed(each, present, 40).autocorrelation[0])
        assert got.timescale == pytest.approx(-1 / np.log(0.8), rel=0.05)


# the forget gate


def test_a_forget_gate_lasts_until_1_over_e_is_left() -> None:
    t = np.array([0.5, 3.0, 40.0, 1000.0])
    mean = np.exp(-1 / t)
    np.testing.assert_allclose(forget_timescale(mean), t, rtol=1e-10)
    assert forget_timescale(np.array([0.0, 1.0])).tolist() == [0, np.inf]


def test_units_joined_are_units_summed_together() -> None:
    lines = np.random.default_rng(0).normal(size=(5, 8, 6))
    present = np.ones((8, 6), bool)
    whole = timescale.lag_sums(lines, present, 5)
    parts = [timescale.lag_sums(lines[few], present, 5) for few in (slice(0, 2), slice(2, 5))]
    joined = timescale.joined(parts)
    for name in ("product", "first", "second"):
        np.testing.assert_array_equal(getattr(joined, name), getattr(whole, name))
