"""The Parquet contract of the recorded states: names, layout, writing and reading a part.

    <folder>/<layer>/<signal>/part-00000.parquet
        sequence int32 · timestep int32 · [label int32] · c_000 … c_127 float32
    <folder>/sequences.parquet
        sequence · [group] · length · [label | target] · prediction · correct · loss · p_0 …
    <folder>/steps.parquet                             only where the data has what follows
        sequence · timestep · [label | target] · [prediction · correct · loss] · annotations …

One row per sequence and timestep, in that order, and none for padding. A folder per signal keeps
files narrow; ``pd.read_parquet(".../lstm/c")`` is the whole cell state. The parts of a layer that
reads its sequences backwards say so in their footer.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from natsort import natsorted
from numpy.typing import NDArray

from rnnscope.store import atomic

SEQUENCES = "sequences.parquet"
STEPS = "steps.parquet"
KEYS = ("sequence", "timestep", "label")
DIRECTION, BACKWARD = "direction", "backward"
"""The entry in the footer of parts of a layer that reads backwards; others have none."""


@dataclass(frozen=True)
class RowKeys:
    """The keys of R rows of states."""

    sequence: NDArray[np.int32]
    """[R], the sequence's place in the test split."""
    timestep: NDArray[np.int32]
    """[R], from 0."""
    label: NDArray[np.int32] | None
    """[R], the class of the sequence, or of the timestep; None where the data has no classes."""
    backward: bool = False
    """Whether the layer reads its sequences backwards. Timesteps are in input time all the same."""

    @property
    def final(self) -> NDArray[np.bool_]:
        """Which rows are the final step of their sequence [R]: the last timestep the layer read.

        Of a layer that reads backwards it is the sequence's first row.
        """
        changes = self.sequence[1:] != self.sequence[:-1]
        return np.append(True, changes) if self.backward else np.append(changes, True)


def row_keys(first: int, lengths: NDArray[np.integer], labels: NDArray[np.int32] | None) -> RowKeys:
    """The keys of consecutive sequences, of which the first is number ``first``.

    Args:
        first: number of the first sequence.
        lengths: valid timesteps of each [B].
        labels: class of each [B], or None.
    """
    sequence = np.repeat(np.arange(first, first + len(lengths), dtype=np.int32), lengths)
    ends = np.cumsum(lengths)
    timestep = np.arange(len(sequence)) - np.repeat(ends - lengths, lengths)
    label = None if labels is None else np.repeat(labels, lengths)
    return RowKeys(sequence, timestep.astype(np.int32), label)


def columns(signal: str, units: int) -> list[str]:
    """Names of a signal's columns, one per unit: c_000, c_001 and so on."""
    digits = max(3, len(str(units - 1)))
    return [f"{signal}_{unit:0{digits}d}" for unit in range(units)]


def unit_of(column: str) -> int:
    """The number of the unit in a column's name: 17 for c_017."""
    return int(column.rpartition("_")[2])


def place_of(layer: str) -> str:
    """The name of a recorded layer without the number of its call: lstm for lstm.call1."""
    return re.sub(r"\.call\d+(?=$|\.cell\d+$)", "", layer)


def part_file(folder: Path, layer: str, signal: str, part: int) -> Path:
    """The file of one part of one signal."""
    return folder / layer / signal / f"part-{part:05d}.parquet"


