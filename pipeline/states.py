"""The Parquet contract of the recorded states: names, layout, writing a part, reading it all.

    <folder>/<layer>/<signal>/part-00000.parquet
        sequence int32 · timestep int32 · [label int32] · c_000 … c_127 float32
    <folder>/sequences.parquet
        sequence · length · label · prediction · correct · loss · p_0 …

One row per sequence and timestep, in that order, and none for padding. A folder per signal keeps
files narrow; ``pd.read_parquet(".../lstm/c")`` is the whole cell state.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from numpy.typing import NDArray

SEQUENCES = "sequences.parquet"
KEYS = ("sequence", "timestep", "label")

Slice = slice | Sequence[int] | int | None


@dataclass(frozen=True)
class Rows:
    """The keys of R rows of states."""

    sequence: NDArray[np.int32]
    """[R], the sequence's place in the test split."""
    timestep: NDArray[np.int32]
    """[R], from 0."""
    label: NDArray[np.int32] | None
    """[R], the sequence's class, where the data has classes."""

    @property
    def last(self) -> NDArray[np.bool_]:
        """Which rows are the last of their sequence [R]."""
        return np.append(self.sequence[1:] != self.sequence[:-1], True)


def rows_of(first: int, lengths: NDArray[np.integer], labels: NDArray[np.int32] | None) -> Rows:
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
    return Rows(sequence, timestep.astype(np.int32), label)


def columns(signal: str, units: int) -> list[str]:
    """Names of a signal's columns, one per unit: c_000, c_001 and so on."""
    digits = max(3, len(str(units - 1)))
    return [f"{signal}_{unit:0{digits}d}" for unit in range(units)]


def unit_of(column: str) -> int:
    """The number of the unit in a column's name: 17 for c_017."""
    return int(column.rpartition("_")[2])


def part_file(folder: Path, layer: str, signal: str, part: int) -> Path:
    """Where one part of one signal lies."""
    return folder / layer / signal / f"part-{part:05d}.parquet"


