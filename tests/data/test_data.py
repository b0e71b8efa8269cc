"""Data: every source gives the same sequences, and says in one line what it cannot take."""

import dataclasses
import gc
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn import datasets

from rnnscope import data
from rnnscope.config import Digits, Files, Mnist
from rnnscope.data import Dataset, Split
from rnnscope.errors import UserError

N, T, F = 30, 5, 3

Arrays = dict[str, NDArray[Any]]
Tables = Callable[[pd.DataFrame], pd.DataFrame]


def options(path: Path, validation: float = 0.0, seed: int = 0, **changes: Any) -> Files:
    """The options of data=files, each null unless changed."""
    null = {field.name: None for field in dataclasses.fields(Files)}
    usual = {"name": "files", "missing": "refuse", "path": str(path)}
    fractions = {"validation_fraction": validation, "split_seed": seed}
    return Files(**null | usual | fractions | changes)


def load(path: Path, validation: float = 0.0, seed: int = 0, **changes: Any) -> Dataset:
    return data.load(options(path, validation, seed, **changes))


def digits(test: float = 0.2, validation: float = 0.1, seed: int = 0) -> Dataset:
    return data.load(Digits("digits", validation, seed, test))


def arrays(seed: int = 0) -> Arrays:
    """Sequences of 1 to T timesteps in two splits, zero in the padding."""
    random = np.random.default_rng(seed)
    made: Arrays = {}
    for part in ("train", "test"):
        lengths = random.integers(1, T + 1, N)
        lengths[0] = T
        x = random.normal(size=(N, T, F)).astype(np.float32)
        x[np.arange(T) >= lengths[:, np.newaxis]] = 0
        made |= {f"x_{part}": x, f"y_{part}": np.arange(N) % 3, f"lengths_{part}": lengths}
    return made


def npz(folder: Path, made: Arrays) -> Path:
    path = folder / "mine.npz"
    np.savez(path, allow_pickle=True, **made)
    return path


def long_form(made: Arrays) -> pd.DataFrame:
    """The same sequences, one row per valid timestep."""
    frames = []
    for part in ("train", "test"):
        x, y, lengths = (made[f"{kind}_{part}"] for kind in ("x", "y", "lengths"))
        for sequence in range(len(x)):
            valid = x[sequence, : lengths[sequence]]
            frame = pd.DataFrame(valid, columns=["u", "v", "w"])
            frame = frame.assign(sequence=sequence, timestep=range(len(valid)), split=part)
            frames.append(frame.assign(label=y[sequence]))
    return pd.concat(frames, ignore_index=True)


def write(folder: Path, frame: pd.DataFrame, suffix: str = "parquet") -> Path:
    path = folder / f"mine.{suffix}"
    if suffix == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)
    return path


def complaint(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"data.path={path}: ")
    return message.removeprefix(f"data.path={path}: ")


def whole(dataset: Dataset) -> list[Split]:
    return [split for split in (dataset.train, dataset.val, dataset.test) if split is not None]


def assert_same(one: Split | None, other: Split | None) -> None:
    assert one is not None
    assert other is not None
    np.testing.assert_array_equal(one.x, other.x)
    np.testing.assert_array_equal(one.y, other.y)
    np.testing.assert_array_equal(one.lengths, other.lengths)


def counts(split: Split | None) -> NDArray[np.int64]:
    assert split is not None
    assert split.y is not None
    return np.bincount(split.y)


# digits


def test_digits_are_all_there_once_and_in_proportion() -> None:
    dataset = digits()
    parts = whole(dataset)
    assert [len(part) for part in parts] == [1294, 144, 359]
    images = np.concatenate([part.x for part in parts])
    assert images.shape == (1797, 8, 8)
    assert (images.min(), images.max()) == (0, 1)
    original = datasets.load_digits()
    rows = np.concatenate([part.take(slice(None)).x for part in parts]).reshape(1797, -1)
    np.testing.assert_array_equal(
        rows[np.lexsort(rows.T)], sorted_rows(original.images.reshape(1797, -1) / 16)
    )
    for part in parts:
        np.testing.assert_allclose(counts(part) / len(part), 0.1, atol=0.01)
    assert dataset.classes == tuple("0123456789")
    assert not dataset.padded


def sorted_rows(x: NDArray[Any]) -> NDArray[np.float32]:
    rows: NDArray[np.float32] = x.astype(np.float32)
    return rows[np.lexsort(rows.T)]


