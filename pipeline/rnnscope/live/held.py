"""Recorded states in memory, as they were recorded and as they are written."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope import states
from rnnscope.extract.notes import Part
from rnnscope.extract.records import Columns, PartRecord, TableRows
from rnnscope.live import writing
from rnnscope.live.about import About
from rnnscope.live.pieces import Float, Pieces
from rnnscope.states import selection


@dataclass
class HeldLayer:
    """The signals of one layer, of N sequences and T timesteps."""

    timesteps: int
    """T."""
    steps: NDArray[np.intp] | None
    """The timesteps T' that were asked for; None where each sequence has its own, its last."""
    signals: dict[str, Pieces]
    """Signal -> [N, T', U], NaN where there is no row."""
    kept: list[NDArray[np.bool_]] = field(default_factory=list)
    """Which timesteps are rows, [B, T] of each batch."""

    def put(self, signal: str, kept: NDArray[np.bool_], values: NDArray[Any]) -> NDArray[Any]:
        """Add a batch [T, B, U] of a signal, and give back what is held of it."""
        places, values = self._places(kept), values.swapaxes(0, 1)
        if not places.all():
            rows = values[kept]
            self.signals[signal].add(rows, places)
            return rows
        if self.steps is None:
            held = values[kept][:, np.newaxis]
        else:  # as it is, or a copy of a part, so that no more is kept than was asked for
            every = len(self.steps) == values.shape[1]
            held = values if every else values[:, self._slice].copy()
        self.signals[signal].add(held)
        return held

    def rows(self, signal: str, start: int, stop: int) -> Float:
        """The rows [U, R] of some sequences, each unit's in one piece."""
        values = self.signals[signal].array()[start:stop]
        places = self._places(self.of(start, stop))
        rows = values.reshape(-1, values.shape[2]) if places.all() else values[places]
        return np.ascontiguousarray(rows.T)

    def of(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Which timesteps of some sequences are rows [B, T]."""
        first, found = 0, []
        for each in self.kept:
            begin, end = max(start - first, 0), min(stop - first, len(each))
            if begin < end:
                found.append(each[begin:end])
            first += len(each)
        return found[0] if len(found) == 1 else np.concatenate(found)

    @property
    def _slice(self) -> slice:
        """The timesteps that were asked for, evenly apart."""
        assert self.steps is not None
        if len(self.steps) < 2:
            return slice(
                *((int(self.steps[0]), int(self.steps[0]) + 1) if len(self.steps) else (0, 0))
            )
        return slice(int(self.steps[0]), int(self.steps[-1]) + 1, int(np.diff(self.steps[:2])[0]))

    def _places(self, kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which places [B, T'] are rows."""
        if self.steps is None:
            return np.asarray(kept.any(axis=1, keepdims=True))
        return kept[:, self.steps]


@dataclass
class Held:
    """The states of N sequences in memory."""

    about: About
    held: dict[str, HeldLayer]
    labels: NDArray[np.int32] | None
    """Classes of the sequences [N] or of their timesteps [N, T]; None where there are none."""
    sequences: pd.DataFrame
    steps: pd.DataFrame | None

    @property
    def layers(self) -> dict[str, list[str]]:
        """The recorded layers, each with its signals."""
        return self.about.layout.layers

    @property
    def classes(self) -> list[str]:
        """The names of the classes, in the order of their numbers."""
        return list(self.about.classes)

    @property
    def residuals(self) -> dict[str, dict[str, float]]:
        """The largest residuals of the proof, by layer and kind."""
        return self.about.residuals

    def units(self, layer: str, signal: str) -> list[int]:
        """The numbers of the recorded units."""
        return list(self.about.layout.units[layer, signal])

    def steps_of(self, layer: str) -> NDArray[np.intp] | None:
        """The timesteps of the arrays' axis; None where each sequence has its own."""
        return self.held[layer].steps

    def longest(self, layer: str) -> int:
        """The timesteps of the layer's input."""
        return self.held[layer].timesteps

    @property
    def other_time(self) -> list[str]:
        """The layers to whose timesteps labels and annotations of timesteps do not belong."""
        return list(self.about.other_time)

    def shape(self, layer: str, signal: str) -> tuple[int, int, int]:
        """N, T', U."""
        return self.held[layer].signals[signal].shape

    def array(self, layer: str, signal: str) -> Float:
        """The signal [N, T', U]: a read-only view."""
        view = self.held[layer].signals[signal].array().view()
        view.flags.writeable = False
        return view

    def keys(self, layer: str) -> states.RowKeys:
        """The keys of all rows of a layer."""
        layout = self.about.layout
        labels = None if layer in layout.unlabelled else self.labels
        kept = self.held[layer].kept
        return selection.keys_of(0, kept, labels, layer in layout.backward)

    def frame(self, layer: str, signal: str) -> pd.DataFrame:
        """The rows, as pandas reads them from disk."""
        keys, units = self.keys(layer), self.units(layer, signal)
        rows = self.held[layer].rows(signal, 0, len(self.sequences))
        every = states.columns(signal, max(units) + 1)
        known: dict[str, Any] = {"sequence": keys.sequence, "timestep": keys.timestep}
        if keys.label is not None:
            known["label"] = keys.label
        frame = pd.DataFrame(known)
        values = pd.DataFrame(rows.T, columns=[every[unit] for unit in units])
        return pd.concat([frame, values], axis=1)

    def part(self, part: Part) -> PartRecord:
        """What stage extract would have recorded of a part; its proof is not repeated."""
        found = PartRecord()
        for layer, each in self.held.items():
            signals = {name: [each.rows(name, part.start, part.stop)] for name in each.signals}
            found.columns[layer] = Columns(signals, [each.of(part.start, part.stop)])
        if self.labels is not None:
            found.labels.append(self.labels[part.start : part.stop])
        found.sequences.append(_columns(self.sequences.iloc[part.start : part.stop]))
        if self.steps is not None:
            bounds = self.steps["sequence"].searchsorted([part.start, part.stop])
            found.steps.append(_columns(self.steps.iloc[bounds[0] : bounds[1]]))
        return found

    def write(self, folder: Path, artefact: str) -> None:
        """Write the contract's files."""
        longest = {layer: each.timesteps for layer, each in self.held.items()}
        writing.write(self.about, longest, self.part, folder, artefact)


def _columns(rows: pd.DataFrame) -> TableRows:
    return {name: column.to_numpy() for name, column in rows.items()}