def write_part(
    path: Path,
    signal: str,
    values: NDArray[np.floating],
    rows: Rows,
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
    unfinished = path.with_name(f".{path.name}.new")
    # Neighbouring values of a state share their high bytes: split into byte streams they shrink
    # by a third and stay fast. Dictionaries and statistics of floats only cost.
    pq.write_table(
        table,
        unfinished,
        compression=compression,
        use_dictionary=["timestep", "label"] if rows.label is not None else ["timestep"],
        column_encoding={"sequence": "DELTA_BINARY_PACKED"},
        use_byte_stream_split=names,
        write_statistics=list(keys),
        store_schema=False,
    )
    unfinished.rename(path)
    return path.stat().st_size


def read_part(path: Path, units: Sequence[int] | None = None) -> tuple[Rows, NDArray[np.float32]]:
    """The keys of one part's R rows, and its values with one unit per line [U, R]."""
    file = pq.ParquetFile(path)
    there = file.schema_arrow.names
    names = [name for name in there if name not in KEYS]
    names = names if units is None else [names[unit] for unit in units]
    table = file.read([*(key for key in KEYS if key in there), *names])
    values = np.empty((len(names), len(table)), np.float32)
    for line, name in zip(values, names, strict=True):
        line[:] = table[name].to_numpy()
    label = table["label"].to_numpy() if "label" in there else None
    return Rows(table["sequence"].to_numpy(), table["timestep"].to_numpy(), label), values


def layers(folder: Path | str) -> dict[str, list[str]]:
    """The recorded layers by name, each with its signals in the usual order."""
    found = {}
    for layer in sorted((path for path in Path(folder).iterdir() if path.is_dir()), key=_natural):
        signals = {path.name for path in layer.iterdir() if path.is_dir()}
        if not layer.name.startswith(("_", ".")):
            found[layer.name] = sorted(signals, key=_usual)
    return found


def unit_numbers(path: Path) -> list[int]:
    """The numbers of the units in a part's file, in the order of its lines."""
    return [unit_of(name) for name in pq.read_schema(path).names if name not in KEYS]


def parts(folder: Path, layer: str, signal: str) -> list[Path]:
    """The files of one signal, in the order of their sequences."""
    return sorted((folder / layer / signal).glob("part-*.parquet"))


def row_count(folder: Path, layer: str, signal: str) -> int:
    """R, the rows of one signal over all parts."""
    return sum(pq.read_metadata(path).num_rows for path in parts(folder, layer, signal))


def read_sequences(folder: Path | str, columns: list[str] | None = None) -> pd.DataFrame:
    """One row per test sequence: its length, and what the model made of it."""
    return pd.read_parquet(Path(folder) / SEQUENCES, columns=columns)


def class_count(folder: Path | str) -> int:
    """K, the number of the model's classes."""
    names = pq.read_schema(Path(folder) / SEQUENCES).names
    return sum(name.startswith("p_") for name in names)


def read_states(
    folder: Path | str,
    signals: str | Iterable[str] = "c",
    *,
    layer: str | None = None,
    units: Slice = None,
    timesteps: Slice = None,
    sequences: Slice = None,
    as_array: bool = False,
) -> Any:
    """Read recorded states; only what is asked for is read from disk.

    Args:
        folder: an extract stage's output, such as ``outputs/latest/extract``.
        signals: one signal's name or several, of h, c, i, f, o, g.
        layer: its name; may be left out where only one was recorded.
        units: which of the U units; a number, a list or a slice. All by default.
        timesteps: which timesteps, from 0, likewise; a negative number counts from the end of each
            sequence: -1 is its last.
        sequences: which test sequences, from 0, likewise. Rows come in rising order of both.
        as_array: whether to return arrays instead of a table.

    Returns:
        A DataFrame with columns sequence, timestep, [label], and one per signal and unit, such as
        c_017; or an array [N, T, U] with NaN beyond each sequence's length, in a dict by signal
        where several were asked for.

    Raises:
        ValueError: a layer, signal, unit or sequence that is not there.
    """
    folder = Path(folder)
    wanted = [signals] if isinstance(signals, str) else list(signals)
    layer = _layer(folder, layer, wanted)
    count = len(read_sequences(folder, ["length"]))
    chosen_sequences = _chosen("sequences", sequences, count)
    among = None if sequences is None else _among("sequence", chosen_sequences)
    longest = _longest(folder / layer / wanted[0])
    steps = nth = None
    if isinstance(timesteps, int) and -longest <= timesteps < 0:
        nth = timesteps
    else:
        steps = _chosen("timesteps", timesteps, longest)
        if timesteps is not None:
            within = _among("timestep", steps)
            among = within if among is None else among & within
    frames = [_read_signal(folder / layer / signal, units, among, nth) for signal in wanted]
    if as_array:
        arrays = [_dense(frame, chosen_sequences, steps) for frame in frames]
        return arrays[0] if isinstance(signals, str) else dict(zip(wanted, arrays, strict=True))
    keys = [key for key in KEYS if key in frames[0]]
    return pd.concat([frames[0], *(frame.drop(columns=keys) for frame in frames[1:])], axis=1)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key by which lstm_2 comes before lstm_10."""
    return [
        (int(part or 0), "") if part.isdigit() else (0, part) for part in _DIGITS.split(path.name)
    ]


_DIGITS = re.compile(r"(\d+)")


def _usual(signal: str) -> tuple[int, str]:
    """Sort key: state first, then gates, then whatever else."""
    return ("hcifozrg".find(signal) % 99, signal)


def _layer(folder: Path, layer: str | None, signals: list[str]) -> str:
    """The layer meant, after a check that it and its signals are there."""
    there = layers(folder)
    if layer is None:
        if len(there) != 1:
            raise ValueError(f"{folder}: say which layer=; it has {', '.join(there) or 'none'}")
        (layer,) = there
    if layer not in there:
        raise ValueError(f"{folder}: no layer '{layer}'; it has {', '.join(there) or 'none'}")
    for signal in signals:
        if signal not in there[layer]:
            raise ValueError(f"{layer}: no signal '{signal}'; it has {', '.join(there[layer])}")
    return layer


def _chosen(what: str, which: Slice, size: int) -> NDArray[np.intp]:
    """The numbers that ``which`` picks of 0 … size - 1, in rising order."""
    try:
        return np.unique(np.arange(size)[slice(None) if which is None else which])
    except IndexError as error:
        raise ValueError(f"{what}={which}: there are {size}, from 0 to {size - 1}") from error


def _among(column: str, numbers: NDArray[np.intp]) -> ds.Expression:
    """Rows whose key is among ``numbers``; the bounds let whole files be passed over."""
    field = ds.field(column)
    if not len(numbers):
        return field < 0
    bounds = (field >= int(numbers[0])) & (field <= int(numbers[-1]))
    if len(numbers) == numbers[-1] - numbers[0] + 1:
        return bounds
    return bounds & field.isin(pa.array(numbers, pa.int32()))


def _longest(folder: Path) -> int:
    """T: one more than the largest timestep of a signal, from its files' own statistics."""
    largest = 0
    for path in folder.glob("part-*.parquet"):
        file = pq.read_metadata(path)
        column = file.schema.names.index("timestep")
        for number in range(file.num_row_groups):
            largest = max(largest, file.row_group(number).column(column).statistics.max)
    return largest + 1


def _read_signal(
    folder: Path, units: Slice, among: ds.Expression | None, nth: int | None
) -> pd.DataFrame:
    """The chosen units and rows of one signal; of each sequence only row ``nth`` if given."""
    data = ds.dataset(folder, format="parquet")
    keys = [name for name in data.schema.names if name in KEYS]
    columns = [*keys, *_picked(data.schema.names, units)]
    if nth is None:
        return data.to_table(columns, filter=among).to_pandas()
    rows = (
        part.to_table(columns=columns, filter=among).to_pandas().groupby("sequence").nth(nth)
        for part in data.get_fragments(filter=among)  # whole sequences, a part at a time
    )
    return pd.concat(list(rows), ignore_index=True)


def _picked(columns: list[str], units: Slice) -> list[str]:
    """The columns of the chosen units."""
    names = {unit_of(name): name for name in columns if name not in KEYS}
    try:
        wanted = np.arange(max(names) + 1)[slice(None) if units is None else units]
        # A slice passes over units that were not recorded; a number asks for one.
        skip = units is None or isinstance(units, slice)
        return [names[unit] for unit in np.atleast_1d(wanted).tolist() if unit in names or not skip]
    except (IndexError, KeyError) as error:
        raise ValueError(f"units={units}: there are {len(names)}, up to {max(names)}") from error


def _dense(
    frame: pd.DataFrame, sequences: NDArray[np.intp], timesteps: NDArray[np.intp] | None
) -> NDArray[np.float32]:
    """Rows as an array [N, T, U] over the chosen sequences and timesteps; NaN where no row is.

    Without timesteps each sequence has one row, and T is 1.
    """
    values = frame[[name for name in frame if name not in KEYS]].to_numpy(np.float32)
    step = 0 if timesteps is None else np.searchsorted(timesteps, frame["timestep"])
    count = 1 if timesteps is None else len(timesteps)
    dense = np.full((len(sequences), count, values.shape[1]), np.nan, np.float32)
    dense[np.searchsorted(sequences, frame["sequence"]), step] = values
    return dense
