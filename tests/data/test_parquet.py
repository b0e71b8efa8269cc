"""Parquet in order is read where it is asked for, and is the same data as read whole."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from rnnscope.data import parquet, rows
from rnnscope.data.rows import Streamed
from rnnscope.errors import UserError
from tests.data.test_arrays import assert_takes_the_same
from tests.data.test_data import (
    WRONG,
    Tables,
    arrays,
    complaint,
    load,
    long_form,
    npz,
    whole,
    write,
)


@pytest.fixture(autouse=True)
def _stream_small_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "IN_MEMORY", 0)
    monkeypatch.setattr(rows, "BATCH", 7)


def files(folder: Path, frame: pd.DataFrame, size: int = 20) -> Path:
    """The table as a folder of files, ``size`` rows in each, in row groups of 6."""
    path = folder / "table"
    path.mkdir()
    for number, start in enumerate(range(0, max(1, len(frame)), size)):
        frame[start : start + size].to_parquet(
            path / f"part-{number:03d}.parquet", index=False, row_group_size=6
        )
    return path


def spoil(path: Path, groups: set[int]) -> None:
    """Overwrite the pages of some row groups; the footer stays."""
    metadata = pq.ParquetFile(path).metadata
    content = bytearray(path.read_bytes())
    for group in groups:
        for number in range(metadata.num_columns):
            column = metadata.row_group(group).column(number)
            start = min(filter(None, [column.dictionary_page_offset, column.data_page_offset]))
            size = column.total_compressed_size
            content[start : start + size] = bytes(size)
    path.write_bytes(content)


FORMS: dict[str, Any] = {
    "one file": lambda folder, frame: write(folder, frame),
    "files": files,
    "shuffled": lambda folder, frame: write(folder, frame.sample(frac=1, random_state=0)),
    "csv": lambda folder, frame: write(folder, frame, "csv"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_data_as_arrays(form: str, tmp_path: Path) -> None:
    made = arrays()
    got, want = load(FORMS[form](tmp_path, long_form(made)), 0.2), load(npz(tmp_path, made), 0.2)
    assert got.classes == want.classes
    for one, other in zip(whole(got), whole(want), strict=True):
        assert_takes_the_same(one, other)
    assert isinstance(got.test.x, Streamed) == (form in ("one file", "files"))


ORDERED: dict[str, Tables] = {
    "plain": lambda frame: frame,
    "labels by name": lambda frame: frame.assign(label=frame["label"].map(dict(enumerate("cab")))),
    "categories": lambda frame: frame.assign(
        label=frame["label"].astype(str).astype("category"),
        split=frame["split"].astype("category"),
        sequence=pd.Categorical(
            names := frame["sequence"].map("{:03d}".format), sorted(set(names), reverse=True)
        ),
    ),
    "split by split or not": lambda frame: frame.sort_values(["sequence", "split", "timestep"]),
    "times": lambda frame: frame.assign(
        timestep=pd.Timestamp("2020-01-01") + pd.to_timedelta(frame["timestep"], unit="s")
    ),
    "nullable numbers": lambda frame: frame.astype({"sequence": "Int64", "label": "Int64"}),
    "other features": lambda frame: frame.assign(u=frame["u"] > 0, w=frame["w"].astype("float16")),
    "an index": lambda frame: frame.set_index(pd.Index(range(len(frame)), name="i") * 2),
    "no labels": lambda frame: frame.drop(columns="label"),
    "no splits": lambda frame: frame[frame["split"] == "test"].drop(columns="split"),
}


@pytest.mark.parametrize("change", ORDERED)
def test_streamed_or_whole_makes_no_difference(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = ORDERED[change](long_form(arrays()))
    path = tmp_path / "mine.parquet"
    frame.to_parquet(path, index=change == "an index", row_group_size=11)
    streamed = load(path)
    monkeypatch.setattr(parquet, "IN_MEMORY", 2**28)
    at_once = load(path)
    assert isinstance(streamed.test.x, Streamed)
    assert isinstance(at_once.test.x, np.ndarray)
    assert streamed.classes == at_once.classes
    for one, other in zip(whole(streamed), whole(at_once), strict=True):
        assert_takes_the_same(one, other)
        assert one.ids is not None
        assert other.ids is not None
        assert one.ids.tolist() == other.ids.tolist()


def test_a_slice_reads_only_the_row_groups_it_lies_in(tmp_path: Path) -> None:
    made = arrays()
    frame = long_form(made).query("split == 'test'")
    path = tmp_path / "mine.parquet"
    frame.to_parquet(path, index=False, row_group_size=6)
    test = load(path).test
    want = test.take(slice(9, 14)).x
    assert test.lengths is not None
    ends = np.cumsum(test.lengths)
    needed = set(range(int(ends[8]) // 6, (int(ends[13]) - 1) // 6 + 1))
    every = set(range(pq.ParquetFile(path).metadata.num_row_groups))
    assert len(every) > len(needed) > 1
    spoil(path, every - needed)
    np.testing.assert_array_equal(test.take(slice(9, 14)).x, want)
    np.testing.assert_array_equal(test.take(np.array([13, 9])).x, want[[4, 0]])
    with pytest.raises(UserError, match=re.escape(f"data.path={path}: cannot be read")):
        test.take(slice(14, None))


def test_of_a_large_row_group_no_more_is_decoded_than_up_to_the_last_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = load(write(tmp_path, long_form(arrays()))).test
    decoded: list[int] = []
    floats = rows.floats

    def counted(batch: Any, columns: Any) -> Any:
        decoded.append(len(batch))
        return floats(batch, columns)

    monkeypatch.setattr(rows, "floats", counted)
    test.take(slice(0, 1))
    assert sum(decoded) <= 14  # two batches of 7 rows at most hold one sequence of 5


@pytest.mark.parametrize("wrong", WRONG)
def test_streamed_tables_that_do_not_fit_say_where(wrong: str, tmp_path: Path) -> None:
    change, says = WRONG[wrong]
    assert complaint(files(tmp_path, change(long_form(arrays())))).startswith(says)


def test_a_gap_past_the_first_file_is_counted_from_the_first_row(tmp_path: Path) -> None:
    frame = long_form(arrays())
    frame.loc[33, "v"] = np.nan
    assert complaint(files(tmp_path, frame)).startswith("row 33 has no value in column 'v'")


def test_files_of_other_columns_are_named(tmp_path: Path) -> None:
    path = files(tmp_path, long_form(arrays()))
    frame = pd.read_parquet(path / "part-001.parquet").rename(columns={"u": "z"})
    frame.to_parquet(path / "part-001.parquet", index=False)
    assert complaint(path).startswith("part-001.parquet has the columns z, v, w, ")


def test_empty_files_and_narrower_numbers_are_no_matter(tmp_path: Path) -> None:
    made = arrays()
    frame = long_form(made)
    path = files(tmp_path, frame)
    frame[:0].to_parquet(path / "part-.parquet", index=False)
    narrow = pd.read_parquet(path / "part-002.parquet").astype({"sequence": "int8", "u": "float64"})
    narrow.to_parquet(path / "part-002.parquet", index=False)
    (path / "_metadata").write_bytes(b"not a table")
    test = load(path).test
    assert isinstance(test.x, Streamed)
    assert_takes_the_same(test, load(npz(tmp_path, made)).test)


def test_a_folder_of_folders_is_read_whole(tmp_path: Path) -> None:
    frame = long_form(arrays())
    frame.to_parquet(tmp_path / "table", index=False, partition_cols=["split"])
    test = load(tmp_path / "table").test
    assert isinstance(test.x, np.ndarray)
    assert_takes_the_same(test, load(npz(tmp_path, arrays())).test)


MEMORY = """
import sys
from pathlib import Path
from rnnscope.data import load, parquet
from tests.data.test_data import options

