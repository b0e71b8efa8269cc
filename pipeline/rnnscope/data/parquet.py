"""Long tables in Parquet that are larger than memory: checked in one pass, then read by batch."""

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
from rnnscope.data.columns import is_index, refuse_index_names
from rnnscope.data.dataset import Split
from rnnscope.data.footers import read_parquet, readable
from rnnscope.data.groups import groups_of_column, refuse_two
from rnnscope.data.lines import ROW, refuse_special
from rnnscope.data.names import refuse_unclear
from rnnscope.data.numbered import dates_of
from rnnscope.data.order import refuse_other_order
from rnnscope.data.rows import FLOAT, WHOLE, LongTable, Streamed, floats, open_table
from rnnscope.data.shared import refuse_shared
from rnnscope.data.table import (
    Columns,
    refuse_gaps,
    refuse_other_task,
    refuse_several,
    splits_from_table,
    with_classes,
    with_splits,
)
from rnnscope.errors import UserError

IN_MEMORY = 2**28
"""Bytes of inputs up to which a table is read whole, which makes batches in random order cheap."""


@dataclass(frozen=True)
class Scan:
    """The result of one pass over an ordered table."""

    sequences: pd.DataFrame
    """One row per sequence: its keys, ``first`` row and ``length``."""
    labels: pd.DataFrame
    """Where each timestep has a label, all labels once, as column ``label``, and the ``first`` row
    of each; else no columns."""
    whole: frozenset[str]
    """The annotations that are whole numbers on every row."""


def splits_from_parquet(
    options: Files, *, ordered: bool = False
) -> tuple[dict[str, Split], Classes]:
    """The splits of a long table in a file or a folder of files, and its classes.

    A large table whose rows are in order of sequence and timestep, at least within each split, is
    read batch by batch; any other is read whole. Columns: see ``splits_from_table``.
    """
    table = open_table(options)
    if table is not None and options.missing == "refuse" and _bytes(table) > IN_MEMORY:
        found = _one_pass(table)
        if found is not None:
            refuse_other_task(table.columns, options.task)
            path = table.columns.path
            most = options.max_classes
            frame, classes = with_classes(with_splits(found.sequences, path), path, most=most)
            if table.columns.each:
                _, classes = with_classes(found.labels, path, each=True, most=most)
            parts = frame.groupby("split", sort=True)
            if all(_rising(rows["sequence"].to_numpy()) for _, rows in parts):
                _refuse_unclear(found, parts, table.columns)
                return {
                    str(part): _split(table, rows, found.whole, classes) for part, rows in parts
                }, classes
    frame = read_parquet(Path(options.path))
    if ordered:
        refuse_other_order(frame, f"data.path={options.path}")
    return splits_from_table(frame, options)


def _refuse_unclear(found: Scan, parts: Any, columns: Columns) -> None:
    """Raise where names are none, or are in two splits."""
    at = f"data.path={columns.path}"
    for frame in (found.sequences, found.labels):
        for name in ("sequence", "label", columns.groups):
            if name in frame:
                refuse_unclear(frame.set_index(frame["first"].rename(ROW))[name], at)
    ids = {str(part): rows["sequence"].to_numpy() for part, rows in parts}
    first = {str(part): rows["timestep"].to_numpy() for part, rows in parts}
    refuse_shared(ids, at, first=first)


def _counting(column: pa.Array, first: int) -> bool:
    """Whether whole numbers count the rows on, of which the first is ``first``, from 0 or 1."""
    if not pa.types.is_integer(column.type) or column.null_count:
        return False
    above = column.to_numpy(zero_copy_only=False).astype(np.int64) - first
    return bool(
        len(above) and above[0] in (0, 1) and (above == above[0] + np.arange(len(above))).all()
    )


def names_in(path: Path) -> set[str]:
    """The names of the columns of a file."""
    refuse_special(path, f"data.path={path}")
    with readable(path):
        return set(pq.read_schema(path).names)


def _bytes(table: LongTable) -> int:
    """Bytes in memory of all inputs, annotations and labels of timesteps."""
    columns = table.columns
    known = len(columns.annotations) + (columns.each and columns.label is not None)
    return 4 * int(table.starts[-1]) * (len(columns.features) + known)


