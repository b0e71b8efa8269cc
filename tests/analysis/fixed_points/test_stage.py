"""Stage fixed_points over whole runs: what its tables say, held against states and weights."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from rnnscope import data, models, read_states, stages, store
from rnnscope.analysis.fixed_points import constants
from rnnscope.analysis.fixed_points import stage as fixed_points
from rnnscope.analysis.fixed_points.by_class import Sums
from rnnscope.analysis.fixed_points.columns import FIXED_POINTS, MODES, nearest
from rnnscope.analysis.fixed_points.constants import read
from rnnscope.errors import UserError
from rnnscope.states import columns
from rnnscope.store.inputs import Inputs
from rnnscope.trace.places import places
from tests.analysis.fixed_points.networks import Halved, equations
from tests.compose import FINISHED, composed

pytestmark = pytest.mark.tensorflow

Float = NDArray[np.float64]
U = 4


@pytest.fixture
def latest(finished_root: Path) -> Path:
    return finished_root / "latest"


def tables(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    points, modes = (
        pd.read_parquet(folder / f"{name}.parquet") for name in ("fixed_points", "modes")
    )
    return points, modes


def coordinates(points: pd.DataFrame, signals: str = "hc", units: int = U) -> Float:
    names = [name for signal in signals for name in columns(signal, units)]
    return points[names].to_numpy(np.float64)


def mean_input(root: Path) -> Float:
    test = data.load(composed(root, *FINISHED).data).test
    return test.take(slice(None)).x.astype(np.float64).mean(axis=(0, 1))


def test_points_stay_where_they_are_by_the_weights_of_the_model(
    finished_root: Path, latest: Path
) -> None:
    points, _ = tables(latest / "fixed_points")
    cell = models.load(latest / "train" / models.MODEL).get_layer("lstm").cell
    inputs = {"zeros": np.zeros(8), "mean": mean_input(finished_root)}
    assert set(points["input"]) == set(inputs)
    assert (points["kind"] == "fixed").any()
    for (_, row), s in zip(points.iterrows(), coordinates(points), strict=True):
        moved = equations(cell, inputs[row["input"]])(s) - s
        q = 0.5 * (moved**2).sum()
        assert q == pytest.approx(row["q"], rel=1e-3, abs=1e-18)
        assert row["q"] <= (1e-20 if row["kind"] == "fixed" else 1e-6)


def test_a_point_has_a_mode_for_each_number_of_its_state_and_its_index_counts_those_that_grow(
    latest: Path,
) -> None:
    points, modes = tables(latest / "fixed_points")
    assert len(modes) == 2 * U * len(points)
    by = ["layer", "input", "point"]
    known = modes.groupby(by, observed=True)
    points = points.set_index(by)
    largest = known["modulus"].max()
    pd.testing.assert_series_equal(points["spectral_radius"], largest, check_names=False)
    growing = known["modulus"].agg(lambda size: int((size > 1).sum()))
    np.testing.assert_array_equal(points["index"], growing)
    words = np.where(growing == 0, "stable", np.where(growing < 2 * U, "saddle", "unstable"))
    assert points["stability"].tolist() == words.tolist()
    size = np.hypot(modes["real"], modes["imag"])
    np.testing.assert_allclose(modes["modulus"], size, atol=2e-9)
    slow = modes.iloc[known["modulus"].apply(lambda m: np.abs(np.log(m)).idxmin())]
    np.testing.assert_allclose(points["time_constant"], slow["time_constant"])
    assert modes["loading"].between(1 / np.sqrt(2 * U) - 1e-9, 1).all()
    assert modes["unit"].between(0, U - 1).all()


def test_points_lie_in_the_same_components_as_the_classes_paths(latest: Path) -> None:
    """The stage's projection, applied to mean states of classes, gives their paths."""
    components = pd.read_parquet(latest / "population" / "components.parquet")
    paths = pd.read_parquet(latest / "population" / "trajectories.parquet")
    points, modes = tables(latest / "fixed_points")
    assert (points.filter(like="_pc_").columns == modes.filter(like="_pc_").columns).all()
    for signal in "hc":
        of = components[components["signal"] == signal].sort_values(["component", "unit"])
        loading, mean = (of[name].to_numpy().reshape(-1, U) for name in ("loading", "mean"))
        recorded = read_states(latest / "extract", signal)
        last = recorded[recorded["timestep"] == 7].groupby("label")[columns(signal, U)].mean()
        path = paths[(paths["signal"] == signal) & (paths["timestep"] == 7)]
        here = (last.to_numpy(np.float64) - mean[0]) @ loading.T
        np.testing.assert_allclose(
            here, path[["component_1", "component_2", "component_3"]], atol=1e-6
        )
        found = (coordinates(points, signal) - mean[0]) @ loading.T
        names = [f"{signal}_pc_{n}" for n in (1, 2, 3)]
        np.testing.assert_allclose(points[names], found, atol=1e-9)


