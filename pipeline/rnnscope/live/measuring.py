"""The unit table of recorded states."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.analysis.units import stage
from rnnscope.analysis.units.columns import UNITS
from rnnscope.config import Engine, Units
from rnnscope.data.classes import places
from rnnscope.data.labels import Given, labels_from
from rnnscope.errors import UserError, listed
from rnnscope.live.arrays import plain
from rnnscope.live.labels import in_order, named
from rnnscope.live.opened import Opened
from rnnscope.live.options import chosen
from rnnscope.live.order import refuse_order
from rnnscope.live.states import States
from rnnscope.live.wording import in_keywords
from rnnscope.states import selection
from rnnscope.store import parquet
from rnnscope.store.tables import table_file

VALUES = "analysis/units.yaml"
ENGINE = Engine("local", None)


def measure(states: States, labels: Any = None, **options: Any) -> pd.DataFrame:
    """The statistics of each unit of each signal: the table of stage units, value for value.

    States in memory are written to a temporary folder for it, which takes as much of the disk as
    they do of memory; states in files are read where they are.

    >>> import keras, numpy as np, rnnscope
    >>> model = keras.Sequential([keras.Input((None, 3)), keras.layers.LSTM(4, name="lstm")])
    >>> x = np.random.default_rng(0).normal(size=(60, 20, 3)).astype("float32")
    >>> units = rnnscope.measure(rnnscope.record(model, x), labels=x[:, 0, 0] > 0)
    >>> units.query("signal == 'c'")[["unit", "mean", "eta2"]].shape
    (4, 3)

    Args:
        states: recorded, in memory or in files.
        labels: classes of the sequences [N] or of each timestep of the model's input [N, T], in
            whole numbers or names, in place of those that were recorded, if any were. Those of a
            pandas series whose index has the names of the sequences go by these.
        **options: of stage units: layers, signals, gate_cuts, tanh_cuts, dead_variance, lags,
            permutations, seed, memory_mb.

    Returns:
        One row per layer, signal and unit; outputs/README.md explains every column.

    Raises:
        rnnscope.errors.UserError: an option or labels that do not fit, or files that are damaged.
    """
    if not isinstance(states, States):
        raise UserError(f"states is a {type(states).__name__}; give what record or open_states do")
    for name in ("gate_cuts", "tanh_cuts"):
        options |= {name: list(options[name])} if name in options else {}
    with in_keywords():
        chosen_options = chosen(Units, VALUES, options)
        measured = selection.only("layers", states._source.layers, chosen_options.layers)
        classes = None if labels is None else _classes(states, labels, list(measured))
        with _folder(states) as recorded, tempfile.TemporaryDirectory() as out:
            stage.write_tables(recorded, chosen_options, ENGINE, Path(out), labels=classes)
            return parquet.frame(table_file(Path(out), UNITS.name))


@contextmanager
def _folder(states: States) -> Iterator[Path]:
    """The folder of states, for as long as they are measured."""
    source = states._source
    if isinstance(source, Opened):
        with source.unreplaced():
            yield source.folder
        return
    with tempfile.TemporaryDirectory() as folder:
        yield states.write(Path(folder, "states"))


def _classes(states: States, labels: Any, layers: list[str]) -> NDArray[np.int32]:
    """Labels as the numbers of classes, those of the model's outputs."""
    refuse_order(labels, "labels")
    sequences = states.sequences
    longest = {layer: states._source.longest(layer) for layer in layers}
    timesteps = max(longest.values())
    ordered = in_order(labels, sequences.get("id"))
    found = plain(named(ordered, {timesteps}), "labels")
    y, lengths = found.numbers, sequences["length"].to_numpy()
    if found.lengths is not None and not np.array_equal(found.lengths, lengths):
        raise UserError(
            "labels differ in length, and not as the sequences of states do: give one value per "
            "timestep of each sequence"
        )
    if y.shape[:1] != lengths.shape:
        raise UserError(f"labels has shape {y.shape}; it must be [{len(lengths)}], as states")
    of_steps = "timestep" if y.ndim == 3 and y.shape[-1] == 1 else None
    given = Given(y, timesteps, lengths.astype(np.int32), "labels")
    known, classes = labels_from({"test": given}, of_steps, None)
    if not classes.names:
        raise UserError("labels are numbers; unit statistics take classes: whole numbers or names")
    if known["test"][:].ndim > 1:
        others = set(states._source.other_time)
        others |= {layer for layer in layers if longest[layer] != timesteps}
        _refuse_other_time([layer for layer in layers if layer in others], layers)
    scores = sum(name.startswith("p_") and name[2:].isdecimal() for name in sequences)
    whole: NDArray[np.int32] = np.asarray(known["test"][:], np.int32)
    if scores:
        whole = places(classes, scores).numbers(classes.labels(whole))
    return whole


def _refuse_other_time(others: list[str], layers: list[str]) -> None:
    """Raise where labels of timesteps do not belong to the timesteps of some of the layers."""
    if others:
        own = [layer for layer in layers if layer not in others]
        remedy = f"measure(states, labels, layers={own})" if own else "give labels of the sequences"
        raise UserError(
            "labels are of the timesteps of the model's input, and other timesteps are those of "
            f"{listed(others)}: {remedy}"
        )
