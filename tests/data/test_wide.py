"""Wide tables: one row per sequence, in every way that text files write numbers."""

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from rnnscope.data import Dataset, never_trained
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
    assert "data.test_fraction=0.3" in says
    alone = load(train, test_fraction=0.3)  # as the message says
    assert alone.train is not None
    assert len(alone.train) + len(alone.test) == N
    assert_same(load(test))


def test_the_same_rows_as_train_and_test_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train, test = pair(tmp_path)
    load(tmp_path)
    assert "the same rows" not in caplog.text
    with pytest.raises(UserError, match="every test sequence is in train too"):
        load(train, test_path=str(train))
    assert "ECG_TRAIN.txt and ECG_TRAIN.txt hold the same rows" in caplog.text
    caplog.clear()
    test.write_text(train.read_text())
    with pytest.raises(UserError, match="every test sequence is in train too"):
        load(tmp_path)
    assert "ECG_TRAIN.txt and ECG_TEST.txt hold the same rows" in caplog.text


def test_a_folder_and_a_test_file_are_asked(tmp_path: Path) -> None:
    train, _ = pair(tmp_path)
    other = tmp_path / "other.csv"
    other.write_text(text(" "))
    says = complaint(tmp_path, test_path=str(other))
    assert f"data.test_path={other}: " in says
    assert f"give data.path={train}" in says
    assert load(train, test_path=str(other)).train is not None


def test_a_folder_without_data_says_what_it_holds(tmp_path: Path) -> None:
    assert "the folder holds no files; it must hold .npy files" in complaint(tmp_path)
    for name in ("a.ts", "b.arff"):
        (tmp_path / name).write_text("x")
    assert "the folder holds a.ts, b.arff; it must hold" in complaint(tmp_path)


def test_cells_and_labels_are_placed_in_the_file_that_holds_them(tmp_path: Path) -> None:
    _, test = pair(tmp_path, ("ECG_TRAIN.csv", "ECG_TEST.csv"))
    test.write_text(text(" ").replace(f"{X[7, 4]:.4f}", "high"))
    assert "line 8 of ECG_TEST.csv holds 'high' in column 5," in complaint(tmp_path)
    lines = text("\t").splitlines()
    lines[9] = lines[9].partition("\t")[1] + lines[9].partition("\t")[2]
    test.write_text("\n".join(lines))
    says = complaint(tmp_path, label_column="first")
    assert says.endswith("line 10 of ECG_TEST.csv has no label")


def test_a_count_of_rows_in_each_of_two_files_is_no_timestep(tmp_path: Path) -> None:
    for part in ("TRAIN", "TEST"):
        frame = pd.DataFrame(X).assign(label=Y)
        frame.to_csv(tmp_path / f"a_{part}.csv", header=False)
    says = complaint(tmp_path, label_column="last")
    assert "the first column beside the label counts the rows" in says
    for part in ("TRAIN", "TEST"):
        pd.DataFrame(np.c_[Y, X]).to_csv(tmp_path / f"a_{part}.csv", index_label="id")
    assert "column 'id' is another one in every row" in complaint(tmp_path)


# a header that counts


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_header_that_counts_is_as_none(
    ending: str, first: int, last: bool, tmp_path: Path
) -> None:
    frame = pd.DataFrame(X)
    frame.insert(T if last else 0, "y", Y)
    frame.columns = pd.Index([str(n) for n in range(first, first + T + 1)])
    path = tmp_path / f"mine{ending}"
    write = frame.to_csv if ending == ".csv" else frame.to_parquet
    write(path, index=False)
    assert_same(load(path))
    assert_same(load(path, label_column="last" if last else "first"))
    assert_same(load(path, label_column=str(first + T if last else first)))
    named = frame.rename_axis("sequence").reset_index()
    write = named.to_csv if ending == ".csv" else named.to_parquet
    write(path, index=False)
    assert_same(load(path))


