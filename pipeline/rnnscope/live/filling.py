"""States in memory, filled batch by batch."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope.errors import UserError
from rnnscope.extract.records import BatchRecord, Layout, TableRows, table_of
from rnnscope.live import pieces
from rnnscope.live.about import About
from rnnscope.live.held import Held, HeldLayer
from rnnscope.live.pieces import Pieces
from rnnscope.states import selection


@dataclass
class Filling:
    """The states of N sequences, of which the first few are there."""

    count: int
    """N."""
    layout: Layout
    timesteps: str
    """The option of that name."""
    layers: dict[str, HeldLayer] = field(default_factory=dict)
    labels: list[NDArray[np.int32]] = field(default_factory=list)
    sequences: list[TableRows] = field(default_factory=list)
    steps: list[TableRows] = field(default_factory=list)

    def take(
        self,
        layer: str,
        signal: str,
        values: NDArray[Any],
        kept: NDArray[np.bool_],
        first: int,
    ) -> NDArray[Any]:
        """Add a signal of the next batch [T, B, U]; what is held of it."""
        if layer not in self.layers:
            self.layers[layer] = self._layer(layer, len(values))
        return self.layers[layer].put(signal, kept, values)

    def add(self, batch: BatchRecord) -> None:
        """Add what else there is of the next batch."""
        for layer, each in batch.layers.items():
            self.layers[layer].kept.append(_small(each.kept))
        if batch.labels is not None:
            self.labels.append(batch.labels)
        self.sequences.append(batch.sequences)
        if batch.steps is not None:
            self.steps.append(batch.steps)

    def done(self, about: About) -> Held:
        """The states, now that all are there."""
        return Held(
            about,
            self.layers,
            np.concatenate(self.labels) if self.labels else None,
            table_of(self.sequences),
            table_of(self.steps) if self.steps else None,
        )

    def _layer(self, layer: str, timesteps: int) -> HeldLayer:
        """A layer of T timesteps without any values yet."""
        steps = None
        if self.timesteps != "last":
            steps = selection.steps_of(self.timesteps, timesteps)
            if not len(steps):
                of = f"none of the {timesteps} timesteps of layer '{layer}'"
                raise UserError(f"extract.timesteps={self.timesteps}: {of} is among them")
        shape = self.count, 1 if steps is None else len(steps)
        units = {name: of for (owner, name), of in self.layout.units.items() if owner == layer}
        much = 4 * math.prod(shape) * sum(map(len, units.values())) > pieces.LIMIT
        signals = {signal: Pieces((*shape, len(of)), much) for signal, of in units.items()}
        return HeldLayer(timesteps, steps, signals)


def _small(kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The same [B, T], in no memory to speak of where all are true."""
    return np.broadcast_to(np.True_, kept.shape) if kept.all() else kept.copy()
