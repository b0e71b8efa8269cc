"""An LSTM in NumPy and float64, from its equations alone: what every recorded value is held to."""

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def lstm(
    x: NDArray[np.floating],
    kernel: NDArray[np.floating],
    recurrent_kernel: NDArray[np.floating],
    bias: NDArray[np.floating],
    lengths: NDArray[np.integer] | None = None,
    backwards: bool = False,
) -> dict[str, Float]:
    """Signals [B, T, U] of an LSTM from zero states, sequence by sequence and step by step.

    Args:
        x: inputs [B, T, F].
        kernel: [F, 4 U], columns in the order i, f, g, o.
        recurrent_kernel: [U, 4 U], likewise.
        bias: [4 U], likewise.
        lengths: valid timesteps [B]; beyond them all signals are NaN.
        backwards: read each sequence from its last valid timestep to its first.
    """
    weights = [np.asarray(each, np.float64) for each in (kernel, recurrent_kernel, bias)]
    batch, timesteps, _ = x.shape
    units = recurrent_kernel.shape[0]
    signals = {name: np.full((batch, timesteps, units), np.nan) for name in "hcifog"}
    for sequence in range(batch):
        h, c = np.zeros(units), np.zeros(units)
        steps = range(timesteps if lengths is None else int(lengths[sequence]))
        for t in reversed(steps) if backwards else steps:
            drive = x[sequence, t].astype(np.float64) @ weights[0] + h @ weights[1] + weights[2]
            a_i, a_f, a_g, a_o = np.split(drive, 4)
            i, f, g, o = _sigmoid(a_i), _sigmoid(a_f), np.tanh(a_g), _sigmoid(a_o)
            c = f * c + i * g
            h = o * np.tanh(c)
            for name, value in zip("hcifog", (h, c, i, f, o, g), strict=True):
                signals[name][sequence, t] = value
    return signals


def _sigmoid(a: Float) -> Float:
    return 1 / (1 + np.exp(-a))