def test_a_column_without_a_name_has_a_number(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(text(",", last=True))
    assert_same(load(path, label_column=str(T)))


# comments

COMMENTS = {
    "lines": "# Waves, recorded in 2020\n# label, then the values\n" + text(","),
    "a line of one word": "#waves\n" + text("\t"),
    "lines and a header": f"# Waves\n#\n\n{text(',', header=f'label,{NAMES}')}",
    "names": text(" ", header=f"# label {NAMES.replace(',', ' ')}"),
    "names without a space": text(",", last=True, header=f"#{NAMES},species"),
    "lines and names": "# Waves\n" + text("\t", header="# y\t" + NAMES.replace(",", "\t")),
}


@pytest.mark.parametrize("what", COMMENTS)
def test_comments_above_a_table_are_passed_over(what: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text(COMMENTS[what])
    assert_same(load(path))


def test_a_header_that_numpy_writes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    np.savetxt(path, np.c_[X, Y], header=f"{NAMES.replace(',', ' ')} kind", fmt="%.4f")
    assert_same(load(path, label_column="kind"))


# what is said


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage().strip() for each in caplog.records if "data" in each.name]


def test_the_data_is_described_by_its_splits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    x = np.where(np.arange(T) >= 9 + np.arange(N)[:, None] % 4, np.nan, X)
    (tmp_path / "a_TRAIN.csv").write_text(text(",").replace("\n", ",\n"))
    (tmp_path / "a_TEST.csv").write_text(text(",", x=x[:20] + 1))
    load(tmp_path)
    assert said(caplog) == [
        "each row is a sequence; label: the first column",
        "train 24, test 20 sequences of 9–15 timesteps; classes 1, 2, 3, 4",
    ]
    caplog.clear()
    (tmp_path / "a_TRAIN.csv").write_text(text(",", x=x[:, :12]))
    load(tmp_path, 0.25)
    assert said(caplog)[1].startswith("train 18, val 6, test 20 sequences of 9–12 timesteps; ")


def test_a_target_of_few_whole_numbers_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path = tmp_path / "mine.csv"
    path.write_text(text(",", header=f"target,{NAMES}"))
    assert load(path).test.numeric
    assert said(caplog)[0] == "each row is a sequence; numeric target: column 'target'"
    assert "numeric targets, whole numbers, 4 different ones: data.task=class" in said(caplog)[1]
    assert_same(load(path, task="classification"))  # as the message says
    caplog.clear()
    load(path, task="regression")
    assert said(caplog)[1].endswith("; numeric targets")
    path.write_text(text(",", header=f"target,{NAMES}", label=lambda y: f"{y / 3:.3f}"))
    caplog.clear()
    load(path)
    assert said(caplog)[1].endswith("; numeric targets")


def test_as_many_classes_as_sequences_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    x = np.random.default_rng(0).normal(size=(120, T))
    frame = pd.DataFrame(x, columns=NAMES.split(","))
    for count, warned in ((120, True), (101, True), (61, True), (60, False)):
        caplog.clear()
        frame.assign(label=np.arange(120) % count).to_csv(tmp_path / "mine.csv", index=False)
        load(tmp_path / "mine.csv")
        assert (f"{count} classes in 120 sequences" in caplog.text) == warned


def test_sequences_without_names_are_named_by_their_rows(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("# about\n" + text(",", header=f"label,{NAMES}"))
    dataset = load(path, 0.2, test_fraction=0.4)
    assert dataset.train is not None
    assert dataset.val is not None
    rows = []
    for split in (dataset.train, dataset.val, dataset.test):
        assert split.ids is not None
        np.testing.assert_allclose(split.x[:], X[split.ids.astype(int)], rtol=1e-6)
        rows += split.ids.tolist()
    assert sorted(rows) == list(range(N))
    assert load(path).test.ids is None


# classes of a model that is trained here


@pytest.mark.parametrize("labels", [(1, 2, 3, 4), (100, 200, 300, 400), (-1, 1, 5, 9)])
def test_a_model_is_trained_on_the_classes_that_occur(
    labels: tuple[int, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a_TRAIN.csv").write_text(text(",", x=X[:3], label=lambda y: str(labels[y - 1])))
    (tmp_path / "a_TEST.csv").write_text(text(",", label=lambda y: str(labels[y - 1])))
    dataset = load(tmp_path).as_trained()
    assert dataset.classes == tuple(map(str, labels))
    assert dataset.test.y is not None
    assert dataset.test.y.tolist() == (Y - 1).tolist()
    assert dataset.train is not None
    assert dataset.train.y is not None
    assert dataset.train.y.tolist() == [0, 1, 2]
    assert never_trained(dataset) == [str(labels[3])]
    assert dataset.as_trained() is dataset


def test_classes_that_count_from_0_stay(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(text(",", label=lambda y: str(y - 1)))
    dataset = load(path)
    assert dataset.as_trained() is dataset
    path.write_text(text(",", label="class {}".format))
    dataset = load(path)
    assert dataset.as_trained() is dataset
    assert never_trained(dataset) == []


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
        "column 0 has no name and holds 0, 1, 2, ….*index=False",
    ),
    "text": (
        text(",").replace(f"{X[1, 0]:.4f}", "high"),
        {},
        "line 2 holds 'high' in column 1",
    ),
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
    "an index, under names": (
        pd.DataFrame(np.c_[Y, X]).to_csv(index_label="id"),
        {},
        "column 'id' is another one in every row.*: name it sequence.*data.label_column=id",
    ),
    "numbers of sequences as floats": (
        pd.DataFrame(X, columns=NAMES.split(",")).assign(n=np.arange(N) * 10.0).to_csv(index=False),
        {},
        "column 'n' is another one in every row",
    ),
    "names of sequences in front of timesteps": (
        pd.DataFrame(X, columns=NAMES.split(",")).to_csv(index_label="file"),
        {},
        "column 'file' is another one in every row",
    ),
    "a wrong cell in the first row": (
        text(",").replace(f"{X[0, 3]:.4f}", "high", 1),
        {},
        "line 1 holds 'high' in column 4 .*correct that cell",
    ),
    "a wrong cell in the first row of a wide table": (
        text("\t", last=True).replace(f"{X[0, 0]:.4f}", "high", 1),
        {"layout": "wide"},
        "line 1 holds 'high' in column 0 .*correct that cell",
    ),
    "a label with fractions": (
        text(",").replace("\n2,", "\n2.5,", 1),
        {},
        r"neither seems to be \(the first holds fractions, such as 2.5; the last .*",
    ),
    "a missing label": (
        text(",").replace("\n2,", "\n,", 1),
        {},
        r"neither seems to be \(the first has no value in 1 of 24 rows",
    ),
    "a missing label that is said": (
        text(",").replace("\n2,", "\n,", 1),
        {"label_column": "first"},
        "line 2 has no label",
    ),
    "no such number": (
        text(","),
        {"label_column": "99"},
        "data.label_column=99: no such column; give first, last, none or one of 0, 1, 2",
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
