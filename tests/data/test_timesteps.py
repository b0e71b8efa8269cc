"""Labels of timesteps, numbers and annotations: from the user's data through to the disk."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from keras import layers

from rnnscope import models, stages, states, store
from rnnscope.config import Config
from rnnscope.data import parquet, rows
from rnnscope.errors import UserError
from rnnscope.extract import stage
from rnnscope.extract.notes import PARTS
from tests.compose import composed
from tests.data.test_data import Arrays, N, T
from tests.data.test_labels import ANNOTATIONS, FORMS, KINDS, known, loaded
from tests.extract.test_extract import KilledError, dying, finished, saved, tree

pytestmark = pytest.mark.tensorflow

K = 4


def network(kind: str) -> keras.Model:
    """An LSTM with as many outputs as that kind of labels asks for."""
    x = keras.Input((T, 3), name="x")
    mask = keras.Input((T,), dtype="bool", name="mask")
    each = kind.endswith("timestep")
    y = layers.LSTM(2, return_sequences=each, name="lstm")(x, mask=mask)
    last = layers.Dense(K, "softmax") if kind.startswith("class") else layers.Dense(1)
    return keras.Model([x, mask], last(y))


def config(root: Path, path: Path, kind: str, model: keras.Model, *overrides: str) -> Config:
    return composed(
        root,
        "stage=extract",
        "data=files",
        f"data.path={path}",
        f"data.labels={kind.rpartition(' ')[2]}",
        f"data.annotations=[{','.join(ANNOTATIONS)}]",
        "model=file",
        f"model.path={saved(root, model)}",
        "extract.part_rows=30",
        "extract.batch_size=7",
        *overrides,
    )


def of_test(made: Arrays) -> tuple[Any, Any, Any]:
    """Lengths, valid timesteps and y of the test split."""
    lengths = made["lengths_test"]
    return lengths, np.arange(T) < lengths[:, np.newaxis], made["y_test"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_everything_known_lands_where_it_should(kind: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    made = known(kind)
    model = network(kind)
    folder = finished(config(tmp_path, FORMS[".npz"](tmp_path, made, kind), kind, model), "extract")
    lengths, valid, y = of_test(made)
    classes, each = kind.startswith("class"), kind.endswith("timestep")
    outputs = np.asarray(model([made["x_test"], valid], training=False)).astype(np.float64)

    frame = states.read_states(folder, "c")
    number, timestep = np.nonzero(valid)
    np.testing.assert_array_equal(frame["sequence"], number)
    np.testing.assert_array_equal(frame["timestep"], timestep)
    if classes:
        assert frame["label"].dtype == np.int32
        np.testing.assert_array_equal(frame["label"], y[valid] if each else y[number])
    assert ("label" in frame) == classes

    at = states.read_steps(folder)
    np.testing.assert_array_equal(at["sequence"], number)
    np.testing.assert_array_equal(at["timestep"], timestep)
    for name, dtype in zip(ANNOTATIONS, (np.int32, np.float32, np.int32), strict=True):
        assert at[name].dtype == dtype
        np.testing.assert_array_equal(at[name], made[f"{name}_test"][valid].astype(dtype))
    kept = at if each else states.read_sequences(folder)
    want = y[valid] if each else y
    flat = outputs[valid] if each else outputs
    if classes:
        np.testing.assert_array_equal(kept["label"], want)
        np.testing.assert_array_equal(kept["prediction"], flat.argmax(axis=-1))
        np.testing.assert_array_equal(kept["correct"], flat.argmax(axis=-1) == want)
        loss = -np.log(flat[np.arange(len(want)), want])
    else:
        np.testing.assert_array_equal(kept["target"], want.astype(np.float32))
        np.testing.assert_allclose(kept["prediction"], flat[:, 0], rtol=0, atol=1e-6)
        loss = (flat[:, 0] - want) ** 2
    np.testing.assert_allclose(kept["loss"], loss, rtol=1e-4, atol=1e-6)

    of_sequences = states.read_sequences(folder)
    columns = ["sequence", "length"]
    if each:
        columns += ["correct", "loss"] if classes else ["loss"]
        means = pd.Series(loss).groupby(number).mean()
        np.testing.assert_allclose(of_sequences["loss"], means, rtol=1e-4, atol=1e-6)
    elif classes:
        columns += ["label", "prediction", "correct", "loss", *(f"p_{k}" for k in range(K))]
    else:
        columns += ["target", "prediction", "loss"]
    assert list(of_sequences) == columns
    np.testing.assert_array_equal(of_sequences["length"], lengths)

    manifest = store.read_manifest(folder)
    assert (manifest["labels"], manifest["annotations"]) == (kind, ANNOTATIONS)
    headline = manifest["headline"]
    loss_name = "loss" if classes else "squared error"
    assert headline[loss_name] == pytest.approx(of_sequences["loss"].mean(), rel=1e-12)
    if classes:
        assert headline["accuracy"] == pytest.approx(of_sequences["correct"].mean(), rel=1e-12)
    assert len({"accuracy", "loss", "squared error"} & set(headline)) == (2 if classes else 1)
    assert states.class_count(folder) == (K if classes else 0)
    assert states.annotations(folder) == [
        *(["target"] if each and not classes else []),
        *ANNOTATIONS,
    ]


def without_key(folder: Path) -> dict[str, bytes]:
    """Every file but for the artefact's key, which parts have in their footers."""
    key = store.read_manifest(folder)["key"].encode()
    files = tree(folder)
    assert all(key in content for name, content in files.items() if "part-" in name)
    return {name: content.replace(key, b"") for name, content in files.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "kind"),
    [
        (".npy", "class per timestep"),
        (".npy", "number per sequence"),
        ("streamed", "class per sequence"),
        ("streamed", "number per timestep"),
    ],
)
def test_streamed_data_gives_the_same_files_as_data_in_memory(
    form: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keras.utils.set_random_seed(0)
    monkeypatch.setattr(parquet, "IN_MEMORY", 0)
    monkeypatch.setattr(rows, "BATCH", 11)
    made, model = known(kind), network(kind)
    trees = []
    for each in (".npz" if form == ".npy" else ".parquet", form):
        root = tmp_path / each
        root.mkdir()
        with monkeypatch.context() as patch:
            if each == ".parquet":
                patch.setattr(parquet, "IN_MEMORY", 2**28)
            path = FORMS[each](root, made, kind)
            streams = not isinstance(loaded(path, kind).test.x, np.ndarray)
            assert streams == (each == "streamed")
            trees.append(without_key(finished(config(root, path, kind, model), "extract")))
    assert trees[0].keys() == trees[1].keys()
    assert trees[0] == trees[1]


@pytest.mark.slow
def test_an_interrupted_run_resumes_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = "class per timestep"
    made, model = known(kind), network(kind)
    configs = []
    for name in ("cut", "straight"):
        root = tmp_path / name
        root.mkdir()
        configs.append(config(root, FORMS[".parquet"](root, made, kind), kind, model))
    cut, straight = configs
    with monkeypatch.context() as patch:
        patch.setattr(stage.Ready, "part", dying)
        cut.engine.workers = 1
        with pytest.raises(KilledError):
            stages.run(cut)
    partial = stages.chain(cut)[-1].artefact.partial
    left = sorted((partial / PARTS).glob("*.json"))
    assert [json.loads(note.read_text())["figures"]["rows"] > 0 for note in left] == [True] * 3
    assert (partial / PARTS / "00002.steps.parquet").is_file()
    resumed = without_key(finished(cut, "extract"))
    assert {"steps.parquet", "sequences.parquet"} <= set(resumed)
    assert not [path for path in resumed if PARTS in path]
    assert resumed == without_key(finished(straight, "extract"))


def test_a_layer_of_other_timesteps_has_no_labels_of_timesteps(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    y = random.integers(0, 3, (20, 8))
    np.savez(tmp_path / "mine.npz", x_test=random.normal(size=(20, 8, 3)), y_test=y)
    x = keras.Input((8, 3))
    slow = layers.LSTM(2, return_sequences=True, name="slow")(layers.AveragePooling1D(2)(x))
    fast = layers.LSTM(2, return_sequences=True, name="fast")(layers.UpSampling1D(2)(slow))
    model = keras.Model(x, layers.Dense(3)(fast))
    config = composed(
        tmp_path,
        "stage=extract",
        "data=files",
        f"data.path={tmp_path / 'mine.npz'}",
        "data.labels=timestep",
        "model=file",
        f"model.path={saved(tmp_path, model)}",
    )
    folder = finished(config, "extract")
    assert "label" not in states.read_states(folder, "h", layer="slow")
    frame = states.read_states(folder, "h", layer="fast")
    np.testing.assert_array_equal(frame["label"], y.ravel())
    chosen = states.read_states(folder, "h", layer="fast", timesteps=[2, 5], sequences=3)
    assert chosen["label"].tolist() == y[3, [2, 5]].tolist()
    assert list(states.read_steps(folder)) == [
        *("sequence", "timestep", "label", "prediction", "correct", "loss")
    ]


@pytest.mark.parametrize("timesteps", ["last", "1:4:2"])
def test_chosen_timesteps_keep_their_labels_and_all_steps_stay(
    timesteps: str, tmp_path: Path
) -> None:
    kind = "class per timestep"
    made = known(kind)
    path = FORMS[".npz"](tmp_path, made, kind)
    choice = f"extract.timesteps='{timesteps}'"
    folder = finished(config(tmp_path, path, kind, network(kind), choice), "extract")
    _, valid, y = of_test(made)
    frame = states.read_states(folder, "h")
    assert 0 < len(frame) < valid.sum()
    np.testing.assert_array_equal(frame["label"], y[frame["sequence"], frame["timestep"]])
    assert len(states.read_steps(folder)) == valid.sum()


def test_sequences_that_only_fill_up_a_batch_are_not_counted(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    y = random.integers(0, 2, (10, 5))
    path = tmp_path / "mine.npz"
    np.savez(path, x_test=random.normal(size=(10, 5, 3)), y_test=y, depth_test=y * 2)
    x = keras.Input(batch_shape=(4, 5, 3))
    model = keras.Model(x, layers.Dense(2)(layers.LSTM(2, return_sequences=True)(x)))
    config = composed(
        tmp_path,
        "stage=extract",
        "data=files",
        f"data.path={path}",
        "data.labels=timestep",
        "data.annotations=[depth]",
        "model=file",
        f"model.path={saved(tmp_path, model)}",
        "extract.max_sequences=9",
    )
    folder = finished(config, "extract")
    at = states.read_steps(folder)
    np.testing.assert_array_equal(at["label"], y[:9].ravel())
    np.testing.assert_array_equal(at["depth"], y[:9].ravel() * 2)
    assert len(states.read_sequences(folder)) == 9
    assert store.read_manifest(folder)["headline"]["sequences"] == 9


def test_names_of_sequences_stand_beside_their_outcome(tmp_path: Path) -> None:
    kind = "number per timestep"
    made = known(kind)
    frame = pd.read_csv(FORMS[".csv"](tmp_path, made, kind))
    frame["sequence"] = frame["sequence"].map("s{:02d}".format)
    path = tmp_path / "named.parquet"
    frame.to_parquet(path, index=False)
    folder = finished(config(tmp_path, path, kind, network(kind)), "extract")
    of_sequences = states.read_sequences(folder)
    assert list(of_sequences) == ["sequence", "id", "length", "loss"]
    assert of_sequences["id"].tolist() == [f"s{number:02d}" for number in range(N)]
    assert pq.ParquetFile(folder / states.SEQUENCES).num_row_groups == 1


def test_data_of_sequences_alone_has_no_table_of_timesteps(tmp_path: Path) -> None:
    made = known("class per sequence")
    path = FORMS[".npz"](tmp_path, {k: v for k, v in made.items() if k[0] in "xyl"}, "")
    bare = config(tmp_path, path, "class per sequence", network("class per sequence"))
    bare.data.annotations = None  # type: ignore[attr-defined]
    folder = finished(bare, "extract")
    assert not (folder / states.STEPS).exists()
    assert store.read_manifest(folder)["annotations"] == []
    with pytest.raises(FileNotFoundError):
        states.read_steps(folder)


def test_too_few_outputs_for_the_classes_of_timesteps_are_refused(tmp_path: Path) -> None:
    kind = "class per timestep"
    path = FORMS[".npz"](tmp_path, known(kind), kind)
    x = keras.Input((T, 3))
    narrow = keras.Model(x, layers.Dense(3)(layers.LSTM(2, return_sequences=True)(x)))
    with pytest.raises(UserError, match="has 3 outputs; the data has a class 3") as caught:
        stages.run(config(tmp_path, path, kind, narrow))
    assert "\n" not in str(caught.value)
    last = keras.Model(x, layers.Dense(3)(layers.LSTM(2)(x)))  # these are no classes of timesteps
    folder = finished(config(tmp_path, path, kind, last), "extract")
    assert list(states.read_sequences(folder)) == ["sequence", "length"]
    assert store.read_manifest(folder)["headline"].keys() == {"sequences", "rows", "residual"}


# Trained here


def running_sum(count: int, seed: int) -> Arrays:
    """Steps of a random walk, and at each timestep whether it has gone up or down so far."""
    random = np.random.default_rng(seed)
    made: Arrays = {}
    for part, size in (("train", 8 * count), ("test", count)):
        x = random.normal(size=(size, 9, 1)).astype(np.float32)
        walk = x[:, :, 0].cumsum(axis=1)
        lengths = random.integers(3, 10, size)
        x[np.arange(9) >= lengths[:, np.newaxis]] = np.nan
        made |= {f"x_{part}": x, f"y_{part}": walk > 0, f"walk_{part}": walk}
    return made


def trained(root: Path, made: Arrays, *overrides: str) -> tuple[Path, pd.DataFrame]:
    """The extraction and the history of a small network, trained on that data."""
    root.mkdir(exist_ok=True)
    np.savez(root / "mine.npz", **made)  # type: ignore[arg-type]
    config = composed(
        root,
        "stage=extract",
        "data=files",
        f"data.path={root / 'mine.npz'}",
        "model.units=8",
        "train.steps=150",
        "train.learning_rate=0.02",
        *overrides,
    )
    folders = {step.stage.name: step.artefact.folder for step in stages.run(config)}
    return folders["extract"], pd.read_parquet(folders["train"] / "history.parquet")


@pytest.mark.slow
def test_a_small_network_learns_the_sign_of_a_running_sum(tmp_path: Path) -> None:
    made = running_sum(100, 0)
    folder, history = trained(tmp_path, made, "data.labels=timestep", "data.annotations=[walk]")
    at = states.read_steps(folder)
    assert at["correct"].mean() > 0.9
    assert max(at["label"].mean(), 1 - at["label"].mean()) < 0.6  # and what chance would give
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= set(history)
    assert history["val_accuracy"].iloc[-1] > 0.9
    c = states.read_states(folder, "c")
    np.testing.assert_array_equal(c["label"], at["label"])
    np.testing.assert_array_equal(at["label"], at["walk"] > 0)
    r = [abs(np.corrcoef(c[f"c_{unit:03d}"], at["walk"])[0, 1]) for unit in range(8)]
    assert max(r) > 0.8  # the sum itself is in some unit's cell state


@pytest.mark.slow
@pytest.mark.parametrize("each", [True, False])
def test_a_small_network_learns_numbers(each: bool, tmp_path: Path) -> None:
    made = running_sum(100, 0)
    for part in ("train", "test"):
        walk = made.pop(f"walk_{part}").astype(np.float64)
        last = (~np.isnan(made[f"x_{part}"][:, :, 0])).sum(axis=1) - 1
        made[f"y_{part}"] = walk if each else walk[np.arange(len(walk)), last]
    labels = f"data.labels={'timestep' if each else 'sequence'}"
    folder, history = trained(tmp_path, made, labels, "train.steps=300")
    table = states.read_steps(folder) if each else states.read_sequences(folder)
    assert table["loss"].mean() < 0.2 * table["target"].var()
    assert set(history) == {"step", "loss", "val_loss"}
    headline = store.read_manifest(folder)["headline"]
    assert headline["squared error"] == pytest.approx(states.read_sequences(folder)["loss"].mean())


@pytest.mark.slow
@pytest.mark.parametrize("numeric", [True, False])
def test_what_stands_in_the_padding_changes_no_weight(numeric: bool, tmp_path: Path) -> None:
    made = running_sum(20, 0)
    weights = []
    walks = {part: made.pop(f"walk_{part}") for part in ("train", "test")}
    for number, junk in enumerate((0, 5)):
        for part, walk in walks.items():
            padding = np.isnan(made[f"x_{part}"][:, :, 0])
            y = np.where(padding, junk, walk if numeric else walk > 0)
            made[f"y_{part}"] = y.astype(np.float32 if numeric else np.int64)
        _, history = trained(tmp_path / str(number), made, "data.labels=timestep", "train.steps=10")
        (model,) = (tmp_path / str(number) / "train").glob("*/model.keras")
        weights.append([each.tobytes() for each in models.load(model).get_weights()])
        weights[-1].append(history["val_loss"].to_numpy().tobytes())
    assert weights[0] == weights[1]


@pytest.mark.slow
def test_the_loss_in_the_history_is_that_of_valid_timesteps(tmp_path: Path) -> None:
    made = running_sum(20, 0)
    made |= {"x_val": made["x_test"], "y_val": made["y_test"]}  # what is extracted, too
    for part in ("train", "test"):
        del made[f"walk_{part}"]
    folder, history = trained(tmp_path, made, "data.labels=timestep", "train.steps=10")
    at = states.read_steps(folder)
    assert history["val_loss"].iloc[-1] == pytest.approx(at["loss"].mean(), rel=1e-5)
    assert history["val_accuracy"].iloc[-1] == pytest.approx(at["correct"].mean(), rel=1e-6)
