"""Which units go together."""

import numpy as np
from numpy.typing import NDArray

CLOSEST = 5
"""Units that are listed for each."""


def closest(correlation: NDArray[np.float64]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The places of the units with the largest |r| to each, and that r [U, k], NaN for none.

    Args:
        correlation: of each pair of units [U, U], NaN where there is none.
    """
    others = correlation.copy()
    np.fill_diagonal(others, np.nan)
    size = np.where(np.isnan(others), -1, np.abs(others))
    order = np.argsort(-size, axis=1, kind="stable")[:, : min(CLOSEST, len(others) - 1)]
    return order.astype(np.int32), np.take_along_axis(others, order, axis=1).astype(np.float32)
