"""The linear dynamics at a point: eigenvalues of the Jacobian, their modes and time constants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnscope.analysis.statistics.choosing import first_of_largest

Float = NDArray[np.float64]
Complex = NDArray[np.complex128]

NEUTRAL = 1e-9
"""A mode with |λ| this close to 1 neither decays nor grows."""
DIGITS = 9
"""Decimals by which eigenvalues are ordered."""


@dataclass(frozen=True)
class Modes:
    """The S modes at each of P points, by falling |λ|, of a pair the one with imag > 0 first.

    Of the right eigenvectors, of length 1 with their largest entry real and positive, only what
    tables have of them is kept: of all points together they would take S times as much memory.
    """

    value: Complex
    """λ [P, S]."""
    largest: NDArray[np.intp]
    """Which entry of each eigenvector is largest [P, S]."""
    loading: Float
    """The size of that entry [P, S]."""
    along: dict[str, Float]
    """By name, the coordinates of each mode's direction along k axes [P, S, k]. Directions are real
    and span the same as the eigenvectors: of a complex pair the first mode has the real and the
    second the imaginary part."""

    @property
    def modulus(self) -> Float:
        """|λ| [P, S], exactly 1 where the mode is neutral."""
        size = np.abs(self.value)
        return np.where(np.abs(size - 1) <= NEUTRAL, 1.0, size)

    @property
    def index(self) -> NDArray[np.int64]:
        """How many modes are unstable, |λ| > 1 [P]."""
        return (self.modulus > 1).sum(axis=1)

    @property
    def slowest(self) -> NDArray[np.intp]:
        """The mode whose |λ| is closest to 1, by ratio [P]."""
        with np.errstate(divide="ignore"):
            return np.abs(np.log(self.modulus)).argmin(axis=1)

    def of(self, points: NDArray[np.intp]) -> "Modes":
        """The modes at some of the points, in their order."""
        return Modes(
            self.value[points],
            self.largest[points],
            self.loading[points],
            {name: each[points] for name, each in self.along.items()},
        )


def modes(jacobians: Float, axes: Mapping[str, tuple[slice, Float]]) -> Modes:
    """The modes of Jacobians [P, S, S].

    Args:
        jacobians: at P points.
        axes: by name, a part of the S numbers of a state and k axes in it [k, ...].
    """
    value, columns = np.linalg.eig(jacobians)
    vector = columns.astype(np.complex128).swapaxes(1, 2)
    value = value.astype(np.complex128)
    keys = (-value.imag.round(DIGITS), -value.real.round(DIGITS), -np.abs(value).round(DIGITS))
    order = np.lexsort(keys, axis=1)
    value = np.take_along_axis(value, order, axis=1)
    vector = np.take_along_axis(vector, order[..., np.newaxis], axis=1)
    place = first_of_largest(np.abs(vector))[..., np.newaxis]
    largest = np.take_along_axis(vector, place, axis=2)
    vector = vector * (np.abs(largest) / largest)
    size = np.abs(vector)
    second = (value.imag < 0)[..., np.newaxis]
    directions = np.where(second, -vector.imag, vector.real)
    along = {name: directions[..., part] @ each.T for name, (part, each) in axes.items()}
    return Modes(value, first_of_largest(size), size.max(axis=2), along)


def joined(parts: Sequence[Modes]) -> Modes:
    """The modes at the points of all parts, of which there is at least one."""
    names = parts[0].along
    return Modes(
        np.concatenate([each.value for each in parts]),
        np.concatenate([each.largest for each in parts]),
        np.concatenate([each.loading for each in parts]),
        {name: np.concatenate([each.along[name] for each in parts]) for name in names},
    )


def time_constants(modulus: Float) -> Float:
    """Steps in which a mode falls to 1/e, −1/ln|λ|.

    Negative where the mode grows: by e in that many steps; +inf where it does neither, 0 for λ = 0.
    """
    with np.errstate(divide="ignore"):
        return np.where(modulus == 1, np.inf, -1 / np.log(modulus)) + 0.0


def frequencies(value: Complex) -> Float:
    """Cycles per step of modes, |arg λ|/2π: from 0, of λ > 0, to 0.5, of λ < 0."""
    return np.abs(np.angle(value)) / (2 * np.pi)
