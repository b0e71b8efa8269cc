"""Labels, targets and annotations: the same from every form of data, and placed when wrong."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnscope.data import Dataset, Split, lengths, parquet, rows
from rnnscope.data.holding import hold_out
from rnnscope.data.labels import Given, labels_from
from rnnscope.data.mapped import Chosen
from rnnscope.data.rows import Streamed
from rnnscope.errors import UserError
from tests.data.test_arrays import npy
from tests.data.test_data import Arrays, N, T, arrays, load, long_form, npz, whole, write

ANNOTATIONS = ["depth", "surprise", "flag"]
KINDS = ["class per sequence", "class per timestep", "number per sequence", "number per timestep"]


def known(kind: str, seed: int = 0) -> Arrays:
    """Sequences with labels or targets of that kind, and annotations; junk in the padding."""
    random = np.random.default_rng(seed)
    made = arrays(seed)
    for part in ("train", "test"):
        shape = (N, T) if kind.endswith("timestep") else (N,)
        y: NDArray[Any] = random.integers(0, 4, shape)
        if kind.startswith("number"):
            y = random.normal(size=shape)
        padding = np.arange(T) >= made[f"lengths_{part}"][:, np.newaxis]
        depth = random.integers(-3, 9, (N, T))
        surprise = random.normal(size=(N, T))
        surprise[random.random((N, T)) < 0.2] = np.nan  # not known of every timestep
        flag = random.random((N, T)) < 0.5
        depth[padding], surprise[padding] = -(10**12), np.inf
        if y.ndim == 2:
            y[padding] = np.nan if kind.startswith("number") else -1
        made |= {f"y_{part}": y, f"depth_{part}": depth}
        made |= {f"surprise_{part}": surprise, f"flag_{part}": flag}
    return made


def table(made: Arrays, kind: str) -> pd.DataFrame:
    """The same, one row per valid timestep."""
    unlabelled = {f"y_{part}": np.zeros(N) for part in ("train", "test")}
    frame = long_form(made | unlabelled)
    of_rows: dict[str, list[NDArray[Any]]] = {}
    for part in ("train", "test"):
        valid = np.arange(T) < made[f"lengths_{part}"][:, np.newaxis]
        y = made[f"y_{part}"]
        y = y if y.ndim == 2 else np.repeat(y[:, np.newaxis], T, axis=1)
        for name, values in [("y", y), *((name, made[f"{name}_{part}"]) for name in ANNOTATIONS)]:
            of_rows.setdefault(name, []).append(values[valid])
    columns: dict[str, Any] = {name: np.concatenate(values) for name, values in of_rows.items()}
    y = columns.pop("y")
    frame = frame.drop(columns="label").assign(**columns)
    return frame.assign(**{"label" if kind.startswith("class") else "target": y})


def streamed(folder: Path, frame: pd.DataFrame) -> Path:
    path = folder / "mine.parquet"
    frame.to_parquet(path, index=False, row_group_size=11)
    return path


FORMS: dict[str, Callable[[Path, Arrays, str], Path]] = {
    ".npz": lambda folder, made, kind: npz(folder, made),
    ".npy": lambda folder, made, kind: npy(folder, made),
    ".csv": lambda folder, made, kind: write(folder, table(made, kind), "csv"),
    ".parquet": lambda folder, made, kind: write(folder, table(made, kind)),
    "streamed": lambda folder, made, kind: streamed(folder, table(made, kind)),
}


def loaded(path: Path, kind: str, validation: float = 0.0) -> Dataset:
    return load(path, validation, labels=kind.rpartition(" ")[2], annotations=ANNOTATIONS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_labels_and_annotations(
    form: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if form == "streamed":
        monkeypatch.setattr(parquet, "IN_MEMORY", 0)
        monkeypatch.setattr(rows, "BATCH", 7)
    made = known(kind)
    dataset = loaded(FORMS[form](tmp_path, made, kind), kind)
    assert isinstance(dataset.test.x, Streamed) == (form == "streamed")
    assert dataset.classes == (tuple("0123") if kind.startswith("class") else ())
    assert dataset.train is not None
    for part, split in (("train", dataset.train), ("test", dataset.test)):
        assert split.labels == kind
        for index in (slice(None), slice(3, 9), np.array([5, 2, 5])):
            batch = split.take(index)
            valid = batch.valid
            assert batch.y is not None
            assert batch.y.dtype == (np.int32 if kind.startswith("class") else np.float32)
            want = made[f"y_{part}"][index]
            if kind.endswith("timestep"):
                want = np.where(valid, want, 0)
            np.testing.assert_array_equal(batch.y, want.astype(batch.y.dtype))
            assert list(batch.steps) == ANNOTATIONS
            for name, dtype in zip(ANNOTATIONS, (np.int32, np.float32, np.int32), strict=True):
                want = np.where(valid, made[f"{name}_{part}"][index], 0).astype(dtype)
                assert batch.steps[name].dtype == dtype
                np.testing.assert_array_equal(batch.steps[name], want)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", [".npz", ".npy", "streamed"])
def test_a_validation_split_keeps_what_belongs_together(
    form: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "IN_MEMORY", 0)
    made = known(kind)
    dataset = loaded(FORMS[form](tmp_path, made, kind), kind, 0.3)
    seen = []
    original = loaded(npz(tmp_path, made), kind)
    assert original.train is not None
    everything = original.train.take(slice(None))
    assert everything.y is not None
    for split in whole(dataset)[:2]:
        again = split.select(np.arange(len(split))[::-1]).take(slice(None))
        for number in range(len(split)):
            batch = split.take(np.array([number]))
            x = np.zeros_like(everything.x[:1])
            x[:, : batch.x.shape[1]] = batch.x
            place = int(np.flatnonzero((everything.x == x).all(axis=(1, 2)))[0])
            seen.append(place)
            for one, other in (
                (batch.y, everything.y),
                *((batch.steps[name], everything.steps[name]) for name in ANNOTATIONS),
            ):
                assert one is not None
                want = other[[place]][:, : one.shape[1]] if one.ndim == 2 else other[[place]]
                np.testing.assert_array_equal(one, want)
            assert again.y is not None
            np.testing.assert_array_equal(again.y[-1 - number], batch.y[0])  # type: ignore[index]
    assert sorted(seen) == list(range(N))


def test_what_is_known_of_timesteps_stays_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = "class per timestep"
    made = known(kind)
    dataset = loaded(npy(tmp_path, made), kind, 0.2)
    assert isinstance(dataset.test.y, np.memmap)
    assert isinstance(dataset.test.steps["depth"], np.memmap)
    assert dataset.val is not None
    assert isinstance(dataset.val.y, Chosen)
    monkeypatch.setattr(parquet, "IN_MEMORY", 0)
    test = loaded(streamed(tmp_path, table(made, kind)), kind).test
    assert isinstance(test.y, Streamed)
    assert isinstance(test.steps["surprise"], Streamed)
    assert test.y.shape == test.steps["surprise"].shape == (N, T)


@given(st.integers(0, 10_000), st.integers(1, 300), st.booleans())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_the_largest_class_is_that_of_valid_timesteps(seed: int, block: int, each: bool) -> None:
    random = np.random.default_rng(seed)
    count, steps = random.integers(1, 9, 2)
    of = random.integers(1, steps + 1, count).astype(np.int32)
    valid = np.arange(steps) < of[:, np.newaxis]
    y = np.where(valid, random.integers(0, 50, (count, steps)), random.integers(-99, 99))
    values = y.astype(random.choice(["int64", "int16"])) if each else y[:, 0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lengths, "BLOCK", block)
        known, classes = labels_from(
            {"test": Given(values, steps, of, "y")}, "timestep" if each else "sequence", None
        )
    got, largest = known["test"], y[valid].max() if each else y[:, 0].max()
    assert classes.names == tuple(map(str, range(largest + 1)))
    np.testing.assert_array_equal(
        np.asarray(got)[valid] if each else got, values[valid] if each else values
    )


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("named", ["names", "categories", "numbers as categories", "flags"])
def test_labels_of_timesteps_may_be_names(
    named: str, streams: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if streams:
        monkeypatch.setattr(parquet, "IN_MEMORY", 0)
        monkeypatch.setattr(rows, "BATCH", 7)
    made = known("class per timestep")
    frame = table(made, "class per timestep").drop(columns=ANNOTATIONS)
    names = {0: "verb", 1: "noun", 2: "other", 3: "adverb"}
    classes: tuple[str, ...] = ("adverb", "noun", "other", "verb")
    code = np.array([3, 1, 2, 0])
    if named == "flags":
        frame["label"] = frame["label"] > 1
        classes, code = ("False", "True"), np.array([0, 0, 1, 1])
    elif named == "numbers as categories":
        frame["label"] = pd.Categorical(frame["label"], [3, 1, 0, 2])
        classes, code = tuple("0123"), np.arange(4)
    else:
        frame["label"] = frame["label"].map(names)
        if named == "categories":
            frame["label"] = pd.Categorical(frame["label"], ["verb", "noun", "adverb", "other"])
    dataset = load(streamed(tmp_path, frame), labels="timestep")
    assert isinstance(dataset.test.x, Streamed) == streams
    assert dataset.classes == classes
    batch = dataset.test.take(slice(None))
    assert batch.y is not None
    np.testing.assert_array_equal(batch.y[batch.valid], code[made["y_test"][batch.valid]])


@pytest.mark.parametrize("streams", [False, True])
def test_whole_numbers_with_a_gap_are_kept_as_fractions(
    streams: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if streams:
        monkeypatch.setattr(parquet, "IN_MEMORY", 0)
    frame = long_form(arrays())
    frame["depth"] = pd.array(np.arange(len(frame)) % 7, "Int64")
    frame.loc[2, "depth"] = pd.NA  # in the training split: one type for all
    dataset = load(streamed(tmp_path, frame), annotations=["depth"])
    assert dataset.train is not None
    assert isinstance(dataset.test.steps["depth"], Streamed) == streams
    train, test = dataset.train.take(slice(None)), dataset.test.take(slice(None))
    assert train.steps["depth"].dtype == test.steps["depth"].dtype == np.float32
    both = [batch.steps["depth"][batch.valid] for batch in (train, test)]
    want = frame["depth"].astype(np.float32).to_numpy(np.float32, na_value=np.nan)
    np.testing.assert_array_equal(np.concatenate(both), want)


def test_annotations_may_be_there_for_the_test_split_alone(tmp_path: Path) -> None:
    made = arrays() | {"depth_test": np.ones((N, T))}
    dataset = load(npz(tmp_path, made), annotations=["depth"])
    assert dataset.train is not None
    assert (list(dataset.train.steps), list(dataset.test.steps)) == ([], ["depth"])


def test_annotations_are_no_features(tmp_path: Path) -> None:
    frame = long_form(arrays())
    test = load(write(tmp_path, frame), annotations=["v"]).test
    assert test.features == 2
    assert list(test.steps) == ["v"]


@pytest.mark.parametrize("kind", KINDS)
def test_parting_a_split_needs_classes_of_sequences_to_be_in_proportion(kind: str) -> None:
    made = known(kind)
    kept, held = hold_out(Split(made["x_train"], made["y_train"]), 0.5, 0)
    assert len(kept) == len(held) == N // 2
    assert kept.y is not None
    if kind == "class per sequence":
        np.testing.assert_allclose(np.bincount(kept.y), np.bincount(made["y_train"]) / 2, atol=0.5)


# What does not fit


def complaint(path: Path, labels: str, annotations: list[str] | None = None) -> str:
    with pytest.raises(UserError) as caught:
        load(path, labels=labels, annotations=annotations)
    message = str(caught.value)
    assert "\n" not in message
    return message


Y = np.zeros((N, T), int)
LAST = (np.arange(N)[:, np.newaxis] == 7) & (np.arange(T) == 1)


@pytest.mark.parametrize("form", [npz, npy])
@pytest.mark.parametrize(
    ("labels", "change", "says"),
    [
        (
            "sequence",
            {"y_test": Y},
            r"y_test has shape \(30, 5\), labels of .*data.labels=timestep",
        ),
        (
            "timestep",
            {"y_test": Y[:, 0]},
            r"y_test has shape \(30,\); data.labels=timestep takes \[30, 5\].*labels=sequence$",
        ),
        (
            "timestep",
            {"y_test": Y[:, :4]},
            r"y_test has shape \(30, 4\); data.labels=timestep takes \[30, 5\], as x$",
        ),
        (
            "timestep",
            {"y_test": np.where(LAST, -1, 0)},
            r"y_test\[7, 1\] is -1; classes of timesteps count from 0.*give the data's lengths",
        ),
        (
            "timestep",
            {"y_test": np.where(LAST, np.nan, 0)},
            r"y_test\[7, 1\] is nan; a target must be a finite number",
        ),
        ("timestep", {"y_test": np.where(LAST, 1e300, 0)}, r"y_test\[7, 1\] is 1e\+300; a target"),
        ("sequence", {"y_test": np.where(LAST[:, 1], np.inf, 0)}, r"y_test\[7\] is inf; a target"),
        (
            "timestep",
            {"y_test": np.full((N, T), "a")},
            "y_test holds names, which does not go with .*y_train",
        ),
        (
            "timestep",
            {"y_test": Y, "y_train": (Y + 1) / 2},
            "y_train holds fractions and .*y_test whole numbers; .*data.task=regression takes both",
        ),
    ],
)
def test_labels_that_do_not_fit_are_placed(
    labels: str, change: Arrays, says: str, form: Any, tmp_path: Path
) -> None:
    made = arrays() | {"y_train": Y if labels == "timestep" else Y[:, 0]}
    made["lengths_test"][:] = T
    path = form(tmp_path, made | change)
    message = complaint(path, labels)
    assert re.search(says, message)
    assert message.startswith(f"data.path={path}: ")


@pytest.mark.parametrize(
    ("names", "change", "says"),
    [
        (["depth"], {}, r"^data.annotations=\[depth\]: no array 'depth_test' in "),
        (["depth"], {"depth_test": Y[:, 0]}, r"depth_test has shape \(30,\); it must be \[30, 5\]"),
        (["depth"], {"depth_test": np.full((N, T), "a")}, "depth_test has type <U1; annotations"),
        (["depth"], {"depth_test": np.where(LAST, np.inf, 0)}, r"depth_test\[7, 1\] is inf; an"),
        (["depth"], {"depth_test": np.where(LAST, 2**31, 0)}, r"depth_test\[7, 1\] is 2147483648"),
        ([], {"depth_test": Y}, r"unknown arrays depth_test; .*data.annotations"),
        (["loss"], {"loss_test": Y}, r"^data.annotations=\[loss\]: 'loss' is a reserved name"),
        (["a", "a"], {"a_test": Y}, r"^data.annotations=\[a,a\]: 'a' is named twice"),
        (["x_a"], {"x_a_test": Y}, r"^data.annotations=\[x_a\]: 'x_a_test' is reserved"),
        (["lengths"], {}, r"^data.annotations=\[lengths\]: 'lengths_test' is reserved"),
    ],
)
def test_annotations_that_do_not_fit_are_placed(
    names: list[str], change: Arrays, says: str, tmp_path: Path
) -> None:
    made = arrays()
    made["lengths_test"][:] = T
    assert re.search(says, complaint(npz(tmp_path, made | change), "sequence", names))


CHANGES: dict[str, tuple[Any, str]] = {
    "two labels": (
        lambda f: f.assign(label=f["label"].where(f["timestep"] == 0, 1)),
        "sequence 0 has more than one label; labels of single timesteps need data.labels=timestep",
    ),
    "two targets": (
        lambda f: f.assign(target=f["timestep"] / 2).drop(columns="label"),
        "sequence 0 has more than one target; targets of single timesteps need data.labels=time",
    ),
    "both": (
        lambda f: f.assign(target=1.0),
        "columns 'label' and 'target': only one of them is allowed",
    ),
    "no number": (
        lambda f: f.assign(target="a").drop(columns="label"),
        "column 'target' is not numeric",
    ),
    "gap": (
        lambda f: f.assign(target=np.where(f.index == 4, np.nan, 1)).drop(columns="label"),
        "row 4 has no value in column 'target'",
    ),
    "infinite": (
        lambda f: f.assign(target=np.where(f.index == 4, 1e300, 1)).drop(columns="label"),
        "row 4 is infinite, or past float32, in column 'target'",
    ),
    "no annotation": (lambda f: f.drop(columns="u"), "no column 'u'"),
    "text": (lambda f: f.assign(u="a"), "column 'u' is not numeric"),
    "flag with a gap": (
        lambda f: f.assign(u=pd.Series([True] * len(f), f.index, object).where(f.index != 4, None)),
        "column 'u' is not numeric",
    ),
    "infinite annotation": (
        lambda f: f.assign(u=np.where(f.index == 4, np.inf, np.nan)),
        "row 4 is infinite, or past float32, in column 'u'",
    ),
    "large annotation": (
        lambda f: f.assign(u=np.where(f.index == 4, -(2**31) - 1, -(2**31))),
        "row 4 is past int32 in column 'u'",
    ),
    "fraction as label": (lambda f: f.assign(label=0.5), "labels must be whole numbers or names"),
}


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("wrong", CHANGES)
def test_tables_that_do_not_fit_say_where(
    wrong: str, streams: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if streams:
        monkeypatch.setattr(parquet, "IN_MEMORY", 0)
        monkeypatch.setattr(rows, "BATCH", 7)
    change, says = CHANGES[wrong]
    path = streamed(tmp_path, change(long_form(arrays())))
    message = complaint(path, "sequence", ["u"])
    at = "data.annotations=[u]" if wrong == "no annotation" else f"data.path={path}"
    assert message.startswith(f"{at}: {says}")


@pytest.mark.parametrize("streams", [False, True])
def test_a_negative_label_of_a_timestep_is_refused(
    streams: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if streams:
        monkeypatch.setattr(parquet, "IN_MEMORY", 0)
    frame = long_form(arrays())
    frame["label"] = np.where(frame.index == 40, -2, frame["timestep"])
    message = complaint(streamed(tmp_path, frame), "timestep")
    assert message.endswith("label -2; classes of timesteps count from 0")


# Memory

MEMORY = """
import sys
import numpy as np
from rnnscope.data import load, parquet
from tests.data.test_data import options

