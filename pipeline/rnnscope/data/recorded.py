"""Data for states that were recorded elsewhere: labels, lengths and annotations, without inputs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope.config import Files
from rnnscope.errors import UserError, listed

TEST = "x_test"


@dataclass(frozen=True)
class Recorded:
    """The states of a test split."""

    sequences: int
    """N."""
    timesteps: int
    """T."""
    lengths: Callable[[], NDArray[np.int32] | None]
    """Where the data tells none: valid timesteps [N] by the states themselves; None for all."""
    named: str
    """What to call the states in a message."""


def no_inputs(sequences: int, timesteps: int) -> NDArray[np.int8]:
    """Inputs [N, T, 1] that stand for those which nobody needs; they take no memory."""
    return np.broadcast_to(np.int8(0), (sequences, timesteps, 1))


def with_inputs(
    arrays: dict[str, NDArray[Any]], recorded: Recorded, options: Files
) -> dict[str, NDArray[Any]]:
    """The arrays, where x_test is missing with a stand-in, and without those of other splits.

    Raises:
        UserError: there is nothing of a test split, or of another number of sequences.
    """
    if any(name.startswith("x_") and name.endswith("_test") for name in arrays):
        return arrays
    found = {name: array for name, array in arrays.items() if not name.endswith(("_train", "_val"))}
    at = f"data.path={options.path}"
    if not any(name.endswith("_test") for name in found):
        raise UserError(
            f"{at}: it has {listed(arrays) or 'no arrays'}, and nothing of the sequences of "
            f"{recorded.named}: give y_test or lengths_test [{recorded.sequences}], in their order"
        )
    for name, array in found.items():
        if name.endswith("_test") and array.shape[:1] != (recorded.sequences,):
            raise UserError(
                f"{at}: {name} has shape {array.shape}, and {recorded.named} has "
                f"{recorded.sequences} sequences: give the same ones in the same order"
            )
    found[TEST] = no_inputs(recorded.sequences, recorded.timesteps)
    if "lengths_test" not in found and (lengths := recorded.lengths()) is not None:
        found["lengths_test"] = lengths
    return found
