"""Stage train: repeatable, exact in its steps, and Keras' own fit underneath."""

import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from rnnscope import data, models, stages, store
from rnnscope import train as train_module
from rnnscope.config import Config
from rnnscope.data import Batch
from rnnscope.errors import Failed, UserError
from rnnscope.models.repeatable import CrossEntropy
from rnnscope.models.saving import save
from rnnscope.train.fitting import kept_row
from rnnscope.train.watching import LowestLoss
from tests import forks
from tests.compose import composed

pytestmark = pytest.mark.tensorflow

SMALL = ("train.steps=30", "train.validate_every=20", "model.units=6", "stage=train")


def train(root: Path, *overrides: str) -> tuple[keras.Model, pd.DataFrame, Path]:
    """The trained model, its history, and the artefact's folder."""
    (step,) = stages.run(composed(root, *SMALL, *overrides))
    folder = step.artefact.folder
    return models.load(folder / "model.keras"), history_of(folder), folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artefact's folder of one training, to be read."""
    return train(tmp_path_factory.mktemp("trained"))[2]


def history_of(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "history.parquet")


def weights(model: keras.Model) -> bytes:
    return b"".join(np.ascontiguousarray(each).tobytes() for each in model.get_weights())


@pytest.mark.slow
@pytest.mark.parametrize("model", ["lstm", "gru", "simple_rnn"])
def test_the_same_config_gives_the_same_weights_bit_for_bit(tmp_path: Path, model: str) -> None:
    overrides = (f"model={model}", "model.dropout=0.2", "model.layers=2")
    first, history, _ = train(tmp_path / "a", *overrides)
    again, same_history, _ = train(tmp_path / "b", *overrides)
    assert weights(first) == weights(again)
    pd.testing.assert_frame_equal(history, same_history)


def test_an_artefact_is_the_same_bytes_at_another_time(tmp_path: Path) -> None:
    """All of it but the manifest, which says when and where it was made."""
    _, _, first = train(tmp_path / "a", "model.dropout=0.2", "model.bidirectional=true")
    time.sleep(2.1)  # zip archives count two seconds
    _, _, again = train(tmp_path / "b", "model.dropout=0.2", "model.bidirectional=true")
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert {path.name for path in files} > {"model.keras", "history.parquet"}
    for file in files:
        if file.name != store.MANIFEST:
            assert (first / file).read_bytes() == (again / file).read_bytes(), file


def test_a_saved_model_is_the_same_bytes_whatever_was_made_before(tmp_path: Path) -> None:
    made = []
    for name in ("a.keras", "b.keras"):
        keras.utils.set_random_seed(0)
        x = keras.Input((5, 3), name="x")
        y = keras.layers.Bidirectional(keras.layers.LSTM(2, name="l"), name="b")(x)
        model = keras.Model(x, keras.layers.Dense(1, name="d")(y), name="m")
        model.compile(keras.optimizers.Adam(name="adam"), "mse")
        save(model, tmp_path / name)
        made.append(model)
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()
    assert [path.name for path in tmp_path.iterdir() if path.name[1:] != ".keras"] == []
    again = keras.saving.load_model(tmp_path / "a.keras", compile=False)
    np.testing.assert_equal(again.get_weights(), made[0].get_weights())


