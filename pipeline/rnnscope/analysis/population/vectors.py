"""The state as one vector over all units: its norm, its speed and its sparseness."""

import numpy as np
from numpy.typing import NDArray

from rnnscope.analysis.statistics.sparseness import treves_rolls
from rnnscope.states import RowKeys

Float = NDArray[np.float64]


def follows(rows: RowKeys) -> NDArray[np.bool_]:
    """Which rows directly follow the row of the timestep before of their sequence [R]."""
    found = np.zeros(len(rows.sequence), np.bool_)
    found[1:] = (np.diff(rows.sequence) == 0) & (np.diff(rows.timestep) == 1)
    return found


def measure(
    values: NDArray[np.floating], here: NDArray[np.intp], after: NDArray[np.bool_]
) -> Float:
    """Norm |x_t|, speed |x_t - x_(t-1)| and sparseness [3, r] of some rows of values [U, R].

    Norm and speed are Euclidean, in the signal's own unit, speed per timestep. Sparseness (Treves &
    Rolls 1991) is 0 where all units are equally large, 1 where a single one is not 0, and NaN
    where all are 0 or there is but one.

    Args:
        values: one unit per line.
        here: which rows [r].
        after: which of them follow the timestep before of their sequence [r]; the others have no
            speed, NaN.
    """
    squares, sizes, steps = np.zeros((3, len(here)))
    for line in values:  # a line at a time stays in the processor's cache
        x = line[here].astype(np.float64)
        squares += x * x
        sizes += np.abs(x)
        x -= line[here - 1]
        steps += x * x
    speed = np.where(after, np.sqrt(steps), np.nan)
    units = len(values)
    return np.stack([np.sqrt(squares), speed, treves_rolls(sizes / units, squares / units, units)])
