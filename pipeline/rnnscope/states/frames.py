"""Recorded states in pandas; only the requested rows and columns are read from disk."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
from numpy.typing import NDArray

from rnnscope.states.choosing import Choice, Plain, chosen, from_end, placed, plain
from rnnscope.states.listing import held, layers, one_layer
from rnnscope.states.parts import KEYS, SEQUENCES, STEPS, unit_of
from rnnscope.states.signals import Signal, open_signal, refuse_unequal
from rnnscope.store import parquet
from rnnscope.store.reading import consistently


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

    >>> import keras, numpy as np, rnnscope, tempfile
    >>> model = keras.Sequential([keras.Input((None, 3)), keras.layers.LSTM(4, name="lstm")])
    >>> states = rnnscope.record(model, np.zeros((2, 20, 3), "float32"), lengths=[20, 15])
    >>> folder = states.write(tempfile.mkdtemp())  # or what stage extract wrote
    >>> rnnscope.read_sequences(folder)["length"].tolist()
    [20, 15]

    Args:
        folder: an extract stage's output, such as ``outputs/latest/extract``.
        columns: which of them; all by default. outputs/README.md explains each.

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
    units: Choice = None,
    timesteps: Choice = None,
    sequences: Choice = None,
    as_array: bool = False,
) -> Any:
    """Read recorded states; only the requested rows and columns are read from disk.

    >>> import keras, numpy as np, rnnscope, tempfile
    >>> model = keras.Sequential([keras.Input((None, 3)), keras.layers.LSTM(4, name="lstm")])
    >>> states = rnnscope.record(model, np.zeros((2, 20, 3), "float32"), lengths=[20, 15])
    >>> folder = states.write(tempfile.mkdtemp())  # or what stage extract wrote
    >>> rnnscope.read_states(folder, "c", units=[0, 3], timesteps=-1)
       sequence  timestep  c_000  c_003
    0         0        19    0.0    0.0
    1         1        14    0.0    0.0
    >>> rnnscope.read_states(folder, "f", as_array=True).shape
    (2, 20, 4)

    Args:
        folder: an extract stage's output, such as ``outputs/latest/extract``.
        signals: one signal's name or several, of h, c, i, f, o, g.
        layer: its name; may be left out where only one was recorded.
        units: which of the U units; a number, a list or a slice. All by default.
        timesteps: which timesteps, from 0, likewise, chosen of each sequence as NumPy would of it
            by itself. A negative number, by itself, in a list or in a slice, counts from the end
            of each sequence in input time: -1 is its last, which a layer that reads backwards
            reads first, and slice(-3, None) its last three.
        sequences: which test sequences, from 0, likewise.
        as_array: whether to return arrays instead of a table.

    Returns:
        A DataFrame with columns sequence, timestep, [label], and one per signal and unit, such as
        c_017, its rows in rising order of sequence and timestep; or an array [N, T, U] with NaN
        beyond each sequence's length, each axis as it was asked for, in a dict by signal where
        several were. Along T lie the numbers of a list, or the timesteps of a slice. Of a slice
        with a negative number these differ between sequences: each begins at 0 with the first
        that the slice selects of it, and ends in NaN where others have more.

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
    chosen_sequences = chosen("sequences", sequences, count)
    among = None if sequences is None else _among("sequence", chosen_sequences)
    opened = [open_signal(folder, layer, signal) for signal in wanted]
    refuse_unequal(opened)
    steps = chosen("timesteps", timesteps, opened[0].timesteps)
    which = plain("timesteps", timesteps)
    ends = which if from_end(which) else None
    if timesteps is not None and ends is None:
        within = _among("timestep", steps)
        among = within if among is None else among & within
    if as_array:
        arrays = [_array(each, units, among, ends, chosen_sequences, steps) for each in opened]
        return arrays[0] if isinstance(signals, str) else dict(zip(wanted, arrays, strict=True))
    frames = [_read_signal(signal, units, among, ends)[0] for signal in opened]
    if ends is not None:
        frames = [each.drop_duplicates(["sequence", "timestep"]) for each in frames]
        frames = [each.reset_index(drop=True) for each in frames]
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
    signal: Signal, units: Choice, among: ds.Expression | None, ends: Plain | None
) -> tuple[pd.DataFrame, NDArray[np.intp] | None]:
    """The chosen units and rows of one signal, rising; see ``placed`` for what ``ends`` selects."""
    names = parquet.schema(signal.every[0]).names
    columns = [name for name in names if name in KEYS] + list(dict.fromkeys(_picked(names, units)))
    if ends is None:
        return parquet.rows(signal.every, columns, among).to_pandas(), None
    frames, places = [], []
    for part in signal.every:  # whole sequences, a part at a time
        frame = parquet.rows([part], columns, among).to_pandas()
        rows, place = placed(frame["sequence"].to_numpy(), frame["timestep"].to_numpy(), ends)
        frames.append(frame.iloc[rows])
        places.append(place)
    return pd.concat(frames, ignore_index=True), np.concatenate(places)


def _picked(columns: list[str], units: Choice) -> list[str]:
    """The columns of the chosen units, as they were asked for."""
    names = {unit_of(name): name for name in columns if name not in KEYS}
    which = plain("units", units)
    try:
        wanted = np.arange(max(names) + 1)[which].tolist()
        # A slice passes over units that were not recorded; a number asks for one.
        return [names[unit] for unit in wanted if unit in names or not isinstance(which, slice)]
    except (IndexError, KeyError) as error:
        raise ValueError(f"units={units}: there are {len(names)}, up to {max(names)}") from error


def _array(
    signal: Signal,
    units: Choice,
    among: ds.Expression | None,
    ends: Plain | None,
    sequences: NDArray[np.intp],
    timesteps: NDArray[np.intp],
) -> NDArray[np.float32]:
    """One signal as an array [N, T, U] over the chosen sequences and timesteps; NaN elsewhere."""
    frame, place = _read_signal(signal, units, among, ends)
    if ends is None or place is None:
        each, place_of = np.unique(timesteps, return_inverse=True)
        place = np.searchsorted(each, frame["timestep"])
    elif isinstance(ends, slice):
        place_of = np.arange(place.max(initial=-1) + 1)
    else:
        _, place_of = np.unique(ends, return_inverse=True)
    rows, row_of = np.unique(sequences, return_inverse=True)
    picked = _picked(parquet.schema(signal.every[0]).names, units)
    dense = np.full((len(rows), len(np.unique(place_of)), len(picked)), np.nan, np.float32)
    dense[np.searchsorted(rows, frame["sequence"]), place] = frame[picked].to_numpy(np.float32)
    if (np.diff(row_of) == 1).all() and (np.diff(place_of) == 1).all():
        return dense
    return dense[row_of[:, np.newaxis], place_of]