def test_tensorboard_reads_the_history(trained: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    history = history_of(trained)
    for run, prefix in (("train", ""), ("validation", "val_")):
        events = EventAccumulator(str(trained / "tensorboard" / run))
        events.Reload()
        for name in ("loss", "accuracy"):
            found = events.Scalars(name)
            values = [each.value for each in found]
            assert values == pytest.approx(history[prefix + name].tolist(), rel=1e-6)
            assert [each.step for each in found] == [20, 30]


def test_the_loss_is_keras_own_cross_entropy() -> None:
    logits = np.random.default_rng(0).normal(size=(4, 3, 5)).astype(np.float32)
    classes = np.random.default_rng(1).integers(0, 5, (4, 3))
    weights = np.array([[1, 1, 1], [1, 0, 0], [1, 1, 0], [1, 1, 1]], np.float32)
    ours = CrossEntropy(reduction=train_module.REDUCTION)
    stock = keras.losses.SparseCategoricalCrossentropy(True, reduction=train_module.REDUCTION)
    for each in ((classes, logits, weights), (classes[:, 0], logits[:, 0])):
        assert float(ours(*each)) == pytest.approx(float(stock(*each)), rel=1e-6)


def test_a_trained_model_is_saved_with_a_loss_that_keras_can_load(trained: Path) -> None:
    history = history_of(trained)
    model = keras.saving.load_model(trained / "model.keras")
    val = data.load(composed(trained).data).val
    assert val is not None
    batch = val.take(slice(None))
    loss = model.evaluate(batch.x, batch.y, verbose=0)[0]
    assert history["val_loss"].iloc[-1] == pytest.approx(loss, rel=1e-5)


@pytest.mark.slow
def test_training_leaves_the_process_as_it_was(tmp_path: Path) -> None:
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    drawn = []
    for folder in ("a", "b"):
        stages.run(composed(tmp_path / folder, *SMALL, "model.dropout=0.2"))
        # Where ops are deterministic this raises without a seed, and with one draws the same.
        drawn.append(tf.random.normal([8]).numpy())
    assert random.getstate() == python
    np.testing.assert_equal(np.random.get_state(), numpy)  # noqa: NPY002
    assert not np.array_equal(*drawn)


@pytest.mark.process
def test_extract_writes_the_same_bytes_after_training_as_in_a_process_of_its_own(
    tmp_path: Path,
) -> None:
    options = [*SMALL[:-1], "stage=extract", "data.test_fraction=0.05"]
    after = stages.run(composed(tmp_path / "after", *options))[-1].artefact.folder
    shutil.copytree(tmp_path / "after" / "train", tmp_path / "alone" / "train")
    command = [sys.executable, "-m", "rnnscope", f"root={tmp_path / 'alone'}", *options]
    subprocess.run(command, check=True, capture_output=True)
    alone = tmp_path / "alone" / "extract" / after.name
    files = sorted(path.relative_to(after) for path in after.rglob("*.parquet"))
    assert len(files) == 6 + 1
    for file in files:
        assert (after / file).read_bytes() == (alone / file).read_bytes(), file


def test_the_seed_decides_the_order_of_batches_and_the_initial_weights(tmp_path: Path) -> None:
    a, _, _ = train(tmp_path, "train.steps=0")
    b, _, _ = train(tmp_path, "train.steps=0", "seed=1")
    assert weights(a) != weights(b)


def test_history_counts_every_step_and_ends_at_the_last(trained: Path) -> None:
    history = history_of(trained)
    assert history["step"].tolist() == [20, 30]
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= set(history)
    manifest = store.read_manifest(trained)
    first, last = manifest["history_seconds"]
    assert 0 < first < last < manifest["seconds"]
    assert manifest["headline"]["steps"] == 30
    assert list((trained / "tensorboard").rglob("events.out.tfevents.*"))


def test_no_steps_leave_the_network_untrained(tmp_path: Path) -> None:
    model, history, _ = train(tmp_path, "train.steps=0")
    assert history.empty
    bias = model.get_layer("lstm").cell.bias.numpy()
    np.testing.assert_array_equal(bias, np.repeat([0.0, 1.0, 0.0, 0.0], 6))


@pytest.mark.slow
def test_training_lowers_the_loss_and_beats_chance(tmp_path: Path) -> None:
    _, history, _ = train(tmp_path, "train.steps=200", "model.units=16")
    assert history["val_loss"].iloc[-1] < history["val_loss"].iloc[0] / 2
    assert history["val_accuracy"].iloc[-1] > 0.5


def test_the_validation_in_the_history_is_that_of_the_model(trained: Path) -> None:
    model, history = models.load(trained / "model.keras"), history_of(trained)
    val = data.load(composed(trained).data).val
    assert val is not None
    batch = val.take(slice(None))
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(True), metrics=["accuracy"])
    loss, accuracy = model.evaluate(batch.x, batch.y, verbose=0)
    assert history["val_loss"].iloc[-1] == pytest.approx(loss, rel=1e-5)
    assert history["val_accuracy"].iloc[-1] == pytest.approx(accuracy)


@pytest.mark.parametrize("numeric", [False, True])
def test_the_validation_loss_is_over_timesteps_whatever_the_order_of_sequences(
    tmp_path: Path, numeric: bool
) -> None:
    random = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for part, count in (("train", 32), ("val", 520), ("test", 4)):
        lengths = np.where(np.arange(count) < 512, 1, 9)  # Keras validates 512 at a time
        y = np.broadcast_to((lengths > 1)[:, np.newaxis], (count, 9))
        arrays |= {f"x_{part}": random.normal(size=(count, 9, 2)), f"lengths_{part}": lengths}
        arrays[f"y_{part}"] = y + 0.5 if numeric else y.astype(int)
    np.savez(tmp_path / "data.npz", **arrays)
    given = "data=files", f"data.path={tmp_path / 'data.npz'}", "data.labels=timestep"
    model, history, _ = train(tmp_path / "root", *given, "train.steps=20")
    val = data.load(composed(tmp_path, *given).data).val
    assert val is not None
    batch = val.take(slice(None))
    valid = batch.valid
    outputs = model.predict(models.inputs(model, batch), verbose=0)[valid].astype(float)
    assert batch.y is not None
    if numeric:
        loss = (outputs[:, 0] - batch.y[valid]) ** 2
    else:
        loss = np.logaddexp.reduce(outputs, 1) - outputs[np.arange(len(outputs)), batch.y[valid]]
    assert history["val_loss"].iloc[-1] == pytest.approx(loss.mean(), rel=1e-5)
    assert set(history) - {"step"} == {"loss", "val_loss"} | (
        set() if numeric else {"accuracy", "val_accuracy"}
    )


