"""The rows of a layer that are read out, and the values of all its signals at them, side by side.

Parts are read one at a time, first their keys and then the values of the chosen rows: only those
are held.
"""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope import engine, states
from rnnscope.analysis.decoding import readout
from rnnscope.config import Decoding, Engine
from rnnscope.errors import UserError
from rnnscope.states import selection

LAST = -1
"""Stands for the timestep where it is each sequence's own last."""
TOLD = ("label", "target")
"""What a model is asked to tell; whatever else is known of timesteps is an annotation."""
Y = "y of "
"""Before the name of what is read out, in a column: an annotation may be called row, say."""


@dataclass(frozen=True)
class Chosen:
    """Rows of one layer from which one thing is read out, by timestep and sequence."""

    keys: pd.DataFrame
    """part, row of that part, sequence, timestep, fold, y (class or number); empty for no rows."""
    ends: pd.DataFrame
    """Likewise the last row of each sequence, of the timesteps asked for, at timestep LAST."""
    said: dict[str, Any]
    """For the manifest: what was chosen and left out, or why there is nothing."""

    @property
    def end_together(self) -> bool:
        """Whether the ends are just the rows of the last timestep: then one gathering does."""
        last = self.keys[self.keys["timestep"] == self.keys["timestep"].max()]
        where = ["part", "row"]
        return len(last) > 0 and np.array_equal(last[where], self.ends[where])


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
) -> dict[str, Chosen]:
    """The rows of a layer that are read out, by what is: label or target, and each annotation.

    Any one of the layer's signals tells which rows there are.

    Raises:
        UserError: no timestep of those asked for was recorded.
    """
    fold = folds(sequences, options)
    target = sequences.set_index("sequence")["target"] if "target" in sequences else None
    files = states.parts(recorded, layer, signal)
    names = states.annotations(recorded)
    of_part = functools.partial(_keys, recorded, names, fold, target)
    keys = pd.concat([of_part(number, file) for number, file in enumerate(files)])
    if options.timesteps != "last":
        longest = states.timesteps(recorded, layer, signal)
        keys = keys[keys["timestep"].isin(selection.steps_of(options.timesteps, longest))]
        if not len(keys):
            raise UserError(
                f"decoding.timesteps={options.timesteps}: none of them was recorded of layer "
                f"'{layer}'; its last is {longest - 1}"
            )
    known = [name for name in keys if name.startswith(Y)]
    shared = keys.drop(columns=known)
    return {name.removeprefix(Y): _chosen(shared.assign(y=keys[name]), options) for name in known}


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
    recorded: Path,
    names: list[str],
    fold: NDArray[np.intp],
    target: "pd.Series[Any] | None",
    part: int,
    file: Path,
) -> pd.DataFrame:
    """The drawn rows of one part, with a column for each thing that is known of them."""
    rows, _ = states.read_part(file, units=[])
    keys = pd.DataFrame(
        {
            "part": part,
            "row": np.arange(len(rows.sequence)),
            "sequence": rows.sequence,
            "timestep": rows.timestep,
            "fold": fold[rows.sequence],
        }
    )
    if rows.label is not None:
        keys[f"{Y}label"] = rows.label
    elif target is not None:
        keys[f"{Y}target"] = target[rows.sequence].to_numpy(np.float64)
    for name, values in zip(names, states.read_annotations(recorded, rows, names), strict=True):
        keys[f"{Y}{name}"] = np.where(np.isfinite(values), values, np.nan)  # inf cannot be fitted
    return keys[keys["fold"] >= 0]


def _chosen(keys: pd.DataFrame, options: Decoding) -> Chosen:
    """The rows from which one thing can be read out, of all that were asked for."""
    last = ~keys.duplicated("sequence", keep="last")  # a sequence's rows rise
    ends, of_ends = _able(keys[last].assign(timestep=LAST), options)
    if options.timesteps == "last":
        return Chosen(ends, ends, of_ends)
    able, said = _able(keys, options)
    if not len(ends):
        said["why_not_by_units"] = "at their last timesteps: " + of_ends["why"]
    return Chosen(able, ends, said)


def _able(keys: pd.DataFrame, options: Decoding) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The rows that can be read out, at timesteps spread evenly over those that have any.

    Returns:
        The rows, and what to say of them in the manifest, or why there are none.
    """
    y, timestep, fold = (keys[name].to_numpy() for name in ("y", "timestep", "fold"))
    able = readout.readable(y, timestep, fold, options.folds)
    if not able.any():
        why = f"no timestep has two sequences in each of {options.folds} folds, and y that differ"
        return keys[:0], {"why": why}
    there = np.unique(timestep[able])
    timesteps = there[spread(len(there), options.max_timesteps)]
    asked = np.isin(timestep, timesteps)
    chosen = keys[asked & able].sort_values(["timestep", "sequence"], ignore_index=True)
    return chosen, {
        "sequences": int(chosen["sequence"].nunique()),
        "timesteps": timesteps.tolist(),
        "timesteps_left_out": len(np.unique(timestep)) - len(there),
        "rows_left_out": int(asked.sum()) - len(chosen),
    }
