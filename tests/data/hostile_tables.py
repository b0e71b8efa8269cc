"""Tables that are damaged, ambiguous or odd, each with what must come of it."""

import codecs
import gzip
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from rnnscope.data import Dataset

Options = dict[str, Any]
Write = Callable[[Path], Options]
Check = Callable[[Dataset], None]


class Case(NamedTuple):
    """A table and what must come of it."""

    name: str
    write: Write
    """Writes files into a folder and returns options of the data, among them ``path``."""
    says: tuple[str, ...] = ()
    """What the one line of a refusal must mention; empty: the table is accepted."""
    check: Check | None = None
    """Of an accepted table: that it means what was written."""
    warns: str = ""
    """What the log of an accepted table must mention."""


N, T = 6, 4
RNG = np.random.default_rng(14)
X = RNG.normal(size=(N, T, 2)).round(4)
X[X == 0] = 0.5
Y = np.arange(N) % 2
HEAD = "sequence,timestep,u,v,label"
ROWS = [
    [str(s), str(t), f"{X[s, t, 0]:.4f}", f"{X[s, t, 1]:.4f}", str(Y[s])]
    for s in range(N)
    for t in range(T)
]
"""A long table; row R of it is line R + 2 of its file."""


def text(rows: list[list[str]] = ROWS, head: str | None = HEAD, sep: str = ",") -> str:
    """The lines of a table."""
    lines = [] if head is None else [head.replace(",", sep)]
    return "\n".join([*lines, *(sep.join(row) for row in rows)]) + "\n"


def changed(row: int, column: int, value: str, rows: list[list[str]] = ROWS) -> list[list[str]]:
    """The rows with another value in one cell."""
    copy = [list(each) for each in rows]
    copy[row][column] = value
    return copy


def column(number: int, values: Callable[[int, list[str]], str]) -> list[list[str]]:
    """The rows with other values in a column."""
    return [
        [values(n, row) if place == number else cell for place, cell in enumerate(row)]
        for n, row in enumerate(ROWS)
    ]


def written(content: str | bytes, name: str = "mine.csv", **options: Any) -> Write:
    """A file of that content."""

    def write(folder: Path) -> Options:
        data = content.encode() if isinstance(content, str) else content
        (folder / name).write_bytes(data)
        return {"path": str(folder / name), **options}

    return write


def two(train: str, test: str, **options: Any) -> Write:
    """A file of train and one of test."""

    def write(folder: Path) -> Options:
        (folder / "a.csv").write_text(train)
        (folder / "b.csv").write_text(test)
        return {"path": str(folder / "a.csv"), "test_path": str(folder / "b.csv"), **options}

    return write


def parquet(frame: pd.DataFrame, **options: Any) -> Write:
    """A frame as Parquet."""

    def write(folder: Path) -> Options:
        frame.to_parquet(folder / "mine.parquet", index=False)
        return {"path": str(folder / "mine.parquet"), **options}

    return write


def arrow(change: Callable[[pa.Table], pa.Table]) -> Write:
    """A changed Arrow table as Parquet."""

    def write(folder: Path) -> Options:
        pq.write_table(change(pa.Table.from_pandas(FRAME)), folder / "mine.parquet")
        return {"path": str(folder / "mine.parquet")}

    return write


FRAME = pd.DataFrame(
    {
        "sequence": np.repeat(np.arange(N), T),
        "timestep": np.tile(np.arange(T), N),
        "u": X[:, :, 0].ravel(),
        "v": X[:, :, 1].ravel(),
        "label": np.repeat(Y, T),
    }
)


def same(dataset: Dataset) -> None:
    """The test split is the long table as it was made."""
    batch = dataset.test.take(slice(None))
    np.testing.assert_array_equal(batch.x, X.astype(np.float32))
    assert batch.y is not None
    assert [dataset.classes[number] for number in batch.y] == [str(each) for each in Y]


def ids(*wanted: Any) -> Check:
    """The names of the test sequences."""

    def check(dataset: Dataset) -> None:
        assert dataset.test.ids is not None
        assert [str(each) for each in dataset.test.ids] == [str(each) for each in wanted]

    return check


def classes(*wanted: str) -> Check:
    """The names of the classes that occur."""

    def check(dataset: Dataset) -> None:
        occurring = tuple(map(str, dataset.occurring)) or dataset.classes
        assert occurring == wanted

    return check


def labels(values: Mapping[int, str]) -> list[list[str]]:
    """The rows with other labels of sequences."""
    return column(4, lambda n, row: values.get(int(row[0]), row[4]))


def names(values: Mapping[int, str]) -> list[list[str]]:
    """The rows with other names of sequences."""
    return column(0, lambda n, row: values.get(int(row[0]), row[0]))


