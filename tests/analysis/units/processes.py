"""Processes whose autocorrelation is known, for tests."""

import numpy as np
import scipy.signal
from numpy.typing import NDArray

Float = NDArray[np.float64]


def autoregressive(tau: float, shape: tuple[int, ...], seed: int) -> Float:
    """x_t = e^(-1/tau) x_(t-1) + noise over the last axis, of variance 1 from its beginning on.

    Its autocorrelation is e^(-k/tau).
    """
    phi = np.exp(-1 / tau)
    noise = np.random.default_rng(seed).normal(size=shape) * np.sqrt(1 - phi**2)
    noise[..., 0] /= np.sqrt(1 - phi**2)
    return np.asarray(scipy.signal.lfilter([1], [1, -phi], noise))


def ringing(period: float, tau: float, shape: tuple[int, ...], seed: int) -> Float:
    """Noise through a damped oscillator: R(k) is about e^(-k/tau) cos(2 pi k/period)."""
    radius, angle = np.exp(-1 / tau), 2 * np.pi / period
    noise = np.random.default_rng(seed).normal(size=(*shape[:-1], shape[-1] + 200))
    filtered = scipy.signal.lfilter([1], [1, -2 * radius * np.cos(angle), radius**2], noise)
    return np.asarray(filtered[..., 200:])