def write_part(
    path: Path,
    signal: str,
    values: NDArray[np.floating],
    rows: RowKeys,
    compression: str,
    units: Sequence[int] | None = None,
) -> int:
    """Write one part of one signal, whole or not at all. Returns its bytes.

    Args:
        path: as ``part_file`` names it.
        signal: its letter.
        values: one unit per line [U, R], each line contiguous.
        rows: the keys of the R rows.
        compression: a Parquet codec, or "none".
        units: the numbers of the U units; 0 to U - 1 by default.
    """
    keys = {"sequence": rows.sequence, "timestep": rows.timestep}
    if rows.label is not None:
        keys["label"] = rows.label
    numbers = range(len(values)) if units is None else units
    every = columns(signal, max(numbers, default=-1) + 1)
    names = [every[number] for number in numbers]
    table = pa.table({**keys, **dict(zip(names, values, strict=True))})
    path.parent.mkdir(parents=True, exist_ok=True)
    # Neighbouring values of a state share their high bytes: split into byte streams they take a
    # third less, as fast as before. Dictionaries and statistics of floats have no use.
    with (
        atomic.written(path) as unfinished,
        pq.ParquetWriter(
            unfinished,
            table.schema,
            compression=compression,
            use_dictionary=["timestep", "label"] if rows.label is not None else ["timestep"],
            column_encoding={"sequence": "DELTA_BINARY_PACKED"},
            use_byte_stream_split=names,
            write_statistics=list(keys),
            store_schema=False,
        ) as writer,
    ):
        writer.write_table(table)
        if rows.backward:
            writer.add_key_value_metadata({DIRECTION: BACKWARD})
    return path.stat().st_size


def read_part(
    path: Path, units: Sequence[int] | None = None
) -> tuple[RowKeys, NDArray[np.float32]]:
    """The keys of one part's R rows, and the values [U, R] of some units, by place, or of all."""
    file = pq.ParquetFile(path)
    there = file.schema_arrow.names
    names = [name for name in there if name not in KEYS]
    names = names if units is None else [names[unit] for unit in units]
    table = file.read([*(key for key in KEYS if key in there), *names])
    values = np.empty((len(names), len(table)), np.float32)
    for line, name in zip(values, names, strict=True):
        line[:] = table[name].to_numpy()
    label = table["label"].to_numpy() if "label" in there else None
    sequence, timestep = table["sequence"].to_numpy(), table["timestep"].to_numpy()
    return RowKeys(sequence, timestep, label, is_backward(file.metadata)), values


def is_backward(footer: pq.FileMetaData) -> bool:
    """Whether a part's footer says that its layer reads backwards."""
    return bool((footer.metadata or {}).get(DIRECTION.encode()) == BACKWARD.encode())


def layers(folder: Path | str) -> dict[str, list[str]]:
    """The recorded layers by name, each with its signals in the usual order."""
    found = {}
    for layer in natsorted(path for path in Path(folder).iterdir() if path.is_dir()):
        signals = {path.name for path in layer.iterdir() if path.is_dir()}
        if not layer.name.startswith(("_", ".")):
            found[layer.name] = sorted(signals, key=_usual)
    return found


def sequence_count(folder: Path | str) -> int:
    """N, the recorded sequences."""
    count: int = pq.read_metadata(Path(folder) / SEQUENCES).num_rows
    return count


def sources(folder: Path | str) -> NDArray[np.intp]:
    """The number of the source of each recorded sequence [N], from 0.

    Sequences of one source, such as one patient, are not independent: they share a ``group`` in
    sequences.parquet. Without that column each sequence is a source of its own.
    """
    path = Path(folder) / SEQUENCES
    if "group" not in pq.read_schema(path).names:
        return np.arange(sequence_count(folder))
    column = pq.read_table(path, columns=["group"])["group"].combine_chunks()
    codes: NDArray[np.intp] = column.dictionary_encode().indices.to_numpy().astype(np.intp)
    return codes


def class_count(folder: Path | str) -> int:
    """K, the number of classes: of the model's scores, or of the labels if these have more.

    0 where the data has no labels and the model no scores.
    """
    k = 0
    for path in (Path(folder) / SEQUENCES, Path(folder) / STEPS):
        if path.is_file():
            file = pq.read_metadata(path)
            names = file.schema.to_arrow_schema().names
            k = max(k, sum(re.fullmatch(r"p_\d+", name) is not None for name in names))
            if "label" in names:
                groups = (file.row_group(number) for number in range(file.num_row_groups))
                at = names.index("label")
                k = max([k, *(group.column(at).statistics.max + 1 for group in groups)])
    return k


def _usual(signal: str) -> tuple[int, str]:
    """Sort key: states first, then gates, then any other signal."""
    return ("hcifozrg".find(signal) % 99, signal)
