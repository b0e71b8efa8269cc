"""Rows of long tables in Parquet, read from the row groups that hold them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rnnscope.config import Files
from rnnscope.data.classes import Classes
from rnnscope.data.footers import described, files_in, readable
from rnnscope.data.table import Columns, columns_of
from rnnscope.errors import UserError, listed

BATCH = 2**15
"""Rows that are decoded at a time."""
BUFFER = 2**16
"""Bytes of a column that are read from disk at a time, whatever the size of its row groups: memory
depends on the number of columns alone."""
FLOAT, WHOLE = np.dtype(np.float32), np.dtype(np.int32)


@dataclass(frozen=True)
class LongTable:
    """The row groups of one file or several, in order; rows are numbered over all of them."""

    files: tuple[tuple[Path, pq.FileMetaData], ...]
    columns: Columns
    types: dict[str, pa.DataType]
    """Of the values of each key."""
    groups: tuple[tuple[int, int], ...]
    """Number of the file, and of the row group within it [G]."""
    starts: NDArray[np.int64]
    """First row of each group, and the count of all rows [G + 1]."""

    def batches(
        self, columns: list[str], groups: NDArray[np.integer]
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The rows of some groups, batch by batch, as (number of the first row, rows)."""
        for group in groups:
            number, inner = self.groups[group]
            path, metadata = self.files[number]
            first = int(self.starts[group])
            with (
                readable(self.columns.path),
                pq.ParquetFile(
                    path, metadata=metadata, pre_buffer=False, buffer_size=BUFFER
                ) as file,
            ):
                for batch in file.iter_batches(BATCH, row_groups=[inner], columns=columns):
                    yield first, batch
                    first += len(batch)

    def around(
        self, starts: NDArray[np.int64], stops: NDArray[np.int64], columns: list[str]
    ) -> Iterator[tuple[int, pa.RecordBatch, slice]]:
        """The batches that hold rows of the spans start <= row < stop [B], both rising.

        Each as (number of the first row, rows, the spans of which it has rows).
        """
        begin = np.searchsorted(stops, self.starts[:-1], side="right")
        end = np.searchsorted(starts, self.starts[1:])
        for group in np.flatnonzero(begin < end):
            for first, batch in self.batches(columns, np.array([group])):
                if first >= stops[end[group] - 1]:
                    break
                here = slice(
                    int(np.searchsorted(stops, first, side="right")),
                    int(np.searchsorted(starts, first + len(batch))),
                )
                if here.start < here.stop:
                    yield first, batch, here


@dataclass(frozen=True)
class Streamed:
    """Values of a table, not read yet; [slice or index array] reads those sequences' rows."""

    table: LongTable
    starts: NDArray[np.int64]
    """First row of each sequence [N]."""
    lengths: NDArray[np.int32]
    """Its timesteps [N]."""
    columns: str | tuple[str, ...]
    """A tuple of columns gives [N, T, F], a single name [N, T]."""
    dtype: np.dtype[Any] = FLOAT
    classes: Classes | None = None
    """Where the column holds labels."""

    @property
    def shape(self) -> tuple[int, ...]:
        """[N, T, F] or [N, T]."""
        features = () if isinstance(self.columns, str) else (len(self.columns),)
        return len(self.starts), int(self.lengths.max()), *features

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: slice | NDArray[np.integer]) -> NDArray[Any]:
        starts, lengths = self.starts[index], self.lengths[index]
        x = np.zeros((len(starts), *self.shape[1:]), self.dtype)
        order = np.argsort(starts, kind="stable")
        starts, stops = starts[order], (starts + lengths)[order]
        wanted = [self.columns] if isinstance(self.columns, str) else list(self.columns)
        for first, batch, here in self.table.around(starts, stops, wanted):
            begin = np.maximum(starts[here], first)
            counts = np.minimum(stops[here], first + len(batch)) - begin
            row = np.arange(counts.sum()) + np.repeat(begin - np.cumsum(counts) + counts, counts)
            timestep = row - np.repeat(starts[here], counts)
            x[np.repeat(order[here], counts), timestep] = self._values(batch)[row - first]
        return x

    def _values(self, batch: pa.RecordBatch) -> NDArray[Any]:
        """The columns of some rows as [R, F] or [R]."""
        if not isinstance(self.columns, str):
            return floats(batch, self.columns)
        column = batch.column(self.columns)
        if self.columns in self.table.types:  # categories become their values
            column = column.cast(self.table.types[self.columns])
        if self.classes is not None and not self.classes.occurring:
            encoded = column.dictionary_encode()
            found = encoded.dictionary.to_pandas().astype(str)
            return pd.Index(self.classes.names).get_indexer(found)[encoded.indices.to_numpy()]
        if self.classes is not None:
            return self.classes.numbers(column.to_numpy(zero_copy_only=False))
        with np.errstate(over="ignore"):
            return np.asarray(column.to_numpy(zero_copy_only=False)).astype(self.dtype)


