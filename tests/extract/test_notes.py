"""Notes: when a part is finished, and that the rows of all parts become one table, in order."""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from rnnscope.extract import finishing, notes
from rnnscope.extract.notes import Part
from rnnscope.store.contents import Content, of_file
from rnnscope.store.tables import Column, Null, Table

SOME = Table("some", "sequence", (Column("<any>", "a value", nulls=(Null("no depth"),)),))
STATES = "lstm/c/part-00000.parquet"


def table(first: int, count: int) -> pd.DataFrame:
    number = np.arange(first, first + count, dtype=np.int32)
    known = {"sequence": number, "id": [f"s{n}" for n in number], "correct": number % 3 == 0}
    gaps = np.where(number % 4, number / 7, np.nan).astype(np.float32)
    return pd.DataFrame(known).assign(depth=gaps)


def left(folder: Path, sizes: list[int]) -> tuple[list[Part], pd.DataFrame]:
    """Leave a note per size; the parts, and the rows of all."""
    (folder / notes.PARTS).mkdir()
    starts = np.cumsum([0, *sizes]).tolist()
    parts = [Part(n, starts[n], starts[n + 1], "key") for n in range(len(sizes))]
    for part in parts:
        rows = table(part.start, part.stop - part.start)
        notes.write(folder, part, {"rows": len(rows)}, {}, {"some.parquet": rows})
    return parts, table(0, starts[-1])


@pytest.mark.parametrize("held", [1, 300, 2**25])
@pytest.mark.parametrize("sizes", [[4], [1, 5, 3], [9] * 12])
def test_the_rows_of_all_parts_come_in_order_however_many_are_held(
    sizes: list[int], held: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finishing, "ROW_GROUP", held)
    parts, want = left(tmp_path, sizes)
    content, _ = finishing.join(tmp_path, parts, SOME)
    assert content == of_file(tmp_path / "some.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "some.parquet"), want)
    groups = pq.ParquetFile(tmp_path / "some.parquet").num_row_groups
    assert groups == {1: len(sizes), 2**25: 1}.get(held, groups)
    assert held != 300 or groups < max(2, len(sizes))


def test_a_gap_is_a_null_on_disk(tmp_path: Path) -> None:
    parts, _ = left(tmp_path, [5, 4])
    _, nulls = finishing.join(tmp_path, parts, SOME)
    assert pq.read_table(tmp_path / "some.parquet")["depth"].null_count == 3
    assert nulls == {("depth", "no depth"): 3}


PART = Part(0, 0, 3, "key")


def noted(folder: Path) -> notes.Note:
    """A finished part with one file of states and a table."""
    (folder / notes.PARTS).mkdir()
    path = folder / STATES
    path.parent.mkdir(parents=True)
    path.write_bytes(b"states")
    figures = {"loss": 0.1 + 0.2, "residuals": {"lstm": {"h": 1e-7}}}
    files = {STATES: of_file(path)}
    return notes.write(folder, PART, figures, files, {"some.parquet": table(0, 3)})


def test_what_was_noted_is_read_as_it_was(tmp_path: Path) -> None:
    assert notes.read(tmp_path, PART) is None
    written = noted(tmp_path)
    assert notes.read(tmp_path, PART) == written
    assert set(written.contents) == {STATES, "_parts/00000.some.parquet"}
    for name, content in written.contents.items():
        assert of_file(tmp_path / name) == content


def test_a_part_of_another_model_under_the_same_key_is_not_done(tmp_path: Path) -> None:
    """Trained again, on a GPU or by another TensorFlow, weights may differ."""
    noted(tmp_path)
    assert notes.read(tmp_path, dataclasses.replace(PART, model="another")) is None


def test_a_part_whose_note_was_not_finished_is_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / notes.PARTS).mkdir()

    def killed(_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(json, "dumps", killed)
    with pytest.raises(KeyboardInterrupt):
        notes.write(tmp_path, PART, {}, {}, {"some.parquet": table(0, 3)})
    assert notes.read(tmp_path, PART) is None


def edited(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


NOTE = f"{notes.PARTS}/00000.json"
SPOILED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "an empty note": (NOTE, lambda _: b""),
    "half a note": (NOTE, lambda text: text[: len(text) // 2]),
    "a note of zeros": (NOTE, lambda text: bytes(len(text))),
    "a list": (NOTE, lambda _: b"[]"),
    "a number": (NOTE, lambda _: b"7"),
    "null": (NOTE, lambda _: b"null"),
    "no text": (NOTE, lambda _: b"\xff\xfe\x00"),
    "nested without end": (NOTE, lambda _: b"[" * 100_000),
    "another format": (NOTE, lambda text: text.replace(b'"format": 1', b'"format": 2')),
    "no format": (NOTE, lambda text: text.replace(b'"format"', b'"formal"')),
    "another artefact": (NOTE, lambda text: text.replace(b'"key"', b'"kez"')),
    "another part": (NOTE, lambda text: text.replace(b'"number": 0', b'"number": 1')),
    "other sequences": (NOTE, lambda text: text.replace(b'"stop": 3', b'"stop": 4')),
    "contents of another kind": (NOTE, lambda text: text.replace(b'"bytes"', b'"size"')),
    "contents that are a list": (NOTE, lambda text: text.replace(b'"contents": {', b'"c": {')),
    "a shortened file": (STATES, lambda content: content[:-1]),
    "a longer file": (STATES, lambda content: content + b"\0"),
    "a flipped bit": (STATES, lambda content: bytes([content[0] ^ 1]) + content[1:]),
    "an empty file": (STATES, lambda _: b""),
    "a flipped table": ("_parts/00000.some.parquet", lambda x: x[:9] + b"\x7f" + x[10:]),
}


@pytest.mark.parametrize("what", SPOILED)
def test_a_part_is_done_only_if_its_note_and_its_files_are_its_own(
    what: str, tmp_path: Path
) -> None:
    noted(tmp_path)
    name, change = SPOILED[what]
    edited(tmp_path / name, change)
    assert notes.read(tmp_path, PART) is None


@pytest.mark.parametrize("name", [NOTE, STATES, "_parts/00000.some.parquet"])
@pytest.mark.parametrize("instead", ["nothing", "a folder"])
def test_a_part_of_which_something_is_gone_is_not_done(
    name: str, instead: str, tmp_path: Path
) -> None:
    noted(tmp_path)
    (tmp_path / name).unlink()
    if instead == "a folder":
        (tmp_path / name).mkdir()
    assert notes.read(tmp_path, PART) is None


@pytest.mark.parametrize("other", [{"artefact": "other"}, {"start": 1}, {"stop": 5}])
def test_the_note_of_another_part_is_not_this_ones(
    other: dict[str, object], tmp_path: Path
) -> None:
    noted(tmp_path)
    assert notes.read(tmp_path, replace(PART, **other)) is None  # type: ignore[arg-type]


def test_only_what_is_named_is_kept(tmp_path: Path) -> None:
    kept = {"a/b/c": Content(0, ""), "d": Content(0, "")}
    for name in (*kept, "a/b/e", "a/f", ".hidden", "g/.h/i", "_parts/00000.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty" / "within").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    finishing.keep_only(tmp_path, kept)
    files = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    folders = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_dir()}
    assert (files, folders) == (set(kept), {"a", "a/b"})