def test_the_nearest_class_and_visited_state_are_those_of_all_distances(latest: Path) -> None:
    points, _ = tables(latest / "fixed_points")
    parts = [read_states(latest / "extract", signal) for signal in "hc"]
    visited = np.concatenate(
        [
            part[columns(name, U)].to_numpy(np.float64)
            for part, name in zip(parts, "hc", strict=True)
        ],
        axis=1,
    )
    keys = parts[0]
    distance = np.linalg.norm(coordinates(points)[:, None] - visited, axis=2)
    np.testing.assert_allclose(points["visited_distance"], distance.min(axis=1), atol=1e-9)
    nearest = keys.iloc[distance.argmin(axis=1)]
    for name in ("sequence", "timestep"):
        np.testing.assert_array_equal(points[f"visited_{name}"], nearest[name])
    final = (keys["timestep"] == 7).to_numpy()
    label = keys["label"].to_numpy()[final]
    means = np.array([visited[final][label == each].mean(axis=0) for each in np.unique(label)])
    to_class = np.linalg.norm(coordinates(points)[:, None] - means, axis=2)
    np.testing.assert_array_equal(
        points["nearest_class"], np.unique(label)[to_class.argmin(axis=1)]
    )
    np.testing.assert_allclose(points["nearest_class_distance"], to_class.min(axis=1), atol=1e-9)


def test_no_annotation_takes_the_name_of_another_column() -> None:
    names = [nearest(each) for each in ("depth", "class", "class_distance")]
    assert names[0] == "nearest_depth"
    assert len({*names, "nearest_class", "nearest_class_distance"}) == 5


def test_the_manifest_says_where_every_start_ended(latest: Path) -> None:
    points, _ = tables(latest / "fixed_points")
    manifest = store.read_manifest(latest / "fixed_points")
    assert manifest["sequences"] == 36
    assert manifest["left_out"] == manifest["inputs_left_out"] == {}
    (searched,) = manifest["search"].values()
    assert manifest["search_seconds"]["lstm"] > 0
    for name, said in searched.items():
        rows = points[points["input"] == name]
        assert said["starts"] == said["fixed"] + said["slow"] + said["neither"] == 64
        assert rows["starts"].sum() == said["fixed"] + said["slow"]
        assert said["points"] == len(rows)
        assert rows["point"].tolist() == list(range(len(rows)))
    kinds = points[points["kind"] == "fixed"]["stability"].value_counts()
    expected = {name: int(kinds[name]) for name in ("stable", "saddle", "unstable")}
    slow = int((points["kind"] == "slow").sum())
    assert manifest["headline"] == {**expected, "slow": slow}


def run(root: Path, *overrides: str) -> Path:
    """The folder of the stage."""
    config = composed(root, "stage=fixed_points", *overrides)
    return stages.run(config)[-1].artefact.folder


def again(finished: Path, folder: Path, *overrides: str) -> dict[str, Any]:
    """The stage run on the finished run's artefacts, with other options."""
    latest = finished / "latest"
    folder.mkdir(parents=True)
    inputs = Inputs({name: latest / name for name in ("train", "extract", "population")})
    return fixed_points.run(composed(finished, *FINISHED, *overrides), inputs, folder)


def test_each_class_has_an_input_of_its_own_and_a_file_more(
    finished_root: Path, tmp_path: Path
) -> None:
    rows = np.random.default_rng(0).uniform(size=(2, 8)).astype(np.float32)
    np.save(tmp_path / "inputs.npy", rows)
    options = ("fixed_points.inputs=[classes]", "fixed_points.starts=12")
    file = f"fixed_points.inputs_path={tmp_path / 'inputs.npy'}"
    made = again(finished_root, tmp_path / "made", *options, file)
    points, _ = tables(tmp_path / "made")
    names = [*(f"class_{k}" for k in range(10)), "file_0", "file_1"]
    assert list(made["search"]["lstm"]) == names
    batch = data.load(composed(finished_root, *FINISHED).data).test.take(slice(None))
    cell = models.load(finished_root / "latest/train" / models.MODEL).get_layer("lstm").cell
    given = {f"class_{k}": batch.x[batch.y == k].mean(axis=(0, 1)) for k in range(10)}
    given |= {f"file_{n}": row for n, row in enumerate(rows)}
    for name, rows_of in points.groupby("input", observed=True):
        for s in coordinates(rows_of[rows_of["kind"] == "fixed"]):
            moved = equations(cell, given[str(name)].astype(np.float64))(s) - s
            assert np.abs(moved).max() < 1e-6  # the mean is of float32 numbers


