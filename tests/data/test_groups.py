"""Groups of sequences: read from every form of data, never split, and no input of the network."""

import logging
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
from numpy.typing import NDArray

from rnnscope.data import Dataset, parquet
from rnnscope.errors import UserError
from tests.data.test_data import load, whole

N, T = 40, 5
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(N, T, 2)).astype(np.float32)
PATIENT = RANDOM.integers(0, 8, N)
NAMES = np.array([f"p{number}" for number in PATIENT])
Y = RANDOM.integers(0, 2, N)


def complaint(path: Path, **changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        load(path, **changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def arrays(groups: NDArray[Any] = PATIENT) -> dict[str, Any]:
    """A third of the sequences for the test."""
    found: dict[str, Any] = {}
    for part, rows in (("train", slice(0, 27)), ("test", slice(27, N))):
        found |= {f"x_{part}": X[rows], f"y_{part}": Y[rows], f"patient_{part}": groups[rows]}
    return found


def long_table(groups: NDArray[Any] = PATIENT) -> pd.DataFrame:
    """One row per timestep, all of them test."""
    sequence, timestep = np.divmod(np.arange(N * T), T)
    keys = {"sequence": sequence, "timestep": timestep, "label": Y[sequence]}
    features = dict(zip("ab", X.reshape(-1, 2).T, strict=True))
    return pd.DataFrame(keys | features | {"patient": groups[sequence]})


def wide_table(groups: NDArray[Any] = PATIENT) -> pd.DataFrame:
    """One row per sequence, the group in the middle of its timesteps."""
    steps = {f"t{n}": X[:, n, 0] for n in range(T)}
    frame = pd.DataFrame({"label": Y} | steps)
    frame.insert(3, "patient", groups)
    return frame


def written(folder: Path, kind: str, groups: NDArray[Any]) -> Path:
    """The data in a file of that kind."""
    path = folder / f"data.{kind}"
    match kind:
        case "npz":
            np.savez(path, **arrays(groups))
        case "npy":
            path = folder / "arrays"
            path.mkdir()
            for name, values in arrays(groups).items():
                np.save(path / f"{name}.npy", values)
        case "mat":
            kept = {
                name: values.astype(object)[:, np.newaxis] if values.dtype.kind == "U" else values
                for name, values in arrays(groups).items()
            }
            scipy.io.savemat(path, kept)
        case "h5":
            with h5py.File(path, "w") as file:
                for name, values in arrays(groups).items():
                    file[name] = values.astype("S") if values.dtype.kind == "U" else values
        case "csv":
            long_table(groups).to_csv(path, index=False)
        case "parquet":
            long_table(groups).to_parquet(path, index=False)
        case "wide.csv":
            wide_table(groups).to_csv(path, index=False)
    return path


def groups_of(dataset: Dataset) -> list[NDArray[Any]]:
    found = []
    for split in whole(dataset):
        assert split.groups is not None
        found.append(split.groups)
    return found


KINDS = ("npz", "npy", "mat", "h5", "csv", "parquet", "wide.csv")


@pytest.mark.parametrize("values", [PATIENT, NAMES], ids=["numbers", "text"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_form_of_data_has_its_groups_and_they_are_no_feature(
    kind: str, values: NDArray[Any], tmp_path: Path
) -> None:
    path = written(tmp_path, kind, values)
    dataset = load(path, groups="patient", validation=0.0)
    found = np.concatenate(groups_of(dataset))
    np.testing.assert_array_equal(np.sort(found), np.sort(values))
    assert found.dtype.kind == values.dtype.kind
    assert dataset.test.features == (1 if kind == "wide.csv" else 2)
    assert dataset.test.timesteps == T
    ours = dataset.test.take(slice(None)).x.reshape(len(dataset.test), T, -1)[:, :, 0]
    rows = np.arange(N)[-len(ours) :]
    np.testing.assert_allclose(ours, X[rows, :, 0], rtol=1e-5)
    np.testing.assert_array_equal(groups_of(dataset)[-1 if dataset.train else 0], values[rows])


def test_streamed_parquet_has_the_same_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, "parquet", NAMES)
    monkeypatch.setattr(parquet, "IN_MEMORY", 0)
    streamed = load(path, groups="patient")
    assert type(streamed.test.x).__name__ == "Streamed"
    np.testing.assert_array_equal(groups_of(streamed)[0], NAMES)


def divided(dataset: Dataset) -> list[set[Any]]:
    return [set(groups.tolist()) for groups in groups_of(dataset)]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", ["csv", "wide.csv", "parquet"])
def test_splits_that_are_drawn_share_no_group(kind: str, seed: int, tmp_path: Path) -> None:
    path = written(tmp_path, kind, NAMES)
    dataset = load(path, test_fraction=0.25, validation=0.3, seed=seed, groups="patient")
    parts = divided(dataset)
    assert [len(part) for part in parts] == [4, 2, 2]
    assert len(set.union(*parts)) == 8
    assert sum(len(split) for split in whole(dataset)) == N


def test_another_seed_draws_other_groups(tmp_path: Path) -> None:
    path = written(tmp_path, "csv", NAMES)
    drawn = [
        divided(load(path, test_fraction=0.25, seed=seed, groups="patient"))
        for seed in (0, 0, 1, 2)
    ]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2] or drawn[0] != drawn[3]


def test_a_fraction_that_takes_no_whole_group_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "csv", NAMES)
    said = complaint(path, test_fraction=0.05, groups="patient")
    assert said.startswith("data.test_fraction=0.05: this fraction of 8 groups leaves an empty")


def test_groups_that_given_splits_share_are_counted_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = written(tmp_path, "npz", NAMES)
    with caplog.at_level(logging.WARNING):
        load(path, groups="patient")
    (line,) = [each.getMessage() for each in caplog.records]
    shared = set(NAMES[:27]) & set(NAMES[27:])
    assert f"{len(shared)} of {len(set(NAMES[27:]))} in test are in train too" in line
    caplog.clear()
    apart = NAMES.copy()
    apart[27:] = [f"other {name}" for name in apart[27:]]
    np.savez(tmp_path / "apart.npz", **arrays(apart))
    with caplog.at_level(logging.WARNING):
        load(tmp_path / "apart.npz", groups="patient")
    assert not caplog.records


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_group_that_changes_within_a_sequence_is_refused(
    kind: str, streamed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if streamed:
        monkeypatch.setattr(parquet, "IN_MEMORY", 0)
    frame = long_table(NAMES)
    frame.loc[(frame["sequence"] == 7) & (frame["timestep"] == 3), "patient"] = "someone"
    path = tmp_path / f"data.{kind}"
    frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path, index=False)
    said = complaint(path, groups="patient")
    assert f"sequence 7 has two values in column 'patient', {NAMES[7]} and someone" in said


@pytest.mark.parametrize("kind", ["csv", "parquet", "wide.csv"])
def test_a_missing_group_is_refused(kind: str, tmp_path: Path) -> None:
    frame = wide_table(NAMES) if kind == "wide.csv" else long_table(NAMES)
    frame.loc[3, "patient"] = None
    path = tmp_path / f"data.{kind}"
    frame.to_parquet(path, index=False) if kind == "parquet" else frame.to_csv(path, index=False)
    said = complaint(path, groups="patient")
    assert ("row 3" if kind == "parquet" else "line 5") in said
    assert "'patient'" in said


@pytest.mark.parametrize(
    ("groups", "says"),
    [
        (np.full(N, 0.5), "patient_train[0] is 0.5; groups must be whole numbers or text"),
        (np.where(np.arange(N) == 2, np.nan, 1), "patient_train[2] is nan"),
        (np.array([""] * N), "patient_train[0] is empty"),
        (np.ones((N, T)), "patient_train has shape (27, 5); it must be [27], as x"),
        (np.ones(N, complex), "patient_train has type complex128"),
    ],
)
def test_what_is_no_group_is_refused(groups: NDArray[Any], says: str, tmp_path: Path) -> None:
    assert says in complaint(written(tmp_path, "npz", groups), groups="patient")


def test_whole_numbers_stored_as_floats_are_groups(tmp_path: Path) -> None:
    path = written(tmp_path, "npz", PATIENT.astype(np.float64))
    assert groups_of(load(path, groups="patient"))[0].dtype.kind == "i"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"groups": "nobody"}, "data.groups=nobody"),
        ({"groups": "label"}, "data.groups=label: 'label' is a reserved name"),
        ({"groups": "sequence"}, "data.groups=sequence: 'sequence' is a reserved name"),
        ({"groups": "patient", "annotations": ["patient"]}, "in data.annotations too"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_name_that_is_none_or_taken_is_refused(
    kind: str, changes: dict[str, Any], says: str, tmp_path: Path
) -> None:
    assert says in complaint(written(tmp_path, kind, PATIENT), **changes)


def test_an_array_without_the_option_is_unknown_and_a_split_without_it_refused(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, "npz", PATIENT)
    assert "unknown arrays patient_test" in complaint(path)
    known = arrays()
    del known["patient_train"]
    np.savez(path, **known)
    assert "no array 'patient_train'" in complaint(path, groups="patient")


# one long series


def series(folder: Path, day: NDArray[Any]) -> Path:
    frame = pd.DataFrame({"value": np.arange(len(day)) * 1.0, "day": day})
    frame.to_csv(folder / "sensor.csv", index=False)
    return folder / "sensor.csv"


def test_windows_of_a_series_lie_within_one_group(tmp_path: Path) -> None:
    day = np.repeat(np.arange(10), 24)
    path = series(tmp_path, day)
    dataset = load(path, groups="day", window=10, stride=5)
    x = dataset.test.take(slice(None)).x[:, :, 0].astype(int)
    assert dataset.test.features == 1
    starts = np.arange(0, 240 - 9, 5)
    inside = starts[day[starts] == day[starts + 9]]
    np.testing.assert_array_equal(x[:, 0], inside)
    assert (day[x] == day[x[:, :1]]).all()
    np.testing.assert_array_equal(groups_of(dataset)[0], day[x[:, 0]])


def test_the_target_of_a_window_lies_in_its_group_too(tmp_path: Path) -> None:
    day = np.repeat(np.arange(10), 24)
    dataset = load(series(tmp_path, day), groups="day", window=20, stride=1, horizon=3)
    split = dataset.test
    assert len(split) == 10 * 2
    batch = split.take(slice(None))
    assert batch.y is not None
    np.testing.assert_array_equal(day[batch.y.astype(int)], groups_of(dataset)[0])


@pytest.mark.parametrize("test", [0.1, 0.25, 0.33, 0.5])
def test_a_series_is_split_where_the_group_changes(
    test: float, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    day = np.repeat(np.arange(10), np.arange(20, 30))
    path = series(tmp_path, day)
    with caplog.at_level(logging.WARNING):
        dataset = load(path, groups="day", window=5, test_fraction=test, validation=0.2)
    train, val, apart = (divided(dataset)[place] for place in range(3))
    assert not (train & val) | (val & apart) | (train & apart)
    assert len(train | val | apart) == 10
    assert not caplog.records


def test_groups_that_come_back_in_a_series_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = series(tmp_path, np.repeat([0, 1, 0, 1], 30))
    with caplog.at_level(logging.WARNING):
        load(path, groups="day", window=5, test_fraction=0.5, validation=0.0)
    (line,) = [each.getMessage() for each in caplog.records]
    assert "2 of 2 in test are in train too" in line


def test_windows_longer_than_any_group_are_refused(tmp_path: Path) -> None:
    said = complaint(series(tmp_path, np.repeat(np.arange(9), 8)), groups="day", window=9)
    assert "too few for a window of 9 within one day" in said
