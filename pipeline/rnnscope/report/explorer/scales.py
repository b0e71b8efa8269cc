"""States in one byte each: the number of the interval, between given edges, in which a value lies.

Whether a value is at or above an edge can be told exactly from its byte, so that a threshold that
is an edge selects on the page just what it selects in the states.
"""

import numpy as np
from numpy.typing import NDArray

from rnnscope.figures.tables import GATES

Values = NDArray[np.float32]

BETWEEN_MINUS_1_AND_1 = "hg"
STEPS = 250
"""Intervals of a scale."""
NONE = 255
"""The byte of a timestep that has no row."""
DENSE = 4.0
"""Values up to this share of the spread have nearly even intervals."""


def edges_of(signal: str, low: float, high: float, spread: float) -> Values:
    """The edges of a signal's intervals, never falling, one more than there are intervals.

    Those of gates lie evenly from 0 to 1, of h and g about 0 as far as their values reach. Values
    without bounds have intervals of the width of a hyperbolic sine: fine near 0, and in proportion
    far from it; or even ones, where all values lie close together far from 0.

    Args:
        signal: its letter.
        low: its least value.
        high: its largest value.
        spread: a typical size of its values, above 0; of a signal without bounds.
    """
    if signal in GATES and low >= 0 and high <= 1:
        return np.linspace(0, 1, STEPS + 1).astype(np.float32)
    if signal in BETWEEN_MINUS_1_AND_1 and low >= -1 and high <= 1:
        reach = max(abs(low), abs(high), 1e-30)
        return np.linspace(-reach, reach, STEPS + 1).astype(np.float32)
    if max(low, -high) > high - low > 0:
        return np.linspace(low, high, STEPS + 1).astype(np.float32)
    scale = spread / DENSE
    most = np.arcsinh(max(abs(low), abs(high), 1e-30) / scale)
    edges = np.sinh(np.linspace(-most, most, STEPS + 1)) * scale
    edges[0], edges[-1] = min(edges[0], low), max(edges[-1], high)
    return edges.astype(np.float32)


def codes_of(values: Values, edges: Values) -> NDArray[np.uint8]:
    """The number of the interval of each value, 255 for NaN.

    Interval k holds the values from edge k to below edge k + 1; the last one also its upper edge.

    Args:
        values: of any shape.
        edges: [E].
    """
    place = np.searchsorted(edges, values, side="right") - 1
    codes = np.clip(place, 0, len(edges) - 2).astype(np.uint8)
    codes[np.isnan(values)] = NONE
    return codes
