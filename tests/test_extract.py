"""Stage extract on real data: values, predictions, parts, resumption, and refusals."""

import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from pipeline import data, extract, models, stages, states, store, trace
from pipeline.config import Config
from pipeline.errors import UserError
from tests import reference
from tests.compose import composed

SIGNALS = tuple("hcifog")


def finished(config: Config, stage: str) -> Path:
    """Bring a config's stages up to date; the folder of one of them."""
    return {step.stage.name: step.artefact.folder for step in stages.run(config)}[stage]


def digits(root: Path, *overrides: str) -> Config:
    return composed(root, "train.steps=150", "model.units=12", "stage=extract", *overrides)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Path]:
    """A small LSTM trained on digits, and its states."""
    config = digits(tmp_path_factory.mktemp("outputs"))
    return config, finished(config, "extract")


def network(config: Config) -> keras.Model:
    """The trained model that a config leads to."""
    step = next(step for step in stages.chain(config) if step.stage.name == "train")
    return models.load(step.artefact.folder / "model.keras")


def check_against_reference(config: Config, folder: Path, count: int) -> None:
    """Compare all signals of the first sequences with the float64 equations."""
    test = data.load(config.data).test.take(slice(0, count))
    want = reference.lstm(test.x, network(config).layers[1].get_weights())
    for name in SIGNALS:
        got = states.read_states(folder, name, sequences=slice(0, count), as_array=True)
        np.testing.assert_allclose(got, want[name], rtol=0, atol=1e-5, err_msg=name)


def test_digits_agree_with_the_equations_in_float64(trained: tuple[Config, Path]) -> None:
    config, folder = trained
    check_against_reference(config, folder, 359)


def test_mnist_agrees_with_the_equations_in_float64(tmp_path: Path, mnist: Path) -> None:
    """Trained weights, and every sequence of the test set's first five hundred."""
    config = composed(
        tmp_path, "experiment=seed", f"data.path={mnist}", "train.steps=60", "stage=extract"
    )
    folder = finished(config, "extract")
    manifest = store.read_manifest(folder)
    assert manifest["rows"] == 280_000
    assert len(states.parts(folder, "lstm", "c")) == 3
    check_against_reference(config, folder, 500)


def test_predictions_are_those_of_the_stock_model(trained: tuple[Config, Path]) -> None:
    config, folder = trained
    test = data.load(config.data).test.take(slice(None))
    logits = network(config).predict(test.x, verbose=0).astype(np.float64)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    table = states.read_sequences(folder)
    scores = table[[f"p_{k}" for k in range(10)]].to_numpy()
    np.testing.assert_allclose(scores, probabilities, rtol=1e-5, atol=1e-5)
    assert test.y is not None
    np.testing.assert_array_equal(table["label"], test.y)
    np.testing.assert_array_equal(table["prediction"], logits.argmax(axis=1))
    np.testing.assert_array_equal(table["correct"], logits.argmax(axis=1) == test.y)
    loss = -np.log(probabilities[np.arange(len(test.y)), test.y])
    np.testing.assert_allclose(table["loss"], loss, rtol=1e-4, atol=1e-6)


def test_c_after_the_last_timestep_is_what_return_state_gives(
    trained: tuple[Config, Path],
) -> None:
    config, folder = trained
    test = data.load(config.data).test.take(slice(None))
    layer = network(config).layers[1]
    layer.return_state = True
    _, h, c = layer(test.x)
    for name, state in (("h", h), ("c", c)):
        last = states.read_states(folder, name, timesteps=-1, as_array=True)[:, 0]
        np.testing.assert_allclose(last, state, rtol=0, atol=1e-6)


def test_the_size_of_parts_changes_no_value(trained: tuple[Config, Path]) -> None:
    config, whole = trained
    cut = digits(Path(config.root), "extract.part_rows=500", "extract.batch_size=17")
    parted = finished(cut, "extract")
    assert len(states.parts(parted, "lstm", "c")) == 6
    a, b = (states.read_states(folder, SIGNALS) for folder in (whole, parted))
    pd.testing.assert_frame_equal(a, b, rtol=0, atol=1e-6)
    pd.testing.assert_frame_equal(
        states.read_sequences(whole), states.read_sequences(parted), rtol=1e-5, atol=1e-6
    )


class KilledError(Exception):
    """Stands for a killed process."""


def dying(self: extract.Recorder, part: extract.Part) -> dict[str, Any]:
    """Record parts as ever, but for the fourth."""
    if part.number == 3:
        raise KilledError
    return recorded(self, part)


recorded = extract.Recorder.part