def split(part: Callable[[int, list[str]], str], rows: list[list[str]] = ROWS) -> str:
    """The table with a column split."""
    return text([[*row, part(n, row)] for n, row in enumerate(rows)], HEAD + ",split")


CELLS = {
    "a unit": "12 ms",
    "percent": "12%",
    "currency": "€12",
    "hexadecimal": "0x1A",
    "an underscore": "1_000",
    "wide digits": "１２",
    "Fortran's exponent": "1d5",
    "thousands": '"1,234.5"',
    "a decimal comma": '"1,5"',
    "a word": "high",
    "a spreadsheet's error": "#DIV/0!",
    "a formula": "=A1+1",
    "a date": "2016-03-04",
    "a sign alone": "-",
    "two points": "1.2.3",
    "a complex number": "1+2j",
    "a fraction": "1/2",
    "a list": "[1]",
    "an escape": "\x1b[31m1",
}
TEXTS = [
    Case(f"long: {what} in a feature", written(text(changed(9, 2, cell))), ("line 11", "'u'"))
    for what, cell in CELLS.items()
]
TEXTS += [
    Case(
        f"series: {what} in a feature",
        written(text([row[2:4] for row in changed(9, 2, cell)], "u,v"), window=3),
        ("line 11", "'u'"),
    )
    for what, cell in CELLS.items()
]
WIDE = [[str(Y[s]), *(f"{x:.4f}" for x in RNG.normal(size=12))] for s in range(N)]
WIDE_HEAD = "label," + ",".join(f"t{n}" for n in range(12))
TEXTS += [
    Case(
        f"wide: {what} in a timestep",
        written(text(changed(3, 5, cell, WIDE), WIDE_HEAD)),
        ("line 5", "t4"),
    )
    for what, cell in CELLS.items()
]
NUMBERS = {"infinity": "inf", "past doubles": "1e400", "past float32": "-1e39", "word": "Infinity"}
TEXTS += [
    Case(f"long: {what}", written(text(changed(9, 3, cell))), ("line 11", "'v'", "infinite"))
    for what, cell in NUMBERS.items()
]
TEXTS += [
    Case(
        f"missing: {cell!r} in column {HEAD.split(',')[place]}",
        written(text(changed(9, place, cell))),
        ("line 11", f"'{HEAD.split(',')[place]}'"),
    )
    for cell in ("", "NA", "NaN", "null", "?")
    for place in (0, 1, 3, 4)
]
ALIKE = {
    "a leading zero": ("01", "1"),
    "a point": ("1.0", "1"),
    "an exponent": ("1e0", "1"),
    "a plus": ("+1", "1"),
    "a blank behind": ("a ", "a"),
    "a quoted blank": ('" a"', "a"),
    "a number with blanks": ('"1 "', "1"),
}
for where, of in (("label", labels), ("sequence", names)):
    TEXTS += [
        Case(
            f"{where}: {what}",
            written(text(of({2: one, 3: other}))),
            (f"'{where}'", "line ", "write them alike"),
        )
        for what, (one, other) in ALIKE.items()
    ]
    TEXTS += [
        Case(
            f"{where}: the name {name!r}",
            written(
                text(
                    of(
                        dict.fromkeys(range(N), "DE") | {2: name}
                        if where == "label"
                        else {s: f"s{s}" for s in range(N)} | {2: name}
                    )
                )
            ),
            (f"'{where}'", name, "line 10", "may be a missing value or a name"),
        )
        for name in ("NA", "None", "nan", "null", "N/A", "?")
    ]
