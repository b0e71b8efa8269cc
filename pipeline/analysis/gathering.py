"""The rows of a layer that are read out, and the values of all its signals at them, side by side.

Parts are read one at a time, first their keys and then the values of the chosen rows: only those
are held.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline import engine, selection, states
from pipeline.analysis import readout
from pipeline.config import Decoding, Engine
from pipeline.errors import UserError

LAST = -1
"""Stands for the timestep where it is each sequence's own last."""


@dataclass(frozen=True)
class Chosen:
    """R rows of one layer, by timestep and sequence."""

    keys: pd.DataFrame
    """part, row of that part, sequence, timestep, fold, y (class or target); empty for no rows."""
    said: dict[str, Any]
    """For the manifest: what was chosen and left out, or why there is nothing."""


def folds(sequences: pd.DataFrame, options: Decoding) -> NDArray[np.intp]:
    """The fold of each recorded sequence [N], -1 for one that is not drawn.

    Args:
        sequences: all that were recorded, with length and maybe label.
        options: of the stage.
    """
    random = np.random.default_rng(options.seed)
    count = min(len(sequences), options.max_sequences or len(sequences))
    drawn = sequences.iloc[np.sort(random.choice(len(sequences), count, replace=False))]
    label = drawn["label"].to_numpy() if "label" in drawn else None
    fold = np.full(int(sequences["sequence"].max()) + 1, -1)
    fold[drawn["sequence"]] = readout.deal(drawn["length"].to_numpy(), label, options.folds, random)
    return fold


def choose(
    recorded: Path, layer: str, signal: str, sequences: pd.DataFrame, options: Decoding
) -> Chosen:
    """The rows of a layer that are read out; any one of its signals tells which there are.

    Raises:
        UserError: no timestep of those asked for was recorded.
    """
    fold = folds(sequences, options)
    target = sequences.set_index("sequence")["target"] if "target" in sequences else None
    files = states.parts(recorded, layer, signal)
    keys = pd.concat([_keys(recorded, n, file, fold, target) for n, file in enumerate(files)])
    if options.timesteps == "last":
        keys = keys[keys["last"]].assign(timestep=LAST)
    else:
        longest = states.timesteps(recorded, layer, signal)
        keys = keys[keys["timestep"].isin(selection.steps_of(options.timesteps, longest))]
        if not len(keys):
            raise UserError(
                f"decoding.timesteps={options.timesteps}: none of them was recorded of layer "
                f"'{layer}'; its last is {longest - 1}"
            )
    if "y" not in keys:
        return Chosen(keys[:0], {"why": "no labels and no targets"})
    return _able(keys.drop(columns="last"), options)


def spread(count: int, most: int) -> NDArray[np.intp]:
    """At most so many of the numbers 0 … count - 1, evenly spread, both ends among them.

    Of one alone, the last.
    """
    even = np.linspace(count - 1, 0, min(count, most))[::-1]
    return np.round(even).astype(np.intp)


def values(
    recorded: Path, layer: str, signals: list[str], keys: pd.DataFrame, parts_engine: Engine
) -> tuple[NDArray[np.float32], dict[str, slice]]:
    """The signals' values side by side [R, D], and which of the D columns are whose."""
    files = {signal: states.parts(recorded, layer, signal) for signal in signals}
    ends = np.cumsum([0, *(len(states.unit_numbers(files[signal][0])) for signal in signals)])
    columns = {signal: slice(*ends[at : at + 2].tolist()) for at, signal in enumerate(signals)}
    x = np.empty((len(keys), ends[-1]), np.float32)
    places, rows = keys.groupby("part").indices, keys["row"].to_numpy()

    def read(job: tuple[str, int]) -> None:
        signal, part = job
        _, found = states.read_part(files[signal][part])
        x[places[part], columns[signal]] = found[:, rows[places[part]]].T

    jobs = [(signal, part) for signal in signals for part in places]
    list(engine.run(read, jobs, parts_engine, what=f"{layer}: states", unit="part"))
    return x, columns


def _keys(
    recorded: Path, part: int, file: Path, fold: NDArray[np.intp], target: "pd.Series[Any] | None"
) -> pd.DataFrame:
    """The drawn rows of one part, with the class or the target of each as y where there is one."""
    rows, _ = states.read_part(file, units=[])
    keys = pd.DataFrame(
        {
            "part": part,
            "row": np.arange(len(rows.sequence)),
            "sequence": rows.sequence,
            "timestep": rows.timestep,
            "last": rows.last,
            "fold": fold[rows.sequence],
        }
    )
    if rows.label is not None:
        keys["y"] = rows.label
    elif target is not None:
        keys["y"] = target[rows.sequence].to_numpy(np.float64)
    elif "target" in states.annotations(recorded):
        keys["y"] = states.read_annotations(recorded, rows, ["target"])[0]
    return keys[keys["fold"] >= 0]


def _able(keys: pd.DataFrame, options: Decoding) -> Chosen:
    """The rows that can be read out, at timesteps spread evenly over those that have any."""
    y, timestep, fold = (keys[name].to_numpy() for name in ("y", "timestep", "fold"))
    able = readout.readable(y, timestep, fold, options.folds)
    if not able.any():
        why = f"no timestep has two sequences in each of {options.folds} folds, and y that differ"
        return Chosen(keys[:0], {"why": why})
    there = np.unique(timestep[able])
    timesteps = there[spread(len(there), options.max_timesteps)]
    asked = np.isin(timestep, timesteps)
    chosen = keys[asked & able].sort_values(["timestep", "sequence"], ignore_index=True)
    said = {
        "sequences": int(chosen["sequence"].nunique()),
        "timesteps": timesteps.tolist(),
        "timesteps_left_out": len(np.unique(timestep)) - len(there),
        "rows_left_out": int(asked.sum()) - len(chosen),
    }
    return Chosen(chosen, said)
