"""What is found: points of one layer under one constant input, their modes and neighbours."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.analysis.fixed_points import linear
from rnnscope.analysis.fixed_points.linear import Modes
from rnnscope.analysis.fixed_points.visited import Nearest

Float = NDArray[np.float64]
Axes = dict[str, tuple[Float, Float]]
"""State -> the loadings [k, U] of its components, and the mean [U] from which coordinates are."""

STATES = ("h", "c")
"""The state tensors of known cells, in the order in which they make up a state."""
STABILITIES = ("stable", "saddle", "unstable")


@dataclass(frozen=True)
class Ended:
    """Where the starts under one input ended: P points."""

    input: str
    state: Float
    """[P, S]"""
    q: Float
    """[P]"""
    starts: NDArray[np.int64]
    """How many starts ended there [P]."""
    modes: Modes
    said: dict[str, Any]
    """What the manifest says of the search."""


@dataclass(frozen=True)
class Points:
    """P points of one layer under one constant input."""

    layer: str
    states: tuple[str, ...]
    """The state tensors, whose U numbers each make up a state of S."""
    ended: Ended
    """The points, in order."""
    tolerance: float
    """Of q, up to which a point is fixed."""
    nearest: Nearest
    nearest_class: "pd.arrays.IntegerArray"
    """[P]; null where the data has no classes."""
    class_distance: Float
    """[P]"""
    annotations: dict[str, Float]
    """At the nearest visited state, by name [P]."""
    axes: Axes

    @property
    def size(self) -> int:
        """P."""
        return len(self.ended.state)

    @property
    def numbers(self) -> int:
        """S."""
        return self.ended.state.shape[1]

    @property
    def units(self) -> int:
        """U."""
        return self.numbers // len(self.states)

    @cached_property
    def modulus(self) -> Float:
        """|λ| of every mode [P, S]."""
        return self.ended.modes.modulus

    @property
    def stability(self) -> pd.Categorical:
        """Of each point [P]."""
        index = self.ended.modes.index
        code = np.where(index == 0, 0, np.where(index < self.numbers, 1, 2))
        return pd.Categorical.from_codes(code, categories=STABILITIES)

    @property
    def of_slowest(self) -> Float:
        """The time constant of each point's slowest mode [P]."""
        slowest = self.ended.modes.slowest[:, np.newaxis]
        return linear.time_constants(np.take_along_axis(self.modulus, slowest, axis=1)[:, 0])

    def parts(self, values: Float) -> dict[str, Float]:
        """Numbers of whole states [..., S] by state tensor [..., U]."""
        return dict(zip(self.states, np.split(values, len(self.states), axis=-1), strict=True))


_NONE = np.empty(0)
NOTHING = Points(
    layer="",
    states=("h",),
    ended=Ended(
        *("", np.empty((0, 1)), _NONE, np.empty(0, np.int64)),
        *(Modes(np.empty((0, 1), complex), np.empty((0, 1), np.intp), np.empty((0, 1)), {}), {}),
    ),
    tolerance=0,
    nearest=Nearest(_NONE, *np.empty((2, 0), np.int32)),
    nearest_class=pd.array([], "Int32"),
    class_distance=_NONE,
    annotations={},
    axes={},
)
"""No points, so that a table without rows has the types of its columns."""