def _one_pass(table: LongTable) -> Scan | None:
    """Read a table once and check every value; None where its rows are not in order."""
    columns = table.columns
    refuse_index_names(columns.features, f"data.path={columns.path}")
    counts = {name for name in columns.features if len(columns.features) > 1}
    kept = [*columns.keys]
    if columns.each:
        kept = [key for key in kept if key != columns.label]
    whole, labels = set(columns.annotations), pa.table({})
    pieces = []
    before: pa.Table | None = None  # the last row of the batch before
    wanted = [*columns.features, *columns.annotations, *columns.keys]
    for first, batch in table.batches(wanted, np.arange(len(table.groups))):
        if _suspect(batch, columns):
            refuse_gaps(batch.to_pandas(), columns, first)
        counts = {name for name in counts if _counting(batch.column(name), first)}
        whole -= {name for name in whole if _fractional(batch.column(name))}
        # Categories are compared by their values; files may differ in the width of their numbers.
        rows = pa.table({key: batch.column(key).cast(kind) for key, kind in table.types.items()})
        if columns.each and columns.label == "label":
            labels = _distinct(labels, rows.column("label"), first)
        if before is not None:
            rows = pa.concat_tables([before, rows])
        new = _changes(rows, "sequence") | _changes(rows, "split")
        if not _in_order(rows, new, columns):
            return None
        if columns.label is not None and not columns.each:
            other = np.flatnonzero(_changes(rows, columns.label) & ~new)
            if len(other):
                refuse_several(rows.column("sequence")[int(other[0])].as_py(), columns)
        if columns.groups is not None:
            other = np.flatnonzero(_changes(rows, columns.groups) & ~new)
            if len(other):
                row = int(other[0])
                one, two = (rows.column(columns.groups)[row + n].as_py() for n in (0, 1))
                name = rows.column("sequence")[row].as_py()
                refuse_two(name, one, two, columns.groups, columns.path)
        starts = np.flatnonzero(np.append(before is None, new))
        number = pa.array(starts + first - (0 if before is None else 1))
        pieces.append(rows.select(kept).take(starts).append_column("first", number))
        before = rows.slice(len(rows) - 1)
    if counts:
        raise is_index(min(counts), f"data.path={columns.path}")
    frame: pd.DataFrame = pa.concat_tables(pieces).to_pandas()
    frame = frame.assign(length=np.diff(np.append(frame["first"], table.starts[-1])))
    return Scan(frame, labels.to_pandas(), frozenset(whole))


def _suspect(batch: pa.RecordBatch, columns: Columns) -> bool:
    """Whether rows may hold what ``refuse_gaps`` refuses, which is slow but names the place."""
    must = [batch.column(name) for name in (*columns.features, *columns.keys)]
    if any(column.is_null(nan_is_null=True).true_count for column in must):
        return True
    targets = ("target",) if columns.label == "target" else ()
    if not np.isfinite(floats(batch, columns.features + targets)).all():
        return True
    known = [batch.column(name) for name in columns.annotations]
    if any(column.type == pa.bool_() and column.null_count for column in known):
        return True
    return bool((np.abs(floats(batch, columns.annotations)) >= 2**31).any())


def _fractional(column: pa.Array) -> bool:
    """Whether an annotation cannot be kept as whole numbers: floats, or a missing value."""
    return bool(pa.types.is_floating(column.type) or column.null_count)


def _distinct(known: pa.Table, more: pa.ChunkedArray, first: int) -> pa.Table:
    """Each label once, with its first row; ``first`` is the number of the first row of ``more``."""
    new = pa.table({"label": more, "first": pa.array(np.arange(first, first + len(more)))})
    both = pa.concat_tables([known, new]) if known.column_names else new
    codes = both.column("label").combine_chunks().dictionary_encode().indices.to_numpy()
    return both.take(np.unique(codes, return_index=True)[1])


def _in_order(rows: pa.Table, new: NDArray[np.bool_], columns: Columns) -> bool:
    """Whether timesteps rise within each sequence; ``new`` [R - 1] tells where one begins."""
    timestep = rows.column("timestep").to_numpy()
    twice = np.flatnonzero((timestep[1:] == timestep[:-1]) & ~new)
    if len(twice):
        sequence = rows.column("sequence")[int(twice[0])].as_py()
        raise UserError(
            f"data.path={columns.path}: sequence {sequence} has timestep {timestep[twice[0]]} "
            "twice in one split"
        )
    # Of what may be dates the order is known, and refused, only where all are read at once.
    return bool((new | (timestep[1:] > timestep[:-1])).all()) and not dates_of(timestep)


def _changes(rows: pa.Table, key: str) -> NDArray[np.bool_]:
    """Where a column's value differs from the one in the row before [R - 1]."""
    if key not in rows.column_names:
        return np.zeros(len(rows) - 1, np.bool_)
    codes = rows.column(key).combine_chunks().dictionary_encode().indices.to_numpy()
    return np.asarray(codes[1:] != codes[:-1])


def _rising(ids: NDArray[Any]) -> bool:
    return bool((ids[1:] > ids[:-1]).all())


def _split(table: LongTable, rows: pd.DataFrame, whole: frozenset[str], classes: Classes) -> Split:
    """The split of some sequences, one row each.

    Args:
        table: the table that they are in.
        rows: rows of ``Scan.sequences``.
        whole: the annotations that are whole numbers.
        classes: of the labels, if there are any.
    """
    columns = table.columns
    starts, lengths = rows["first"].to_numpy(np.int64), rows["length"].to_numpy(np.int32)

    def streamed(
        of: str | tuple[str, ...], dtype: np.dtype[Any] = FLOAT, classes: Classes | None = None
    ) -> Streamed:
        return Streamed(table, starts, lengths, of, dtype, classes)

    y: Any = None
    if columns.label is not None:
        dtype = WHOLE if columns.label == "label" else FLOAT
        if columns.each:
            y = streamed(columns.label, dtype, classes if dtype == WHOLE else None)
        else:
            y = rows[columns.label].to_numpy(dtype)
    groups = None
    if columns.groups is not None:
        groups = groups_of_column(rows[columns.groups], f"data.path={columns.path}")
    same = bool((lengths == lengths[0]).all())
    return Split(
        streamed(columns.features),
        y,
        None if same else lengths,
        rows["sequence"].to_numpy(),
        steps={
            name: streamed(name, WHOLE if name in whole else FLOAT) for name in columns.annotations
        },
        groups=groups,
    )
