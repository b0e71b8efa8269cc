"""The inputs of a recording, found again in the data that it was made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope import states
from rnnscope.data.dataset import Dataset
from rnnscope.data.inputs import Roles
from rnnscope.data.recorded import Recorded
from rnnscope.store import parquet


@dataclass(frozen=True)
class Absent:
    """Why a recording's inputs cannot be had."""

    why: str


@dataclass(frozen=True)
class Again:
    """How a recording's test split is loaded once more."""

    roles: Roles | None = None
    """What its model told of its inputs."""
    recorded: Recorded | None = None
    """The states, where there was no model."""


def how(extract: Mapping[str, Any], recorded: Path) -> Again | Absent:
    """How the data of a recording is loaded again, by its manifest.

    Args:
        extract: the manifest of stage extract.
        recorded: its output.
    """
    if extract.get("no_proof"):
        lengths = states.read_sequences(recorded)["length"].to_numpy(np.int32)
        known = Recorded(len(lengths), int(lengths.max()), lambda: lengths, "the states")
        return Again(recorded=known)
    if "inputs" not in extract:
        return Absent(
            "the states were recorded by an earlier version, which did not note how they were "
            "read; stage=extract mode=force records them again"
        )
    roles = extract["inputs"]
    return Again(None if roles is None else Roles.read(roles))


def fitting(dataset: Dataset, recorded: Path) -> Dataset | Absent:
    """The data, if its test split can be what was recorded.

    Args:
        dataset: what the data is now.
        recorded: an extract stage's output.
    """
    split = dataset.test
    if 0 in getattr(split.x, "strides", ()):  # a stand-in takes no memory
        return Absent("the data has labels alone")
    rows = parquet.metadata(recorded / states.SEQUENCES).num_rows
    if len(split) < rows:
        return Absent(f"the data now has {len(split):,} sequences, and {rows:,} were recorded")
    lengths = parquet.frame(recorded / states.SEQUENCES, ["length"])["length"].to_numpy()
    own = np.full(rows, split.timesteps) if split.lengths is None else split.lengths[:rows]
    if (lengths > own).any():  # a mask may have made them shorter
        return Absent("the recorded sequences are longer than those of the data")
    return dataset
