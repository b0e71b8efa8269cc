"""What was recorded of a part in memory, before it is written."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.trace.findings import Findings


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
    """Classes of the sequences [B] or of their timesteps [B, T]; empty without classes."""
    sequences: list[pd.DataFrame] = field(default_factory=list)
    """One row per sequence."""
    steps: list[pd.DataFrame] = field(default_factory=list)
    """One row per valid timestep; empty without labels, targets or annotations of timesteps."""
    proof: Findings = field(default_factory=dict)
    """Of the part's first sequences."""
    unmasked: set[str] = field(default_factory=set)
    """Layers that no mask reaches though sequences differ in length."""
    lost: dict[str, str] = field(default_factory=dict)
    """Layers that read padding as rows: by name, the layer whose mask does not reach them."""
