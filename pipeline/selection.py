"""Which of the recorded values are written: layers, signals, timesteps, and the rows they make."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import states
from pipeline.errors import UserError


def only(what: str, there: dict[str, Any], wanted: list[str] | None) -> dict[str, Any]:
    """The entries asked for, in their own order; all by default."""
    if wanted is None:
        return there
    for name in wanted:
        if name not in there:
            raise UserError(f"extract.{what}: no '{name}'; the model has {', '.join(there)}")
    return {name: there[name] for name in there if name in wanted}


def picked(signals: dict[str, Any], wanted: list[str] | None) -> dict[str, Any]:
    """The signals asked for of those that this layer has."""
    return {name: value for name, value in signals.items() if wanted is None or name in wanted}


def timesteps_of(valid: NDArray[np.bool_], timesteps: str) -> NDArray[np.bool_]:
    """Which valid timesteps [B, T] are written: all, the last, or a slice such as 0:10:2."""
    if timesteps == "all":
        return valid
    chosen = np.zeros_like(valid)
    if timesteps == "last":
        last = valid.shape[1] - 1 - valid[:, ::-1].argmax(axis=1)
        chosen[np.arange(len(valid)), last] = True
    else:
        chosen[:, slice(*(int(n) if n else None for n in timesteps.split(":")))] = True
    return chosen & valid


def rows_of(values: NDArray[np.float32], kept: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Columns [U, B, T] as [U, rows]."""
    return values.reshape(len(values), -1) if kept.all() else values[:, kept]


def keys_of(first: int, kept: list[NDArray[np.bool_]], labels: Any) -> states.Rows:
    """The keys of all rows of a part."""
    sequence, timestep = np.nonzero(np.concatenate(kept))
    label = None if labels is None else labels[sequence]
    return states.Rows((sequence + first).astype(np.int32), timestep.astype(np.int32), label)
