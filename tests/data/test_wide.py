"""Wide tables: one row per sequence, in every way that text files write numbers."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from rnnscope.data import Dataset
from rnnscope.errors import UserError
from tests.data.test_data import load

N, T = 24, 15
X = np.random.default_rng(0).normal(size=(N, T)).round(4)
Y = np.arange(N) % 4 + 1


def complaint(path: Path, **changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        load(path, **changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def text(
    separator: str,
    *,
    form: str = "{:.4f}",
    decimal: str = ".",
    last: bool = False,
    label: Callable[[Any], str] = str,
    header: str = "",
    x: NDArray[Any] = X,
    end: str = "\n",
) -> str:
    """The sequences, one a line."""
    lines = [header] if header else []
    for y, row in zip(Y, x, strict=False):
        numbers = ["" if np.isnan(v) else form.format(v).replace(".", decimal) for v in row]
        fields = [*numbers, label(y)] if last else [label(y), *numbers]
        lines.append(separator.join(fields))
    return end.join(lines) + end


NAMES = ",".join(f"t{n}" for n in range(T))
WRITTEN = {
    "UCR 2018.tsv": text("\t"),
    "UCR.txt": text(
        "  ", form="{: .7e}", label="  {: .7e}".format, x=X
    ),  # the label is a number as any
    "UCR 2015.csv": text(","),
    "label last.csv": text(",", last=True),
    "semicolon.csv": text(";"),
    "bars.txt": text("|"),
    "decimal comma.csv": text(";", decimal=","),
    "spaces and decimal comma.txt": text(" ", decimal=","),
    "tabs and decimal comma.txt": text("\t", decimal=","),
    "spaces after commas.txt": text(", "),
    "header.csv": text(",", header=f"label,{NAMES}"),
    "header of numbers.csv": text(",", header="label," + ",".join(map(str, range(T)))),
    "label last under a header.csv": text(",", last=True, header=f"{NAMES},label"),
    "other name.csv": text(",", last=True, header=f"{NAMES},species"),
    "byte order mark.csv": "\ufeff" + text(","),
    "Windows.csv": text(",", end="\r\n"),
    "separator at the end.csv": text(",").replace("\n", ",\n"),
}


def assert_same(dataset: Dataset, y: NDArray[Any] = Y) -> None:
    batch = dataset.test.take(slice(None))
    assert batch.x.shape == (N, T)
    np.testing.assert_array_equal(batch.x, X.astype(np.float32))
    assert batch.y is not None
    assert [dataset.classes[number] for number in batch.y] == [str(each) for each in y]


@pytest.mark.parametrize("name", WRITTEN)
def test_every_way_to_write_a_wide_table_is_the_same_data(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(WRITTEN[name])
    assert_same(load(path))


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_labels_may_be_names_or_negative(separator: str, last: bool, tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text(text(separator, last=last, label="class {}".format))
    assert_same(load(path), np.array([f"class {y}" for y in Y]))
    path.write_text(text(separator, last=last, label=lambda y: str(-y)))
    assert_same(load(path), -Y)


def test_a_wide_parquet_table_too(tmp_path: Path) -> None:
    frame = pd.DataFrame(X, columns=[f"t{n}" for n in range(T)]).assign(label=Y)
    frame.to_parquet(tmp_path / "mine.parquet", index=False)
    assert_same(load(tmp_path / "mine.parquet"))


def test_empty_ends_are_padding_and_sequences_keep_their_names(tmp_path: Path) -> None:
    x = X.copy()
    x[::3, 9:] = np.nan
    path = tmp_path / "mine.csv"
    path.write_text(text(",", x=x))
    test = load(path).test
    assert test.lengths is not None
    assert test.lengths[:4].tolist() == [9, 15, 15, 9]
    named = [f"s{n}" for n in range(N)]
    frame = pd.DataFrame(X, columns=[f"t{n}" for n in range(T)]).assign(label=Y, sequence=named)
    frame.to_csv(path, index=False)
    test = load(path).test
    assert test.ids is not None
    assert test.ids.tolist() == named


def test_whole_numbers_are_tokens(tmp_path: Path) -> None:
    tokens = np.random.default_rng(0).integers(0, 50, (N, T))
    path = tmp_path / "mine.csv"
    path.write_text(text(",", form="{}", x=tokens))
    says = complaint(path)
    assert "first column or the last? neither" in says
    batch = load(path, label_column="first").test.take(slice(None))
    assert batch.x.dtype == np.int32
    np.testing.assert_array_equal(batch.x, tokens)


# two files


def pair(folder: Path, names: tuple[str, str] = ("ECG_TRAIN.txt", "ECG_TEST.txt")) -> list[Path]:
    for name, values in zip(names, (X + 1, X), strict=True):
        (folder / name).write_text(text(" ", x=values))
    return [folder / name for name in names]


@pytest.mark.parametrize(
    "names",
    [
        ("ECG_TRAIN.tsv", "ECG_TEST.tsv"),
        ("train.csv", "test.csv"),
        ("ECG_TRAIN", "ECG_TEST"),
        ("a-Train.txt", "a-Test.txt"),
    ],
)
def test_train_and_test_may_be_two_files_or_their_folder(
    names: tuple[str, str], tmp_path: Path
) -> None:
    train, test = pair(tmp_path, names)
    (tmp_path / "README.md").write_text("about")
    (tmp_path / "about.txt").write_text("about")
    for dataset in (load(train, test_path=str(test)), load(tmp_path)):
        assert_same(dataset)
        assert dataset.train is not None
        np.testing.assert_allclose(dataset.train.x, X + 1, rtol=1e-6)
    says = complaint(train)
    assert f"{test.name} lies beside it: give data.test_path={test}" in says
    alone = load(train, test_path=str(train)).test  # as the message says
    np.testing.assert_allclose(alone.x, X + 1, rtol=1e-6)
    assert_same(load(test))


def test_a_part_of_one_file_may_be_drawn_for_test(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(text(","))
    dataset = load(path, 0.25, test_fraction=0.5)
    assert dataset.train is not None
    assert dataset.val is not None
    assert [len(dataset.train), len(dataset.val), len(dataset.test)] == [9, 3, 12]
    assert dataset.test.y is not None
    assert np.bincount(dataset.test.y)[1:].tolist() == [3, 3, 3, 3]


def test_splits_of_two_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    train, test = pair(tmp_path)
    assert "data.test_fraction=0.5: the data has splits of its own" in complaint(
        train, test_path=str(test), test_fraction=0.5
    )
    test.write_text(text(" ", header=f"label {NAMES.replace(',', ' ')}"))
    assert "ECG_TRAIN.txt has the columns 0, 1," in complaint(train, test_path=str(test))
    (tmp_path / "OTHER_TEST.txt").write_text("1 2")
    assert "give one as data.path and one as data.test_path" in complaint(tmp_path)


# what cannot be known

UNCLEAR: dict[str, tuple[str, dict[str, Any], str]] = {
    "few columns": (text(",", x=X[:, :5]), {}, "6 columns without names.*data.layout=wide"),
    "no label": (
        text(",", label=lambda y: str(y / 3)),
        {},
        "first column or the last\\? neither seems.*data.label_column=first, last, none",
    ),
    "two labels": (
        text(",", label=lambda y: str(y), last=True, x=np.c_[Y, X]),
        {},
        "first column or the last\\? both may be",
    ),
    "strange name": (
        text(",", header=f"label,{NAMES}"),
        {"label_column": "species"},
        "data.label_column=species: no such column; give first, last, none or one of label, t0",
    ),
    "sorted as text": (
        text(",", header="label," + ",".join(sorted(NAMES.split(",")))),
        {},
        "column 't2' comes after 't14'",
    ),
    "an index": (
        pd.DataFrame(X).assign(label=Y).to_csv(),
        {},
        "the first column has no name and counts the rows.*index=False",
    ),
    "text": (text(",").replace(f"{X[1, 0]:.4f}", "high"), {}, "column 1 holds 'high'"),
    "both marks": (text(";", decimal=",").replace("0,", "0.", 90), {}, "a comma and with a point"),
    "sentences": ("I liked it a lot, really.\nNo good\n", {}, "tokens = vectorization"),
    "sentences with labels": ("ham\tI liked it\nspam\tFree entry\n", {}, "tokens = vectorization"),
    "a gap": (
        text(
            ",", x=np.where(np.arange(T) == 3, np.where(np.arange(N)[:, None] == 2, np.nan, X), X)
        ),
        {},
        r"x_test\[2, 3\] is not a finite.*1 values are missing within 1 of 24.*interpolate",
    ),
    "names of sequences": (
        pd.DataFrame(X, columns=NAMES.split(",")).assign(label=Y).to_csv(index_label="id"),
        {},
        "id among the timesteps t0 to t14: name the column sequence",
    ),
    "two columns beside": (
        pd.DataFrame(X, columns=NAMES.split(",")).assign(age=7, y=Y, site=2).to_csv(index=False),
        {"label_column": "y", "layout": "wide"},
        "age, site among the timesteps t0 to t14: .* else leave it out",
    ),
    "names of sequences without a header": (
        pd.DataFrame(X).assign(label=Y).to_csv(header=False),
        {},
        "the first column beside the label counts the rows.*: remove it",
    ),
    "names of sequences last": (
        pd.DataFrame(np.c_[Y, X])
        .astype({0: int})
        .assign(n=range(7, N + 7))
        .to_csv(header=False, index=False),
        {"label_column": "first"},
        "the last column beside the label counts the rows",
    ),
    "ARFF": (
        f"@relation x\n@attribute a numeric\n@data\n{text(',', last=True)}",
        {},
        "lines with @ are of ARFF .* scipy.io.arff.loadarff .* to_csv",
    ),
    "sktime": (
        text(",", last=True).replace(",1\n", ":1\n").replace(",2\n", ":2\n"),
        {},
        "holds a value and a label: write a separator between them",
    ),
    "long": (text(","), {"layout": "long"}, "no column 'sequence'"),
    "series options": (text(","), {"stride": 3}, "data.stride=3: needs data.window"),
    "a sign before the names": (
        text(" ", header=f"# label {NAMES.replace(',', ' ')}"),
        {},
        "first line has 17 names, the lines below 16 values: .* without a #",
    ),
    "row names": (
        text(",", last=True, header=NAMES),
        {},
        "first line has 15 names, the lines below 16 values: .* without row names",
    ),
    "a sensor": (
        "date,temperature,pressure\n2016-01-01,1.5,2\n2016-01-02,2.5,3\n",
        {},
        "no column 'sequence'; it has date, temperature, pressure.*data.window=",
    ),
}


@pytest.mark.parametrize("what", UNCLEAR)
def test_what_is_not_clear_is_asked(what: str, tmp_path: Path) -> None:
    content, changes, says = UNCLEAR[what]
    path = tmp_path / "mine.csv"
    path.write_text(content)
    assert re.search(says, complaint(path, **changes))


def test_a_column_of_names_may_be_named_so(tmp_path: Path) -> None:
    frame = pd.DataFrame(X, columns=NAMES.split(",")).assign(label=Y)
    frame.to_csv(tmp_path / "mine.csv", index_label="sequence")
    assert_same(load(tmp_path / "mine.csv"))


def test_the_answers_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(text(",", x=X[:, :5]))
    assert load(path, layout="wide").test.x.shape == (N, 5)
    path.write_text(text(",", label=lambda y: f"{y / 3:.4f}"))
    dataset = load(path, label_column="first")
    assert dataset.test.labels == "number per sequence"
    assert dataset.test.y is not None
    np.testing.assert_allclose(dataset.test.y, Y / 3, atol=1e-4)
    assert load(path, label_column="none").test.x.shape == (N, T + 1)
    path.write_text(text(",", last=True, header=f"{NAMES},species"))
    assert_same(load(path, label_column="species"))


def test_a_long_table_may_be_written_so_too(tmp_path: Path) -> None:
    frame = pd.DataFrame({"sequence": np.repeat(range(N), T), "timestep": np.tile(range(T), N)})
    frame = frame.assign(u=X.ravel(), kind=np.repeat(Y, T))
    path = tmp_path / "mine.txt"
    frame.to_csv(path, index=False, sep=";", decimal=",")
    dataset = load(path, label_column="kind")
    assert dataset.test.y is not None
    np.testing.assert_array_equal(dataset.test.y, Y)
    np.testing.assert_array_equal(dataset.test.x[:, :, 0], X.astype(np.float32))
    assert load(path, label_column="none").test.features == 2
