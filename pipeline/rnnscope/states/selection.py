"""The layers, signals and timesteps that a config chooses, to be written or to be analysed."""

import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope.config import Analysis
from rnnscope.errors import UserError
from rnnscope.states.listing import layers
from rnnscope.states.parts import RowKeys
from rnnscope.states.signals import Signal, open_signal, refuse_unequal

log = logging.getLogger(__name__)


def only(option: str, there: dict[str, Any], wanted: list[str] | None) -> dict[str, Any]:
    """The entries that an option names, in their own order; all by default.

    Raises:
        UserError: a name that is not among them.
    """
    if wanted is None:
        return there
    for name in wanted:
        if name not in there:
            raise UserError(f"{option}: no '{name}'; there is {', '.join(there)}")
    return {name: there[name] for name in there if name in wanted}


def picked(signals: dict[str, Any], wanted: list[str] | None) -> dict[str, Any]:
    """Those of a layer's signals that are asked for; all by default."""
    return {name: value for name, value in signals.items() if wanted is None or name in wanted}


def steps_of(timesteps: str, count: int) -> NDArray[np.intp]:
    """The timesteps, of 0 ... count - 1, that an option names: all, or a slice such as 0:10:2."""
    return np.arange(count)[_slice(timesteps)]


def timesteps_of(valid: NDArray[np.bool_], timesteps: str, backward: bool) -> NDArray[np.bool_]:
    """Which valid timesteps [B, T] are written: all, the last one read, or a slice such as 0:10:2.

    The last one that a layer reads ``backward`` is the first in input time.
    """
    if timesteps == "all":
        return valid
    chosen = np.zeros_like(valid)
    if timesteps == "last":
        first, last = valid.argmax(axis=1), valid.shape[1] - 1 - valid[:, ::-1].argmax(axis=1)
        chosen[np.arange(len(valid)), first if backward else last] = True
    else:
        chosen[:, _slice(timesteps)] = True
    return chosen & valid


def final_step(timesteps: str) -> str | None:
    """What "at the final step" means where only some timesteps were written; None for all.

    Args:
        timesteps: the option ``extract.timesteps``.
    """
    if timesteps in ("all", "last"):
        return None
    return (
        f"extract.timesteps={timesteps}: what is said of the final step is of the last recorded "
        "timestep of each sequence, which need not be the last that the layer read"
    )


def warn_of_ends(option: str, timesteps: str, signals: Iterable[Signal]) -> None:
    """Log where timesteps that are counted from the end are not those of each sequence's own end.

    Args:
        option: that names them, such as population.timesteps.
        timesteps: its value.
        signals: that are read; of each layer one counts, as all have the same rows.
    """
    if not re.match(r"-|[^:]*:-", timesteps):
        return
    for signal in {each.layer: each for each in signals}.values():
        last = signal.timesteps - 1
        ends = short = 0
        for rows, _ in signal.read([]):
            end = np.concatenate([rows.sequence[1:] != rows.sequence[:-1], [True]])
            ends += int(end.sum())
            short += int((rows.timestep[end] < last).sum())
        if short:
            log.warning(
                f"{option}={timesteps}: is counted from timestep {last:,}, the last of the "
                f"longest sequences, and {short:,} of {ends:,} sequences of layer '{signal.layer}' "
                "end before it: theirs are nearer to their own end, or none"
            )


def chosen_rows(values: NDArray[np.float32], kept: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The values [U, R] at the R timesteps kept, of all values [U, B, T]."""
    return values.reshape(len(values), -1) if kept.all() else values[:, kept]


def keys_of(
    first: int, kept: list[NDArray[np.bool_]], labels: NDArray[np.int32] | None, backward: bool
) -> RowKeys:
    """The keys of all rows of a part, whose first sequence is number ``first``.

    Args:
        first: number of the first sequence.
        kept: which timesteps of the layer are rows [B, T'], by batch.
        labels: classes of all sequences [N], or of their timesteps [N, T], or None. A layer of
            other timesteps than the data has no classes of timesteps.
        backward: whether the layer reads its sequences backwards.
    """
    rows = np.concatenate(kept)
    sequence, timestep = np.nonzero(rows)
    if labels is None or (labels.ndim == 2 and labels.shape != rows.shape):
        label = None
    else:
        label = labels[sequence] if labels.ndim == 1 else labels[rows]
    numbers = (sequence + first).astype(np.int32)
    return RowKeys(numbers, timestep.astype(np.int32), label, backward)


def _slice(timesteps: str) -> slice:
    """A slice from its text, such as 0:10:2."""
    return slice(*(int(n) if n else None for n in timesteps.removeprefix("all").split(":")))


def signals(folder: Path, options: Analysis, stage: str) -> list[Signal]:
    """The recorded signals that an analysis asks for, opened, in their own order.

    Args:
        folder: an extract stage's output.
        options: of the analysis.
        stage: its name, for errors.

    Raises:
        UserError: a layer or a signal that was not recorded, or nothing at all.
        Damaged: a file that is not what was written.
    """
    asked = only(f"{stage}.layers", layers(folder), options.layers)
    there = dict.fromkeys(signal for names in asked.values() for signal in names)
    wanted = only(f"{stage}.signals", there, options.signals)
    opened = [
        open_signal(folder, layer, name)
        for layer, names in asked.items()
        for name in names
        if name in wanted
    ]
    refuse_unequal(opened)
    found = [signal for signal in opened if signal.rows]
    if not found:
        raise UserError(
            f"{stage}.layers={options.layers}, {stage}.signals={options.signals}: "
            "no rows of that kind were recorded"
        )
    return found
