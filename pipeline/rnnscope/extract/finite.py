"""What is not a finite number is refused: no statistic of it means anything."""

from collections.abc import Mapping
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from rnnscope.errors import UserError

REMEDY = (
    "the model's training diverged, or its inputs lie far outside of those it was trained on: "
    "train it again with a smaller train.learning_rate, or give other weights or inputs"
)


class NotFiniteError(UserError):
    """An output is not a finite number; without what to do about it, it says ``what``."""

    def __init__(self, what: str):
        super().__init__(f"{what}; {REMEDY}")
        self.what = what


def all_finite(values: NDArray[np.floating]) -> bool:
    """Whether all values are finite numbers, in one pass."""
    with np.errstate(all="ignore"):
        return bool(np.isfinite(np.add.reduce(values, axis=None))) or bool(
            np.isfinite(values).all()
        )


def known_finite(
    signals: Mapping[str, NDArray[np.floating]], kept: NDArray[np.bool_], *, backwards: bool
) -> bool:
    """Whether h and c tell that all signals of an LSTM with the standard activations are finite.

    Its gates are bounded. A NaN in i, f or g is one in c of the same timestep; what is not finite
    in c stays so to the end; a NaN in o is one in h, and in every gate of the next timestep. So the
    last recorded h and c of each sequence tell of all.

    Args:
        signals: those that are recorded [T, B, U]; without h and c nothing is told.
        kept: which timesteps of which sequences are recorded [B, T].
        backwards: whether the layer reads from the end.
    """
    if not {"h", "c"} <= set(signals):
        return False
    steps = kept if backwards else kept[:, ::-1]
    last = steps.argmax(axis=1)
    last = last if backwards else kept.shape[1] - 1 - last
    some = np.flatnonzero(kept.any(axis=1))
    return all(all_finite(signals[state][last[some], some]) for state in ("h", "c"))


def refuse_states(
    layer: str,
    signal: str,
    values: NDArray[np.floating],
    kept: NDArray[np.bool_],
    units: list[int],
    first: int,
) -> NoReturn:
    """Raise for the first recorded state, in the order of rows, that is not finite.

    Args:
        layer: its name.
        signal: its letter.
        values: of its U units [T, B, U].
        kept: which timesteps of which sequences are recorded [B, T].
        units: the numbers of the units.
        first: number of the first sequence.

    Raises:
        UserError: with its place.
    """
    rows = values.transpose(1, 0, 2)[kept]
    sequence, timestep = np.nonzero(kept)
    row, unit = np.argwhere(~np.isfinite(rows))[0]
    raise UserError(
        f"layer '{layer}': {signal} of unit {units[unit]} at sequence {first + sequence[row]}, "
        f"timestep {timestep[row]}, is {rows[row, unit]}, not a finite number; {REMEDY}"
    )


def refuse_outputs(
    outputs: NDArray[np.floating],
    sequence: NDArray[np.integer],
    timestep: NDArray[np.integer] | None = None,
) -> None:
    """Raise for the first output that is not finite.

    Args:
        outputs: of sequences or of their timesteps [R, ...].
        sequence: the number of the sequence of each [R].
        timestep: of each [R], where outputs are of timesteps.

    Raises:
        NotFiniteError: with its place.
    """
    if all_finite(outputs):
        return
    row = int(np.argwhere(~np.isfinite(outputs))[0][0])
    value = outputs[row][~np.isfinite(outputs[row])].ravel()[0]
    at = "" if timestep is None else f", timestep {timestep[row]}"
    raise NotFiniteError(
        f"the model's output for sequence {sequence[row]} of the test split{at} is {value}, not a "
        "finite number"
    )
