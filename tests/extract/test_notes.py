"""Notes: the rows of all parts become one table, in order, whatever is held at a time."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from rnnscope.extract import notes
from rnnscope.store.tables import Column, Null, Table

SOME = Table("some", "sequence", (Column("<any>", "a value", nulls=(Null("no depth"),)),))


def table(first: int, count: int) -> pd.DataFrame:
    number = np.arange(first, first + count, dtype=np.int32)
    known = {"sequence": number, "id": [f"s{n}" for n in number], "correct": number % 3 == 0}
    gaps = np.where(number % 4, number / 7, np.nan).astype(np.float32)
    return pd.DataFrame(known).assign(depth=gaps)


def left(folder: Path, sizes: list[int]) -> pd.DataFrame:
    """Leave a note per size; the rows of all."""
    (folder / notes.PARTS).mkdir()
    starts = np.cumsum([0, *sizes])
    for part, size in enumerate(sizes):
        rows = table(int(starts[part]), size)
        notes.write(folder, part, {"rows": size}, {"some.parquet": rows})
    return table(0, int(starts[-1]))


@pytest.mark.parametrize("held", [1, 300, 2**25])
@pytest.mark.parametrize("sizes", [[4], [1, 5, 3], [9] * 12])
def test_the_rows_of_all_parts_come_in_order_however_many_are_held(
    sizes: list[int], held: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notes, "ROW_GROUP", held)
    want = left(tmp_path, sizes)
    notes.join(tmp_path, len(sizes), SOME)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "some.parquet"), want)
    groups = pq.ParquetFile(tmp_path / "some.parquet").num_row_groups
    assert groups == {1: len(sizes), 2**25: 1}.get(held, groups)
    assert held != 300 or groups < max(2, len(sizes))


def test_a_gap_is_a_null_on_disk(tmp_path: Path) -> None:
    left(tmp_path, [5, 4])
    nulls = notes.join(tmp_path, 2, SOME)
    assert pq.read_table(tmp_path / "some.parquet")["depth"].null_count == 3
    assert nulls == {("depth", "no depth"): 3}


def test_what_was_noted_is_read_as_it_was(tmp_path: Path) -> None:
    (tmp_path / notes.PARTS).mkdir()
    assert notes.read(tmp_path, 0) is None
    figures = {"loss": 0.1 + 0.2, "residuals": {"lstm": {"h": 1e-7}}}
    notes.write(tmp_path, 0, figures, {})
    assert notes.read(tmp_path, 0) == figures


def test_a_part_whose_note_was_not_finished_is_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / notes.PARTS).mkdir()

    def killed(_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(json, "dumps", killed)
    with pytest.raises(KeyboardInterrupt):
        notes.write(tmp_path, 0, {}, {"some.parquet": table(0, 3)})
    assert notes.read(tmp_path, 0) is None
