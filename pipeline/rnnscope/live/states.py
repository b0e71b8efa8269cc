"""Recorded states as a user has them: arrays and tables by layer and signal."""

import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from rnnscope.errors import UserError
from rnnscope.live.labelled import dataset
from rnnscope.live.source import Float, Source
from rnnscope.states.listing import one_layer
from rnnscope.store import atomic


class Signals(Mapping[str, Float]):
    """The signals of one layer: name -> float32 array [N, T, U]."""

    def __init__(self, source: Source, layer: str):
        self._source, self._layer = source, layer
        self._names = source.layers[layer]

    def __getitem__(self, signal: str) -> Float:
        if signal not in self._names:
            raise KeyError(f"{self._layer}: no signal {signal!r}; it has {', '.join(self._names)}")
        return self._source.array(self._layer, signal)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return _line(self._source, self._layer)


class States(Mapping[str, Signals]):
    """Recorded states of N sequences: layer -> signal -> read-only float32 array [N, T, U].

    ``rnnscope.record`` gives them in memory, ``rnnscope.open_states`` from files, of which only
    what is asked for is read.

    >>> import keras, numpy as np, rnnscope
    >>> model = keras.Sequential([keras.Input((None, 3)), keras.layers.GRU(4, name="gru")])
    >>> states = rnnscope.record(model, np.zeros((10, 20, 3), "float32"))
    >>> states["gru"]["z"].shape
    (10, 20, 4)
    >>> list(states.frame("gru", "h"))[:3]
    ['sequence', 'timestep', 'h_000']

    N counts the sequences, T the timesteps of the layer's input or, where only some were asked
    for, those; U the units that were asked for. A value is NaN where a sequence has no row: past
    its length, or where the layer's mask says so. Timesteps are those of the input, also of a layer
    that reads backwards. With ``timesteps="last"`` T is 1.
    """

    def __init__(self, source: Source):
        self._source = source

    def __getitem__(self, layer: str) -> Signals:
        if layer not in self._source.layers:
            raise KeyError(f"no layer {layer!r}; there is {', '.join(self._source.layers)}")
        return Signals(self._source, layer)

    def __iter__(self) -> Iterator[str]:
        return iter(self._source.layers)

    def __len__(self) -> int:
        return len(self._source.layers)

    @property
    def sequences(self) -> pd.DataFrame:
        """One row per sequence: length, label, prediction and scores, as ``read_sequences``."""
        return self._source.sequences

    @property
    def steps(self) -> pd.DataFrame | None:
        """One row per sequence and timestep; None without labels or annotations of timesteps."""
        return self._source.steps

    @property
    def classes(self) -> list[str]:
        """The names of the classes whose numbers, from 0, are labels and predictions."""
        return self._source.classes

    @property
    def residuals(self) -> dict[str, dict[str, float]]:
        """The proof: layer -> kind -> its largest residual, relative to max(1, |value|).

        Held against ``tolerance`` are ``step_h``, ``step_c``, ...: a state against one call of the
        model's own cell from the recorded states of the step before; ``equations``: that call
        against the equations in float64; ``gates``: recorded gates against these; and ``handed``:
        what Keras went on with against the cell. Reported are ``drift``, whole sequences against
        Keras' own loop; ``drift_float64`` and ``keras_float64``, both against a loop in float64. It
        is empty for files without a manifest.
        """
        return self._source.residuals

    def units(self, layer: str, signal: str) -> list[int]:
        """The numbers of the recorded units, in the order of the arrays' last axis."""
        return self._source.units(*self._known(layer, signal))

    def frame(self, layer: str, signal: str) -> pd.DataFrame:
        """The rows of one signal, as ``pd.read_parquet`` gives them of the same part.

        Returns:
            Columns sequence, timestep, [label], and one per unit, such as c_017; rows in rising
            order of sequence and timestep, none for padding.

        Raises:
            KeyError: a layer or signal that was not recorded.
        """
        return self._source.frame(*self._known(layer, signal))

    def to_xarray(self, layer: str | None = None) -> Any:
        """The signals of one layer as an ``xarray.Dataset`` of dims sequence, timestep, unit.

        Lengths, labels and names of sequences are coordinates along sequence; labels, targets and
        annotations of timesteps along sequence and timestep, as ``label_of_timestep`` where
        sequences have one of that name.

        Args:
            layer: its name; may be left out where only one was recorded.

        Raises:
            ImportError: xarray is not installed.
            ValueError: a layer that was not recorded, or several and none named.
        """
        return dataset(self._source, one_layer(self._source.layers, layer, "states"))

    def write(self, folder: Path | str, *, artefact: str = "") -> Path:
        """Write the states as stage extract does: Parquet files, the same byte for byte.

        Args:
            folder: which is made, or is there and empty. It appears whole or not at all.
            artefact: the key that the footer of each part names: that of the artefact of stage
                extract whose files these are to equal. Those of states in files are copied as they
                are.

        Returns:
            The folder, for ``open_states``, ``read_states`` or ``pd.read_parquet``.

        Raises:
            rnnscope.errors.UserError: the folder is there, and not empty; or of states in files,
                one is damaged, or names another artefact.
            OSError: it cannot be written.
        """
        folder = Path(folder)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder}: is there, and not empty; give another folder")
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = folder.absolute().with_name(f".{folder.name}.{uuid.uuid4().hex}.partial")
        unfinished.mkdir()
        try:
            self._source.write(unfinished, artefact)
            if folder.exists():
                folder.rmdir()
            unfinished.rename(folder)
            atomic.sync(folder.absolute().parent)
        except BaseException:
            atomic.discard(unfinished)
            raise
        return folder

    def __repr__(self) -> str:
        n = len(self.sequences)
        shapes = [
            self._source.shape(layer, signal)
            for layer, signals in self._source.layers.items()
            for signal in signals
        ]
        size = 4 * sum(n * t * u for n, t, u in shapes)
        lines = [f"States of {n:,} sequences, {size / 1e6:,.1f} MB"]
        return "\n".join([*lines, *(f"  {_line(self._source, layer)}" for layer in self)])

    def _known(self, layer: str, signal: str) -> tuple[str, str]:
        """The same, if they were recorded."""
        names = list(self[layer])
        if signal not in names:
            raise KeyError(f"{layer}: no signal {signal!r}; it has {', '.join(names)}")
        return layer, signal


def _line(source: Source, layer: str) -> str:
    """A layer with its signals and their shape."""
    signals = source.layers[layer]
    shapes = dict.fromkeys(source.shape(layer, signal) for signal in signals)
    said = " and ".join(f"[{n}, {t}, {u}]" for n, t, u in shapes)
    return f"{layer}: {', '.join(signals)}, each {said}"
