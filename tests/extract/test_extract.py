"""Stage extract on real data: values, predictions, parts, resumption, and refusals."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from rnnscope import data, models, stages, states, store, trace
from rnnscope.config import Config
from rnnscope.errors import UserError
from rnnscope.extract import notes, recorder, stage
from rnnscope.stages import planning
from rnnscope.trace import findings
from tests import reference
from tests.compose import composed

pytestmark = pytest.mark.tensorflow

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


@pytest.mark.slow
def test_mnist_agrees_with_the_equations_in_float64(tmp_path: Path, mnist: Path) -> None:
    """Trained weights, and every sequence of the test set's first five hundred."""
    with np.load(mnist) as arrays:
        count = len(arrays["x_test"])
    options = ("train.steps=60", "stage=extract", f"extract.part_rows={count * 28 // 3 + 1}")
    config = composed(tmp_path, "experiment=seed", f"data.path={mnist}", *options)
    folder = finished(config, "extract")
    manifest = store.read_manifest(folder)
    assert manifest["rows"] == count * 28
    assert len(states.open_signal(folder, "lstm", "c").files) == 3
    check_against_reference(config, folder, min(count, 500))


def test_predictions_are_those_of_the_stock_model(trained: tuple[Config, Path]) -> None:
    config, folder = trained
    test = data.load(config.data).test.take(slice(None))
    logits = np.asarray(network(config)(test.x, training=False)).astype(np.float64)
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
    assert len(states.open_signal(parted, "lstm", "c").files) == 6
    a, b = (states.read_states(folder, SIGNALS) for folder in (whole, parted))
    pd.testing.assert_frame_equal(a, b, rtol=0, atol=1e-6)
    pd.testing.assert_frame_equal(
        states.read_sequences(whole), states.read_sequences(parted), rtol=1e-5, atol=1e-6
    )


class KilledError(Exception):
    """Stands for a killed process."""


def dying(self: stage.Ready, part: notes.Part) -> notes.Note:
    """Record parts as ever, but for the fourth."""
    if part.number == 3:
        raise KilledError
    return recorded(self, part)


recorded = stage.Ready.part


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
        patch.setattr(stage.Ready, "part", dying)
        with pytest.raises(KilledError):
            stages.run(cut)
    artefact = stages.chain(cut)[-1].artefact
    assert not artefact.finished
    assert "interrupted" in planning.plan(stages.chain(cut), Path(cut.root))[-1]
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
    where = r"sequence \d+, timestep \d, \w of unit \d+: .*give.* [-.e\d]+; "
    with pytest.raises(UserError, match=rf"layer 'lstm'.*extract\.tolerance=1e-12: {where}"):
        stages.run(config)
    assert not stages.chain(config)[-1].artefact.finished


