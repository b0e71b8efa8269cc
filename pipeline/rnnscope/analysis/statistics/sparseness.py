"""Sparseness, from sums that merge: 0 for a constant, 1 for a single non-zero value."""

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def hoyer(magnitude: Float, square: Float, n: int) -> Float:
    """Hoyer's sparseness (sqrt n - |x|_1 / |x|_2) / (sqrt n - 1), [U] (Hoyer 2004).

    Args:
        magnitude: mean of |x| over the n values [U].
        square: mean of x^2 [U].
        n: how many; NaN below 2, or where all are 0.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.sqrt(n) * magnitude / np.sqrt(square)
        return np.clip((np.sqrt(n) - ratio) / (np.sqrt(n) - 1), 0, 1)


def treves_rolls(magnitude: Float, square: Float, n: int) -> Float:
    """Sparseness (1 - <r>^2 / <r^2>) / (1 - 1/n) of r = |x|, [U].

    Over a unit's values it is its lifetime sparseness, over the units of a layer the population's
    (Treves & Rolls 1991, in the form of Vinje & Gallant 2000).

    Args:
        magnitude: mean of |x| over the n values [U].
        square: mean of x^2 [U].
        n: how many; NaN below 2, or where all are 0.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.clip((1 - magnitude**2 / square) / (1 - 1 / np.float64(n)), 0, 1)
