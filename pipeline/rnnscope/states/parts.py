"""The Parquet contract of the recorded states: names, layout, writing and reading a part.

    <folder>/<layer>/<signal>/part-00000.parquet       the layer as ``naming`` writes it
        sequence int32 · timestep int32 · [label int32] · c_000 … c_127 float32
    <folder>/sequences.parquet
        sequence · [group] · length · [label | target] · prediction · correct · loss · p_0 …
    <folder>/steps.parquet                             only where the data has what follows
        sequence · timestep · [label | target] · [prediction · correct · loss] · annotations …

One row per sequence and timestep, in that order, and none for padding. A folder per signal keeps
files narrow; ``pd.read_parquet(".../lstm/c")`` is the whole cell state. The parts of a layer that
reads its sequences backwards say so in their footer, and every part what it was made for.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rnnscope.store import atomic, parquet
from rnnscope.store.contents import Content, Digesting

SEQUENCES = "sequences.parquet"
STEPS = "steps.parquet"
KEYS = ("sequence", "timestep", "label")
DIRECTION, BACKWARD = "direction", "backward"
"""The entry in the footer of parts of a layer that reads backwards; others have none."""
ORIGIN = "rnnscope.part"
"""The entry in the footer that holds a part's ``Origin``."""


@dataclass(frozen=True)
class Origin:
    """What a part was made for."""

    artefact: str
    """The key of stage extract."""
    layer: str
    signal: str
    start: int
    stop: int
    """It is of sequences start <= number < stop."""


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
    origin: Origin | None = None,
) -> Content:
    """Write one part of one signal, whole or not at all. Returns its size and digest.

    Args:
        path: as ``part_file`` names it.
        signal: its letter.
        values: one unit per line [U, R], each line contiguous.
        rows: the keys of the R rows.
        compression: a Parquet codec, or "none".
        units: the numbers of the U units; 0 to U - 1 by default.
        origin: what it was made for, for its footer.
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
    with atomic.written(path) as unfinished, unfinished.open("wb") as file:
        digesting = Digesting(file)
        with pq.ParquetWriter(
            digesting,
            table.schema,
            compression=compression,
            use_dictionary=["timestep", "label"] if rows.label is not None else ["timestep"],
            column_encoding={"sequence": "DELTA_BINARY_PACKED"},
            use_byte_stream_split=names,
            write_statistics=list(keys),
            write_page_checksum=True,
            store_schema=False,
        ) as writer:
            writer.write_table(table)
            if rows.backward:
                writer.add_key_value_metadata({DIRECTION: BACKWARD})
            if origin is not None:
                writer.add_key_value_metadata({ORIGIN: json.dumps(asdict(origin))})
    return digesting.content


def read_part(
    path: Path, units: Sequence[int] | None = None
) -> tuple[RowKeys, NDArray[np.float32]]:
    """The keys of one part's R rows, and the values [U, R] of some units, by place, or of all.

    Raises:
        Damaged: what was read is not what was written.
    """
    file = parquet.opened(path)
    there = file.schema_arrow.names
    names = [name for name in there if name not in KEYS]
    names = names if units is None else [names[unit] for unit in units]
    with parquet.whole(path):
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


def origin_of(footer: pq.FileMetaData) -> Origin | None:
    """What a part was made for; None where its footer does not say so.

    Raises:
        ValueError: it says what no part of ours says.
    """
    said = (footer.metadata or {}).get(ORIGIN.encode())
    if said is None:
        return None
    try:
        found = Origin(**json.loads(said))
        return Origin(found.artefact, found.layer, found.signal, int(found.start), int(found.stop))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"what its footer says of {ORIGIN} cannot be read") from error