def test_digits_keep_their_labels() -> None:
    original = datasets.load_digits()
    known = {
        image.tobytes(): label
        for image, label in zip(original.images, original.target, strict=True)
    }
    for part in whole(digits()):
        assert part.y is not None
        images = (part.x * 16).astype(np.float64)
        assert [known[image.tobytes()] for image in images] == part.y.tolist()


def test_digits_are_split_by_the_split_seed_alone() -> None:
    for one, same in zip(whole(digits()), whole(digits()), strict=True):
        np.testing.assert_array_equal(one.x, same.x)
    np.random.seed(7)  # noqa: NPY002 - the global state is what must not matter
    assert_same_x(digits().test, digits().test)
    assert not np.array_equal(digits(seed=1).test.x, digits().test.x)


def assert_same_x(one: Split, other: Split) -> None:
    np.testing.assert_array_equal(one.x, other.x)


def test_the_share_for_validation_does_not_move_the_test_set() -> None:
    bare = digits(validation=0)
    assert bare.val is None
    assert_same_x(bare.test, digits(validation=0.3).test)


def test_a_share_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="fraction"):
        digits(test=1e-6)


# .npz


def test_bytes_are_scaled_on_the_way_out_and_floats_are_not(tmp_path: Path) -> None:
    pixels = np.arange(N * T * F, dtype=np.uint8).reshape(N, T, F)
    test = load(npz(tmp_path, {"x_test": pixels})).test
    assert test.x.dtype == np.uint8
    batch = test.take(slice(0, 7)).x
    assert batch.dtype == np.float32
    np.testing.assert_allclose(batch, pixels[:7] / 255, rtol=1e-6)
    plain = load(npz(tmp_path, {"x_test": pixels.astype(np.float64)})).test
    np.testing.assert_array_equal(plain.take(np.array([3, 1])).x, pixels[[3, 1]])


def test_lengths_labels_and_inputs_stay_together(tmp_path: Path) -> None:
    made = arrays()
    dataset = load(npz(tmp_path, made))
    assert dataset.padded
    assert dataset.classes == ("0", "1", "2")
    batch = dataset.test.take(np.array([4, 2]))
    for kind, got in (("x", batch.x), ("y", batch.y), ("lengths", batch.lengths)):
        np.testing.assert_array_equal(got, made[f"{kind}_test"][[4, 2]])


def test_two_dimensions_are_one_feature(tmp_path: Path) -> None:
    test = load(npz(tmp_path, {"x_test": np.ones((4, 6))})).test
    assert (len(test), test.timesteps, test.features) == (4, 6, 1)


def test_only_the_test_split_has_to_be_there(tmp_path: Path) -> None:
    dataset = load(npz(tmp_path, {"x_test": np.ones((4, 6))}), validation=0.5)
    assert (dataset.train, dataset.val, dataset.classes) == (None, None, ())
    assert dataset.test.take(slice(None)).y is None


def test_a_validation_split_of_its_own_is_kept(tmp_path: Path) -> None:
    made = arrays()
    own = {"x_val": made["x_test"] + 1, "y_val": made["y_test"]}
    dataset = load(npz(tmp_path, made | own), validation=0.5)
    assert dataset.val is not None
    np.testing.assert_array_equal(dataset.val.x, own["x_val"])
    assert_same(dataset.train, load(npz(tmp_path, made)).train)


def test_a_missing_validation_split_is_drawn_from_training_by_the_split_seed(
    tmp_path: Path,
) -> None:
    made = arrays()
    path = npz(tmp_path, made)
    first, same, other = (load(path, 0.2, seed) for seed in (0, 0, 1))
    assert first.train is not None
    assert first.val is not None
    assert (len(first.train), len(first.val)) == (24, 6)
    assert_same(first.val, same.val)
    assert other.val is not None
    assert not np.array_equal(first.val.x, other.val.x)
    joined = np.concatenate([first.train.x, first.val.x]).reshape(N, -1)
    np.testing.assert_array_equal(sorted_rows(joined), sorted_rows(made["x_train"].reshape(N, -1)))
    assert counts(first.val).tolist() == [2, 2, 2]
    assert_same(first.test, load(path).test)


def test_classes_that_only_training_has_are_counted(tmp_path: Path) -> None:
    made = arrays()
    made["y_train"] = made["y_train"] + 2
    assert load(npz(tmp_path, made)).classes == ("0", "1", "2", "3", "4")


