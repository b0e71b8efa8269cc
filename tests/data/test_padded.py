"""Ends of one number over and over are told where they may be padding, and only there."""

import logging
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import rnnscope
from rnnscope.data import lengths as data_lengths
from rnnscope.data.padded import warn_of_padding
from tests.data.test_data import load

N, T, F = 20, 8, 3
LENGTHS = np.resize([8, 5, 3, 7], N)
RANDOM = np.random.default_rng(4)


def padded(value: float, features: int = F, kind: Any = np.float32) -> Any:
    x = RANDOM.normal(size=(N, T, features)) * (1 if kind == np.float32 else 50)
    x[np.arange(T) >= LENGTHS[:, np.newaxis]] = value
    return x.astype(kind)


def told(x: Any, caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        warn_of_padding(x, "x_test", "lengths_test")
    return [each.message for each in caplog.records]


@pytest.mark.parametrize("block", [2**24, 100])
@pytest.mark.parametrize(
    "x", [padded(-999), padded(-1), padded(9, 1), padded(-9, 1), padded(-999, kind=np.int16)]
)
def test_padding_that_nothing_tells_is_told(
    x: Any, block: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_lengths, "BLOCK", block)
    (said,) = told(x, caplog)
    value = x[2, -1, 0]
    assert said.startswith(f"x_test: 15 of 20 sequences end in {value:g} in all features, up to 5 ")
    assert "give lengths_test" in said
    whole = x.copy()
    whole[0] = value  # a sequence of nothing else
    assert len(told(whole, caplog)) == 1
    inner = x.copy()
    inner[-1, 0] = value
    assert not told(inner, caplog)


def test_negative_tokens_are_told(caplog: pytest.LogCaptureFixture) -> None:
    tokens = RANDOM.integers(0, 9, (N, T))
    tokens[np.arange(T) >= LENGTHS[:, np.newaxis]] = -1
    assert len(told(tokens, caplog)) == 1
    assert not told(tokens + 1, caplog)


@pytest.mark.parametrize(
    "x",
    [
        padded(0),  # as pictures end
        padded(0.1, 1),  # within the range of the one feature
        RANDOM.normal(size=(N, T, F)),
        np.ones((N, T, F)),
        np.minimum(RANDOM.normal(size=(N, T, 1)), 0.2),  # a sensor at its limit
        RANDOM.integers(0, 2, (N, T, F)).astype(np.float32),
        RANDOM.integers(0, 256, (N, T, F)).astype(np.uint8),
        np.where(np.arange(T) == T - 1, 5.0, RANDOM.normal(size=(N, T)))[..., np.newaxis],
        np.repeat(RANDOM.normal(size=(N, 1, F)), T, axis=1),
    ],
)
def test_other_ends_are_not(x: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert not told(x, caplog)


def test_the_remedy_works(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, x, y = tmp_path / "a.npz", padded(-999), np.arange(N) % 2
    np.savez(path, x_test=x, y_test=y)
    with caplog.at_level(logging.WARNING):
        load(path)
        assert "x_test: 15 of 20 sequences end in -999" in caplog.text
        caplog.clear()
        np.savez(path, x_test=x, y_test=y, lengths_test=LENGTHS)
        assert load(path).test.lengths is not None
    assert "end in" not in caplog.text


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("before", "warned"),
    [
        (lambda x: x, True),
        (lambda x: layers.Masking(-999.0)(x), False),
        (lambda x: layers.Masking(0.0)(x), True),
        (lambda x: layers.Masking(-999.0)(layers.Rescaling(1.0)(x)), False),
    ],
)
def test_what_a_model_leaves_out_is_not_told(
    before: Any, warned: bool, recwarn: pytest.WarningsRecorder
) -> None:
    x = keras.Input((T, F))
    model = keras.Model(x, layers.LSTM(2)(before(x)))
    rnnscope.record(model, padded(-999), tolerance=1e-3)
    said = [str(each.message) for each in recwarn if "end in -999" in str(each.message)]
    assert len(said) == warned
    assert not warned or "give lengths" in said[0]