TEXTS += [
    Case(
        "labels in two files are spelled in two ways",
        two(
            text(labels({s: f"0{s % 2}" for s in range(N)})),
            text(names({s: str(s + 10) for s in range(N)})),
        ),
        ("'label'", "same number", "b.csv"),
    ),
    Case(
        "names that differ in case alone are two",
        written(text(labels({s: "aA"[s % 2] for s in range(N)}))),
        check=classes("A", "a"),
        warns="differ in case",
    ),
    Case(
        "true and True are two names",
        written(text(labels({s: ("true", "True")[s % 2] for s in range(N)}))),
        check=classes("True", "true"),
        warns="differ in case",
    ),
    Case(
        "truth values of one spelling",
        written(text(labels({s: ("False", "True")[s % 2] for s in range(N)}))),
        check=classes("False", "True"),
    ),
    Case(
        "leading zeros of one width",
        written(text(labels({s: f"{s % 2:03d}" for s in range(N)}))),
        check=same,
    ),
    Case(
        "numbers and names as labels",
        written(text(labels({0: "x"}))),
        check=classes("0", "1", "x"),
    ),
    Case(
        "-0 and 0 among timesteps are numbers",
        written(
            text(
                changed(2, 12, "-0", changed(3, 12, "0", [[*row[:-1], "5"] for row in WIDE])),
                WIDE_HEAD,
            )
        ),
        check=lambda dataset: np.testing.assert_array_equal(
            dataset.test.take(slice(None)).x[:, -1], [5, 5, 0, 0, 5, 5]
        ),
    ),
    Case(
        "ids past int64 keep their digits",
        written(text(names({s: f"1234567890123456789{s:04d}" for s in range(N)}))),
        check=ids(*(f"1234567890123456789{s:04d}" for s in range(N))),
    ),
    Case(
        "ids past int64 within uint64",
        written(text(names({s: str(2**63 + s) for s in range(N)}))),
        check=ids(*(2**63 + s for s in range(N))),
    ),
    Case(
        "ids as floats that lose digits",
        written(text(names({s: f"{1e17 + 1e3 * s:.1f}" for s in range(N)}))),
        ("'sequence'", "line 2", "2^53"),
    ),
    Case(
        "an empty name",
        written(text(changed(9, 4, '"  "', labels({s: "ab"[s % 2] for s in range(N)})))),
        ("line 11", "'label'"),
    ),
    Case(
        "a name of a megabyte",
        written(text(labels({2: "a" * 2**20}))),
        ("1,048,576 characters", "line 10"),
    ),
    Case(
        "labels change within a sequence",
        written(text(changed(9, 4, "1"))),
        ("sequence 2", "data.labels=timestep"),
    ),
]
HEADERS = {
    "a name twice": ("sequence,timestep,u,u,label", ("columns 2 and 3", "'u'")),
    "a name twice beside blanks": ("sequence,timestep,u,u ,label", ("columns 2 and 3", "'u'")),
    "no name": ("sequence,timestep,u,,label", ("column 3 has no name", "index=False")),
    "a blank name": ('sequence,timestep,u," ",label', ("column 3 has no name",)),
    "a name of a megabyte": (f"sequence,timestep,u,{'v' * 2**20},label", ("column 3", "1,048,576")),
    "one name too few": ("timestep,u,v,label", ("4 names", "5 values")),
    "one name too many": (HEAD + ",w", ("6 names", "5 values")),
    "no sequence": (HEAD.replace("sequence", "id"), ("no column 'sequence'",)),
    "another case": (HEAD.replace("sequence", "Sequence"), ("no column 'sequence'",)),
    "label and target": (HEAD.replace("v", "target"), ("'label' and 'target'",)),
}
TEXTS += [
    Case(f"header: {what}", written(text(head=head)), says)
    for what, (head, says) in HEADERS.items()
]
TEXTS += [
    Case(
        "header: an escape stays as it is",
        written(text(head=HEAD.replace(",u,", ",\x1b[31mu,"))),
        check=same,
    ),
    Case(
        "header: again in the middle",
        written(text() + text(names({s: str(s + 10) for s in range(N)}))),
        ("line 26",),
    ),
    Case("a row of units", written(text([["", "", "mV", "ms", ""], *ROWS])), ("line 2",)),
    Case("a row of totals", written(text([*ROWS, ["Total", "", "1.5", "2.5", ""]])), ("line 26",)),
    Case(
        "a full row of totals",
        written(text([*ROWS, ["Total", "0", "1.5", "2.5", "1"]])),
        ("line 26", "Total"),
    ),
    Case(
        "a line of more fields",
        written(text([*ROWS[:9], [*ROWS[9], "7"], *ROWS[10:]])),
        ("line 11", "6 fields"),
    ),
    Case(
        "a line of fewer fields",
        written(text([*ROWS[:9], ROWS[9][:4], *ROWS[10:]])),
        ("line 11", "fewer fields"),
    ),
    Case("a last line that is cut off", written(text().rstrip("\n")[:-6]), ("line 25", "cut off")),
    Case(
        "a wide table that is cut off",
        written(text(WIDE, None).rstrip("\n")[:-30]),
        ("line 6", "cut off"),
    ),
    Case(
        "a quote that is not closed",
        written(text(changed(9, 4, '"0'))),
        ("line 11", "quotation mark"),
    ),
    Case(
        "a quote that is closed far below",
        written(text(changed(20, 4, '0"', changed(9, 4, '"0')))),
        ("line 11", "line 22", "quotation mark"),
    ),
    Case(
        "quoted cells", written(text([[f'"{cell}"' for cell in row] for row in ROWS])), check=same
    ),
    Case(
        "an escape in a name",
        written(text(labels({s: f"\x1b[3{s % 2}m" for s in range(N)}))),
        check=classes("\x1b[30m", "\x1b[31m"),
    ),
    Case(
        "a line end in a name",
        written(text(labels({s: f'"a\n{s % 2}"' for s in range(N)}))),
        check=classes("a\n0", "a\n1"),
    ),
    Case(
        "a formula as a name",
        written(text(labels({s: f"=A{s % 2}" for s in range(N)}))),
        check=classes("=A0", "=A1"),
    ),
    Case("a byte order mark", written(codecs.BOM_UTF8 + text().encode()), check=same),
    Case("UTF-16", written(text().encode("utf-16")), ("UTF-16", "save it as UTF-8")),
    Case(
        "Latin-1", written(text(labels({2: "ä"})).encode("latin-1")), ("line 10", "UTF-8", "0xe4")
    ),
    Case("a NUL byte", written(text(changed(9, 2, "1\0"))), ("line 11", "NUL")),
    Case("line ends of an old Macintosh", written(text().replace("\n", "\r")), check=same),
    Case("line ends of Windows", written(text().replace("\n", "\r\n")), check=same),
    Case("blank lines", written(text().replace("\n3,", "\n\n \n3,", 1)), check=same),
    Case(
        "a wrong cell below blank lines",
        written(text(changed(20, 2, "x")).replace("\n3,", "\n\n\n3,", 1)),
        ("line 24", "'u'"),
    ),
    Case("comments above", written("# a\n# b\n" + text()), check=same),
    Case(
        "a wrong cell below comments",
        written("# a\n# b\n" + text(changed(9, 2, "x"))),
        ("line 13",),
    ),
    Case(
        "a comment in the middle", written(text().replace("\n3,", "\n# half\n3,", 1)), ("line 14",)
    ),
    Case("Excel's first line", written("sep=;\n" + text(sep=";")), check=same),
    Case("gzip", written(gzip.compress(text().encode())), ("gzip", "gunzip")),
    Case("a gzip bomb", written(gzip.compress(b"0" * 10**7)), ("gzip", "gunzip")),
    Case(
        "Parquet under another name",
        written(b"PAR1" + b"\0" * 20 + b"PAR1"),
        ("Parquet", ".parquet"),
    ),
    Case("nothing", written(b""), ("empty",)),
    Case("blank lines alone", written(b"\n \n\n"), ("empty",)),
    Case("a header alone", written(HEAD + "\n"), ("mine.csv",)),
    Case("tabs", written(text(sep="\t"), "mine.tsv"), check=same),
    Case("bars", written(text(sep="|"), "mine.txt"), check=same),
    Case("German", written(text(sep=";").replace(".", ",")), check=same),
    Case("both marks", written(text(changed(3, 2, "1,5"), sep=";")), ("a comma and with a point",)),
    Case(
        "thousands or decimals",
        written(
            text(
                [[r[0], r[1], f"{n + 1},{n + 100}", str(n % 5), r[4]] for n, r in enumerate(ROWS)],
                sep=";",
            )
        ),
        ("'1,100'", "1100 or 1.100"),
    ),
    Case(
        "German thousands",
        written(
            text(
                [[r[0], r[1], f"{n + 1}.{n + 100}", str(n % 5), r[4]] for n, r in enumerate(ROWS)],
                sep=";",
            )
        ),
        ("1100 or 1.100",),
    ),
    Case("prose", written("I liked it a lot.\nNo good\nNever again\n"), ("no separator",)),
    Case(
        "too many columns",
        written(
            ",".join(f"c{n}" for n in range(60_000))
            + "\n"
            + ",".join("1.5" for _ in range(60_000))
            + "\n"
        ),
        ("60,000 columns", ".npz"),
    ),
    Case(
        "a constant column",
        written(text(column(3, lambda n, row: "1.5"))),
        check=lambda dataset: None,
        warns="same value in all rows: v",
    ),
    Case(
        "a column that is the label",
        written(text(column(3, lambda n, row: str(10 - int(row[4]))))),
        check=lambda dataset: None,
        warns="v tells the label",
    ),
]
STEPS = {
    "twice": (changed(9, 1, "0"), ("sequence 2", "twice", "line 11")),
    "two formats of dates": (
        column(1, lambda n, row: f"2016-03-0{int(row[1]) + 1}" if n else "03/01/2016"),
        ("03/01/2016",),
    ),
    "day or month first": (
        column(1, lambda n, row: ("01/02/2016", "02/01/2016", "03/01/2016", "04/01/2016")[n % 4]),
        ("day or the month",),
    ),
    "words": (column(1, lambda n, row: f"step {row[1]}"), ("'step 0'",)),
    "infinite": (changed(9, 1, "inf"), ("inf",)),
}
TEXTS += [
    Case(f"timesteps: {what}", written(text(rows)), says) for what, (rows, says) in STEPS.items()
]
ORDERED = {
    "negative": column(1, lambda n, row: str(int(row[1]) - 7)),
    "fractions": column(1, lambda n, row: f"{int(row[1]) / 8}"),
    "rows in another order": ROWS[::-1],
    "sequences that alternate": sorted(ROWS, key=lambda row: row[1]),
    "dates": column(1, lambda n, row: f"2016-03-0{int(row[1]) + 1}"),
    "gaps": column(1, lambda n, row: str(10 * int(row[1]))),
}
TEXTS += [Case(f"timesteps: {what}", written(text(r)), check=same) for what, r in ORDERED.items()]
OTHER = names({s: str(s + 10) for s in range(N)})
MOVED = column(1, lambda n, row: str(int(row[1]) + T))
FRESH = column(2, lambda n, row: f"{float(row[2]) + 1:.4f}")
OVERLAP = {
    "one id in train and test": (
        names({2: "p7"}),
        names({s: f"q{s}" for s in range(N)} | {4: "p7"}),
        ("sequence p7 is in train and in test",),
    ),
    "one number in train and test": (
        OTHER,
        names({0: "12", 1: "77"}),
        ("is in train and in test",),
    ),
    "the same file twice": (ROWS, ROWS, ("sequence 0", "is the same")),
    "sequences that go on in test": (
        ROWS,
        MOVED,
        ("begins at timestep 0 in train and at 4 in test",),
    ),
}
SPLITS = [
    Case(what, two(text(train), text(test)), says) for what, (train, test, says) in OVERLAP.items()
]
SPLITS += [
    Case(
        "rows are missing within a sequence",
        written(text([row for row in ROWS if row[:2] != ["2", "1"]])),
        check=lambda dataset: None,
        warns="1 of 17 steps from one timestep to the next are longer than usual",
    ),
    Case(
        "each row is a sequence of its own",
        written(text([[f"s{n * 3}", "0", *row[2:]] for n, row in enumerate(ROWS)])),
        check=lambda dataset: None,
        warns="every sequence has a single timestep",
    ),
    Case(
        "train and test are scaled unalike",
        two(text([[*row[:2], f"{float(row[2]) * 255}", *row[3:]] for row in OTHER]), text()),
        check=same,
        warns="are they scaled alike?",
    ),
    Case(
        "a series without names",
        written(text([row[2:4] for row in ROWS], None), window=T),
        check=lambda dataset: np.testing.assert_array_equal(
            dataset.test.take(slice(None)).x, X.astype(np.float32)
        ),
    ),
    Case("numbers that start anew", two(text(FRESH), text()), check=same, warns="numbered anew"),
    Case(
        "columns in another order",
        two(
            text([[str(int(row[0]) + 10), *row[1:]] for row in FRESH]),
            text([row[::-1] for row in ROWS], "label,v,u,timestep,sequence"),
        ),
        check=same,
    ),
    Case(
        "other columns",
        two(text(OTHER), text(head=HEAD.replace("v", "w"))),
        ("a.csv has the columns", "b.csv"),
    ),
    Case(
        "a wrong cell in the test file",
        two(text(OTHER), text(changed(9, 2, "x"))),
        ("line 11 of b.csv", "'u'"),
    ),
    Case(
        "a gap in the training file",
        two(text(changed(9, 2, "", OTHER)), text()),
        ("line 11 of a.csv", "'u'"),
    ),
    Case(
        "a split of its own in two files",
        two(split(lambda n, row: "train", OTHER), text()),
        ("column 'split'",),
    ),
    Case(
        "rows drawn at random",
        written(split(lambda n, row: ("train", "test")[n % 3 == 0])),
        ("begins at timestep",),
    ),
    Case(
        "a sequence cut in time",
        written(split(lambda n, row: ("train", "test")[int(row[1]) > 1])),
        ("begins at timestep 0 in train and at 2 in test",),
    ),
    Case(
        "names in two splits of one file",
        written(
            split(
                lambda n, row: ("train", "test")[int(row[1]) > 1],
                names({s: f"p{s}x" for s in range(N)}),
            )
        ),
        ("sequence p0x is in train and in test",),
    ),
    Case(
        "a split of another name",
        written(split(lambda n, row: ("train", "Test")[n > 9])),
        ("'Test'",),
    ),
    Case(
        "wide: one id in both",
        two(
            text([["a" + str(n), *row] for n, row in enumerate(WIDE)], "sequence," + WIDE_HEAD),
            text([["a" + str(n + 3), *row] for n, row in enumerate(WIDE)], "sequence," + WIDE_HEAD),
        ),
        ("sequence a3 is in train and in test",),
    ),
]


