"""Long tables in Parquet that are larger than memory: one pass in order, then batch by batch."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.data.dataset import Split
from pipeline.data.rows import Streamed, Table, floats, open_table
from pipeline.data.table import refuse_gaps, splits_from_table, with_classes, with_splits
from pipeline.errors import UserError

IN_MEMORY = 2**28
"""Bytes of inputs up to which a table is read whole: batches in random order then cost nothing."""


def splits_from_parquet(path: Path) -> tuple[dict[str, Split], tuple[str, ...]]:
    """The splits of a long table in a file or a folder of files, and the names of its classes.

    A large table whose rows are in order, split by split or not, of sequence and timestep is read
    when it is asked for; any other is read whole. Columns: see ``splits_from_table``.
    """
    table = open_table(path)
    if table is not None and 4 * table.starts[-1] * len(table.features) > IN_MEMORY:
        frame = _sequences(table)
        if frame is not None:
            frame, classes = with_classes(with_splits(frame, path), path)
            parts = frame.groupby("split", sort=True)
            if all(_rising(rows["sequence"].to_numpy()) for _, rows in parts):
                return {str(part): _split(table, rows) for part, rows in parts}, classes
    return splits_from_table(path)


def _sequences(table: Table) -> pd.DataFrame | None:
    """One row per sequence: its keys, ``first`` row and ``length``; None where rows are unordered.

    Every value of the table is checked on the way.
    """
    kept = [key for key in table.keys if key != "timestep"]
    pieces = []
    before: pa.Table | None = None  # the last row so far, for the seam between two batches
    for first, batch in table.batches([*table.features, *table.keys], np.arange(len(table.groups))):
        gaps = any(column.is_null(nan_is_null=True).true_count for column in batch.columns)
        if gaps or not np.isfinite(floats(batch, table.features)).all():
            refuse_gaps(batch.to_pandas(), list(table.features), table.path, first)
        # A category is what it stands for; and files may differ in the width of their numbers.
        rows = pa.table({key: batch.column(key).cast(kind) for key, kind in table.keys.items()})
        if before is not None:
            rows = pa.concat_tables([before, rows])
        new = _changes(rows, "sequence") | _changes(rows, "split")
        if not _in_order(rows, new, table.path):
            return None
        _refuse_two_labels(rows, new, table.path)
        starts = np.flatnonzero(np.append(before is None, new))
        number = pa.array(starts + first - (0 if before is None else 1))
        pieces.append(rows.select(kept).take(starts).append_column("first", number))
        before = rows.slice(len(rows) - 1)
    frame: pd.DataFrame = pa.concat_tables(pieces).to_pandas()
    return frame.assign(length=np.diff(np.append(frame["first"], table.starts[-1])))


def _in_order(rows: pa.Table, new: NDArray[np.bool_], path: Path) -> bool:
    """Whether timesteps rise within each sequence; ``new`` [R - 1] tells where one begins."""
    timestep = rows.column("timestep").to_numpy()
    twice = np.flatnonzero((timestep[1:] == timestep[:-1]) & ~new)
    if len(twice):
        sequence = rows.column("sequence")[int(twice[0])].as_py()
        raise UserError(
            f"data.path={path}: sequence {sequence} has timestep {timestep[twice[0]]} "
            "twice in one split"
        )
    return bool((new | (timestep[1:] > timestep[:-1])).all())


def _refuse_two_labels(rows: pa.Table, new: NDArray[np.bool_], path: Path) -> None:
    other = np.flatnonzero(_changes(rows, "label") & ~new)
    if len(other):
        sequence = rows.column("sequence")[int(other[0])].as_py()
        raise UserError(f"data.path={path}: sequence {sequence} has more than one label")


def _changes(rows: pa.Table, key: str) -> NDArray[np.bool_]:
    """Where a column's value differs from the one in the row before [R - 1]."""
    if key not in rows.column_names:
        return np.zeros(len(rows) - 1, np.bool_)
    codes = rows.column(key).combine_chunks().dictionary_encode().indices.to_numpy()
    return np.asarray(codes[1:] != codes[:-1])


def _rising(ids: NDArray[Any]) -> bool:
    return bool((ids[1:] > ids[:-1]).all())


def _split(table: Table, rows: pd.DataFrame) -> Split:
    """The split of some sequences, one row each."""
    lengths = rows["length"].to_numpy(np.int32)
    y = rows["label"].to_numpy(np.int32) if "label" in rows else None
    x = Streamed(table, rows["first"].to_numpy(np.int64), lengths)
    same = bool((lengths == lengths[0]).all())
    return Split(x, y, None if same else lengths, rows["sequence"].to_numpy())
