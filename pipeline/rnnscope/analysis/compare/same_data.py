"""Whether runs recorded the same sequences."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope import states
from rnnscope.errors import UserError
from rnnscope.store import parquet
from rnnscope.store.runs import Run


def check(runs: list[Run], recorded: Mapping[str, Path]) -> None:
    """Raise for the first run that did not record the same sequences as run number 0."""
    first, *others = runs
    data, lengths = _data(first, recorded), _lengths(recorded[first.name])
    for other in others:
        theirs = _data(other, recorded)
        differ = [
            f"{name} is {data.get(name)} and {theirs.get(name)}"
            for name in dict.fromkeys([*data, *theirs])
            if data.get(name) != theirs.get(name)
        ]
        if not differ and _lengths(recorded[other.name]) != lengths:
            differ = ["the lengths of their sequences differ"]
        if differ:
            raise UserError(
                f"stage=compare: runs {first.name} and {other.name} have different data, "
                f"{'; '.join(differ)}: choose runs of the same data with compare.runs=..."
            )


def check_last(runs: list[Run]) -> None:
    """Raise where the last timesteps that runs recorded are not the same ones."""
    first, *others = runs
    known = first.config.get("extract.timesteps")
    for other in others:
        theirs = other.config.get("extract.timesteps")
        if theirs != known and not {known, theirs} <= {"all", "last"}:
            raise UserError(
                f"compare.timesteps=last: runs {first.name} and {other.name} recorded "
                f"extract.timesteps={known} and {theirs}, of which the last are others: choose "
                "runs that recorded the same with compare.runs=..., or timesteps that all have"
            )


def _data(run: Run, recorded: Mapping[str, Path]) -> dict[str, Any]:
    """The options and digests of files that determine which sequences a run recorded.

    Left out are whether sequences or timesteps have labels, and what shapes the validation split
    alone, which is drawn from training, after the test split. The first sequences of the test split
    are recorded, so that their number says which. Annotations count: in a table, every column that
    is not one of them is an input of the network.
    """
    found = run.config
    other = {"data.labels", "data.task", "data.validation_fraction"}
    drawn = "data.test_sequences" in found  # a generated task
    if found.get("data.test_fraction") is None and not drawn:  # the data has its own test split
        other.add("data.split_seed")
    data = {
        name: value
        for name, value in found.items()
        if name.startswith("data.") and f"{name}.sha256" not in found and name not in other
    }
    rows = parquet.metadata(recorded[run.name] / states.SEQUENCES).num_rows
    return data | {"the number of sequences": rows}


def _lengths(folder: Path) -> str:
    """A digest of the lengths of all recorded sequences."""
    digest = hashlib.sha256()
    for batch in parquet.batches(folder / states.SEQUENCES, 65_536, ["length"]):
        digest.update(batch["length"].to_numpy().astype(np.int64).tobytes())
    return digest.hexdigest()
