"""The figures and table rows of each finished part, kept until all parts are finished.

<folder>/_parts/00000.json                 written last: a part without it is recorded again
<folder>/_parts/00000.sequences.parquet    its rows of <folder>/sequences.parquet
<folder>/_parts/00000.steps.parquet        and of <folder>/steps.parquet, if there are any
"""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from rnnscope.store import atomic
from rnnscope.store.tables import Nulls, Table, table_file

PARTS = "_parts"
ROW_GROUP = 2**25
"""Fewest bytes of a row group but the last."""


def read(folder: Path, part: int) -> dict[str, Any] | None:
    """The figures of a finished part; None where it is not finished."""
    note = _note(folder, part)
    if not note.is_file():
        return None
    known: dict[str, Any] = json.loads(note.read_text())
    return known


def write(
    folder: Path, part: int, figures: dict[str, Any], tables: Mapping[str, pd.DataFrame]
) -> None:
    """Keep the figures of a finished part, and its rows of each table, by the table's file name."""
    for name, rows in tables.items():
        with atomic.written(_rows(folder, part, name)) as unfinished:
            rows.to_parquet(unfinished, index=False)
    with atomic.written(_note(folder, part)) as unfinished:
        unfinished.write_text(json.dumps(figures))


def join(
    folder: Path, parts: int, table: Table, said: Mapping[bytes, bytes] | None = None
) -> Nulls:
    """Write a table from the rows of all parts, in their order, as a stream; returns its nulls.

    Args:
        folder: where the parts are, and the table will be.
        parts: how many there are.
        table: its declaration.
        said: what its schema is to say besides.
    """
    file = table_file(folder, table.name)
    rows = [_rows(folder, part, file.name) for part in range(parts)]
    schema = pq.read_schema(rows[0])
    schema = schema.with_metadata({**(schema.metadata or {}), **(said or {})})
    nulls: Nulls = Counter()
    with pq.ParquetWriter(file, schema) as writer:
        waiting: list[pa.Table] = []
        for path in rows:
            waiting.append(pq.read_table(path).cast(schema))
            nulls += table.nulls(waiting[-1], waiting[-1].to_pandas())
            if sum(each.nbytes for each in waiting) >= ROW_GROUP:
                writer.write_table(pa.concat_tables(waiting))
                waiting = []
        if waiting:
            writer.write_table(pa.concat_tables(waiting))
    return nulls


def _note(folder: Path, part: int) -> Path:
    return folder / PARTS / f"{part:05d}.json"


def _rows(folder: Path, part: int, name: str) -> Path:
    return folder / PARTS / f"{part:05d}.{name}"
