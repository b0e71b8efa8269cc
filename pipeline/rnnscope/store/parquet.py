"""Parquet files of ours: each page is written with a checksum, and read only if that agrees.

Page checksums are CRC-32, as the Parquet format defines them. They find what happened to the values
since they were written; what happened to a footer is found by a file's digest (``contents``).
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from rnnscope.store.contents import Damaged

TAIL = 2**16
"""Bytes that are read first from the end of a file."""
AGAIN = "run its stage again, or copy it again"
"""What to do about a damaged file."""


@contextlib.contextmanager
def whole(path: Path) -> Iterator[None]:
    """While open, what Arrow says of a file that it cannot read is raised in one line.

    Raises:
        Damaged: a file that is not what was written. Errors of the file system remain as they are.
    """
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        numbered = isinstance(error, OSError) and error.errno is not None
        if numbered or isinstance(error, FileNotFoundError):  # Arrow's own has no number
            raise
        raise Damaged(f"{path}: {_fault(error)}; {AGAIN}") from error


def opened(path: Path) -> pq.ParquetFile:
    """A file, to be read within ``whole``.

    Raises:
        Damaged: its footer is not what was written.
    """
    with whole(path):
        return pq.ParquetFile(path, page_checksum_verification=True)


def metadata(path: Path, known: bytes | None = None) -> pq.FileMetaData:
    """What a file's footer says, which is read unless its bytes are ``known``.

    Raises:
        Damaged: it is not what was written.
    """
    with whole(path):
        return pq.read_metadata(path if known is None else pa.BufferReader(known))


def footer(path: Path) -> bytes:
    """The last bytes of a file, which hold its schema and where its pages lie.

    Raises:
        Damaged: the file does not end as a Parquet file does.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - TAIL))
        tail = file.read()
        length = int.from_bytes(tail[-8:-4], "little") + 8
        if tail[-4:] != b"PAR1" or length > size:
            raise Damaged(f"{path}: does not end as a Parquet file does; {AGAIN}")
        if length > len(tail):
            file.seek(size - length)
            tail = file.read()
    return tail[-length:]


def schema(path: Path) -> pa.Schema:
    """The names and types of a file's columns.

    Raises:
        Damaged: its footer is not what was written.
    """
    with whole(path):
        return pq.read_schema(path)


def read(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Some columns of a file, or all.

    Raises:
        Damaged: a page that was read is not what was written.
    """
    with whole(path):
        return pq.read_table(
            path, columns=columns, partitioning=None, page_checksum_verification=True
        )


def frame(path: Path, columns: Sequence[str] | None = None, filters: Any = None) -> pd.DataFrame:
    """Some columns and rows of a file in pandas, or all.

    Raises:
        Damaged: a page that was read is not what was written.
    """
    with whole(path):
        found: pd.DataFrame = pd.read_parquet(
            path, columns=columns, filters=filters, page_checksum_verification=True
        )
        return found


def batches(path: Path, size: int, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Some columns of a file, ``size`` rows at a time.

    Raises:
        Damaged: a page that was read is not what was written.
    """
    with whole(path):
        yield from opened(path).iter_batches(size, columns=columns)


def rows(
    paths: Sequence[Path], columns: Sequence[str], among: ds.Expression | None = None
) -> pa.Table:
    """Some columns and rows of files of one schema, one file after another.

    Raises:
        Damaged: a page that was read is not what was written; with its file.
    """
    options = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
    form = ds.ParquetFileFormat(default_fragment_scan_options=options)
    try:
        data = ds.dataset([str(path) for path in paths], format=form)
        return data.to_table(list(columns), filter=among)
    except (pa.ArrowException, OSError, ValueError):
        for path in paths:
            read(path, columns)
        raise


def _fault(error: Exception) -> str:
    """What Arrow says, in the reader's words where the reason is known."""
    said = str(error)
    if "CRC" in said:
        return "a page is not what was written: its checksum differs"
    return f"cannot be read ({said.partition(chr(10))[0][:120]})"
