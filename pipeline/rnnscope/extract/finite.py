"""What is not a finite number is refused: no statistic of it means anything."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from rnnscope import trace
from rnnscope.errors import UserError, listed

REMEDY = (
    "the model's training diverged, or its inputs lie far outside of those it was trained on: "
    "train it again with a smaller train.learning_rate, or give other weights or inputs"
)


def strange_weights(variables: Iterable[Any]) -> list[str]:
    """The paths of those variables that do not hold finite numbers alone."""
    floats = [each for each in variables if keras.backend.is_float_dtype(each.dtype)]
    return [each.path for each in floats if not bool(keras.ops.all(keras.ops.isfinite(each)))]


def refuse_weights(model: keras.Model) -> None:
    """Raise for weights that are not finite: of recurrent layers, and any that training changes.

    Raises:
        UserError: with the names of the variables.
    """
    recurrent = [v for layer in trace.recurrent_layers(model).values() for v in layer.variables]
    every = {id(each): each for each in (*model.trainable_variables, *recurrent)}
    if found := strange_weights(every.values()):
        raise UserError(
            f"model '{model.name}': weights that are not finite numbers: {listed(found)}; its "
            "training diverged: train it again with a smaller train.learning_rate, or give other "
            "weights"
        )


def all_finite(values: NDArray[np.floating]) -> bool:
    """Whether all values are finite numbers, in one pass."""
    with np.errstate(all="ignore"):
        return bool(np.isfinite(np.add.reduce(values, axis=None))) or bool(
            np.isfinite(values).all()
        )


def refuse_states(
    model: keras.Model,
    layer: str,
    signal: str,
    values: NDArray[np.floating],
    kept: NDArray[np.bool_],
    units: list[int],
    first: int,
) -> None:
    """Raise for the first recorded state, in the order of rows, that is not finite.

    Args:
        model: whose states they are.
        layer: its name.
        signal: its letter.
        values: one unit per line [U, R].
        kept: which timesteps of which sequences the R rows are [B, T].
        units: the numbers of the units.
        first: number of the first sequence.

    Raises:
        UserError: with its place.
    """
    if all_finite(values):
        return
    sequence, timestep = np.nonzero(kept)
    row, unit = np.argwhere(~np.isfinite(values.T))[0]
    found = strange_weights(model.variables)
    why = f"so are weights of {listed(found)}; " if found else ""
    raise UserError(
        f"layer '{layer}': {signal} of unit {units[unit]} at sequence {first + sequence[row]}, "
        f"timestep {timestep[row]}, is {values[unit, row]}, not a finite number; {why}{REMEDY}"
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
        UserError: with its place.
    """
    if all_finite(outputs):
        return
    row = int(np.argwhere(~np.isfinite(outputs))[0][0])
    value = outputs[row][~np.isfinite(outputs[row])].ravel()[0]
    at = "" if timestep is None else f", timestep {timestep[row]}"
    raise UserError(
        f"the model's output for sequence {sequence[row]} of the test split{at} is {value}, not a "
        f"finite number; {REMEDY}"
    )
