"""Stage extract on models and arrays of other shapes: frames, several inputs, nested heads."""

import logging
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.metrics import accuracy_score, log_loss

from rnnscope import stages, states, store
from rnnscope.errors import UserError
from tests import reference
from tests.analysis.ablation.test_clamping import expected
from tests.compose import composed
from tests.models import test_subclassed as own

pytestmark = pytest.mark.tensorflow

N, T = 12, 5
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(N, T, 3)).astype(np.float32)
FRAMES = RANDOM.integers(0, 256, (N, T, 6, 5, 2)).astype(np.uint8)
BINARY = RANDOM.integers(0, 2, N)
EVERYWHERE = np.ones((N, T), bool)


def npz(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "mine.npz", **arrays)
    return folder / "mine.npz"


def npy(folder: Path, **arrays: Any) -> Path:
    (folder / "mine").mkdir()
    for name, values in arrays.items():
        np.save(folder / "mine" / f"{name}.npy", values)
    return folder / "mine"


def finished(folder: Path, model: keras.Model, path: Path, *overrides: str) -> dict[str, Path]:
    """The folders of a run's stages, by name."""
    model.save(folder / "mine.keras")
    files = ("model=file", f"model.path={folder / 'mine.keras'}", "data=files", f"data.path={path}")
    config = composed(folder, "stage=extract", *files, *overrides)
    return {step.stage.name: step.artefact.folder for step in stages.run(config)}


def agree(folder: Path, layer: str, given: Any, x: NDArray[Any]) -> dict[str, NDArray[Any]]:
    want = reference.layer(given, x, EVERYWHERE, None)
    for signal, values in want.items():
        got = states.read_states(folder, signal, layer=layer, as_array=True)
        np.testing.assert_allclose(got, values, 1e-5, 1e-6, err_msg=signal)
    return want


@pytest.mark.slow
@pytest.mark.parametrize("kept", [npz, npy])
def test_frames_of_bytes_reach_a_convolutional_lstm_as_pixels(kept: Any, tmp_path: Path) -> None:
    x = keras.Input(FRAMES.shape[1:])
    layer = layers.ConvLSTM2D(2, 3, name="maps")
    head = layers.Dense(1, activation="sigmoid")
    model = keras.Model(x, head(layers.Flatten()(layer(x))))
    path = kept(tmp_path, x_test=FRAMES, y_test=BINARY)
    folders = finished(
        tmp_path, model, path, "stage=ablation", "units.permutations=20", "ablation.units=[0,23]"
    )
    want = agree(folders["extract"], "maps", layer, FRAMES.astype(np.float64) / 255)
    kernel, bias = (each.astype(np.float64) for each in head.get_weights())
    p = expit(want["h"][:, -1] @ kernel + bias)[:, 0]
    scores = store.read_manifest(folders["extract"])["headline"]
    loss = log_loss(BINARY, p, labels=[0, 1])
    assert scores["loss"] == pytest.approx(loss, rel=1e-5)
    assert scores["accuracy"] == pytest.approx(accuracy_score(BINARY, p > 0.5))
    table = states.read_sequences(folders["extract"])
    np.testing.assert_allclose(table[["p_0", "p_1"]], np.stack([1 - p, p], 1), 1e-5)
    # Ablation scores in the same way.
    ablation = store.read_manifest(folders["ablation"])
    assert ablation["baseline"]["loss"] == pytest.approx(loss, rel=1e-5)
    rows = pd.read_parquet(folders["ablation"] / "ablation.parquet").set_index(["method", "unit"])
    held = expected(layer.cell, FRAMES / 255, EVERYWHERE, None, False, "h", 23, 0.0)["h"][:, -1]
    p = expit(held @ kernel + bias)[:, 0]
    row = rows.loc["h_zero", 23]
    assert row["loss"] == pytest.approx(log_loss(BINARY, p, labels=[0, 1]), rel=1e-5)


def test_gray_frames_fit_a_model_of_one_channel(tmp_path: Path) -> None:
    gray = FRAMES[..., 0]
    x = keras.Input((*gray.shape[1:], 1))
    flat = layers.TimeDistributed(layers.Flatten())(x)
    layer = layers.GRU(3, name="gru")
    model = keras.Model(x, layer(flat))
    folder = finished(tmp_path, model, npz(tmp_path, x_test=gray))["extract"]
    agree(folder, "gru", layer, gray.reshape(N, T, -1) / 255)


def test_our_own_models_take_features_and_say_so(tmp_path: Path) -> None:
    path = npz(tmp_path, x_train=FRAMES, y_train=BINARY, x_test=255 - FRAMES, y_test=BINARY)
    config = composed(tmp_path, "stage=extract", "data=files", f"data.path={path}")
    with pytest.raises(UserError, match=r"\[6, 5, 2\] at each timestep: .* timesteps, 60\]"):
        stages.run(config)


def test_a_subclassed_model_of_a_tuple_with_two_layers_of_one_name(tmp_path: Path) -> None:
    model = own.Two()
    first, second = X, X[:, :, ::-1].copy()
    model((first, second))
    path = npz(tmp_path, x_test=first, x_1_test=second)
    module = "model.custom_objects=tests.models.test_subclassed"
    folder = finished(tmp_path, model, path, module)["extract"]
    assert set(states.layers(folder)) == {"lstm", "lstm.2"}
    agree(folder, "lstm", model.one, first)
    agree(folder, "lstm.2", model.other, second)
    assert store.read_manifest(folder)["not_called"] == []


def softmaxed(x: Any) -> Any:
    return layers.TimeDistributed(layers.Dense(3, activation="softmax"))(x)


def test_labels_of_timesteps_are_scored_at_a_softmax_in_time_distributed(tmp_path: Path) -> None:
    x = keras.Input((T, 3))
    model = keras.Model(x, softmaxed(layers.LSTM(4, return_sequences=True)(x)))
    y = RANDOM.integers(0, 3, (N, T))
    path = npz(tmp_path, x_test=X, y_test=y)
    manifest = store.read_manifest(
        finished(tmp_path, model, path, "data.labels=timestep")["extract"]
    )
    p = np.asarray(model(X, training=False)).reshape(-1, 3).astype(np.float64)
    scores = manifest["headline"]
    assert scores["loss"] == pytest.approx(log_loss(y.ravel(), p / p.sum(1, keepdims=True)), 1e-5)
    assert scores["accuracy"] == pytest.approx(accuracy_score(y.ravel(), p.argmax(1)))
    assert manifest["no_scores"] is None


def test_without_scores_the_run_says_why(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    x = keras.Input((T, 3))
    model = keras.Model(x, layers.Dense(1)(layers.LSTM(4)(x)))
    with caplog.at_level(logging.WARNING):
        folder = finished(tmp_path, model, npz(tmp_path, x_test=X, y_test=BINARY))["extract"]
    why = store.read_manifest(folder)["no_scores"]
    assert "[sequences, 1], from a linear layer, not from a sigmoid" in why
    assert f"no accuracy and no loss: {why}" in caplog.text
    assert list(states.read_sequences(folder)) == ["sequence", "length", "label"]
