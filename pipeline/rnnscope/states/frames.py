"""Recorded states in pandas; only the requested rows and columns are read from disk."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
from numpy.typing import NDArray

from rnnscope.states.listing import held, layers, one_layer
from rnnscope.states.parts import KEYS, SEQUENCES, STEPS, unit_of
from rnnscope.states.signals import Signal, open_signal, refuse_unequal
from rnnscope.store import parquet
from rnnscope.store.reading import consistently

Slice = slice | Sequence[int] | int | None


def recording(folder: Path | str) -> Path:
    """The folder of a recording.

    Raises:
        FileNotFoundError: there is none.
    """
    if not (Path(folder) / SEQUENCES).is_file():
        inner = Path(folder) / "extract"
        there = (inner / SEQUENCES).is_file()
        raise FileNotFoundError(
            f"{folder}: no {SEQUENCES} there; give "
            + (str(inner) if there else "an extract stage's output, such as outputs/latest/extract")
        )
    return Path(folder)


@consistently
def read_sequences(folder: Path | str, columns: list[str] | None = None) -> pd.DataFrame:
    """One row per test sequence: its length and label, and the model's prediction and scores.

    Raises:
        FileNotFoundError: the folder holds no recording.
        Damaged: the file is not what was written.
    """
    return parquet.frame(held(recording(folder), SEQUENCES), columns)


@consistently
def read_steps(folder: Path | str, columns: list[str] | None = None) -> pd.DataFrame:
    """One row per sequence and timestep: labels or targets of timesteps, and annotations.

    Raises:
        FileNotFoundError: the folder holds no recording, or the data has neither.
        Damaged: the file is not what was written.
    """
    path = held(Path(folder), STEPS)
    if not path.is_file():
        recording(folder)
    return parquet.frame(path, columns)


@consistently
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
    """Read recorded states; only the requested rows and columns are read from disk.

    Args:
        folder: an extract stage's output, such as ``outputs/latest/extract``.
        signals: one signal's name or several, of h, c, i, f, o, g.
        layer: its name; may be left out where only one was recorded.
        units: which of the U units; a number, a list or a slice. All by default.
        timesteps: which timesteps, from 0, likewise; a negative number counts from the end of each
            sequence in input time: -1 is its last, which a layer that reads backwards reads first.
        sequences: which test sequences, from 0, likewise.
        as_array: whether to return arrays instead of a table.

    Returns:
        A DataFrame with columns sequence, timestep, [label], and one per signal and unit, such as
        c_017, its rows in rising order of sequence and timestep; or an array [N, T, U] with NaN
        beyond each sequence's length, each axis as it was asked for, in a dict by signal where
        several were.

    Raises:
        FileNotFoundError: the folder holds no recording.
        ValueError: a layer, signal, unit or sequence that was not recorded; no signal.
        Damaged: a file is missing, from elsewhere, or not what was written.
    """
    folder = recording(folder)
    wanted = [signals] if isinstance(signals, str) else list(signals)
    if not wanted:
        raise ValueError("signals=[]: name at least one")
    layer = _layer(folder, layer, wanted)
    count = len(read_sequences(folder, ["length"]))
    chosen_sequences = _chosen("sequences", sequences, count)
    among = None if sequences is None else _among("sequence", chosen_sequences)
    opened = [open_signal(folder, layer, signal) for signal in wanted]
    refuse_unequal(opened)
    longest = opened[0].timesteps
    steps = nth = None
    if isinstance(timesteps, int) and -longest <= timesteps < 0:
        nth = timesteps
    else:
        steps = _chosen("timesteps", timesteps, longest)
        if timesteps is not None:
            within = _among("timestep", steps)
            among = within if among is None else among & within
    frames = [_read_signal(signal, units, among, nth) for signal in opened]
    if as_array:
        picked = [_picked(parquet.schema(each.every[0]).names, units) for each in opened]
        arrays = [
            _dense(frame[columns], frame[["sequence", "timestep"]], chosen_sequences, steps)
            for frame, columns in zip(frames, picked, strict=True)
        ]
        return arrays[0] if isinstance(signals, str) else dict(zip(wanted, arrays, strict=True))
    keys = [key for key in KEYS if key in frames[0]]
    return pd.concat([frames[0], *(frame.drop(columns=keys) for frame in frames[1:])], axis=1)


def _layer(folder: Path, layer: str | None, signals: list[str]) -> str:
    """The layer's name, the only one's if None; raises if it or a signal was not recorded."""
    there = layers(folder)
    layer = one_layer(there, layer, folder)
    for signal in signals:
        if signal not in there[layer]:
            raise ValueError(f"{layer}: no signal '{signal}'; it has {', '.join(there[layer])}")
    return layer


def _chosen(what: str, which: Slice, size: int) -> NDArray[np.intp]:
    """The numbers, of 0 … size - 1, that ``which`` selects."""
    if isinstance(which, bool):
        raise ValueError(f"{what}={which}: must be a number, a list or a slice")
    try:
        return np.atleast_1d(np.arange(size)[slice(None) if which is None else which])
    except IndexError as error:
        raise ValueError(f"{what}={which}: there are {size}, from 0 to {size - 1}") from error


def _among(column: str, numbers: NDArray[np.intp]) -> ds.Expression:
    """Rows whose key is among ``numbers``; by the bounds Arrow skips whole files."""
    field = ds.field(column)
    numbers = np.unique(numbers)
    if not len(numbers):
        return field < 0
    bounds = (field >= int(numbers[0])) & (field <= int(numbers[-1]))
    if len(numbers) == numbers[-1] - numbers[0] + 1:
        return bounds
    return bounds & field.isin(pa.array(numbers, pa.int32()))


def _read_signal(
    signal: Signal, units: Slice, among: ds.Expression | None, nth: int | None
) -> pd.DataFrame:
    """The chosen units and rows of one signal; of each sequence only row ``nth`` if given."""
    names = parquet.schema(signal.every[0]).names
    columns = [name for name in names if name in KEYS] + list(dict.fromkeys(_picked(names, units)))
    if nth is None:
        return parquet.rows(signal.every, columns, among).to_pandas()
    rows = (
        parquet.rows([part], columns, among).to_pandas().groupby("sequence").nth(nth)
        for part in signal.every  # whole sequences, a part at a time
    )
    return pd.concat(list(rows), ignore_index=True)


def _picked(columns: list[str], units: Slice) -> list[str]:
    """The columns of the chosen units, as they were asked for."""
    if isinstance(units, bool):
        raise ValueError(f"units={units}: must be a number, a list or a slice")
    names = {unit_of(name): name for name in columns if name not in KEYS}
    try:
        wanted = np.arange(max(names) + 1)[slice(None) if units is None else units]
        # A slice passes over units that were not recorded; a number asks for one.
        skip = units is None or isinstance(units, slice)
        return [names[unit] for unit in np.atleast_1d(wanted).tolist() if unit in names or not skip]
    except (IndexError, KeyError) as error:
        raise ValueError(f"units={units}: there are {len(names)}, up to {max(names)}") from error


def _dense(
    columns: pd.DataFrame,
    keys: pd.DataFrame,
    sequences: NDArray[np.intp],
    timesteps: NDArray[np.intp] | None,
) -> NDArray[np.float32]:
    """Rows as an array [N, T, U] over the chosen sequences and timesteps; NaN where no row is.

    Without timesteps each sequence has one row, and T is 1.
    """
    rows, row_of = np.unique(sequences, return_inverse=True)
    steps, step_of = np.unique([0] if timesteps is None else timesteps, return_inverse=True)
    dense = np.full((len(rows), len(steps), columns.shape[1]), np.nan, np.float32)
    step = 0 if timesteps is None else np.searchsorted(steps, keys["timestep"])
    dense[np.searchsorted(rows, keys["sequence"]), step] = columns.to_numpy(np.float32)
    if (np.diff(row_of) == 1).all() and (np.diff(step_of) == 1).all():
        return dense
    return dense[row_of[:, np.newaxis], step_of]
