"""What was recorded in memory: of a batch, and of a part before it is written."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.states.listing import by_layer
from rnnscope.trace.findings import Findings

TableRows = dict[str, NDArray[Any]]
"""Some rows of a table: its columns, by name."""


@dataclass(frozen=True)
class LayerBatch:
    """The recorded values of one layer in one batch of B sequences and T timesteps."""

    kept: NDArray[np.bool_]
    """Which timesteps of which sequences are rows [B, T], R of them."""
    signals: dict[str, NDArray[np.float32]]
    """Signal -> its chosen units at these timesteps [U, R]."""


@dataclass(frozen=True)
class BatchRecord:
    """What was recorded of B consecutive sequences."""

    first: int
    """The number of the first."""
    layers: dict[str, LayerBatch]
    labels: NDArray[np.int32] | None
    """Classes of the sequences [B] or of their timesteps [B, T]; None without classes."""
    sequences: TableRows
    """Their rows of table sequences."""
    steps: TableRows | None
    """Their rows of table steps, if there is one."""
    proof: Findings
    """Of a part's first sequences; empty for all other batches."""
    unmasked: set[str]
    """Layers that no mask reaches though sequences differ in length."""
    lost: dict[str, str]
    """Layers that read padding as rows: by name, the layer whose mask does not reach them."""


@dataclass(frozen=True)
class Layout:
    """What the records of a model have in common."""

    units: dict[tuple[str, str], list[int]]
    """By layer and signal, the numbers of the chosen units."""
    backward: frozenset[str] = frozenset()
    """Layers that read backwards."""
    unlabelled: frozenset[str] = frozenset()
    """Layers to whose timesteps the labels of timesteps do not belong."""

    @property
    def layers(self) -> dict[str, list[str]]:
        """The layers by name, each with its signals, both in the usual order."""
        return by_layer(self.units)


@dataclass
class Columns:
    """The recorded values of one layer in one part, filled batch by batch."""

    signals: dict[str, list[NDArray[np.float32]]] = field(default_factory=dict)
    """Signal -> one array [U, rows] per batch."""
    kept: list[NDArray[np.bool_]] = field(default_factory=list)
    """Which timesteps of which sequences are rows, [B, T] per batch."""


@dataclass
class PartRecord:
    """What was recorded of one part, filled batch by batch."""

    columns: dict[str, Columns] = field(default_factory=dict)
    """By layer."""
    labels: list[NDArray[np.int32]] = field(default_factory=list)
    """As in ``BatchRecord``."""
    sequences: list[TableRows] = field(default_factory=list)
    """One row per sequence."""
    steps: list[TableRows] = field(default_factory=list)
    """One row per valid timestep; empty without labels, targets or annotations of timesteps."""
    proof: Findings = field(default_factory=dict)
    """Of the part's first sequences."""
    unmasked: set[str] = field(default_factory=set)
    """As in ``BatchRecord``."""
    lost: dict[str, str] = field(default_factory=dict)
    """As in ``BatchRecord``."""

    def add(self, batch: BatchRecord) -> None:
        """Add the next batch."""
        for layer, each in batch.layers.items():
            into = self.columns.setdefault(layer, Columns())
            into.kept.append(each.kept)
            for signal, values in each.signals.items():
                into.signals.setdefault(signal, []).append(values)
        if batch.labels is not None:
            self.labels.append(batch.labels)
        self.sequences.append(batch.sequences)
        if batch.steps is not None:
            self.steps.append(batch.steps)
        self.proof = self.proof or batch.proof
        self.unmasked |= batch.unmasked
        self.lost |= batch.lost


def table_of(batches: list[TableRows]) -> pd.DataFrame:
    """The rows of consecutive batches as one table: making one takes longer than its values."""
    return pd.DataFrame(
        {name: np.concatenate([each[name] for each in batches]) for name in batches[0]}
    )
