"""The rows of a layer that probes are fitted to, and the values of its signals at them.

Parts are read one at a time, first their keys and then the values of the chosen rows: only those
are held in memory.
"""

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope import engine, states
from rnnscope.analysis.decoding import folds
from rnnscope.analysis.statistics import choosing
from rnnscope.config import Decoding, Engine
from rnnscope.errors import UserError
from rnnscope.states import Signal, selection

LAST = -1
"""In place of a timestep: each sequence's own final step."""
TASK = ("label", "target")
"""What a model is trained to predict; every other target of a probe is an annotation."""
Y = "y of "
"""Prefix of a target's column, because an annotation may be called row, say."""


OTHER_TIME = "labels and annotations of timesteps were not given to it: its timesteps are others"
"""Why a layer has no targets though the data has some."""


@dataclass(frozen=True)
class ProbeRows:
    """The rows of one layer from which a probe predicts one target, by timestep and sequence."""

    keys: pd.DataFrame
    """Columns part, row of that part, sequence, timestep, fold, source, and y, a class or a
    number."""
    ends: pd.DataFrame
    """Likewise the final step of each sequence among the chosen timesteps, at timestep LAST."""
    said: dict[str, Any]
    """For the manifest: what was chosen and left out, or why there are no rows."""

    @property
    def end(self) -> int | None:
        """The timestep whose rows are the ends, which need not be gathered again; None if none."""
        where = ["part", "row"]
        for timestep in {self.keys["timestep"].min(), self.keys["timestep"].max()}:
            there = self.keys[self.keys["timestep"] == timestep]
            if len(there) and np.array_equal(there[where], self.ends[where]):
                return int(timestep)
        return None


def drawn(sequences: pd.DataFrame, sources: NDArray[np.intp], options: Decoding) -> pd.DataFrame:
    """The sequences that take part, with columns sequence, fold and source.

    Args:
        sequences: all N recorded sequences, with length and, where they have classes, label.
        sources: numbers of their sources [N].
        options: of the stage.
    """
    random = np.random.default_rng(options.seed)
    count = min(len(sequences), options.max_sequences or len(sequences))
    chosen = np.sort(random.choice(len(sequences), count, replace=False))
    among, of = sequences.iloc[chosen], sources[chosen]
    label = among["label"].to_numpy() if "label" in among else None
    fold = folds.deal(among["length"].to_numpy(), label, of, options.folds, random)
    return pd.DataFrame({"sequence": among["sequence"].to_numpy(), "fold": fold, "source": of})


def choose(
    recorded: Path, signal: Signal, sequences: pd.DataFrame, options: Decoding
) -> dict[str, ProbeRows]:
    """The rows of a layer to be decoded, by target: the label or target, and each annotation.

    Args:
        recorded: an extract stage's output.
        signal: any one of the layer's, as all have the same rows.
        sequences: all recorded sequences.
        options: of the stage.

    Raises:
        UserError: no timestep of those asked for was recorded.
    """
    sources = states.sources(recorded)
    among = drawn(sequences, sources, options).set_index("sequence")
    target = sequences.set_index("sequence")["target"] if "target" in sequences else None
    names = states.annotations(recorded)
    of_part = functools.partial(_keys, recorded, signal.layer, names, among, target)
    keys = pd.concat([of_part(number, file) for number, file in enumerate(signal.files)])
    selection.warn_of_ends("decoding.timesteps", options.timesteps, [signal])
    if options.timesteps != "last":
        wanted = selection.steps_of(options.timesteps, signal.timesteps)
        keys = keys[keys["timestep"].isin(wanted)]
        if not len(keys):
            raise UserError(
                f"decoding.timesteps={options.timesteps}: none of them was recorded of layer "
                f"'{signal.layer}'; its last is {signal.timesteps - 1}"
            )
    known = [name for name in keys if name.startswith(Y)]
    shared = keys.drop(columns=known)
    end = "first" if signal.backward else "last"  # of a sequence's rows, which rise
    ends = ~keys.duplicated("sequence", keep=end)
    whole = len(np.unique(sources)) < len(sources)
    able = functools.partial(_able, options, signal.backward, " of whole groups" if whole else "")
    found = {
        name.removeprefix(Y): _chosen(shared.assign(y=keys[name]), ends, able, options)
        for name in known
    }
    if states.has_other_time(recorded, signal.layer):
        found |= {name: replace(found[name], said={"why": OTHER_TIME}) for name in names}
    return found


