"""What a network might have done, made by hand and laid down as stage extract does."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope import states

Float = NDArray[np.float32]


@dataclass
class Recording:
    """What a network did: signals [N, T, U] by layer and letter, with labels and annotations."""

    signals: dict[str, dict[str, Float]]
    lengths: NDArray[np.int64]
    labels: NDArray[np.int32] | None = None
    """Classes, of the sequences [N] or of the timesteps [N, T]."""
    k: int = 0
    target: NDArray[np.float64] | None = None
    """Numbers to be told, one per sequence [N]."""
    steps: pd.DataFrame | None = None
    """Annotations of single timesteps, by sequence and timestep."""
    recorded: slice | None = None
    """Which timesteps were recorded; all by default."""

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Which timesteps of which sequence have a row [N, T]."""
        timesteps = next(iter(next(iter(self.signals.values())).values())).shape[1]
        chosen = np.zeros(timesteps, bool)
        chosen[self.recorded or slice(None)] = True
        return (np.arange(timesteps) < self.lengths[:, np.newaxis]) & chosen

    def rows(self, layer: str, signal: str) -> Float:
        """All rows [R, U]."""
        return self.signals[layer][signal][self.valid]

    def last(self, layer: str, signal: str) -> Float:
        """The last valid timestep of each sequence [N, U]."""
        return self.signals[layer][signal][np.arange(len(self.lengths)), self.lengths - 1]


def drawn(
    seed: int = 0, n: int = 120, t: int = 6, u: int = 7, signals: str = "hcf", k: int = 3
) -> Recording:
    """Random states in (0, 1), some of them depending on the class."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, k, n).astype(np.int32)
    effect = np.linspace(0, 1, u) * labels[:, np.newaxis, np.newaxis]
    made = {}
    for signal in signals:
        values = random.normal(size=(n, t, u)) + effect
        made[signal] = (1 / (1 + np.exp(-values))).astype(np.float32)
    return Recording({"lstm": made}, random.integers(1, t + 1, n), labels, k)


def write(folder: Path, recording: Recording, parts: int = 1, seed: int | None = None) -> Path:
    """Lay a recording down as stage extract does; with a seed, its parts in another order."""
    folder.mkdir()
    n = len(recording.lengths)
    numbers = list(range(parts))
    if seed is not None:
        np.random.default_rng(seed).shuffle(numbers)
    for number, piece in zip(numbers, np.array_split(np.arange(n), parts), strict=True):
        rows = _keys(recording, piece)
        for layer, signals in recording.signals.items():
            for signal, values in signals.items():
                lines = np.ascontiguousarray(values[piece][recording.valid[piece]].T)
                path = states.part_file(folder, layer, signal, number)
                states.write_part(path, signal, lines, rows, "lz4")
    frame = pd.DataFrame({"sequence": np.arange(n, dtype=np.int32), "length": recording.lengths})
    if recording.labels is not None and recording.labels.ndim == 1:
        frame["label"] = recording.labels
        frame[[f"p_{k}" for k in range(recording.k)]] = 1 / recording.k
    if recording.target is not None:
        frame["target"] = recording.target
    frame.to_parquet(folder / states.SEQUENCES, index=False)
    steps = _steps(recording)
    if steps is not None:
        steps.to_parquet(folder / states.STEPS, index=False)
    return folder


def _keys(recording: Recording, piece: NDArray[np.intp]) -> states.RowKeys:
    """The keys of the rows of some sequences."""
    place, timestep = np.nonzero(recording.valid[piece])
    sequence, labels = piece[place], recording.labels
    if labels is not None:
        labels = labels[sequence, timestep] if labels.ndim == 2 else labels[sequence]
    return states.RowKeys(sequence.astype(np.int32), timestep.astype(np.int32), labels)


def _steps(recording: Recording) -> pd.DataFrame | None:
    """Annotations of single timesteps, and their labels if they have any."""
    labels, steps = recording.labels, recording.steps
    if labels is None or labels.ndim == 1:
        return steps
    sequence, timestep = np.nonzero(np.arange(labels.shape[1]) < recording.lengths[:, np.newaxis])
    known = {"sequence": sequence, "timestep": timestep, "label": labels[sequence, timestep]}
    frame = pd.DataFrame(known).astype("int32")
    return frame if steps is None else frame.merge(steps, on=["sequence", "timestep"], how="left")