@pytest.mark.slow
def test_unequal_lengths_give_a_row_per_valid_timestep(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    lengths = np.resize([5, 1, 3, 6], 40).astype(np.int32)
    before, x = random.normal(size=(2, 40, 6, 2)).astype(np.float32)
    arrays: dict[str, Any] = {
        f"{kind}_{part}": values
        for part, sequences in (("train", before), ("test", x))
        for kind, values in (("x", sequences), ("y", lengths % 2), ("lengths", lengths))
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
    logits = np.asarray(network(config)(inputs, training=False))
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
            keras.layers.LSTM(6, return_sequences=True, name="low"),
            keras.layers.LSTM(4, name="top"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    path = saved(tmp_path, model)
    config = composed(tmp_path, "stage=extract", "model=file", f"model.path={path}")
    steps = stages.run(config)
    assert [step.stage.name for step in steps] == ["extract"]
    folder = steps[0].artefact.folder
    assert set(states.layers(folder)) == {"low", "top"}
    test = data.load(config.data).test.take(slice(None))
    table = states.read_sequences(folder)
    np.testing.assert_allclose(
        table[[f"p_{k}" for k in range(10)]], np.asarray(model(test.x, training=False)), atol=1e-6
    )
    want = reference.lstm(test.x, model.layers[0].get_weights())
    got = states.read_states(folder, "c", layer="low", as_array=True)
    np.testing.assert_allclose(got, want["c"], rtol=0, atol=1e-5)


def dense() -> keras.Model:
    return keras.Sequential([keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(10)])


def narrow() -> keras.Model:
    return keras.Sequential([keras.Input((8, 5)), keras.layers.LSTM(3), keras.layers.Dense(10)])


def few_classes() -> keras.Model:
    return keras.Sequential([keras.Input((8, 8)), keras.layers.LSTM(3), keras.layers.Dense(9)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (dense, "no recurrent layer"),
        (narrow, r"takes \(8, 5\).*the data's is \(8, 8\)"),
        (few_classes, "9 outputs; the data has a class 9"),
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


def test_only_what_is_chosen_is_written_and_it_is_the_same(trained: tuple[Config, Path]) -> None:
    config, whole = trained
    chosen = digits(
        Path(config.root),
        "extract.signals=[c,f]",
        "extract.units=[2,11,40]",
        "extract.timesteps='2:6:2'",
        "extract.max_sequences=100",
    )
    folder = finished(chosen, "extract")
    assert states.layers(folder) == {"lstm": ["c", "f"]}
    assert len(states.read_sequences(folder)) == 100
    some = states.read_states(folder, ["c", "f"])
    all_of_them = states.read_states(
        whole, ["c", "f"], units=[2, 11], timesteps=[2, 4], sequences=slice(0, 100)
    )
    pd.testing.assert_frame_equal(some, all_of_them, rtol=0, atol=1e-6)
    pd.testing.assert_frame_equal(
        states.read_states(folder, "c", units=11), some.iloc[:, [0, 1, 2, 4]]
    )
    with pytest.raises(ValueError, match="units=3"):
        states.read_states(folder, "c", units=3)
    units = pd.read_parquet(
        finished(dataclasses.replace(chosen, stage="units"), "units") / "units.parquet"
    )
    assert units["unit"].tolist() == [2, 11, 2, 11]


def test_the_last_timestep_alone(trained: tuple[Config, Path]) -> None:
    config, whole = trained
    folder = finished(digits(Path(config.root), "extract.timesteps=last"), "extract")
    a, b = states.read_states(folder), states.read_states(whole, timesteps=-1)
    pd.testing.assert_frame_equal(a, b, rtol=0, atol=1e-6)


def test_float16_holds_what_fits_and_refuses_counts(
    trained: tuple[Config, Path], tmp_path: Path
) -> None:
    config, whole = trained
    folder = finished(digits(Path(config.root), "extract.dtype=float16"), "extract")
    for name in SIGNALS:
        a, b = (states.read_states(each, name, as_array=True) for each in (folder, whole))
        np.testing.assert_allclose(a, b, rtol=2**-10, atol=1e-6)
    counter = keras.Sequential(
        [
            keras.Input((8, 8)),
            keras.layers.SimpleRNN(1, activation="linear", name="counter"),
            keras.layers.Dense(10),
        ]
    )
    weights = [np.full((8, 1), 400.0), np.ones((1, 1)), np.zeros(1)]
    counter.layers[0].set_weights(weights)
    config = composed(
        tmp_path,
        "stage=extract",
        "model=file",
        f"model.path={saved(tmp_path, counter)}",
        "extract.dtype=float16",
    )
    with pytest.raises(UserError, match=r"float16.*layer 'counter' reaches.*2,048"):
        stages.run(config)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("extract.layers=[lstm,upper]", "no 'upper'; there is lstm"),
        ("extract.signals=[z]", "extract.signals: no 'z'; there is h, c, "),
        (
            "extract.units=[12,13]",
            r"extract.units=\[12, 13\]: counted from 0, there are 12 in lstm",
        ),
    ],
)
def test_a_choice_of_what_is_not_there_is_refused(
    trained: tuple[Config, Path], choice: str, message: str, tmp_path: Path
) -> None:
    """Of a model from a file; with one of ours the options already tell, before anything runs."""
    file = saved(tmp_path, network(trained[0]))
    config = composed(tmp_path, "stage=extract", "model=file", f"model.path={file}", choice)
    with pytest.raises(UserError, match=message):
        stages.run(config)


def test_states_that_the_disk_cannot_hold_are_refused_before_anything_is_written(
    trained: tuple[Config, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    config = digits(Path(trained[0].root), "extract.part_rows=123")
    with pytest.raises(UserError, match="the disk of root has"):
        stages.run(config)
    assert not list(stages.chain(config)[-1].artefact.partial.rglob("*.parquet"))


def test_a_stateful_model_goes_on_from_batch_to_batch_and_is_left_as_it_was(
    tmp_path: Path,
) -> None:
    x = keras.Input(batch_shape=(7, 8, 8))
    layer = keras.layers.LSTM(4, stateful=True, name="going_on")
    model = keras.Model(x, keras.layers.Dense(10)(layer(x)))
    config = composed(
        tmp_path,
        "stage=extract",
        "model=file",
        f"model.path={saved(tmp_path, model)}",
        "extract.part_rows=100",
        "extract.max_sequences=30",
    )
    folder = finished(config, "extract")
    images = data.load(config.data).test.take(slice(0, 30)).x
    got = states.read_states(folder, "c", as_array=True)
    for place in range(7):  # sequences 0, 7, 14, ... are one long sequence to the layer
        long = images[place::7].reshape(1, -1, 8)
        want = reference.lstm(long, layer.get_weights())["c"]
        np.testing.assert_allclose(got[place::7].reshape(want.shape), want, rtol=0, atol=1e-5)


def test_a_layer_that_runs_at_half_the_rate_has_its_own_timesteps(tmp_path: Path) -> None:
    x = keras.Input((8, 8))
    slow = keras.layers.AveragePooling1D(2)(x)
    y = keras.layers.LSTM(3, name="slow", return_sequences=True)(slow)
    config = composed(
        tmp_path, "stage=extract", "model=file", f"model.path={saved(tmp_path, keras.Model(x, y))}"
    )
    folder = finished(config, "extract")
    assert states.read_states(folder, "c").groupby("sequence").size().unique().tolist() == [4]
    assert list(states.read_sequences(folder)) == ["sequence", "length", "label"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gru", "simple_rnn"])
def test_every_kind_of_layer_runs_from_end_to_end(tmp_path: Path, kind: str) -> None:
    config = composed(tmp_path, f"model={kind}", "model.units=5", "train.steps=20", "stage=units")
    folders = {step.stage.name: step.artefact.folder for step in stages.run(config)}
    test = data.load(config.data).test.take(slice(None))
    layer = models.load(folders["train"] / "model.keras").get_layer(kind)
    want = reference.layer(layer, test.x, np.ones(test.x.shape[:2], bool), None)
    for signal, values in want.items():
        got = states.read_states(folders["extract"], signal, as_array=True)
        np.testing.assert_allclose(got, values, rtol=0, atol=1e-5)
    manifest = store.read_manifest(folders["extract"])
    assert manifest["paths"] == {kind: "loop"}
    kinds = {"step_h", "equations", "handed", "drift", "drift_float64", "keras_float64"}
    assert set(manifest["residuals"][kind]) == kinds | ({"gates"} if kind == "gru" else set())
    assert set(manifest["worst"][kind]) == set(manifest["residuals"][kind])
    assert manifest["proved"] == 32


@pytest.mark.parametrize(("timesteps", "count"), [(1, 32), (28, 32), (2_800, 3), (100_000, 1)])
def test_of_long_sequences_few_are_proved(timesteps: int, count: int) -> None:
    assert findings.sample(timesteps) == count


# Models that draw at random


@keras.saving.register_keras_serializable("tests")
class AlwaysDropout(keras.layers.Dropout):
    """Monte Carlo dropout (Gal & Ghahramani 2016)."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        return super().call(inputs, training=True)


@keras.saving.register_keras_serializable("tests")
class Noise(keras.layers.Layer):
    """Draws from Keras' global stream, which no layer keeps."""

    def call(self, x: Any) -> Any:
        return x + keras.random.normal(keras.ops.shape(x))


def drawing() -> keras.Model:
    x = keras.Input((8, 8))
    y = keras.layers.GRU(5, name="r", dropout=0.2)(AlwaysDropout(0.3, seed=3, name="before")(x))
    return keras.Model(x, keras.layers.Dense(10)(y))


def test_a_model_that_draws_at_random_is_recorded_as_one_draw(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = saved(tmp_path, drawing())
    words = "stage=extract", "model=file", f"model.path={path}", "extract.part_rows=400"
    folders = [
        finished(composed(tmp_path / name, *words), "extract") for name in ("first", "again")
    ]
    assert "layer 'before' draws at random" in caplog.text
    for folder in folders:
        manifest = store.read_manifest(folder)
        assert manifest["draws"] == ["before"]
        assert manifest["headline"]["residual"] < 1e-6
    h, again = (states.read_states(folder, "h", as_array=True) for folder in folders)
    np.testing.assert_array_equal(h, again)  # the streams begin as the file has them
    x = data.load(composed(tmp_path).data).test.x[:50]
    undisturbed = np.asarray(models.load(path).get_layer("r")(x))
    assert np.abs(undisturbed - h[:50, -1]).max() > 0.01


def test_the_global_stream_is_found_and_left_as_it_was(tmp_path: Path) -> None:
    x = keras.Input((8, 8))
    model = keras.Model(x, keras.layers.GRU(10)(Noise(name="z")(x)))
    test = data.load(composed(tmp_path).data)
    streams = recorder.Recorder(model, test, composed(tmp_path).extract).streams
    assert streams.layers == ["z"]
    (variable,) = streams.variables
    before = np.array(variable)
    words = "stage=extract", "model=file", f"model.path={saved(tmp_path, model)}"
    finished(composed(tmp_path, *words), "extract")
    np.testing.assert_array_equal(variable, before)


def test_dropout_that_inference_leaves_alone_is_no_draw(tmp_path: Path) -> None:
    x = keras.Input((8, 8))
    layer = keras.layers.SimpleRNN(3, dropout=0.5, recurrent_dropout=0.5)
    model = keras.Model(x, keras.layers.Dense(10)(keras.layers.Dropout(0.5)(layer(x))))
    words = "stage=extract", "model=file", f"model.path={saved(tmp_path, model)}"
    assert store.read_manifest(finished(composed(tmp_path, *words), "extract"))["draws"] == []


OWN = tf.random.Generator.from_seed(1)


@pytest.mark.parametrize(
    "draw",
    [
        lambda x: tf.random.normal(tf.shape(x)),
        lambda x: tf.nn.dropout(x, 0.5),
        lambda x: OWN.normal(tf.shape(x)),
        lambda x: tf.map_fn(lambda each: each + tf.random.uniform(()), x),
    ],
)
def test_a_stream_that_cannot_be_set_is_refused_by_the_layers_name(
    draw: Any, tmp_path: Path
) -> None:
    class Sampling(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return draw(x)

        def compute_output_shape(self, shape: Any) -> Any:
            return shape

    x = keras.Input((8, 8))
    y = keras.layers.LSTM(10)(Sampling(name="z")(x))
    test = data.load(composed(tmp_path).data)
    with pytest.raises(UserError, match=r"layer 'z': draws at random by tf\.random"):
        recorder.Recorder(keras.Model(x, y), test, composed(tmp_path).extract)