def test_only_so_many_points_are_kept_the_fixed_ones_of_the_most_starts(
    finished_root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    loose = ("fixed_points.slow_tolerance=1", "fixed_points.iterations=2")
    whole = again(finished_root, tmp_path / "whole", *loose, "fixed_points.starts=30")
    few = ("fixed_points.starts=30", "fixed_points.max_points=3")
    with caplog.at_level("INFO"):
        made = again(finished_root, tmp_path / "few", *loose, *few)
    every, some = (tables(tmp_path / name)[0] for name in ("whole", "few"))
    for name, said in made["search"]["lstm"].items():
        there = every[every["input"] == name]
        assert said["points"] == 3
        assert said["points_left_out"] == len(there) - 3
        kept = some[some["input"] == name]
        assert kept["starts"].sum() == there["starts"].nlargest(3).sum()
    assert whole["search"]["lstm"]["zeros"]["cut_short"] > 0
    assert "fixed_points.max_points sets how many are kept" in caplog.text


def test_a_file_of_inputs_that_fits_no_layer_is_refused(
    finished_root: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "inputs.npy", np.zeros((2, 3)))
    with pytest.raises(UserError, match="has inputs of 3 numbers; the layers take: lstm 8"):
        again(
            *(finished_root, tmp_path / "made"),
            *("fixed_points.inputs=[zeros]", f"fixed_points.inputs_path={tmp_path / 'inputs.npy'}"),
        )


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.zeros(8), r"must be an array of numbers \[inputs, features\]"),
        (np.full((1, 8), np.nan), "has a number that is not finite"),
        (np.zeros((0, 8)), "has no row"),
        (np.array([["a"]]), "must be an array of numbers"),
    ],
)
def test_a_file_of_no_inputs_is_refused_in_one_line(tmp_path: Path, values: Any, says: str) -> None:
    path = tmp_path / "inputs.npy"
    np.save(path, values)
    with pytest.raises(UserError, match=says) as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_an_input_that_a_layer_lacks_keeps_each_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what a layer is given nothing is known, and the file fits another one."""
    model = keras.Sequential([keras.Input((2, 3)), keras.layers.GRU(2, name="gru")])
    model.add(keras.layers.RepeatVector(2))
    model.add(keras.layers.GRU(2, name="other"))
    np.save(tmp_path / "inputs.npy", np.zeros((1, 3)))
    there = places(model)
    monkeypatch.setattr(constants, "_sums", lambda *_: {name: Sums() for name in there})
    file = f"fixed_points.inputs_path={tmp_path / 'inputs.npy'}"
    options = composed(tmp_path, file).fixed_points
    unused: Any = None
    found, lacking = constants.constants(model, unused, there, options, 1)
    unknown = "mean and classes: what the layer is given is not known"
    size = "inputs_path: its inputs are of another size"
    assert lacking == {"gru": unknown, "other": f"{unknown}; {size}"}
    assert [list(each) for each in found.values()] == [["zeros", "file_0"], ["zeros"]]


def test_what_is_no_array_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "inputs.npy"
    path.write_text("1,2\n")
    with pytest.raises(UserError, match=r"is no \.npy file of numbers"):
        read(path)


def test_wide_layers_are_left_out_with_a_line(
    finished_root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        made = again(finished_root, tmp_path / "made", "fixed_points.max_state=7")
    assert "has 8 numbers, more than fixed_points.max_state=7" in made["left_out"]["lstm"]
    assert "layer 'lstm' is left out: its state has 8 numbers" in caplog.text
    for table, frame in zip((FIXED_POINTS, MODES), tables(tmp_path / "made"), strict=True):
        assert not len(frame)
        assert [each.name for each in table.columns if each.value] == [
            name for name in frame if "_pc_" not in name and name != "h_000"
        ]
    with pytest.raises(UserError, match=r"fixed_points.layers=\['lstm'\]: lstm is left out: its"):
        again(
            *(finished_root, tmp_path / "named"),
            *("fixed_points.max_state=7", "fixed_points.layers=[lstm]"),
        )


@pytest.mark.slow
def test_layers_above_others_are_given_what_those_give_and_other_cells_are_left_out(
    tmp_path: Path,
) -> None:
    x = keras.Input((6, 2))
    both = keras.layers.Bidirectional(
        keras.layers.GRU(3, return_sequences=True, name="read"), name="both"
    )(x)
    cells = [keras.layers.SimpleRNNCell(2), keras.layers.LSTMCell(3)]
    stack = keras.layers.RNN(cells, return_sequences=True, name="stack")(both)
    leaky = keras.layers.RNN(Halved(), name="leaky")(stack)
    model = keras.Model(x, keras.layers.Dense(2)(leaky))
    model.save(tmp_path / "model.keras")
    given = np.random.default_rng(0).normal(size=(20, 6, 2)).astype(np.float32)
    y = np.arange(20) % 2
    np.savez(tmp_path / "data.npz", x_test=given, y_test=y)
    module = f"model.custom_objects={Halved.__module__}"
    file = ("model=file", f"model.path={tmp_path / 'model.keras'}", module)
    files = (
        "data=files",
        f"data.path={tmp_path / 'data.npz'}",
        "fixed_points.inputs=[mean,classes]",
    )
    folder = run(tmp_path / "root", *file, *files, "fixed_points.starts=20")
    points, _ = tables(folder)
    recorded = tmp_path / "root" / "latest" / "extract"
    manifest = store.read_manifest(folder)
    assert list(manifest["search"]) == [
        "both.forward",
        "both.backward",
        "stack.cell0",
        "stack.cell1",
    ]
    assert manifest["left_out"] == {"leaky": "its cell is no LSTM, GRU or simple RNN of Keras' own"}
    h = {
        layer: read_states(recorded, "h", layer=layer, as_array=True)
        for layer in ("both.forward", "both.backward", "stack.cell0")
    }
    inputs = {
        "both.forward": given,
        "both.backward": given,
        "stack.cell0": np.concatenate([h["both.forward"], h["both.backward"]], axis=2),
        "stack.cell1": h["stack.cell0"],
    }
    there = {
        "both.forward": model.get_layer("both").forward_layer.cell,
        "both.backward": model.get_layer("both").backward_layer.cell,
        "stack.cell0": cells[0],
        "stack.cell1": cells[1],
    }
    for layer, cell in there.items():
        rows = points[points["layer"] == layer]
        signals = "hc" if layer == "stack.cell1" else "h"
        for name, some in (("mean", slice(None)), ("class_0", y == 0), ("class_1", y == 1)):
            x_mean = inputs[layer][some].astype(np.float64).mean(axis=(0, 1))
            fixed = rows[(rows["input"] == name) & (rows["kind"] == "fixed")]
            assert len(fixed), (layer, name)
            for s in coordinates(fixed, signals, cell.units):
                np.testing.assert_allclose(equations(cell, x_mean)(s), s, atol=1e-6)


def test_the_declarations_cost_no_tensorflow() -> None:
    code = "import sys, rnnscope.analysis.fixed_points.columns; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_of_sequences_of_unequal_lengths_padding_counts_nowhere(tmp_path: Path) -> None:
    """Neither in mean inputs nor among visited states; annotations are of the nearest of these.

    Classes are those of timesteps, and their mean states over all timesteps of each.
    """
    random = np.random.default_rng(0)
    lengths = np.arange(15) % 5 + 1
    valid = np.arange(5) < lengths[:, np.newaxis]
    x = random.normal(size=(15, 5, 2)).astype(np.float32) + 1
    depth = random.normal(size=(15, 5)).astype(np.float32)
    y = random.integers(0, 2, (15, 5))
    y[np.arange(15), lengths - 1] = 1  # every sequence ends in the same class
    given: dict[str, Any] = {"x_test": x, "y_test": y, "depth_test": depth}
    np.savez(tmp_path / "data.npz", **given, lengths_test=lengths)
    read_ = keras.Input((5, 2), name="x")
    mask = keras.Input((5,), dtype="bool", name="mask")
    layer = keras.layers.GRU(3, name="gru", return_sequences=True)
    model = keras.Model({"x": read_, "mask": mask}, keras.layers.Dense(2)(layer(read_, mask=mask)))
    model.save(tmp_path / "model.keras")
    folder = run(
        tmp_path / "root",
        *("model=file", f"model.path={tmp_path / 'model.keras'}"),
        *("data=files", f"data.path={tmp_path / 'data.npz'}", "data.annotations=[depth]"),
    )
    points, _ = tables(folder)
    assert valid[points["visited_sequence"], points["visited_timestep"]].all()
    expected = depth[points["visited_sequence"], points["visited_timestep"]]
    np.testing.assert_array_equal(points["nearest_depth"], expected)
    h = read_states(tmp_path / "root" / "latest" / "extract", "h", as_array=True)
    means = np.array([h[valid & (y == k)].astype(np.float64).mean(axis=0) for k in range(2)])
    distance = np.linalg.norm(coordinates(points, "h", 3)[:, np.newaxis] - means, axis=2)
    np.testing.assert_array_equal(points["nearest_class"], distance.argmin(axis=1))
    np.testing.assert_allclose(points["nearest_class_distance"], distance.min(axis=1), atol=1e-6)
    of_mean = points[(points["input"] == "mean") & (points["kind"] == "fixed")]
    assert len(of_mean)
    step = equations(layer.cell, x[valid].astype(np.float64).mean(axis=0))
    for s in coordinates(of_mean, "h", 3):
        np.testing.assert_allclose(step(s), s, atol=1e-7)