def test_patience_stops_early_and_the_best_weights_are_kept(tmp_path: Path) -> None:
    # So high a learning rate that the loss soon rises again.
    overrides = ("train.learning_rate=0.5", "train.validate_every=5", "train.steps=400")
    model, history, _ = train(tmp_path, *overrides, "train.patience=3", "train.restore_best=true")
    assert history["step"].iloc[-1] < 400
    best = history["val_loss"].idxmin()
    assert len(history) - 1 - best == 3
    val = data.load(composed(tmp_path).data).val
    assert val is not None
    batch = val.take(slice(None))
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    loss = model.evaluate(batch.x, batch.y, verbose=0)
    assert loss == pytest.approx(history["val_loss"][best], rel=1e-5)


@pytest.mark.slow
def test_best_weights_are_kept_also_without_patience(tmp_path: Path) -> None:
    overrides = ("train.learning_rate=0.5", "train.validate_every=5", "train.steps=60")
    best, history, _ = train(tmp_path, *overrides, "train.restore_best=true")
    last, same, _ = train(tmp_path, *overrides)
    assert history["step"].iloc[-1] == 60
    assert history["val_loss"].tolist() == same["val_loss"].tolist()
    assert same["val_loss"].idxmin() < len(same) - 1
    assert weights(best) != weights(last)


def test_training_that_diverges_stops_there_and_keeps_its_history(tmp_path: Path) -> None:
    """Adam's first step is as long as its rate: the weights are then near the largest float32."""
    config = composed(tmp_path, *SMALL, "train.restore_best=true")
    config.train.learning_rate = 1e38  # past what the option takes
    with pytest.raises(Failed, match="training diverged at step 2 of 30: the loss is") as caught:
        stages.run(config)
    said = str(caught.value)
    assert "\n" not in said
    assert "with train.learning_rate=1e+38; try train.learning_rate=0.001;" in said
    (kept,) = (tmp_path / "logs" / "diverged").iterdir()
    assert str(kept / "history.parquet") in said
    history = pd.read_parquet(kept / "history.parquet")
    assert history["step"].tolist() == [2]
    assert history["loss"].isna().all()
    assert not [path for path in (tmp_path / "train").iterdir() if path.name[0] != "."]