def peak():
    line = next(x for x in open("/proc/self/status") if x.startswith("VmHWM"))
    return int(line.split()[1]) / 1024

def timesteps(path):
    test = load(options(path, labels="timestep", annotations=["depth"])).test
    batches = (test.take(slice(i, i + 500)) for i in range(0, len(test), 500))
    return sum(batch.y.size + batch.steps["depth"].size for batch in batches)

parquet.IN_MEMORY = 0
timesteps(sys.argv[1])
before = peak()
print(timesteps(sys.argv[2]), peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize("form", [".npy", ".parquet"])
def test_memory_does_not_grow_with_what_is_known_of_timesteps(form: str, tmp_path: Path) -> None:
    paths = []
    for count in (1_000, 60_000):
        folder = tmp_path / str(count)
        folder.mkdir()
        depth = np.resize(np.arange(90, dtype=np.int64), (count, 100))
        if form == ".npy":  # the larger 96 MB, most of them labels and depths
            made = {"x_test": np.zeros((count, 100, 1), np.uint8)}
            paths.append(npy(folder, made | {"y_test": depth, "depth_test": depth / 2}))
        else:
            frame = pd.DataFrame({"u": np.float32(1), "depth": depth.ravel() / 2})
            frame["sequence"] = np.repeat(np.arange(count, dtype=np.int32), 100)
            frame["timestep"] = np.tile(np.arange(100, dtype=np.int32), count)
            frame["label"] = pd.Categorical(depth.ravel().astype(str))
            frame.to_parquet(folder / "table.parquet", index=False, row_group_size=100_000)
            paths.append(folder / "table.parquet")
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, *map(str, paths)], capture_output=True, text=True, check=True
    )
    total, grown = map(float, done.stdout.split())
    assert total == 2 * 60_000 * 100
    assert grown < 50