def open_table(options: Files) -> LongTable | None:
    """The table, from its footers alone; None if a feature is not numeric, or no file is found."""
    path = Path(options.path)
    if path.is_dir() and not all(file.parent == path for file in files_in(path)):
        return None  # partitioned: a folder for each value of a column
    known = described(path)
    if not known:
        return None
    names = _columns(known[0][2])
    for file, _, schema in known:
        if sorted(_columns(schema)) != sorted(names):
            raise UserError(
                f"data.path={path}: {file.name} has the columns {listed(_columns(schema))}; "
                f"{known[0][0].name} has {listed(names)}"
            )
    columns = columns_of(names, options)
    numbers = {*columns.features, *columns.annotations, *({"target"} & {*columns.keys})}
    if len(set(names)) < len(names) or not all(
        _numeric(schema.field(name).type) for _, _, schema in known for name in numbers
    ):
        return None
    if any(_text(schema.field("timestep").type) for _, _, schema in known):
        return None  # its order is known only once all of it is
    if any(
        pa.types.is_nested(schema.field(key).type) for _, _, schema in known for key in columns.keys
    ):
        return None
    if "label" in columns.keys and any(map(_special, (s.field("label").type for *_, s in known))):
        return None  # pandas tells what its values are
    groups, counts = [], [0]
    for number, (_, metadata, _) in enumerate(known):
        for inner in range(metadata.num_row_groups):
            groups.append((number, inner))
            counts.append(metadata.row_group(inner).num_rows)
    files = tuple((file, metadata) for file, metadata, _ in known)
    types = {key: _values(known[0][2].field(key).type) for key in columns.keys}
    if "target" in types:
        types["target"] = pa.float64()
    starts = np.cumsum(counts, dtype=np.int64)
    return LongTable(files, columns, types, tuple(groups), starts)


def floats(batch: pa.RecordBatch, columns: tuple[str, ...]) -> NDArray[np.float32]:
    """Some columns as [R, F]."""
    values = np.empty((len(batch), len(columns)), np.float32)
    with np.errstate(over="ignore"):
        for number, column in enumerate(columns):
            values[:, number] = batch.column(column).to_numpy(zero_copy_only=False)
    return values


def _values(kind: pa.DataType) -> pa.DataType:
    """The type of a column's values, also of a categorical column."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _columns(schema: pa.Schema) -> list[str]:
    """Its columns, without those that pandas takes as the index."""
    index = (schema.pandas_metadata or {}).get("index_columns", [])
    return [name for name in schema.names if name not in index]


def _special(kind: pa.DataType) -> bool:
    """Whether values are decimals, or categories with an order."""
    ordered = pa.types.is_dictionary(kind) and kind.ordered
    return ordered or pa.types.is_decimal(_values(kind))


def _text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind := _values(kind)) or pa.types.is_large_string(kind)


def _numeric(kind: pa.DataType) -> bool:
    return any(check(kind) for check in (pa.types.is_integer, pa.types.is_floating)) or (
        kind == pa.bool_()
    )