def changed(name: str, value: Any) -> Arrays:
    return arrays() | {name: np.asarray(value)}


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ({"x_tset": np.ones((4, 6, 1))}, "unknown arrays x_tset; known are .*x_test"),
        ({"x_train": np.ones((4, 6, 1))}, "no test sequences"),
        (
            changed("x_test", np.ones((N, T, F, 1))),
            r"a timestep of train has shape \(3,\), of test \(3, 1\)",
        ),
        (changed("x_test", np.ones(N)), r"x_test has shape \(30,\)"),
        (changed("x_test", np.ones((0, T, F))), r"x_test has shape \(0, 5, 3\)"),
        (changed("x_test", np.ones((N, T, 2))), "train has 3 features, test has 2"),
        (changed("x_test", np.full((N, T, F), "a")), "x_test has type <U1; it must hold numbers"),
        (changed("y_test", ["a"] * N), "y_test holds names, which does not go with .*y_train"),
        (changed("y_test", np.full(N, 1j)), "y_test has type complex128; it must hold whole"),
        (changed("y_test", np.arange(N - 1)), r"y_test has shape \(29,\); it must be \[30\]"),
        (changed("y_test", np.eye(N) * 2), r"y_test has shape \(30, 30\): 30 numbers for each"),
        (changed("lengths_test", [T] * 7 + [0] + [T] * 22), r"lengths_test\[7\] is 0; .* 1 to 5"),
        (changed("lengths_test", [T] * 8 + [T + 1] * 22), r"lengths_test\[8\] is 6; .* 1 to 5"),
        (changed("lengths_test", [T - 0.5] * N), r"lengths_test\[0\] is 4\.5; it must hold whole"),
        (changed("lengths_test", ["5"] * N), "lengths_test has type <U1; it must hold whole"),
    ],
)
def test_arrays_that_do_not_fit_are_named(made: Arrays, says: str, tmp_path: Path) -> None:
    assert re.search(says, complaint(npz(tmp_path, made)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_valid_input_that_is_no_number_is_placed(value: float, tmp_path: Path) -> None:
    made = arrays()
    made["lengths_test"][3] = 2
    made["x_test"][3, 1, 2] = value
    says = complaint(npz(tmp_path, made))
    assert says.startswith("x_test[3, 1] is not a finite number")
    assert ("1 values are missing within 1 of 30 sequences" in says) == np.isnan(value)


@pytest.mark.parametrize("value", [np.nan, np.inf, 7.0])
def test_padding_may_hold_anything(value: float, tmp_path: Path) -> None:
    made = arrays()
    padding = np.arange(T) >= made["lengths_test"][:, np.newaxis]
    made["x_test"][padding] = value
    batch = load(npz(tmp_path, made)).test.take(slice(None))
    np.testing.assert_array_equal(batch.x[~padding], made["x_test"][~padding])


@pytest.mark.parametrize("value", [np.nan, np.inf, 7.0])
def test_padding_is_zero_in_a_batch(value: float, tmp_path: Path) -> None:
    made = arrays()
    padding = np.arange(T) >= made["lengths_test"][:, np.newaxis]
    assert padding.any()
    made["x_test"][padding] = value
    batch = load(npz(tmp_path, made)).test.take(slice(None))
    assert (batch.x[padding] == 0).all()


def test_splits_of_different_lengths_are_padded(tmp_path: Path) -> None:
    made = {"x_train": np.ones((N, T, F)), "y_train": np.arange(N) % 2}
    dataset = load(npz(tmp_path, made | {"x_test": np.ones((N, T + 2, F))}))
    assert dataset.padded


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    made = {"x_test": np.array([[1.0], [1.0, 2.0]], dtype=object)}
    assert complaint(npz(tmp_path, made)).startswith("not an .npz file that can be read")


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "truncated", "flipped", ".npy"])
def test_a_file_that_is_no_npz_is_refused(damage: str, tmp_path: Path) -> None:
    path = npz(tmp_path, arrays())
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == ".npy":
        with path.open("wb") as file:
            np.save(file, np.ones(3))
    else:
        flipped = content[:200] + bytes(100) + content[300:]
        damaged = {"empty": b"", "text": b"x,y\n", "truncated": content[:500], "flipped": flipped}
        path.write_bytes(damaged[damage])
    assert complaint(path).startswith("not an .npz file that can be read")
    gc.collect()  # a file that was left open is reported here


def test_an_unknown_ending_names_those_there_are(tmp_path: Path) -> None:
    assert complaint(tmp_path / "mine.xls").startswith("'.xls' is none of .npz, .parquet, .csv")