def values(
    signals: list[Signal], keys: pd.DataFrame, parts_engine: Engine
) -> tuple[NDArray[np.float32], dict[str, slice]]:
    """The values of a layer's signals side by side [R, D], and each signal's columns among the D.

    Args:
        signals: of one layer.
        keys: the R rows, as ``choose`` gives them.
        parts_engine: where parts are read.
    """
    ends = np.cumsum([0, *(len(signal.units) for signal in signals)]).tolist()
    columns = {
        signal.name: slice(*bounds)
        for signal, bounds in zip(signals, itertools.pairwise(ends), strict=True)
    }
    x = np.empty((len(keys), ends[-1]), np.float32)
    places, rows = keys.groupby("part").indices, keys["row"].to_numpy()

    def read(job: tuple[Signal, int]) -> None:
        signal, part = job
        _, found = states.read_part(signal.files[part])
        x[places[part], columns[signal.name]] = found[:, rows[places[part]]].T

    jobs = [(signal, part) for signal in signals for part in places]
    what = f"{signals[0].layer}: states"
    list(engine.run(read, jobs, parts_engine, what=what, unit="part"))
    return x, columns


def _keys(
    recorded: Path,
    layer: str,
    names: list[str],
    among: pd.DataFrame,
    target: "pd.Series[Any] | None",
    part: int,
    file: Path,
) -> pd.DataFrame:
    """The keys of one part's drawn rows, with a column for each target of a probe."""
    rows, _ = states.read_part(file, units=[])
    keys = pd.DataFrame(
        {
            "part": part,
            "row": np.arange(len(rows.sequence)),
            "sequence": rows.sequence,
            "timestep": rows.timestep,
        }
    )
    keys[["fold", "source"]] = among.reindex(rows.sequence, fill_value=-1).to_numpy()
    if rows.label is not None:
        keys[f"{Y}label"] = rows.label
    elif target is not None:
        keys[f"{Y}target"] = target[rows.sequence].to_numpy(np.float64)
    known = states.read_annotations(recorded, rows, names, layer)
    for name, values in zip(names, known, strict=True):
        keys[f"{Y}{name}"] = np.where(np.isfinite(values), values, np.nan)  # inf cannot be fitted
    return keys[keys["fold"] >= 0]


def _chosen(
    keys: pd.DataFrame,
    ends_of: "pd.Series[bool]",
    able: Callable[[pd.DataFrame], tuple[pd.DataFrame, dict[str, Any]]],
    options: Decoding,
) -> ProbeRows:
    """Those of the chosen rows that have the target y, at timesteps where it can be decoded.

    Args:
        keys: the chosen rows.
        ends_of: which of them are their sequence's final step.
        able: takes those that can be decoded.
        options: of the stage.
    """
    ends, of_ends = able(keys[ends_of].assign(timestep=LAST))
    if options.timesteps == "last":
        return ProbeRows(ends, ends, of_ends)
    rows, said = able(keys)
    if not len(ends):
        said["why_not_at_final_step"] = of_ends["why"]
    elif not len(rows):
        said["why_at_final_step_alone"] = said.pop("why")
    return ProbeRows(rows, ends, said)


def _able(
    options: Decoding, backward: bool, whole: str, keys: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The rows that can be decoded, at timesteps spread evenly over those that have such rows.

    Args:
        options: of the stage.
        backward: whether the layer reads backwards, so that a single timestep is the first.
        whole: what to say of the folds.
        keys: rows.

    Returns:
        The rows, and for the manifest what was chosen and left out, or why there are none.
    """
    y, timestep, fold = (keys[name].to_numpy() for name in ("y", "timestep", "fold"))
    able = folds.readable(y, timestep, fold, options.folds)
    if not able.any():
        why = (
            f"no timestep has two sequences in each of {options.folds} folds{whole}, and y that "
            "differ"
        )
        return keys[:0], {"why": why}
    there = np.unique(timestep[able])[:: -1 if backward else 1]
    timesteps = np.sort(there[choosing.spread(len(there), options.max_timesteps)])
    asked = np.isin(timestep, timesteps)
    chosen = keys[asked & able].sort_values(["timestep", "sequence"], ignore_index=True)
    return chosen, {
        "sequences": int(chosen["sequence"].nunique()),
        "timesteps": timesteps.tolist(),
        "timesteps_left_out": len(np.unique(timestep)) - len(there),
        "rows_left_out": int(asked.sum()) - len(chosen),
    }