def indexed(name: str, start: int = 0, order: Any = None) -> str:
    """The long table with a column that numbers its rows."""
    count = [str(n) for n in (range(len(ROWS)) if order is None else order)]
    rows = [[str(int(n) + start), *row] for n, row in zip(count, ROWS, strict=True)]
    return text(rows, f"{name},{HEAD}")


def with_index(folder: Path) -> Options:
    """A frame whose index pandas keeps in the file."""
    frame = FRAME.set_index(pd.Index(np.arange(N * T) * 2))
    frame.to_parquet(folder / "mine.parquet")
    return {"path": str(folder / "mine.parquet")}


INDEX = [
    Case(f"index: named {name!r}, from {start}", written(indexed(name, start)), says)
    for name, says in {
        "": ("column 0 has no name", "index=False"),
        '""': ("column 0 has no name", "row.names=FALSE"),
        "Unnamed: 0": ("column 0 has no name", "index=False"),
        "index": ("'index' numbers the rows",),
        "id": ("'id' numbers the rows",),
    }.items()
    for start in (0, 1, 800)
]
INDEX += [
    Case(
        "index: shuffled",
        written(indexed("n", order=RNG.permutation(len(ROWS)))),
        ("'n' numbers the rows",),
    ),
    Case(
        "index: in each of two files",
        two(indexed("n"), text([[str(n), *row] for n, row in enumerate(OTHER)], f"n,{HEAD}")),
        ("'n' numbers the rows",),
    ),
    Case(
        "index: over both files",
        two(indexed("n"), text([[str(n + 24), *row] for n, row in enumerate(OTHER)], f"n,{HEAD}")),
        ("'n' numbers the rows",),
    ),
    Case(
        "index: of a series",
        written(text([[str(n), *row[2:4]] for n, row in enumerate(ROWS)], "n,u,v"), window=3),
        ("'n' numbers the rows",),
    ),
    Case("index: an annotation", written(indexed("n"), annotations=["n"]), check=same),
    Case(
        "index: a column timestep of a series",
        written(
            text([[str(n), *row[2:4]] for n, row in enumerate(ROWS)], "timestep,u,v"), window=4
        ),
        check=lambda dataset: np.testing.assert_array_equal(
            dataset.test.take(slice(None)).x, X.astype(np.float32)
        ),
    ),
    Case(
        "index: R's row names",
        written(text([[f'"{n + 1}"', *row] for n, row in enumerate(ROWS)])),
        ("5 names", "6 values", "row names"),
    ),
    Case(
        "index: of Parquet",
        parquet(FRAME.assign(__index_level_0__=np.arange(N * T) * 3)),
        ("'__index_level_0__' numbers the rows",),
    ),
    Case(
        "index: counts in Parquet",
        parquet(FRAME.assign(n=np.arange(1, N * T + 1))),
        ("'n' numbers the rows",),
    ),
    Case("index: of pandas in Parquet", with_index, check=same),
]