def peak():
    line = next(x for x in open("/proc/self/status") if x.startswith("VmHWM"))
    return int(line.split()[1]) / 1024

def sequences(path):
    test = load(options(path)).test
    return sum(len(test.take(slice(i, i + 500)).x) for i in range(0, len(test), 500))

parquet.IN_MEMORY = 0
sequences(sys.argv[1])
before = peak()
print(sequences(sys.argv[2]), peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_memory_does_not_grow_with_the_table(tmp_path: Path) -> None:
    count, steps = 30_000, 50
    frame = pd.DataFrame(
        np.random.default_rng(0).normal(size=(count * steps, 24)).astype(np.float32),
        columns=[f"f{number}" for number in range(24)],
    )  # 144 MB
    frame["sequence"] = np.repeat(np.arange(count), steps)
    frame["timestep"] = np.tile(np.arange(steps), count)
    small, big = tmp_path / "small.parquet", tmp_path / "big.parquet"
    frame.to_parquet(big, index=False, row_group_size=count * steps)
    frame[: len(frame) // 3].to_parquet(small, index=False)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(small), str(big)],
        capture_output=True,
        text=True,
        check=True,
    )
    total, grown = map(float, done.stdout.split())
    assert total == count
    assert grown < 50


@pytest.mark.parametrize(("name", "task"), [("label", "regression"), ("target", "classification")])
def test_the_name_of_the_label_must_go_with_the_task(name: str, task: str, tmp_path: Path) -> None:
    frame = long_form(arrays()).rename(columns={"label": name})
    with pytest.raises(UserError, match=f"a column '{name}' holds .* go with data.task={task}"):
        load(write(tmp_path, frame), task=task)
