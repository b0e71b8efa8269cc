"""How far two passes differ, each feature judged by its own size.

One feature may be a price of 10⁵ and another a return of 10⁻³: what is rounding of the one is all
of the other.
"""

import numpy as np
from numpy.typing import NDArray


def relative(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    """|one - other| [..., F], relative to the largest value of each feature in both.

    Where one is NaN and the other is not it is infinite; where both are, 0.
    """
    a, b = (np.asarray(each, np.float64) for each in (one, other))
    if a.ndim == 0:
        a, b = a[np.newaxis], b[np.newaxis]
    known = np.isfinite(a) & np.isfinite(b)
    sizes = np.where(known, np.maximum(np.abs(a), np.abs(b)), 0)
    largest = sizes.max(axis=tuple(range(a.ndim - 1)), initial=0)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    apart = np.abs(np.subtract(a, b, where=known, out=np.zeros_like(a)))
    scaled = np.divide(apart, largest, where=largest > 0, out=np.zeros_like(a))
    return np.where(same, 0.0, np.where(known, scaled, np.inf))
