"""Which units go together: the most correlated ones, and an order in which they are neighbours."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

CLOSEST = 5
"""Units that are listed for each."""
ORDERED = 512
"""Up to so many units are put in order; the time it takes grows with the cube of their number."""


def matrix(pairs: pd.DataFrame, units: tuple[int, ...]) -> NDArray[np.float64]:
    """Correlations of units [U, U] with 1 on the diagonal, NaN where there is none.

    Args:
        pairs: the rows of ``correlation.parquet`` of one layer and signal.
        units: their numbers [U], rising.
    """
    found = np.full((len(units), len(units)), np.nan)
    one, other = (np.searchsorted(units, pairs[name]) for name in ("unit", "other"))
    found[one, other] = found[other, one] = pairs["correlation"].to_numpy(np.float64)
    np.fill_diagonal(found, 1)
    return found


def closest(correlation: NDArray[np.float64]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The places of the units with the largest |r| to each, and that r [U, k], NaN for none."""
    others = correlation.copy()
    np.fill_diagonal(others, np.nan)
    size = np.where(np.isnan(others), -1, np.abs(others))
    order = np.argsort(-size, axis=1, kind="stable")[:, : min(CLOSEST, len(others) - 1)]
    return order.astype(np.int32), np.take_along_axis(others, order, axis=1).astype(np.float32)


def order(correlation: NDArray[np.float64]) -> NDArray[np.int32] | None:
    """Places of the units [U] such that similar ones are neighbours; None for too many or few.

    It is the order of the leaves of average linkage on 1 - |r|, the tree in which stage population
    finds redundant units, turned so that neighbours are as near as can be (Bar-Joseph et al. 2001).
    """
    if not 2 < len(correlation) <= ORDERED:
        return None
    distance = 1 - np.abs(np.nan_to_num(correlation))
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(np.clip(distance, 0, 1), checks=False), "average", True)
    return np.asarray(leaves_list(tree), np.int32)