# long tables


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_long_table_is_the_same_data_as_arrays(suffix: str, tmp_path: Path) -> None:
    made = arrays()
    expected = load(npz(tmp_path, made), 0.2)
    got = load(write(tmp_path, long_form(made), suffix), 0.2)
    for one, other in zip(whole(got), whole(expected), strict=True):
        assert_same(one, other)
    assert got.classes == expected.classes
    assert got.test.ids is not None
    assert got.test.ids.tolist() == list(range(N))


ORDERS: dict[str, Tables] = {
    "shuffled": lambda frame: frame.sample(frac=1, random_state=0),
    "reversed": lambda frame: frame[::-1],
    "by timestep": lambda frame: frame.sort_values(["timestep", "split"]),
    "other columns first": lambda frame: frame[frame.columns[::-1]][
        ["w", "label", "u", "v", *frame.columns[3:-1]]
    ],
    "timesteps with gaps": lambda frame: frame.assign(timestep=frame["timestep"] * 10 - 3),
    "times": lambda frame: frame.assign(timestep=frame["timestep"] / 4),
    "sequences by name": lambda frame: frame.assign(
        sequence=frame["sequence"].map("{:03d}".format)
    ),
    "narrow numbers": lambda frame: frame.astype({"sequence": "uint8", "label": "int8"}),
    "nullable numbers": lambda frame: frame.astype({"sequence": "Int64", "label": "Int64"}),
}


@pytest.mark.parametrize("order", ORDERS)
def test_rows_may_come_in_any_order_and_under_any_keys(order: str, tmp_path: Path) -> None:
    made = arrays()
    got = load(write(tmp_path, ORDERS[order](long_form(made))))
    expected = load(npz(tmp_path, made))
    if order == "other columns first":
        turned = (Split(each.x[..., [2, 0, 1]], each.y, each.lengths) for each in whole(expected))
        expected = Dataset(train=next(turned), test=next(turned))
    assert_same(got.train, expected.train)
    assert_same(got.test, expected.test)


def test_names_in_a_categorical_column_stay_with_their_rows(tmp_path: Path) -> None:
    made = arrays()
    made["lengths_train"][:] = made["lengths_test"][:] = T
    frame = long_form(made)
    names = frame["sequence"].map("{:03d}".format)
    backwards = pd.Categorical(names, categories=sorted(names.unique(), reverse=True))
    test = load(write(tmp_path, frame.assign(sequence=backwards))).test
    assert test.ids is not None
    assert test.y is not None
    order = test.ids.astype(int)
    np.testing.assert_array_equal(test.x, made["x_test"][order])
    np.testing.assert_array_equal(test.y, made["y_test"][order])


def test_sequences_of_one_length_have_no_lengths(tmp_path: Path) -> None:
    made = arrays()
    made["lengths_train"][:] = made["lengths_test"][:] = T
    dataset = load(write(tmp_path, long_form(made)))
    assert dataset.test.lengths is None
    assert not dataset.padded


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_labels_may_be_names(suffix: str, tmp_path: Path) -> None:
    frame = long_form(arrays())
    named = frame.assign(label=frame["label"].map({0: "vowel", 1: "none", 2: "stop"}))
    dataset = load(write(tmp_path, named, suffix))
    assert dataset.classes == ("none", "stop", "vowel")
    assert dataset.test.y is not None
    assert dataset.test.y[:3].tolist() == [2, 0, 1]


def test_whole_numbers_in_a_categorical_column_stay_those_numbers(tmp_path: Path) -> None:
    frame = long_form(arrays())
    frame["label"] = pd.Categorical(frame["label"] * 5)
    test = load(write(tmp_path, frame)).test
    assert test.y is not None
    assert test.y[:3].tolist() == [0, 5, 10]


def test_without_labels_there_are_no_classes(tmp_path: Path) -> None:
    dataset = load(write(tmp_path, long_form(arrays()).drop(columns="label")))
    assert dataset.classes == ()
    assert dataset.test.y is None


def test_without_a_split_column_all_is_test(tmp_path: Path) -> None:
    frame = long_form(arrays()).query("split == 'train'").drop(columns="split")
    dataset = load(write(tmp_path, frame), 0.2)
    assert (dataset.train, dataset.val) == (None, None)
    assert len(dataset.test) == N


