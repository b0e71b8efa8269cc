"""Choices among several that do not depend on rounding: the first of the largest, evenly spread."""

import numpy as np
from numpy.typing import NDArray

TIE = 1e-6
"""Values that are smaller than the largest by less than this share count as equally large."""


def first_of_largest(size: NDArray[np.floating]) -> NDArray[np.intp]:
    """The place of the first of the largest values along the last axis, [..., n] to [...].

    Which of values that differ by rounding alone is the largest would be chance.

    Args:
        size: at least 0.
    """
    return (size >= (1 - TIE) * size.max(axis=-1, keepdims=True)).argmax(axis=-1)


def spread(count: int, most: int) -> NDArray[np.intp]:
    """At most ``most`` of the numbers 0 … count - 1, evenly spread, with both ends.

    A single one is the last.
    """
    even = np.linspace(count - 1, 0, min(count, most))[::-1]
    return np.round(even).astype(np.intp)