@pytest.mark.process
def test_training_that_diverges_ends_the_command_in_one_line_with_1(tmp_path: Path) -> None:
    options = (*SMALL, *out_of_scale(tmp_path))
    command = [forks.interpreter(), "-m", "rnnscope", f"root={tmp_path}", *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("rnnscope: training diverged at step") == 1
    assert "Traceback" not in done.stdout + done.stderr


def test_a_weight_that_is_not_finite_is_named_at_its_step(tmp_path: Path) -> None:
    """While the loss is still finite: it is that of the weights before the step."""
    config = composed(tmp_path, *SMALL)
    config.train.learning_rate = float("inf")
    with pytest.raises(Failed, match=r"at step 1 of 30: lstm/.*kernel.* is not finite"):
        stages.run(config)


def out_of_scale(folder: Path) -> tuple[str, str]:
    """Data with which training diverges."""
    x = np.full((40, 3, 2), 1e30, np.float32)
    x[::2] *= -1
    y = np.where(np.arange(40) % 2, 1e30, -1e30).astype(np.float32)
    made = {"x_train": x, "y_train": y, "x_test": x, "y_test": y}
    np.savez(folder / "mine.npz", allow_pickle=True, **made)
    return "data=files", f"data.path={folder / 'mine.npz'}"


def test_data_that_is_out_of_scale_is_named(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"try .*, or inputs of about 1, they reach 1e\+30, or targ"):
        train(tmp_path, *out_of_scale(tmp_path))


def test_a_loss_that_rose_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train(tmp_path, "train.learning_rate=1000")
    assert "nothing was learnt: the loss rose from 2." in caplog.text
    caplog.clear()
    train(tmp_path)
    assert "nothing was learnt" not in caplog.text


@pytest.mark.parametrize(
    ("losses", "best"),
    [([3, 1, 2], 1), ([np.nan, 2, 3], 1), ([2, np.nan, 1], 2), ([np.nan, np.nan], 0)],
)
def test_a_validation_loss_of_nan_is_the_worst(losses: list[float], best: int) -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    stop = LowestLoss("val_loss", mode="min", patience=9, restore_best_weights=True)
    stop.set_model(model)
    stop.on_train_begin()
    for epoch, loss in enumerate(losses):
        model.set_weights([np.full((1, 1), epoch, np.float32)])
        stop.on_epoch_end(epoch, {"val_loss": loss})
    stop.on_train_end()
    assert model.get_weights()[0].item() == best
    history = pd.DataFrame({"step": range(len(losses)), "val_loss": losses})
    assert kept_row(history, restore_best=True)["step"] == best


def test_every_sequence_is_seen_once_per_pass(tmp_path: Path) -> None:
    from rnnscope.train import Batches

    split = data.load(composed(tmp_path).data).test
    model, _, _ = train(tmp_path, "train.steps=0")
    batches = Batches(model, split, 50, seed=3)
    first = np.concatenate([batches[n][0] for n in range(batches.per_pass)])
    second = np.concatenate([batches[batches.per_pass + n][0] for n in range(batches.per_pass)])
    assert batches.per_pass == len(split) // 50
    flat = [each.tobytes() for each in split.take(slice(None)).x]
    for seen in (first, second):
        drawn = [each.tobytes() for each in seen]
        assert len(drawn) == 350
        assert all(drawn.count(each) <= flat.count(each) for each in set(drawn))
    assert not np.array_equal(first, second)
    other = Batches(model, split, 50, seed=4)
    assert not np.array_equal(first, np.concatenate([other[n][0] for n in range(other.per_pass)]))


@pytest.mark.parametrize("numeric", [False, True])
def test_weights_leave_padding_out_where_timesteps_are_labelled(numeric: bool) -> None:
    from rnnscope.train import examples

    x = np.zeros((2, 3, 1), np.float32)
    model = keras.Sequential([keras.Input((3, 1)), keras.layers.LSTM(2)])
    lengths = np.array([3, 1], np.int32)
    y = np.array([[1, 2, 0], [3, 0, 0]], np.float32 if numeric else np.int32)
    _, to_learn, weights = examples(model, Batch(x, y, lengths))
    np.testing.assert_array_equal(to_learn, y[..., np.newaxis] if numeric else y)
    np.testing.assert_array_equal(weights, [[1, 1, 1], [1, 0, 0]])
    assert len(examples(model, Batch(x, y, None))) == 2
    assert len(examples(model, Batch(x, y[:, 0], lengths))) == 2


@pytest.mark.parametrize("key", ["train.patience=2", "train.restore_best=true"])
def test_stopping_early_needs_validation_sequences(tmp_path: Path, key: str) -> None:
    with pytest.raises(UserError, match="validation_fraction"):
        train(tmp_path, "data.validation_fraction=0", key)


@pytest.mark.parametrize("classes", [(1, 2), (100, 300)])
def test_a_network_has_an_output_for_each_class_that_occurs(
    classes: tuple[int, int], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    x = np.random.default_rng(0).normal(size=(12, 3, 2)).astype(np.float32)
    y = np.repeat(classes, 6)
    made = {"x_train": x, "y_train": y, "x_test": x + 1, "y_test": np.append(y[1:], 7 * classes[1])}
    np.savez(tmp_path / "mine.npz", allow_pickle=True, **made)
    given = ("data=files", f"data.path={tmp_path / 'mine.npz'}", "data.validation_fraction=0")
    model, _, _ = train(tmp_path, *given)
    assert model.output_shape == (None, 3)
    assert f"no training sequence has class {7 * classes[1]}" in caplog.text
    *_, step = stages.run(composed(tmp_path, *SMALL, "stage=extract", *given))
    sequences = pd.read_parquet(step.artefact.folder / "sequences.parquet")
    assert sequences["label"].tolist() == [0] * 5 + [1] * 6 + [2]
    assert [name for name in sequences if name.startswith("p_")] == ["p_0", "p_1", "p_2"]


def test_training_needs_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "bare.npz", x_test=np.zeros((4, 3, 2), np.float32))
    config: Config = composed(
        tmp_path, "stage=train", "data=files", f"data.path={tmp_path / 'bare.npz'}"
    )
    with pytest.raises(UserError, match="no labelled training sequences"):
        stages.run(config)
