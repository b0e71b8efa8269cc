"""States recorded elsewhere: what comes in is what is written and analysed, and nothing else is."""

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from rnnscope import stages, states
from rnnscope.errors import UserError
from rnnscope.stages import chain
from rnnscope.stages.summary import summary
from tests.compose import FINISHED, composed

N, T, U = 7, 5, 3
SIGNALS = ("h", "c", "i", "f", "o", "g")
Arrays = dict[str, Any]


def brought(path: Path, *overrides: str) -> tuple[str, ...]:
    return ("model=states", f"model.path={path}", *overrides)


def extracted(root: Path, path: Path, *overrides: str) -> Path:
    """The states that stage extract writes of what lies at a path."""
    (step,) = stages.run(composed(root, "stage=extract", *brought(path, *overrides)))
    return step.artefact.folder


def drawn(seed: int = 0, n: int = N, units: int = U) -> Any:
    return np.random.default_rng(seed).normal(size=(n, T, units)).astype(np.float32)


def labels(folder: Path, **arrays: Any) -> str:
    np.savez(folder / "labels.npz", **(arrays or {"y_test": np.arange(N) % 2}))
    return f"data.path={folder / 'labels.npz'}"


@pytest.fixture(scope="module")
def recorded(finished_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The states of the finished run as arrays: in a folder, an .npz and an HDF5 file."""
    folder = tmp_path_factory.mktemp("recorded")
    source = finished_root / "latest" / "extract"
    arrays = {
        f"lstm/{signal}": states.read_states(source, signal, layer="lstm", as_array=True)
        for signal in SIGNALS
    }
    np.savez(folder / "states.npz", **arrays)
    with h5py.File(folder / "states.h5", "w") as file:
        for name, values in arrays.items():
            file[name] = values
            (folder / "arrays" / name).parent.mkdir(parents=True, exist_ok=True)
            np.save(folder / "arrays" / f"{name}.npy", values)
    return folder


@pytest.mark.tensorflow
@pytest.mark.parametrize("form", ["states.npz", "states.h5", "arrays"])
def test_every_value_and_key_is_that_of_the_run_that_recorded_it(
    form: str, recorded: Path, finished_root: Path, tmp_path: Path
) -> None:
    source = finished_root / "latest" / "extract"
    found = extracted(tmp_path, recorded / form, *FINISHED[3:4], "extract.part_rows=40")
    for signal in SIGNALS:
        want, got = (pd.read_parquet(each / "lstm" / signal) for each in (source, found))
        pd.testing.assert_frame_equal(got, want)
        assert len(list((found / "lstm" / signal).iterdir())) == 8  # parts of 5 sequences
    want, got = (pd.read_parquet(each / "sequences.parquet") for each in (source, found))
    pd.testing.assert_frame_equal(got, want[["sequence", "length", "label"]])


@pytest.mark.slow
@pytest.mark.tensorflow
def test_every_analysis_gives_the_tables_of_the_run_that_recorded_them(
    recorded: Path, finished_root: Path, tmp_path: Path
) -> None:
    made = stages.run(composed(tmp_path, *brought(recorded / "states.npz"), *FINISHED[3:]))
    assert [step.stage.name for step in made] == [
        *("extract", "units", "population", "decoding", "report")
    ]
    tables = {
        "units": ("units", "tuning", "timesteps", "task_variance"),
        "population": ("population", "components", "trajectories", "correlation", "demixed"),
        "decoding": ("decoding", "decoding_units", "decoder_weights", "memory", "memory_capacity"),
    }
    for stage, names in tables.items():
        for name in names:
            want, got = (
                pd.read_parquet(root / "latest" / stage / f"{name}.parquet")
                for root in (finished_root, tmp_path)
            )
            pd.testing.assert_frame_equal(got, want)
    (page,) = (tmp_path / "latest" / "report").glob("*.html")
    text = page.read_text()
    assert "No proof was made:" in text
    assert "within the tolerance" not in text
    assert 'id="ablation"' not in text
    assert 'id="fixed-points"' not in text
    manifest = json.loads((tmp_path / "latest" / "extract" / "_manifest.json").read_text())
    assert "recorded elsewhere" in manifest["no_proof"]
    assert {"residuals", "worst", "proved"}.isdisjoint(manifest)
    assert "residual" not in manifest["headline"]
    said = summary({step.stage.name: step.artefact.folder for step in made})
    assert 'nlargest(5, "eta2")' in said  # labels are known, though no model predicts them


@pytest.mark.process
def test_nothing_that_writes_them_imports_tensorflow() -> None:
    code = "import sys, rnnscope.extract.brought.stage; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_stage_of_theirs_takes_tensorflow_and_each_stage_that_reruns_says_why_not(
    tmp_path: Path,
) -> None:
    np.savez(tmp_path / "s.npz", **{"lstm/c": drawn()})
    run = brought(tmp_path / "s.npz", "data=files", labels(tmp_path))
    steps = chain(composed(tmp_path, "stage=report", *run))
    assert not any(step.stage.tensorflow for step in steps)
    for stage in ("train", "ablation", "fixed_points"):
        with pytest.raises(UserError, match=f"stage={stage}: model=states has recorded states"):
            chain(composed(tmp_path, f"stage={stage}", *run))


def test_two_recordings_are_collected_and_compared(tmp_path: Path) -> None:
    own = labels(tmp_path, y_test=np.arange(40) % 2)
    for seed in (0, 1):
        np.savez(tmp_path / f"s{seed}.npz", **{"lstm/c": drawn(seed, 40)})
        options = ("stage=units", "units.permutations=0", "data=files", own)
        stages.run(composed(tmp_path / "root", *options, *brought(tmp_path / f"s{seed}.npz")))
    stages.run(composed(tmp_path / "root", "stage=collect"))
    stages.run(composed(tmp_path / "root", "stage=compare"))
    runs = pd.read_parquet(next((tmp_path / "root" / "collect").glob("[!.]*/runs.parquet")))
    assert list(runs["model.name"]) == ["states", "states"]
    assert runs.get("accuracy", pd.Series([None, None])).isna().all()
    compare = pd.read_parquet(next((tmp_path / "root" / "compare").glob("[!.]*/compare.parquet")))
    assert len(compare) == 1


def test_the_key_holds_the_content_and_not_the_place(tmp_path: Path) -> None:
    own = labels(tmp_path)

    def key(path: Path) -> str:
        run = composed(tmp_path, "stage=extract", *brought(path, "data=files", own))
        return chain(run)[0].artefact.key

    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        (tmp_path / name / "lstm").mkdir(parents=True)
        np.save(tmp_path / name / "lstm" / "c.npy", drawn(seed))
    assert key(tmp_path / "a") == key(tmp_path / "b") != key(tmp_path / "c")


def test_labels_lengths_groups_and_annotations_are_those_of_the_data(tmp_path: Path) -> None:
    lengths = np.array([5, 1, 3, 5, 2, 4, 5])
    day, depth = np.arange(N) // 2, np.arange(N * T).reshape(N, T)
    y = np.arange(N * T).reshape(N, T) % 3
    own = labels(tmp_path, y_test=y, lengths_test=lengths, day_test=day, depth_test=depth)
    values = drawn()
    padding = np.arange(T) >= lengths[:, np.newaxis]
    values[padding] = np.inf  # past the lengths nothing is looked at
    np.savez(tmp_path / "s.npz", **{"lstm/c": values})
    found = extracted(
        tmp_path, tmp_path / "s.npz", "data=files", own, "data.groups=day",
        "data.annotations=[depth]",
    )  # fmt: skip
    rows = pd.read_parquet(found / "lstm" / "c")
    np.testing.assert_array_equal(rows["label"], y[~padding])
    np.testing.assert_array_equal(rows.filter(like="c_"), values[~padding])
    sequences, steps = (pd.read_parquet(found / f"{n}.parquet") for n in ("sequences", "steps"))
    np.testing.assert_array_equal(sequences[["group", "length"]], np.column_stack([day, lengths]))
    np.testing.assert_array_equal(steps["depth"], depth[~padding])
    np.testing.assert_array_equal(steps["label"], y[~padding])


def test_classes_are_those_that_occur(tmp_path: Path) -> None:
    y = np.array([3, 1, 1, 3, 3, 1, 3])
    np.savez(tmp_path / "s.npz", **{"lstm/c": drawn()})
    found = extracted(tmp_path, tmp_path / "s.npz", "data=files", labels(tmp_path, y_test=y))
    manifest = json.loads((found / "_manifest.json").read_text())
    assert manifest["classes"] == ["1", "3"]
    assert list(pd.read_parquet(found / "sequences.parquet")["label"]) == [1, 0, 0, 1, 1, 0, 1]


def test_without_lengths_in_the_data_a_sequence_ends_where_all_units_are_nan(
    tmp_path: Path,
) -> None:
    h, c = drawn(0), drawn(1)
    for values in (h, c):
        values[2, 3:] = values[5, 1:] = np.nan
    np.savez(tmp_path / "s.npz", **{"lstm/h": h, "lstm/c": c})
    found = extracted(tmp_path, tmp_path / "s.npz", "data=files", labels(tmp_path))
    sequences = pd.read_parquet(found / "sequences.parquet")
    assert list(sequences["length"]) == [5, 5, 3, 5, 5, 1, 5]
    assert len(pd.read_parquet(found / "lstm" / "c")) == 29


@pytest.mark.parametrize(
    ("dtype", "says"),
    [("int64", "lstm/c (int64)"), ("float64", "lstm/c (float64)"), ("float16", ""), ("bool", ""),
     ("uint8", ""), (">f4", ""), (">f8", "lstm/c (float64)")],
)  # fmt: skip
def test_any_real_numbers_are_stored_as_float32_and_the_log_says_what_changes(
    dtype: str, says: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = (np.arange(N * T * U).reshape(N, T, U) % 2).astype(dtype)
    arrays: Arrays = {"lstm/c": values}
    np.savez(tmp_path / "s.npz", **arrays)
    with caplog.at_level(logging.INFO):
        found = extracted(tmp_path, tmp_path / "s.npz", "data=files", labels(tmp_path))
    rows = pd.read_parquet(found / "lstm" / "c").filter(like="c_")
    assert set(map(str, rows.dtypes)) == {"float32"}
    np.testing.assert_array_equal(rows, values.reshape(-1, U).astype(float))
    assert (f"stored as float32: {says}" in caplog.text) == bool(says)


def test_what_is_written_may_be_chosen_as_of_a_model(tmp_path: Path) -> None:
    values: Arrays = {"a/h": drawn(0), "a/s1": drawn(1), "b.backward/h": drawn(2, units=2)}
    np.savez(tmp_path / "s.npz", **values)
    run = ("data=files", labels(tmp_path), "extract.units=[1,2]", "extract.timesteps=last")
    found = extracted(tmp_path, tmp_path / "s.npz", *run, "extract.max_sequences=4")
    want = {"a/h": (4, [1, 2]), "a/s1": (4, [1, 2]), "b.backward/h": (0, [1])}
    for name, (timestep, units) in want.items():
        rows = pd.read_parquet(found / name)
        np.testing.assert_array_equal(
            rows.filter(regex=r"_\d+$"), values[name][:4, timestep][:, units]
        )
        assert set(rows["timestep"]) == {timestep}
    # A layer of another name may read backwards too.
    named = extracted(tmp_path, tmp_path / "s.npz", *run, "model.backward=[a]")
    assert set(pd.read_parquet(named / "a" / "h")["timestep"]) == {0}
    assert set(pd.read_parquet(named / "b.backward" / "h")["timestep"]) == {4}


def test_layers_may_be_called_anything_that_a_folder_can_hold(tmp_path: Path) -> None:
    names = ["LSTM", "lstm", "con", "a b?", "é", "sequences.parquet"]
    np.savez(tmp_path / "s.npz", **{f"{name}/s0": drawn(n) for n, name in enumerate(names)})
    found = extracted(tmp_path / "root", tmp_path / "s.npz", "data=files", labels(tmp_path))
    for number, name in enumerate(names):
        got = states.read_states(found, "s0", layer=name, as_array=True)
        np.testing.assert_array_equal(got, drawn(number))