def tree(folder: Path) -> dict[str, bytes]:
    """Every file but the manifest, by its path within the folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != store.MANIFEST
    }


def test_an_interrupted_run_resumes_to_the_same_bytes(
    trained: tuple[Config, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, _ = trained
    for root in (tmp_path / "a", tmp_path / "b"):
        shutil.copytree(Path(config.root) / "train", root / "train")
    cut = digits(tmp_path / "a", "extract.part_rows=500", "engine.workers=1")
    with monkeypatch.context() as patch:
        patch.setattr(extract.Recorder, "part", dying)
        with pytest.raises(KilledError):
            stages.run(cut)
    artefact = stages.chain(cut)[-1].artefact
    assert not artefact.finished
    assert "interrupted" in stages.plan(stages.chain(cut), Path(cut.root))[-1]
    kept = {
        path.relative_to(artefact.partial): path.stat().st_mtime_ns
        for path in artefact.partial.rglob("part-*.parquet")
    }
    assert len(kept) == 3 * len(SIGNALS)

    resumed = finished(cut, "extract")
    assert {path: (resumed / path).stat().st_mtime_ns for path in kept} == kept
    straight = finished(digits(tmp_path / "b", "extract.part_rows=500"), "extract")
    assert tree(resumed) == tree(straight)


def test_states_past_the_tolerance_are_not_kept(trained: tuple[Config, Path]) -> None:
    config = digits(Path(trained[0].root), "extract.tolerance=1e-12")
    with pytest.raises(ArithmeticError, match=r"layer 'lstm'.*extract\.tolerance=1e-12"):
        stages.run(config)
    assert not stages.chain(config)[-1].artefact.finished


def test_unequal_lengths_give_a_row_per_valid_timestep(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    lengths = np.resize([5, 1, 3, 6], 40).astype(np.int32)
    x = random.normal(size=(40, 6, 2)).astype(np.float32)
    arrays: dict[str, Any] = {
        f"{kind}_{part}": values
        for part in ("train", "test")
        for kind, values in (("x", x), ("y", lengths % 2), ("lengths", lengths))
    }
    np.savez(tmp_path / "unequal.npz", **arrays)
    config = composed(
        tmp_path,
        "stage=extract",
        "data=files",
        f"data.path={tmp_path / 'unequal.npz'}",
        "model.units=5",
        "model.bidirectional=true",
        "train.steps=20",
        "extract.part_rows=60",
    )
    folder = finished(config, "extract")
    both = network(config).get_layer("lstm")
    for name, layer in (("forward", both.forward_layer), ("backward", both.backward_layer)):
        want = reference.lstm(x, layer.get_weights(), lengths, name == "backward")
        for signal in SIGNALS:
            got = states.read_states(folder, signal, layer=f"lstm.{name}", as_array=True)
            np.testing.assert_allclose(got, want[signal], rtol=0, atol=1e-5)
    frame = states.read_states(folder, "c", layer="lstm.forward")
    assert len(frame) == lengths.sum()
    np.testing.assert_array_equal(frame.groupby("sequence").size(), lengths)
    inputs = models.inputs(network(config), data.load(config.data).test.take(slice(None)))
    logits = network(config).predict(inputs, verbose=0)
    np.testing.assert_array_equal(
        states.read_sequences(folder)["prediction"], logits.argmax(axis=1)
    )


def saved(folder: Path, model: keras.Model) -> Path:
    model.save(folder / "mine.keras")
    return folder / "mine.keras"


def test_a_model_from_a_file_is_recorded_without_training(tmp_path: Path) -> None:
    model = keras.Sequential(
        [
            keras.Input((8, 8)),
            keras.layers.LSTM(6, return_sequences=True),
            keras.layers.LSTM(4, name="top"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    path = saved(tmp_path, model)
    config = composed(tmp_path, "stage=extract", "model=file", f"model.path={path}")
    steps = stages.run(config)
    assert [step.stage.name for step in steps] == ["extract"]
    folder = steps[0].artefact.folder
    assert set(states.layers(folder)) == {"lstm", "top"}
    test = data.load(config.data).test.take(slice(None))
    table = states.read_sequences(folder)
    np.testing.assert_allclose(
        table[[f"p_{k}" for k in range(10)]], model.predict(test.x, verbose=0), atol=1e-6
    )
    want = reference.lstm(test.x, model.layers[0].get_weights())
    got = states.read_states(folder, "c", layer="lstm", as_array=True)
    np.testing.assert_allclose(got, want["c"], rtol=0, atol=1e-5)


def dense() -> keras.Model:
    return keras.Sequential([keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(10)])


def narrow() -> keras.Model:
    return keras.Sequential([keras.Input((8, 5)), keras.layers.LSTM(3), keras.layers.Dense(10)])


def few_classes() -> keras.Model:
    return keras.Sequential([keras.Input((8, 8)), keras.layers.LSTM(3), keras.layers.Dense(9)])


def every_step() -> keras.Model:
    return keras.Sequential([keras.Input((8, 8)), keras.layers.LSTM(3, return_sequences=True)])


def not_yet() -> keras.Model:
    return keras.Sequential([keras.Input((8, 8)), keras.layers.GRU(3), keras.layers.Dense(10)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (dense, "no recurrent layer"),
        (narrow, r"takes inputs of shape \(8, 5\).*the data's are \(8, 8\)"),
        (few_classes, "9 outputs; the data has a class 9"),
        (every_step, "must be one of shape"),
        (not_yet, r"'gru'.*GRU"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_in_one_line(
    tmp_path: Path, make: Any, message: str
) -> None:
    path = saved(tmp_path, make())
    config = composed(tmp_path, "stage=extract", "model=file", f"model.path={path}")
    with pytest.raises(UserError, match=message) as caught:
        stages.run(config)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["mine.h5", "broken.keras"])
def test_a_file_that_is_no_model_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"not a model")
    config = composed(tmp_path, "stage=extract", "model=file", f"model.path={tmp_path / name}")
    with pytest.raises(UserError, match=r"model\.path=") as caught:
        stages.run(config)
    assert "\n" not in str(caught.value)


def test_recorded_layers_are_those_of_the_model(trained: tuple[Config, Path]) -> None:
    config, folder = trained
    assert set(states.layers(folder)) == set(trace.recurrent_layers(network(config)))
    assert set(states.layers(folder)["lstm"]) == set(SIGNALS)
