"""What each part leaves behind when it is done: its figures and tables, until the last is.

<folder>/_parts/00000.json                 written last: a part without one starts anew
<folder>/_parts/00000.sequences.parquet    its rows of <folder>/sequences.parquet
<folder>/_parts/00000.steps.parquet        and of <folder>/steps.parquet, if there are any
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from rnnscope.store import atomic

PARTS = "_parts"
ROW_GROUP = 2**25
"""Bytes from which rows are written as a group; fewer only at the end."""


def read(folder: Path, part: int) -> dict[str, Any] | None:
    """The figures of a part; None where it is not done."""
    note = _note(folder, part)
    if not note.is_file():
        return None
    known: dict[str, Any] = json.loads(note.read_text())
    return known


def write(
    folder: Path, part: int, figures: dict[str, Any], tables: Mapping[str, pd.DataFrame]
) -> None:
    """Leave a part's figures, and its rows of each table, by the names of the files to come."""
    for name, rows in tables.items():
        with atomic.written(_rows(folder, part, name)) as unfinished:
            rows.to_parquet(unfinished, index=False)
    with atomic.written(_note(folder, part)) as unfinished:
        unfinished.write_text(json.dumps(figures))


def join(folder: Path, parts: int, name: str) -> None:
    """Write the table of that name from the rows of all parts, in their order, as a stream."""
    rows = [_rows(folder, part, name) for part in range(parts)]
    schema = pq.read_schema(rows[0])
    with pq.ParquetWriter(folder / name, schema) as file:
        waiting: list[pa.Table] = []
        for path in rows:
            waiting.append(pq.read_table(path).cast(schema))
            if sum(table.nbytes for table in waiting) >= ROW_GROUP:
                file.write_table(pa.concat_tables(waiting))
                waiting = []
        if waiting:
            file.write_table(pa.concat_tables(waiting))


def _note(folder: Path, part: int) -> Path:
    return folder / PARTS / f"{part:05d}.json"


def _rows(folder: Path, part: int, name: str) -> Path:
    return folder / PARTS / f"{part:05d}.{name}"
