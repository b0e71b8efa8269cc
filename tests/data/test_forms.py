"""The forms of y: classes and numbers, of sequences and timesteps, however they are kept."""

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from rnnscope.data import Dataset, parquet
from rnnscope.data.classes import Classes, numbered, places
from rnnscope.errors import UserError
from tests.data.test_arrays import npy
from tests.data.test_data import Arrays, arrays, load, long_form, npz, write

N, T = 40, 6
PLAIN = np.arange(N) * 7 % 5
STEPS = np.arange(N * T).reshape(N, T) * 7 % 5


def made(y: Any, x: Any = None) -> Arrays:
    x = np.random.default_rng(0).normal(size=(N, T, 2)) if x is None else x
    return {"x_test": x, "y_test": np.asarray(y)}


def ready(dataset: Dataset) -> NDArray[Any]:
    y = dataset.test.take(slice(None)).y
    assert y is not None
    return y


def complaint(path: Path, **changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        load(path, **changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


FORMS: dict[str, NDArray[Any]] = {
    "whole numbers": PLAIN,
    "bytes": PLAIN.astype(np.uint8),
    "floats": PLAIN.astype(np.float64),
    "column": PLAIN[:, np.newaxis],
    "column of floats": PLAIN[:, np.newaxis].astype(np.float32),
    "one-hot": np.eye(5)[PLAIN],
    "one-hot of whole numbers": np.eye(5, dtype=np.int8)[PLAIN],
    "one-hot flags": np.eye(5, dtype=bool)[PLAIN],
    "names": PLAIN.astype(str),
    "names in bytes": PLAIN.astype("S"),
}
OF_TIMESTEPS: dict[str, NDArray[Any]] = {
    "whole numbers": STEPS,
    "floats": STEPS.astype(np.float64),
    "last axis": STEPS[:, :, np.newaxis],
    "one-hot": np.eye(5)[STEPS],
    "names": STEPS.astype(str),
}


@pytest.mark.parametrize("folder", [npz, npy])
@pytest.mark.parametrize("form", FORMS)
def test_classes_of_sequences_in_every_form(form: str, folder: Any, tmp_path: Path) -> None:
    dataset = load(folder(tmp_path, made(FORMS[form])))
    assert dataset.test.labels == "class per sequence"
    assert dataset.classes == tuple("01234")
    assert all(type(name) is str for name in dataset.classes)
    np.testing.assert_array_equal(ready(dataset), PLAIN)


@pytest.mark.parametrize("folder", [npz, npy])
@pytest.mark.parametrize("form", OF_TIMESTEPS)
def test_classes_of_timesteps_need_no_option(form: str, folder: Any, tmp_path: Path) -> None:
    lengths = np.arange(N) % T + 1
    path = folder(tmp_path, made(OF_TIMESTEPS[form]) | {"lengths_test": lengths})
    for labels, task in ((None, None), ("timestep", None), (None, "classification")):
        dataset = load(path, labels=labels, task=task)
        assert dataset.test.labels == "class per timestep"
        assert dataset.classes == tuple("01234")
        want = np.where(np.arange(T) < lengths[:, np.newaxis], STEPS, 0)
        np.testing.assert_array_equal(ready(dataset), want)


@pytest.mark.parametrize("junk", [-1, 9, np.nan])
def test_padding_of_labels_of_timesteps_is_not_read(junk: float, tmp_path: Path) -> None:
    lengths = np.arange(N) % T + 1
    valid = np.arange(T) < lengths[:, np.newaxis]
    y = np.where(valid, STEPS, junk)
    hot = np.where(valid[:, :, np.newaxis], np.eye(5)[STEPS], junk)
    for values in (y if np.isnan(junk) else y.astype(int), hot):
        dataset = load(npz(tmp_path, made(values) | {"lengths_test": lengths}))
        assert dataset.classes == tuple("01234")
        np.testing.assert_array_equal(ready(dataset), np.where(valid, STEPS, 0))


def test_one_hot_has_all_its_classes_though_the_last_never_occurs(tmp_path: Path) -> None:
    assert load(npz(tmp_path, made(np.eye(8)[PLAIN]))).classes == tuple("01234567")


@pytest.mark.parametrize(
    ("y", "task", "kind", "says"),
    [
        (
            PLAIN + 1.0,
            None,
            "class",
            "5 different ones, are taken as classes; data.task=regression",
        ),
        (PLAIN + 1.0, "classification", "class", ""),
        (PLAIN + 1.0, "regression", "number", ""),
        (PLAIN, "regression", "number", ""),
        (PLAIN / 2, None, "number", ""),
        (np.arange(N) * 1.0, None, "number", "40 .*numeric targets; data.task=classification"),
        (np.arange(N) * 1.0, "classification", "class", ""),
        (PLAIN > 2, None, "class", ""),
    ],
)
def test_the_task_is_told_or_found_and_then_said(
    y: Any, task: str | None, kind: str, says: str, tmp_path: Path, caplog: Any
) -> None:
    with caplog.at_level(logging.INFO):
        dataset = load(npz(tmp_path, made(y)), task=task)
    assert dataset.test.labels == f"{kind} per sequence"
    *found, described = caplog.messages
    assert "test 40 sequences" in described
    assert len(found) == bool(says)
    assert re.search(says, "".join(found))
    np.testing.assert_array_equal(ready(dataset), y)


def test_a_float_split_goes_with_a_whole_one(tmp_path: Path) -> None:
    both = made(PLAIN) | {"x_train": np.ones((N, T, 2)), "y_train": PLAIN * 1.0}
    dataset = load(npz(tmp_path, both))
    assert dataset.train is not None
    assert dataset.train.labels == dataset.test.labels == "class per sequence"


@pytest.mark.parametrize("values", [(20240131, 20240201, 20231231), (10**8, 7), (-1, 1), (-1, 5)])
@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_large_and_negative_labels_are_as_many_classes_as_there_are(
    values: tuple[int, ...], dtype: Any, tmp_path: Path
) -> None:
    y = np.resize(np.array(values, dtype), N)
    dataset = load(npz(tmp_path, made(y)))
    known = sorted(values)
    assert dataset.classes == tuple(map(str, known))
    assert [known[number] for number in ready(dataset)] == y.tolist()


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("each", [False, True])
def test_so_they_are_in_tables(
    each: bool, streams: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if streams:
        monkeypatch.setattr(parquet, "IN_MEMORY", 0)
    frame = long_form(arrays())
    plain = frame["sequence"] + (frame["timestep"] if each else 0)
    labels = "timestep" if each else None
    want = ready(load(write(tmp_path, frame.assign(label=plain % 3)), labels=labels))
    for label in (plain % 3 * 10**7 + 20240131, (plain % 3).astype(float)):
        path = write(tmp_path, frame.assign(label=label))
        dataset = load(path, labels=labels)
        assert len(dataset.classes) == 3
        np.testing.assert_array_equal(ready(dataset), want)


def test_tokens_are_their_own_classes_although_few_occur() -> None:
    assert not numbered(np.array([3, 17, 999])).ranked
    assert not numbered(np.arange(0, 30_000, 90)).ranked
    assert numbered(np.array([3, 17, 20240131])).ranked


@pytest.mark.parametrize(
    ("values", "k", "numbers"),
    [
        ((0, 1, 2), 3, (0, 1, 2)),
        ((1, 2, 3), 3, (0, 1, 2)),
        ((1, 2, 3), 4, (1, 2, 3)),
        ((0, 2), 3, (0, 2)),
        ((-1, 1), 2, (0, 1)),
        ((20240131, 20240201), 2, (0, 1)),
        ((5, 40_000), 50_000, (5, 40_000)),
        ((1, 2, 7), 4, (1, 2, 7)),  # fits nothing: refused where it is recorded
    ],
)
def test_classes_are_numbered_as_a_models_outputs(
    values: tuple[int, ...], k: int, numbers: tuple[int, ...]
) -> None:
    found = places(numbered(np.array(values)), k)
    assert tuple(found.numbers(np.array(values))) == numbers
    assert [found.names[n] for n in numbers] == list(map(str, values))


def test_no_class_is_made_of_a_number_past_a_million(tmp_path: Path) -> None:
    many = np.arange(0, 2**24, 160)  # one in a hundred and sixty, and more than 100,000 of them
    assert numbered(many).ranked
    assert numbered(many * 5).ranked
    assert len(numbered(np.arange(0, 900_000, 90)).names) == 899_911
    path = npz(tmp_path, made(np.resize([3, 1000, 10**9], N)))
    assert load(path, max_classes=3).classes == ("3", "1000", "1000000000")
    says = complaint(path, max_classes=2)
    assert "y_test has 3 different values: a regression target? Then give data.task" in says
    assert "data.max_classes=3" in says
    assert load(path, task="regression", max_classes=2).test.numeric


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_neighbours_that_no_float_tells_apart_are_classes_of_their_own(
    dtype: Any, tmp_path: Path
) -> None:
    y = np.resize(np.array([2**60 + 1, 2**60, 2**60 + 2], dtype), N)
    dataset = load(npz(tmp_path, made(y)))
    assert ready(dataset).tolist() == np.resize([1, 0, 2], N).tolist()
    assert dataset.classes == (str(2**60), str(2**60 + 1), str(2**60 + 2))


def test_dates_are_named_as_they_are_written(tmp_path: Path) -> None:
    y = np.resize(np.array(["2024-02-01", "2024-01-31"], "M8[D]"), N)
    dataset = load(npz(tmp_path, made(y)))
    assert dataset.classes == ("2024-01-31", "2024-02-01")
    assert ready(dataset).tolist() == np.resize([1, 0], N).tolist()


def test_names_keep_their_numbers_whatever_the_model() -> None:
    classes = Classes(("a", "b"))
    assert places(classes, 7) is classes


@pytest.mark.parametrize(
    ("y", "changes", "says"),
    [
        (np.ones((N, T)) / 3, {}, r"shape \(40, 6\): .*data.labels=timestep; if not, .* 6 numbers"),
        (STEPS * 1.0, {"task": "regression"}, "data.labels=timestep; if not"),
        (np.ones((N, 3)) / 3, {}, "3 numbers for each sequence, .*keep one column.* without y"),
        (np.ones((N, 3), int), {}, "3 numbers for each sequence, which are not one-hot"),
        (np.ones((N, 3)) / 3, {"labels": "timestep"}, r"data.labels=timestep takes \[40, 6\]"),
        (np.eye(5)[PLAIN], {"labels": "timestep"}, "does not go with data.labels=timestep"),
        (np.eye(5)[STEPS], {"labels": "sequence"}, "does not go with data.labels=sequence"),
        (np.eye(T)[PLAIN], {}, "with a single 1 in each row: .*sequence; .*data.labels=timestep"),
        (STEPS, {"labels": "sequence"}, "need data.labels=timestep, not data.labels=sequence"),
        (PLAIN / 2, {"task": "classification"}, "holds fractions, such as 0.5; data.task"),
        (PLAIN.astype(str), {"task": "regression"}, "names, which does not go with data.task"),
        (PLAIN * 1j, {}, "has type complex128"),
        (np.where(PLAIN > 3, np.nan, 1), {}, r"y_test\[2\] is nan; a target must be"),
        (STEPS - 1, {}, r"y_test\[0, 0\] is -1; classes of timesteps count from 0"),
    ],
)
def test_what_can_mean_two_things_is_refused_with_both(
    y: Any, changes: dict[str, Any], says: str, tmp_path: Path
) -> None:
    assert re.search(says, complaint(npz(tmp_path, made(y)), **changes))


def test_the_remedies_work(tmp_path: Path) -> None:
    path = npz(tmp_path, made(np.eye(T)[PLAIN]))
    np.testing.assert_array_equal(ready(load(path, labels="sequence")), PLAIN)
    np.testing.assert_array_equal(ready(load(path, labels="timestep")), np.eye(T)[PLAIN])
    path = npz(tmp_path, made(np.ones((N, T)) / 3))
    assert load(path, labels="timestep").test.labels == "number per timestep"
    with np.load(path) as held:
        one = {"x_test": held["x_test"], "y_test": held["y_test"][:, 0]}
    assert load(npz(tmp_path, one)).test.labels == "number per sequence"


@pytest.mark.parametrize(
    ("column", "task"), [("label", "regression"), ("target", "classification")]
)
def test_a_column_named_for_the_other_task_is_refused(
    column: str, task: str, tmp_path: Path
) -> None:
    path = write(tmp_path, long_form(arrays()).rename(columns={"label": column}))
    assert f"does not go with data.task={task}: name the column" in complaint(path, task=task)


def test_no_message_spells_out_all_of_many_names(tmp_path: Path) -> None:
    many = {f"a_{n}_test": np.ones(3) for n in range(141)}
    says = complaint(npz(tmp_path, made(PLAIN) | many))
    assert says.count("a_") < 13
    assert "and 130 more" in says
    frame = long_form(arrays()).drop(columns="timestep")
    names = [f"c{n}x" for n in range(141)]
    says = complaint(write(tmp_path, frame.join(pd.DataFrame(0, frame.index, names))))
    assert says.count("x,") < 13


@pytest.mark.parametrize("folder", [npz, npy])
@pytest.mark.parametrize(("labels", "task"), [(None, None), ("timestep", "regression")])
def test_floats_of_three_axes_are_several_targets_of_each_timestep(
    folder: Any, labels: str | None, task: str | None, tmp_path: Path
) -> None:
    """Also where all are whole, as of a flip-flop, and with anything in the padding."""
    y = np.where(np.arange(N * T * 2).reshape(N, T, 2) % 3, 1.0, -1.0)
    lengths = np.arange(N) % T + 1
    valid = np.arange(T) < lengths[:, np.newaxis]
    given = np.where(valid[:, :, np.newaxis], y, np.nan)
    both: Arrays = {f"x_{part}": np.ones((N, T, 3)) for part in ("train", "test")}
    both |= {f"y_{part}": given for part in ("train", "test")}
    both |= {f"lengths_{part}": lengths for part in ("train", "test")}
    dataset = load(folder(tmp_path, both), labels=labels, task=task)
    assert dataset.test.labels == "vector of 2 numbers per timestep"
    assert (dataset.test.targets, dataset.classes) == (2, ())
    np.testing.assert_array_equal(ready(dataset), np.where(valid[:, :, np.newaxis], y, 0))


@pytest.mark.parametrize(
    ("y", "options", "says"),
    [
        (np.ones((N, T, 3), int), {}, "3 whole numbers for each timestep, .* written as floats"),
        (np.ones((N, T, 3)), {"task": "classification"}, "takes one class for each"),
        (np.ones((N, T, 3)), {"labels": "sequence"}, "18 numbers for each sequence"),
        (np.ones((N, T + 1, 3)), {}, "numbers for each sequence, which are not one-hot"),
        (np.full((N, T, 3), np.nan), {}, r"y_test\[0, 0, 0\] is nan; a target must be a finite"),
    ],
)
def test_other_arrays_of_three_axes_are_refused(
    y: Any, options: dict[str, Any], says: str, tmp_path: Path
) -> None:
    assert re.search(says, complaint(npz(tmp_path, made(y)), **options))


def test_splits_have_as_many_targets_as_each_other(tmp_path: Path) -> None:
    both = made(np.ones((N, T, 3))) | {"x_train": np.ones((N, T, 2)), "y_train": np.ones((N, T, 2))}
    says = complaint(npz(tmp_path, both))
    assert "train has a vector of 2 numbers per timestep" in says
    assert "test has a vector of 3 numbers per timestep" in says


@pytest.mark.parametrize("name", ["target_0", "prediction_12"])
def test_annotations_do_not_take_the_names_of_several_targets(name: str, tmp_path: Path) -> None:
    path = npz(tmp_path, made(PLAIN) | {f"{name}_test": STEPS})
    assert f"'{name}' is a reserved name" in complaint(path, annotations=[name])


@pytest.mark.parametrize("labels", [None, "timestep"])
def test_targets_that_happen_to_be_one_hot_are_targets_where_it_is_said(
    labels: str | None, tmp_path: Path
) -> None:
    y = np.eye(3, dtype=np.float32)[STEPS % 3]
    path = npz(tmp_path, made(y))
    assert load(path).classes == ("0", "1", "2")
    dataset = load(path, task="regression", labels=labels)
    assert not dataset.classes
    np.testing.assert_array_equal(ready(dataset), y)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_one_hot_in_one_split_alone_is_no_class(split: str, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    found: Arrays = {}
    for name in ("train", "val", "test"):
        y = random.uniform(size=(N, T, 3)).astype(np.float32)
        found |= {f"x_{name}": random.normal(size=(N, T, 2)), f"y_{name}": y}
    found[f"y_{split}"] = np.eye(3, dtype=np.float32)[STEPS % 3]
    dataset = load(npz(tmp_path, found))
    assert not dataset.classes
    part = {"train": dataset.train, "val": dataset.val, "test": dataset.test}[split]
    assert part is not None
    np.testing.assert_array_equal(part.take(slice(None)).y, found[f"y_{split}"])


def test_one_hot_classes_of_sequences_are_no_targets(tmp_path: Path) -> None:
    path = npz(tmp_path, made(np.eye(5)[PLAIN]))
    assert "5 numbers for each sequence" in complaint(path, task="regression")
    same = npz(tmp_path, made(np.eye(T)[PLAIN]))  # as many as timesteps
    said = complaint(same, task="regression", labels="sequence")
    assert "labels of single timesteps by their shape" in said
