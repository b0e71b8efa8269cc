"""An LSTM in NumPy and float64, from its equations alone: what every recorded value is held to."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def lstm(
    x: NDArray[np.floating],
    weights: Sequence[NDArray[np.floating]],
    lengths: NDArray[np.integer] | None = None,
    backwards: bool = False,
) -> dict[str, Float]:
    """Signals [B, T, U] of an LSTM from zero states, sequence by sequence and step by step.

    Args:
        x: inputs [B, T, F].
        weights: kernel [F, 4 U], recurrent kernel [U, 4 U] and bias [4 U]; columns i, f, g, o.
        lengths: valid timesteps [B]; beyond them all signals are NaN.
        backwards: read each sequence from its last valid timestep to its first.
    """
    kernel, recurrent_kernel, bias = (np.asarray(each, np.float64) for each in weights)
    batch, timesteps, _ = x.shape
    units = recurrent_kernel.shape[0]
    signals = {name: np.full((batch, timesteps, units), np.nan) for name in "hcifog"}
    for sequence in range(batch):
        h, c = np.zeros(units), np.zeros(units)
        steps = range(timesteps if lengths is None else int(lengths[sequence]))
        for t in reversed(steps) if backwards else steps:
            drive = x[sequence, t].astype(np.float64) @ kernel + h @ recurrent_kernel + bias
            a_i, a_f, a_g, a_o = np.split(drive, 4)
            i, f, g, o = _sigmoid(a_i), _sigmoid(a_f), np.tanh(a_g), _sigmoid(a_o)
            c = f * c + i * g
            h = o * np.tanh(c)
            for name, value in zip("hcifog", (h, c, i, f, o, g), strict=True):
                signals[name][sequence, t] = value
    return signals


def _sigmoid(a: Float) -> Float:
    return 1 / (1 + np.exp(-a))
