"""The linear dynamics at a point: eigenvalues of the Jacobian, their modes and time constants."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Complex = NDArray[np.complex128]

NEUTRAL = 1e-9
"""A mode with |λ| this close to 1 neither decays nor grows."""
TIE = 1e-6
"""Parts of an eigenvector that differ by less than this share are equally large."""
DIGITS = 9
"""Decimals by which eigenvalues are ordered."""


@dataclass(frozen=True)
class Modes:
    """The S modes at each of P points, by falling |λ|, of a pair the one with imag > 0 first."""

    value: Complex
    """λ [P, S]."""
    vector: Complex
    """The right eigenvectors [P, S, S], mode by mode [., k, :]: of length 1, the largest part real
    and positive."""

    @property
    def modulus(self) -> Float:
        """|λ| [P, S], exactly 1 where the mode is neutral."""
        size = np.abs(self.value)
        return np.where(np.abs(size - 1) <= NEUTRAL, 1.0, size)

    @property
    def index(self) -> NDArray[np.int64]:
        """How many modes grow, |λ| > 1 [P]."""
        return (self.modulus > 1).sum(axis=1)

    @property
    def slowest(self) -> NDArray[np.intp]:
        """The mode whose |λ| is closest to 1, by ratio [P]."""
        with np.errstate(divide="ignore"):
            return np.abs(np.log(self.modulus)).argmin(axis=1)

    @property
    def largest(self) -> NDArray[np.intp]:
        """Which entry of each eigenvector is largest [P, S]."""
        return _largest(np.abs(self.vector))

    def directions(self) -> Float:
        """Real vectors [P, S, S] that span the same as the eigenvectors.

        Of a complex pair the first mode has the real and the second the imaginary part.
        """
        second = self.value.imag < 0
        return np.where(second[..., np.newaxis], -self.vector.imag, self.vector.real)


def modes(jacobians: Float) -> Modes:
    """The modes of Jacobians [P, S, S]."""
    value, columns = np.linalg.eig(jacobians)
    vector = columns.astype(np.complex128).swapaxes(1, 2)
    value = value.astype(np.complex128)
    keys = (-value.imag.round(DIGITS), -value.real.round(DIGITS), -np.abs(value).round(DIGITS))
    order = np.lexsort(keys, axis=1)
    value = np.take_along_axis(value, order, axis=1)
    vector = np.take_along_axis(vector, order[..., np.newaxis], axis=1)
    largest = np.take_along_axis(vector, _largest(np.abs(vector))[..., np.newaxis], axis=2)
    return Modes(value, vector * (np.abs(largest) / largest))


def time_constants(modulus: Float) -> Float:
    """Steps in which a mode falls to 1/e, −1/ln|λ|.

    Negative where the mode grows: by e in that many steps; +inf where it does neither, 0 for λ = 0.
    """
    with np.errstate(divide="ignore"):
        return np.where(modulus == 1, np.inf, -1 / np.log(modulus)) + 0.0


def frequencies(value: Complex) -> Float:
    """Cycles per step of modes, |arg λ|/2π: from 0, of λ > 0, to 0.5, of λ < 0."""
    return np.abs(np.angle(value)) / (2 * np.pi)


def _largest(size: Float) -> NDArray[np.intp]:
    """The first of the largest entries along the last axis; which of equals would be chance."""
    return (size >= (1 - TIE) * size.max(axis=-1, keepdims=True)).argmax(axis=-1)
