"""Tasks of numbers: flip-flops, AR(1), a delay, a lag, each against a loop or its formula."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from rnnscope import data
from rnnscope.data import Batch, Dataset
from rnnscope.errors import UserError
from rnnscope.stages.contradictions import refuse
from tests.compose import composed


def loaded(name: str, **options: Any) -> Dataset:
    overrides = [f"data.{key}={value}" for key, value in {"sequences": 20, **options}.items()]
    return data.load(composed(Path(), f"data={name}", *overrides).data)


def batch_of(name: str, **options: Any) -> Batch:
    return loaded(name, **options).test.take(slice(None))


@pytest.mark.parametrize("bits", [1, 3])
def test_a_bit_holds_its_last_pulse(bits: int) -> None:
    batch = batch_of("flipflop", bits=bits, length=30, pulse_probability=0.2, test_sequences=100)
    assert batch.y is not None
    assert batch.y.shape == ((100, 30) if bits == 1 else (100, 30, bits))
    held = batch.y.reshape(100, 30, bits)
    for x, y, memory in zip(batch.x, held, batch.steps["memory"], strict=True):
        state = np.zeros(bits)
        for t in range(30):
            state = np.where(x[t] != 0, x[t], state)
            np.testing.assert_array_equal(y[t], state)
            assert memory[t] == sum(2**bit for bit in range(bits) if state[bit] == 1)
    assert set(np.unique(batch.x)) == {-1, 0, 1}
    assert (batch.x[:, 0] != 0).all()
    later = batch.x[:, 1:]
    assert abs((later == 1).mean() - 0.1) < 4 * np.sqrt(0.09 / later.size)
    assert abs((later == -1).mean() - 0.1) < 4 * np.sqrt(0.09 / later.size)


def test_ar1_has_its_phi_and_unit_variance_from_the_start() -> None:
    phi = [0.5, -0.3, 0.95]
    batch = batch_of("ar1", phi=phi, length=40, test_sequences=4000)
    assert batch.y is not None
    assert batch.x.dtype == np.float32
    np.testing.assert_array_equal(batch.y[:, :-1], batch.x[:, 1:])
    for feature, wanted in enumerate(phi):
        x = batch.x[..., feature]
        np.testing.assert_allclose(x.var(axis=0), 1, atol=0.12)
        lags = [np.corrcoef(x[:, 0], x[:, k])[0, 1] for k in (1, 2, 3)]
        np.testing.assert_allclose(lags, wanted ** np.arange(1, 4), atol=0.06)
        np.testing.assert_array_equal(batch.steps[f"value_{feature}"], x)
        assert stats.kstest(x[:, 20], "norm").pvalue > 0.001
    across = np.corrcoef(batch.x[:, 10], rowvar=False)
    assert np.abs(across - np.eye(3)).max() < 0.06


def test_a_single_phi_has_one_target_and_one_value() -> None:
    batch = batch_of("ar1", phi=[0.9], length=8, test_sequences=5)
    assert batch.y is not None
    assert batch.y.shape == (5, 8)
    assert list(batch.steps) == ["value"]


def test_a_value_is_shown_once_and_asked_for_at_any_time_after_the_delay() -> None:
    batch = batch_of("delay", length=12, shortest_delay=4, test_sequences=4000)
    assert batch.y is not None
    assert batch.lengths is not None
    shown_at, left = [], []
    for number, length in enumerate(batch.lengths):
        (when,) = np.flatnonzero(batch.x[number, :, 0])
        (cue,) = np.flatnonzero(batch.x[number, :, 1])
        value = batch.x[number, when, 0]
        assert cue == length - 1
        assert batch.x[number, cue, 1] == 1
        assert batch.y[number] == value
        t = np.arange(length)
        known = {name: each[number, :length] for name, each in batch.steps.items()}
        np.testing.assert_array_equal(known["shown"], t >= when)
        np.testing.assert_array_equal(known["since"], np.where(t >= when, t - when, np.nan))
        np.testing.assert_array_equal(known["value"], np.where(t >= when, value, np.nan))
        shown_at.append(when)
        left.append((cue - when - 4, 11 - when - 4))
    assert stats.chisquare(np.bincount(shown_at, minlength=8)).pvalue > 0.001
    extra, most = np.array(left).T
    assert (extra >= 0).all()
    for each in range(1, 8):  # of those that may wait so long, any delay is as frequent
        assert stats.chisquare(np.bincount(extra[most == each], minlength=each + 1)).pvalue > 0.001
    assert stats.kstest(batch.y, "uniform", (-1, 2)).pvalue > 0.001


@pytest.mark.parametrize(
    ("distribution", "law"), [("uniform", ("uniform", (-1, 2))), ("normal", ("norm", ()))]
)
def test_noise_is_to_be_given_back_later(distribution: str, law: Any) -> None:
    batch = batch_of("lagged", distribution=distribution, length=20, lag=3, test_sequences=300)
    assert batch.y is not None
    x = batch.x[..., 0]
    np.testing.assert_array_equal(batch.y[:, 3:], x[:, :-3])
    assert (batch.y[:, :3] == 0).all()
    assert stats.kstest(x.ravel(), *law).pvalue > 0.001
    assert abs(np.corrcoef(x[:, :-1].ravel(), x[:, 1:].ravel())[0, 1]) < 0.05
    np.testing.assert_array_equal(batch.steps["value"], x)


def test_no_lag_is_the_noise_itself() -> None:
    batch = batch_of("lagged", length=5, lag=0, features=2, test_sequences=3)
    np.testing.assert_array_equal(batch.y, batch.x)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("data=delay", "data.length=20", "data.shortest_delay=20"), "data.shortest_delay=20"),
        (("data=lagged", "data.length=5", "data.lag=5"), "data.lag=5"),
        (
            ("data=anbn", "data.validation_fraction=0", "train.restore_best=true"),
            "needs validation sequences",
        ),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    overrides: tuple[str, ...], says: str
) -> None:
    with pytest.raises(UserError, match=says) as caught:
        refuse(composed(Path(), *overrides), ["train"])
    assert "\n" not in str(caught.value)