def damaged(change: Callable[[bytes], bytes]) -> Write:
    """A Parquet file whose bytes are changed."""

    def write(folder: Path) -> Options:
        FRAME.to_parquet(folder / "mine.parquet")
        data = (folder / "mine.parquet").read_bytes()
        (folder / "mine.parquet").write_bytes(change(data))
        return {"path": str(folder / "mine.parquet")}

    return write


def bomb(folder: Path) -> Options:
    """A hundred million equal rows in a few kilobytes."""
    path = folder / "mine.parquet"
    frame = pa.table({name: pa.nulls(10**8) for name in FRAME})
    pq.write_table(frame, path, row_group_size=10**8)
    return {"path": str(path)}


def parts(*frames: pd.DataFrame, junk: Mapping[str, bytes] = {}) -> Write:
    """A folder of Parquet files, and others beside them."""

    def write(folder: Path) -> Options:
        inner = folder / "parts"
        inner.mkdir()
        for number, frame in enumerate(frames):
            frame.to_parquet(inner / f"part-{number}.parquet", index=False)
        for name, content in junk.items():
            (inner / name).write_bytes(content)
        return {"path": str(inner)}

    return write


def hollow(folder: Path) -> Options:
    """A file without row groups."""
    pq.ParquetWriter(folder / "mine.parquet", pa.Table.from_pandas(FRAME).schema).close()
    return {"path": str(folder / "mine.parquet")}