def test_a_table_may_bring_its_validation_split(tmp_path: Path) -> None:
    frame = long_form(arrays())
    frame.loc[(frame["split"] == "train") & (frame["sequence"] < 10), "split"] = "val"
    dataset = load(write(tmp_path, frame), 0.5)
    assert [len(part) for part in whole(dataset)] == [20, 10, 30]


WRONG: dict[str, tuple[Tables, str]] = {
    "no sequence": (lambda f: f.drop(columns="sequence"), "no column 'sequence'; it has u,"),
    "no timestep": (lambda f: f.drop(columns="timestep"), "no column 'timestep'; it has u,"),
    "no features": (lambda f: f.drop(columns=["u", "v", "w"]), "no feature columns beside"),
    "text": (lambda f: f.assign(v="a"), "column 'v' is not numeric"),
    "gap": (lambda f: f.assign(v=f["v"].where(f.index != 4)), "row 4 has no value in column 'v'"),
    "no label": (
        lambda f: f.assign(label=f["label"].where(f.index != 4)),
        "row 4 has no value in column 'label'",
    ),
    "infinite": (lambda f: f.assign(v=f["v"].where(f.index != 4, np.inf)), "row 4 "),
    "beyond float32": (
        lambda f: f.assign(v=f["v"].astype(np.float64).where(f.index != 4, 1e300)),
        "row 4 ",
    ),
    "strange split": (lambda f: f.assign(split="valid"), "split 'valid'; must be one of"),
    "same sequence twice": (lambda f: f.assign(split="train"), "sequence 0 has timestep 0 twice"),
    "nothing to test": (lambda f: f[f["split"] == "train"], "no test sequences"),
    "no rows": (lambda f: f[:0], "no "),
    "twice": (lambda f: pd.concat([f, f[-1:]]), "sequence 29 has timestep "),
    "two labels": (
        lambda f: f.assign(label=f["label"].where(f["timestep"] == 0, 1)),
        "sequence 0 has more than one label",
    ),
    "fraction as label": (lambda f: f.assign(label=0.5), "labels must be whole numbers or names"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_tables_that_do_not_fit_say_where(wrong: str, tmp_path: Path) -> None:
    change, says = WRONG[wrong]
    assert complaint(write(tmp_path, change(long_form(arrays())))).startswith(says)


@pytest.mark.parametrize("content", [b"", b"PAR1junkPAR1", b"\xff\xfe\x00\x80"])
@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_file_that_is_no_table_is_refused(content: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"mine.{suffix}"
    path.write_bytes(content)
    assert complaint(path)


# mnist


def small_mnist() -> Arrays:
    random = np.random.default_rng(0)
    made: Arrays = {}
    for part, count in (("train", 40), ("test", 20)):
        made[f"x_{part}"] = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        made[f"y_{part}"] = (np.arange(count) % 10).astype(np.uint8)
    return made


def test_mnist_comes_from_a_file_row_by_row(tmp_path: Path) -> None:
    made = small_mnist()
    dataset = data.load(Mnist("mnist", 0.25, 0, str(npz(tmp_path, made))))
    assert [len(part) for part in whole(dataset)] == [30, 10, 20]
    batch = dataset.test.take(slice(2, 4))
    np.testing.assert_allclose(batch.x, made["x_test"][2:4] / 255, rtol=1e-6)
    assert batch.y is not None
    assert batch.y.tolist() == [2, 3]
    assert dataset.classes == tuple("0123456789")
    assert counts(dataset.val).tolist() == [1] * 10


def test_mnist_without_one_of_its_arrays_names_it(tmp_path: Path) -> None:
    made = small_mnist()
    del made["y_test"]
    with pytest.raises(UserError, match=r"data\.path=.*no array 'y_test'; it has \['x_train'"):
        data.load(Mnist("mnist", 0.0, 0, str(npz(tmp_path, made))))


@pytest.mark.process
def test_a_failed_download_says_how_to_give_the_file(tmp_path: Path) -> None:
    code = """
from rnnscope import data
from rnnscope.config import Mnist
from rnnscope.errors import UserError
try:
    data.load(Mnist("mnist", 0.1, 0, None))
except UserError as error:
    print(repr(str(error)))
"""
    closed = "http://127.0.0.1:9"
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), closed)
    kept = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    quiet = {"KERAS_HOME": str(tmp_path), "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=kept | proxies | quiet,
        capture_output=True,
        text=True,
        check=True,
    )
    said = done.stdout.strip().splitlines()[-1]
    assert "\\n" not in said
    assert "could not be downloaded" in said
    assert "data.path=/path/to/mnist.npz" in said
