"""From a task to its tables: several targets of each timestep, and symbols on the page."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rnnscope import data, models, stages, states, store
from rnnscope.config import Recurrent
from rnnscope.report.explorer import inputs, words
from rnnscope.train import examples
from tests.compose import composed

pytestmark = pytest.mark.tensorflow

QUICK = ("stage=extract", "model.units=3", "train.steps=2", "data.sequences=20")


def ran(root: Path, *overrides: str) -> tuple[Any, dict[str, Path]]:
    """The config, and the folders of its stages."""
    config = composed(root, *QUICK, "data.test_sequences=6", *overrides)
    return config, {step.stage.name: step.artefact.folder for step in stages.run(config)}


def test_several_targets_are_trained_on_recorded_and_scored(tmp_path: Path) -> None:
    options = ("data=flipflop", "data.length=5", "model=gru", "data.validation_fraction=0.5")
    config, folders = ran(tmp_path, *options)
    dataset, recorded = data.load(config.data), folders["extract"]
    assert dataset.test.labels == "vector of 3 numbers per timestep"
    model = models.load(folders["train"] / models.MODEL)
    assert model.output_shape == (None, 5, 3)

    def squared(split: Any) -> tuple[Any, Any, Any]:
        batch = split.take(slice(None))
        predicted = np.asarray(model(batch.x))
        return batch.y, predicted, (predicted - batch.y) ** 2

    history = pd.read_parquet(folders["train"] / "history.parquet")
    loss = squared(dataset.val)[2].mean()
    assert history["val_loss"].iloc[-1] == pytest.approx(loss, rel=1e-5)

    y, predicted, error = squared(dataset.test)
    steps, sequences = states.read_steps(recorded), states.read_sequences(recorded)
    wanted = ["sequence", "timestep", *(f"target_{bit}" for bit in range(3))]
    wanted += [*(f"prediction_{bit}" for bit in range(3)), "loss", "memory"]
    assert list(steps) == wanted
    assert list(sequences) == ["sequence", "length", "loss"]
    for bit in range(3):
        np.testing.assert_array_equal(steps[f"target_{bit}"], y[..., bit].ravel())
        found = steps[f"prediction_{bit}"]
        np.testing.assert_allclose(found, predicted[..., bit].ravel(), atol=1e-5)
    np.testing.assert_allclose(steps["loss"], error.mean(axis=2).ravel(), rtol=1e-4)
    np.testing.assert_allclose(sequences["loss"], error.mean(axis=(1, 2)), rtol=1e-4)
    assert states.annotations(recorded) == ["target_0", "target_1", "target_2", "memory"]
    headline = store.read_manifest(recorded)["headline"]
    assert headline["squared error"] == pytest.approx(error.mean(), rel=1e-4)


def test_symbols_are_text_on_the_page(tmp_path: Path) -> None:
    config, folders = ran(tmp_path, "data=anbn", "data.max_n=2", "data.test_max_n=3")
    recorded = folders["extract"]
    manifest = store.read_manifest(recorded)
    assert manifest["classes"] == ["a", "b", "$"]
    shown = inputs.read(config, manifest, recorded, [np.arange(6, dtype=np.int32)], 7)
    assert isinstance(shown, inputs.Shown)
    lengths = states.read_sequences(recorded)["length"]
    for row, length in zip(shown.cells, lengths, strict=True):
        n = length // 2
        assert row.tolist() == [0, *[1] * n, *[2] * n, *[-1] * (7 - length)]
    assert words.of_symbols(shown.symbols) == {"0": "^", "1": "a", "2": "b"}
    assert words.of_symbols((" ", "\n", "\t", "é")) == {"0": " ", "1": "↵\n", "2": "\\t", "3": "é"}


def test_padding_of_several_targets_has_no_weight() -> None:
    random = np.random.default_rng(0)
    x, y = (random.normal(size=(4, 5, size)).astype(np.float32) for size in (2, 3))
    lengths = np.array([5, 1, 3, 2], np.int32)
    dataset = data.Dataset(data.Split(x, y, lengths))
    options = composed(Path(), "model.units=3").model
    assert isinstance(options, Recurrent)
    model = models.build(options, dataset)
    inputs_, targets, weights = examples(model, dataset.test.take(slice(None)))
    assert model(inputs_).shape == targets.shape == (4, 5, 3)
    np.testing.assert_array_equal(weights, np.arange(5) < lengths[:, np.newaxis])
