"""Timescales of processes whose timescale is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnscope.analysis.units.autocorrelation import Autocorrelation, autocorrelation
from rnnscope.analysis.units.timescale import (
    Timescales,
    forget_timescale,
    forget_timescale_log,
    timescales,
)
from tests.analysis.units.processes import autoregressive, ringing
from tests.analysis.units.test_autocorrelation import summed

QUICK = settings(max_examples=80, deadline=None, derandomize=True)

Float = NDArray[np.float64]
Bools = NDArray[np.bool_]


def found(values: Float, present: Bools | None = None, lags: int = 50) -> Timescales:
    """The timescales of values [U, N, T]."""
    n, t = values.shape[1:]
    there = np.ones((n, t), bool) if present is None else present
    sums = summed(values.astype(np.float32), there, min(lags, t - 1))
    return timescales(autocorrelation(sums), n)


def exact(r: Float, sources: int = 400) -> Timescales:
    """The timescale of R(k) [L + 1] that is known without error."""
    every = np.repeat(r[np.newaxis, np.newaxis], 21, axis=0)
    pairs = np.isfinite(r) * np.arange(len(r), 0, -1)
    return timescales(Autocorrelation(every, np.repeat(pairs[np.newaxis], 21, axis=0)), sources)


def kinds(several: Timescales) -> dict[str, float]:
    """Share of units by kind."""
    names, counts = np.unique(several.kind.astype(str), return_counts=True)
    return dict(zip(names.tolist(), (counts / counts.sum()).tolist(), strict=True))


# autoregressive processes


@pytest.mark.slow
@pytest.mark.parametrize("t", [50, 400])
@pytest.mark.parametrize("tau", [3, 12, 40])
def test_an_autoregressive_process_has_the_timescale_of_its_coefficient(tau: int, t: int) -> None:
    units = 400 if t == 50 else 60
    got = found(autoregressive(tau, (units, 500, t), seed=tau))
    assert np.median(got.timescale) == pytest.approx(tau, rel=0.05)
    assert set(kinds(got)) <= {"decays", "oscillates"}
    assert np.median(got.persistent) == 0


@pytest.mark.slow
def test_lengths_that_differ_do_not_shorten_the_timescale() -> None:
    lengths = np.random.default_rng(0).integers(4, 51, 500)
    present = np.arange(50) < lengths[:, np.newaxis]
    got = found(autoregressive(40, (300, 500, 50), 1), present)
    assert not np.isnan(got.timescale).any()
    assert 34 <= np.median(got.timescale) <= 46


def test_sequences_shorter_than_the_timescale_are_said_to_be() -> None:
    got = found(autoregressive(40, (200, 500, 8), 0))
    assert set(kinds(got)) <= {"censored", "persists"}
    assert not np.isnan(got.timescale).any()
    assert not np.isnan([got.low, got.high]).any()


# what persists


def test_a_latch_persists() -> None:
    values = np.random.default_rng(0).normal(size=(3, 200, 1)).repeat(30, axis=2)
    values[1] += np.linspace(0, 4, 30)  # what all sequences share is no fluctuation
    got = found(values)
    assert np.isposinf([got.timescale, got.low, got.high]).all()
    assert (got.kind == "persists").all()
    assert (got.persistent == 1).all()
    assert np.isnan(got.r2).all()


def test_a_latch_beneath_noise_persists() -> None:
    random = np.random.default_rng(1)
    values = random.normal(size=(200, 300, 1)) + random.normal(size=(200, 300, 20))
    got = found(values)
    assert kinds(got)["persists"] >= 0.9
    assert (got.low[got.kind == "persists"] > 0).all()
    assert np.isposinf(got.high[got.kind == "persists"]).all()


@pytest.mark.parametrize("t", [8, 20])
def test_a_latch_of_many_sequences_persists_beneath_noise(t: int) -> None:
    random = np.random.default_rng(1)
    got = found(random.normal(size=(200, 500, 1)) + random.normal(size=(200, 500, t)))
    assert kinds(got)["persists"] >= 0.8


@pytest.mark.parametrize("noise", [1.0, 2.0])
@pytest.mark.parametrize(("n", "within"), [(60, 1.5), (359, 1.15)])
@pytest.mark.parametrize("tau", [2, 3])
def test_noise_on_a_short_memory_does_not_make_it_persist(
    tau: int, n: int, within: float, noise: float
) -> None:
    """Where R is low its drop is not significant, and too large to say that there is none."""
    random = np.random.default_rng(n + tau)
    memory = autoregressive(tau, (300, n, 8), n + tau)
    got = found(memory + noise * random.normal(size=(300, n, 8)))
    has = got.kind != "none"
    assert np.isposinf(got.timescale).mean() <= 0.02
    assert tau / within <= np.median(got.timescale[has]) <= tau * within
    assert ((got.low <= tau) & (tau <= got.high))[has].mean() >= 0.87


def test_of_few_sequences_those_persist_whose_autocorrelation_does_not_drop() -> None:
    values = autoregressive(3, (300, 20, 8), 0)
    got = found(values + np.random.default_rng(0).normal(size=values.shape))
    assert np.isposinf(got.timescale).mean() <= 0.02
    flat = np.append(1, 0.5 - 0.01 * (np.arange(7) == 1) + 0.02 * (np.arange(7) > 1))
    assert exact(flat, 20).kind.tolist() == ["persists"]


@pytest.mark.slow
@pytest.mark.parametrize("step", [1.0, 2.0])
def test_a_latched_class_and_the_noise_on_it_are_told_apart(step: float) -> None:
    classes = np.random.default_rng(2).integers(0, 2, (100, 500, 1))
    got = found(autoregressive(3, (100, 500, 50), 2) + step * classes)
    held = (step / 2) ** 2
    assert np.median(got.timescale) == pytest.approx(3, abs=0.3)
    assert np.median(got.persistent) == pytest.approx(held / (held + 1), abs=0.05)
    assert (got.kind == "decays").mean() > 0.95


# no memory, and oscillations


def test_white_noise_has_none() -> None:
    got = found(np.random.default_rng(0).normal(size=(300, 200, 30)))
    assert kinds(got)["none"] >= 0.9
    nulls = np.isnan(got.timescale)
    assert (nulls == (got.kind == "none")).all()
    for each in (got.low, got.high, got.r2, got.persistent):
        assert np.isnan(each[nulls]).all()


@pytest.mark.parametrize(("period", "tau"), [(10, 10), (20, 10), (20, 40)])
def test_a_damped_oscillation_oscillates(period: float, tau: float) -> None:
    got = found(ringing(period, tau, (20, 300, 50), 0))
    assert (got.kind == "oscillates").all()
    # Its first fall is to half a period.
    assert (got.timescale < period / 2).all()


@pytest.mark.slow
def test_decays_are_seldom_taken_for_oscillations() -> None:
    for tau in (3, 12):
        assert (found(autoregressive(tau, (200, 300, 50), 3)).kind == "oscillates").mean() < 0.1


# intervals


@pytest.mark.slow
@pytest.mark.parametrize("latched", [0.0, 1.0])
@pytest.mark.parametrize(("tau", "n", "t"), [(3, 200, 50), (8, 200, 50), (3, 359, 8)])
def test_intervals_cover_the_true_timescale(tau: float, n: int, t: int, latched: float) -> None:
    random = np.random.default_rng(t)
    values = autoregressive(tau, (200, n, t), seed=n + t)
    got = found(values + latched * random.normal(size=(200, n, 1)))
    covered = (got.low <= tau) & (tau <= got.high)
    assert 0.9 <= covered.mean() <= 0.99
    assert (got.low <= got.timescale).all()
    assert (got.timescale <= got.high).all()


@pytest.mark.parametrize("n", [2, 5, 19, 39])
def test_few_sequences_have_a_timescale_and_no_interval(n: int) -> None:
    got = found(autoregressive(5, (60, n, 40), 0))
    assert np.isnan([got.low, got.high]).all()
    told = got.kind != "none"
    assert told.mean() >= 0.9
    assert 2 < np.median(got.timescale[told]) < 6


# R(k) without error


@pytest.mark.parametrize("offset", [0.0, 0.3])
@pytest.mark.parametrize("tau", [0.4, 1.0, 5.5, 12.0, 25.0])
def test_the_timescale_of_an_exact_decay_is_exact(tau: float, offset: float) -> None:
    # What is uncorrelated adds to lag 0 alone, which is not fitted.
    got = exact(np.append(1, 0.6 * (np.exp(-np.arange(1, 31) / tau) + offset)))
    assert got.timescale.item() == pytest.approx(tau, rel=1e-7)
    assert got.persistent.item() == pytest.approx(offset / (1 + offset), rel=1e-5, abs=1e-6)
    assert got.r2.item() == pytest.approx(1, abs=1e-9)
    assert got.kind.tolist() == ["decays"]
    np.testing.assert_allclose([got.low, got.high], tau, rtol=1e-6)


def test_it_is_fitted_from_the_first_drop_on() -> None:
    r = np.concatenate([[1, 0.2, 0.4, 0.7], 0.8 * np.exp(-np.arange(20) / 6.0)])
    assert exact(r).timescale.item() == pytest.approx(6, rel=1e-7)
    late = np.concatenate([np.linspace(0.1, 0.9, 60), 0.91 * np.exp(-np.arange(20) / 0.5)])
    assert exact(late).timescale.item() == pytest.approx(0.5, rel=1e-6)


def test_lags_without_pairs_are_left_out() -> None:
    r = np.exp(-np.arange(41) / 7.0)
    r[1::2] = np.nan  # every other timestep was recorded
    r[38:] = np.nan
    assert exact(r).timescale.item() == pytest.approx(7, rel=1e-7)


@pytest.mark.parametrize("lags", [2, 3])
def test_two_or_three_lags_tell_a_timescale_without_offset(lags: int) -> None:
    got = exact(0.9 * np.exp(-np.arange(lags + 1) / 1.5))
    assert got.timescale.item() == pytest.approx(1.5, rel=1e-7)
    assert got.persistent.item() == 0


@pytest.mark.parametrize(
    ("r", "kind"),
    [
        (np.full(9, np.nan), None),  # constant
        (np.array([1.0]), None),  # sequences of one timestep
        (np.array([1.0, 0.5]), None),
        (np.append(1, np.full(10, np.nan)), None),
        (np.append(1, 0.5 + 0.01 * np.arange(20)), "persists"),
        (1 + 1e-16 * np.cos(np.arange(20)), "persists"),  # rounding alone
        (np.exp(-np.arange(20) / 30), "censored"),
        (np.exp(-np.arange(40) / 9) * np.cos(np.arange(40) / 2), "oscillates"),
        ((1.2 * np.exp(-np.arange(30) / 3) - 0.2).clip(-0.15), "decays"),  # stays below 0
        (-np.exp(-np.arange(20) / 3), "none"),
    ],
)
def test_each_kind_has_its_form(r: Float, kind: str | None) -> None:
    got = exact(r)
    assert got.kind.tolist() == [kind]
    assert np.isnan(got.timescale.item()) == (kind in (None, "none"))
    assert np.isposinf(got.timescale.item()) == (kind == "persists")


def test_a_fall_faster_than_the_lags_can_tell_is_bounded_from_above_alone() -> None:
    got = exact(np.append(1, np.where(np.arange(20) == 0, 0.6, 0.2)))
    assert got.timescale.item() == pytest.approx(0.1, rel=1e-6)
    assert got.low.item() == 0


def some(random: np.random.Generator) -> Float:
    """Some autocorrelation R(k) [L + 1]: noise, a wave, a decay or a step; mostly with gaps."""
    k = np.arange(int(random.integers(3, 60)) + 1)
    size, tau = 10.0 ** random.uniform([-9, -1], [0, 2.5])
    shapes = (
        random.uniform(-1, 1, len(k)),
        np.exp(-k / tau) * np.cos(k * random.uniform(0, 3.2)),
        0.3 + size * np.exp(-k / tau),
        0.3 + size * (k < random.integers(1, len(k))),
    )
    noise = random.normal(size=len(k)) * size * 10.0 ** random.uniform(-12, 0)
    r = (shapes[random.integers(4)] + noise).clip(-1, 1)
    gaps = (k < 0, k % random.integers(2, 6) != 0, random.random(len(k)) < random.random())
    r[gaps[random.integers(3)]] = np.nan
    r[0] = 1
    return r


@QUICK
@given(seed=st.integers(0, 2**32 - 1))
def test_any_autocorrelation_with_any_gaps_and_errors_has_a_kind(seed: int) -> None:
    random = np.random.default_rng(seed)
    r = some(random)
    noise = random.normal(size=(21, 1, len(r))) * 10.0 ** random.uniform(-9, -1)
    every = (r + noise).clip(-1, 1)
    pairs = np.repeat((np.isfinite(r) * np.arange(len(r), 0, -1))[np.newaxis], 21, axis=0)
    got = timescales(Autocorrelation(every, pairs), 400)
    kind, tau = got.kind.item(), got.timescale.item()
    assert (kind is None) == (np.isfinite(r[1:]).sum() < 2)
    if kind is None or kind == "none":
        assert np.isnan([tau, got.low.item(), got.high.item()]).all()
        return
    assert 0 <= got.low.item() <= tau <= got.high.item()
    assert 0 <= got.persistent.item() <= 1
    assert np.isposinf(tau) == (kind == "persists")
    assert np.isnan(got.r2.item()) == (kind == "persists")


# the forget gate


def test_a_forget_gate_lasts_until_1_over_e_is_left() -> None:
    t = np.array([0.5, 3.0, 40.0, 1000.0])
    mean = np.exp(-1 / t)
    np.testing.assert_allclose(forget_timescale(mean), t, rtol=1e-10)
    assert forget_timescale(np.array([0.0, 1.0])).tolist() == [0, np.inf]


def test_the_cell_state_follows_the_mean_logarithm() -> None:
    f = np.random.default_rng(0).uniform(0.2, 1, 5000)
    left = np.multiply.accumulate(f)
    lasts = forget_timescale_log(np.log(f).mean(keepdims=True)).item()
    assert -len(f) / np.log(f).sum() == pytest.approx(lasts)
    steps = np.flatnonzero(left < np.exp(-100))[0]
    assert steps / 100 == pytest.approx(lasts, rel=0.15)
    assert lasts < forget_timescale(f.mean(keepdims=True)).item()
    assert forget_timescale_log(np.array([-np.inf, 0.0])).tolist() == [0, np.inf]