def encrypted(folder: Path) -> Options:
    """A file whose footer is encrypted."""
    FRAME.to_parquet(folder / "mine.parquet")
    data = (folder / "mine.parquet").read_bytes()
    (folder / "mine.parquet").write_bytes(b"PARE" + data[4:-4] + b"PARE")
    return {"path": str(folder / "mine.parquet")}


HALF, REST = FRAME[: 3 * T], FRAME[3 * T :]
PARQUET = [
    Case("parquet: as it is", parquet(FRAME), check=same),
    Case("parquet: cut off", damaged(lambda data: data[:-50]), ("mine.parquet",)),
    Case("parquet: half", damaged(lambda data: data[: len(data) // 2]), ("mine.parquet",)),
    Case("parquet: a byte", damaged(lambda data: b"P"), ("mine.parquet",)),
    Case("parquet: zeros", damaged(lambda data: b"\0" * len(data)), ("mine.parquet",)),
    Case(
        "parquet: a footer of 2 GB",
        damaged(lambda data: data[:-8] + b"\xff\xff\xff\x7fPAR1"),
        ("mine.parquet",),
    ),
    Case("parquet: encrypted", encrypted, ("mine.parquet",)),
    Case("parquet: a bomb", bomb, ("100,000,000 rows", "memory")),
    Case("parquet: no row groups", hollow, ("no rows",)),
    Case("parquet: text as a feature", parquet(FRAME.assign(u="a")), ("'u' is not numeric",)),
    Case(
        "parquet: lists",
        arrow(lambda table: table.set_column(2, "u", pa.array([[1.0]] * N * T))),
        ("'u' is not numeric",),
    ),
    Case(
        "parquet: structs",
        arrow(lambda table: table.set_column(2, "u", pa.array([{"a": 1}] * N * T))),
        ("'u' is not numeric",),
    ),
    Case(
        "parquet: maps",
        arrow(
            lambda table: table.set_column(
                2, "u", pa.array([[("a", 1)]] * N * T, pa.map_(pa.string(), pa.int64()))
            )
        ),
        ("'u' is not numeric",),
    ),
    Case(
        "parquet: bytes",
        arrow(lambda table: table.set_column(2, "u", pa.array([b"a"] * N * T))),
        ("'u' is not numeric",),
    ),
    Case(
        "parquet: dates as a feature",
        parquet(FRAME.assign(u=pd.Timestamp("2020-01-01"))),
        ("'u' is not numeric",),
    ),
    Case(
        "parquet: decimals",
        arrow(lambda table: table.set_column(2, "u", pa.array([1] * N * T, pa.decimal128(9, 2)))),
        ("'u' is not numeric",),
    ),
    Case(
        "parquet: nothing but nulls",
        arrow(lambda table: table.set_column(2, "u", pa.nulls(N * T))),
        ("'u'",),
    ),
    Case(
        "parquet: a null",
        parquet(FRAME.assign(u=FRAME["u"].where(FRAME.index != 9))),
        ("row 9", "'u'"),
    ),
    Case(
        "parquet: lists as names",
        arrow(
            lambda table: table.set_column(
                0, "sequence", pa.array([[s] for s in range(N) for _ in range(T)])
            )
        ),
        ("'sequence'",),
    ),
    Case(
        "parquet: a struct as label",
        arrow(lambda table: table.set_column(4, "label", pa.array([{"a": 1}] * N * T))),
        ("'label'",),
    ),
    Case(
        "parquet: labels past int64", parquet(FRAME.assign(label=np.uint64(2**63 + 5))), ("label",)
    ),
    Case(
        "parquet: names past int64",
        parquet(
            FRAME.assign(sequence=FRAME["sequence"].to_numpy().astype(np.uint64) + np.uint64(2**63))
        ),
        check=ids(*(2**63 + s for s in range(N))),
    ),
    Case(
        "parquet: names as floats past 2^53",
        parquet(FRAME.assign(sequence=FRAME["sequence"] * 1e3 + 1e17)),
        ("'sequence'", "row 0", "2^53"),
    ),
    Case(
        "parquet: a name twice",
        arrow(lambda table: table.append_column("u", table.column("v"))),
        ("'u'",),
    ),
    Case(
        "parquet: 01 and 1 as text",
        parquet(FRAME.assign(label=np.where(FRAME["label"] == 0, "01", "1"))),
        ("'01' and '1'", "are the same number"),
    ),
    Case(
        "parquet: NA as text",
        parquet(FRAME.assign(label=np.where(FRAME["label"] == 0, "NA", "DE"))),
        ("'NA' (row 0)", "may be a missing value"),
    ),
    Case("parquet: a folder", parts(HALF, REST), check=same),
    Case(
        "parquet: hidden files beside",
        parts(
            HALF,
            REST,
            junk={
                ".DS_Store": b"x",
                "._part-0.parquet": b"x",
                "_SUCCESS": b"",
                ".part-0.parquet.crc": b"crc",
            },
        ),
        check=same,
    ),
    Case(
        "parquet: a broken part",
        parts(HALF, REST, junk={"part-9.parquet": b"PAR1 no"}),
        ("part-9.parquet",),
    ),
    Case(
        "parquet: an empty part",
        parts(HALF, REST, junk={"part-9.parquet": b""}),
        ("part-9.parquet",),
    ),
    Case(
        "parquet: another column in a part",
        parts(HALF, REST.rename(columns={"v": "w"})),
        ("part-1.parquet",),
    ),
    Case(
        "parquet: text in a part",
        parts(HALF, REST.assign(label=REST["label"].astype(str))),
        ("'label'", "part-1.parquet"),
    ),
    Case(
        "parquet: a narrower type in a part",
        parts(HALF, REST.astype({"label": "int8", "u": "float32"})),
        check=lambda dataset: np.testing.assert_array_equal(
            dataset.test.take(slice(None)).x, X.astype(np.float32)
        ),
    ),
    Case("parquet: CSV under that name", written(text(), "mine.parquet"), ("mine.parquet",)),
    Case(
        "parquet: one sequence in both splits",
        parquet(
            FRAME.assign(split=["train", "test"] * (N * T // 2), sequence=FRAME["sequence"] + 5)
        ),
        ("is in train and in test",),
    ),
    Case(
        "parquet: no file", lambda folder: {"path": str(folder / "none.parquet")}, ("none.parquet",)
    ),
]


def special(make: Callable[[Path], None], name: str) -> Write:
    """A path that is no file."""

    def write(folder: Path) -> Options:
        make(folder / name)
        return {"path": str(folder / name)}

    return write


def beside(folder: Path) -> Options:
    """Train and test among the files of an operating system."""
    inner = folder / "pair"
    inner.mkdir()
    (inner / "a_TRAIN.csv").write_text(text(FRESH))
    (inner / "a_TEST.csv").write_text(text())
    (inner / "._a_TRAIN.csv").write_bytes(b"\0\5\26\7")
    (inner / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (inner / "Thumbs.db").write_bytes(b"\xd0\xcf")
    return {"path": str(inner)}


def pipe_beside(folder: Path) -> Options:
    """A pipe as the file of the test split."""
    os.mkfifo(folder / "b.csv")
    return written(text())(folder) | {"test_path": str(folder / "b.csv")}


def pipe_within(folder: Path) -> Options:
    """A pipe among the parts of a table."""
    found = parts(HALF, REST)(folder)
    os.mkfifo(Path(found["path"]) / "x.parquet")
    return found


def zipped(folder: Path) -> Options:
    """A CSV within a zip archive that is named .csv."""
    with zipfile.ZipFile(folder / "mine.csv", "w") as archive:
        archive.writestr("inner.csv", text())
    return {"path": str(folder / "mine.csv")}


PLACES = [
    Case("a pipe as .csv", special(os.mkfifo, "mine.csv"), ("a pipe, not a regular file",)),
    Case("a pipe as .parquet", special(os.mkfifo, "mine.parquet"), ("a pipe, not a regular file",)),
    Case(
        "a link to /dev/zero",
        special(lambda path: path.symlink_to("/dev/zero"), "mine.csv"),
        ("a device, not a regular file",),
    ),
    Case(
        "a link to itself", special(lambda path: path.symlink_to(path), "mine.csv"), ("mine.csv",)
    ),
    Case(
        "a link to nothing",
        special(lambda path: path.symlink_to("none"), "mine.csv"),
        ("mine.csv",),
    ),
    Case("a pipe as the test file", pipe_beside, ("b.csv", "pipe")),
    Case("a pipe in a folder", pipe_within, ("x.parquet", "pipe")),
    Case("files of the system beside train and test", beside, check=same),
    Case("a zip archive", zipped, ("zip",)),
]


def wide_of(count: int) -> list[list[str]]:
    """Eight sequences of many timesteps, with a label in front."""
    return [[str(n % 2), *(f"{x:.3f}" for x in RNG.normal(size=count))] for n in range(8)]


MANY = wide_of(3_000)
LARGE = [
    Case(
        "3,000 timesteps",
        written(text(MANY, None)),
        check=lambda dataset: np.testing.assert_array_equal(
            dataset.test.take(slice(None)).x, np.array(MANY, np.float32)[:, 1:]
        ),
    ),
    Case(
        "3,000 features",
        written(
            text(
                [[str(n // 2), str(n % 2), *row[1:]] for n, row in enumerate(MANY)],
                "sequence,timestep," + ",".join(f"f{n}" for n in range(3_000)),
            )
        ),
        check=lambda dataset: np.testing.assert_array_equal(
            dataset.test.take(slice(None)).x,
            np.array(MANY, np.float32)[:, 1:].reshape(4, 2, 3_000),
        ),
    ),
]
PARQUET += [case for case in INDEX if "Parquet" in case.name]
INDEX = [case for case in INDEX if case not in PARQUET]
CASES = [*TEXTS, *SPLITS, *INDEX, *PARQUET, *PLACES, *LARGE]
