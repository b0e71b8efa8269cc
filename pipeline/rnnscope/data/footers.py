"""Parquet files by their footers: what they say of rows, sizes and types, before any is read."""

import contextlib
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from rnnscope.data.folders import tables_in
from rnnscope.data.lines import ROW, refuse_special
from rnnscope.errors import UserError, brief

LARGE = 2**30
"""Bytes in memory from which on a table is judged by how small its file is."""
RATIO = 500
"""Bytes in memory for each byte of a file: numbers that were measured are far below."""

DAMAGED = (ValueError, LookupError, TypeError, AttributeError, MemoryError)
"""What pandas raises where its own notes in a file are damaged."""
Described = tuple[Path, pq.FileMetaData, pa.Schema]


def read_parquet(path: Path) -> pd.DataFrame:
    """A table in a .parquet file, or in a folder of them; its index counts the rows from 0.

    Raises:
        UserError: a file that cannot be read, whose footer does not fit its size, or whose table
            does not fit in memory.
    """
    found = described(path)
    needed = sum(_bytes(metadata) for _, metadata, _ in found)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > memory:
        raise UserError(
            f"data.path={path}: the table takes {needed / 2**30:.0f} GB in memory of "
            f"{memory / 2**30:.0f} GB: a long table in order of sequence and timestep is read "
            "in batches, as is a folder of .npy files"
        )
    with readable(path):
        frame = pd.read_parquet(path)
    return frame.set_axis(pd.RangeIndex(len(frame), name=ROW))


def described(path: Path) -> list[Described]:
    """The file or the files of a folder, with their footers and schemas.

    Hidden files are left out, and those of a folder's folders are in.
    """
    found = []
    for file in files_in(path):
        at = path if file == path else f"{path}: {file.relative_to(path)}"
        refuse_special(file, f"data.path={at}")
        with readable(at), pq.ParquetFile(file) as opened:
            found.append((file, opened.metadata, opened.schema_arrow))
            notes = opened.schema_arrow.pandas_metadata or {}
            if not isinstance(notes.get("index_columns", []), list):
                raise ValueError("its notes of pandas' index are damaged")
        _refuse_twice(found[-1][2], f"data.path={at}")
        _refuse_size(file, found[-1][1], f"data.path={at}")
    for file, _, schema in found[1:]:
        _refuse_other_kinds(file, schema, found[0], f"data.path={path}")
    return found


def files_in(path: Path) -> list[Path]:
    """The file, or the .parquet files of a folder."""
    return tables_in(path) if path.is_dir() else [path]


@contextlib.contextmanager
def readable(path: Path | str) -> Iterator[None]:
    """Errors of reading as one line that names the path."""
    try:
        yield
    except (OSError, pa.ArrowException, *DAMAGED) as error:
        reason = brief(" ".join(str(error).split()))
        raise UserError(f"data.path={path}: cannot be read as a table ({reason})") from error


def _refuse_twice(schema: pa.Schema, at: str) -> None:
    """Raise where two columns have one name."""
    for name, count in Counter(schema.names).items():
        if count > 1:
            raise UserError(f"{at}: two columns are named '{brief(name)}': leave one out")


def _refuse_size(file: Path, metadata: pq.FileMetaData, at: str) -> None:
    """Raise where a footer contradicts itself, or claims far more than the file can hold."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    rows = sum(group.num_rows for group in groups)
    if rows != metadata.num_rows or any(group.num_rows < 0 for group in groups):
        raise UserError(
            f"{at}: its footer tells {metadata.num_rows:,} rows, its row groups hold {rows:,}: it "
            "is damaged; write or copy it again"
        )
    size, needed = file.stat().st_size, _bytes(metadata)
    if needed > LARGE and needed > RATIO * size:
        raise UserError(
            f"{at}: {metadata.num_rows:,} rows in {size:,} bytes would take "
            f"{needed / 2**30:,.0f} GB in memory: hardly any of them differ; is the file right?"
        )


def _bytes(metadata: pq.FileMetaData) -> int:
    """Bytes in memory: of values as numbers or of pages as they are, whichever are more."""
    pages = sum(metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups))
    return max(int(pages), 4 * metadata.num_rows * metadata.num_columns)


def _refuse_other_kinds(file: Path, schema: pa.Schema, first: Described, at: str) -> None:
    """Raise where a column holds text in one file and numbers in another."""
    for name in {*schema.names}.intersection(first[2].names):
        kinds = [_kind(each, name) for each in (first[2], schema)]
        if kinds[0] != kinds[1]:
            raise UserError(
                f"{at}: column '{brief(name)}' holds {kinds[0]} in {first[0].name} and {kinds[1]} "
                f"in {file.name}: write both alike"
            )


def _kind(schema: pa.Schema, name: str) -> str:
    places = schema.get_all_field_indices(name)
    kind = schema.field(places[0]).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return "numbers"
    return "text" if pa.types.is_string(kind) or pa.types.is_large_string(kind) else str(kind)
