"""Recurrent cells in NumPy and float64, from their equations alone: what recordings are held to."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Step = Callable[[Float, dict[str, Float]], dict[str, Float]]
"""From an input [F] or [..., F] and the signals one step earlier [U] to the signals now."""

FUNCTIONS: dict[str, Callable[[Float], Float]] = {
    "tanh": np.tanh,
    "relu": lambda a: np.maximum(a, 0),
    "softsign": lambda a: a / (1 + np.abs(a)),
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "hard_sigmoid": lambda a: np.clip(a / 6 + 0.5, 0, 1),
    "hard_sigmoid_of_keras_2": lambda a: np.clip(a / 5 + 0.5, 0, 1),
}


def lstm(
    x: NDArray[np.floating],
    weights: Sequence[NDArray[np.floating]],
    lengths: NDArray[np.integer] | None = None,
    backwards: bool = False,
) -> dict[str, Float]:
    """Signals [B, T, U] of a standard LSTM from zero states; NaN beyond the lengths.

    Args:
        x: inputs [B, T, F].
        weights: kernel [F, 4 U], recurrent kernel [U, 4 U] and bias [4 U]; columns i, f, g, o.
        lengths: valid timesteps [B].
        backwards: read each sequence from its last valid timestep to its first.
    """
    valid = np.ones(x.shape[:2], bool)
    if lengths is not None:
        valid = np.arange(x.shape[1]) < lengths[:, np.newaxis]
    step = lstm_step([np.asarray(each, np.float64) for each in weights], "tanh", "sigmoid")
    return run(step, "hcifog", x, valid, {"h": None, "c": None}, len(weights[1]), backwards)


def layer(
    given: Any, x: Any, valid: NDArray[np.bool_], initial: Sequence[NDArray[Any]] | None
) -> dict[str, Float]:
    """Signals [B, T, U] of a Keras layer; NaN where ``valid`` [B, T] is false."""
    return cell(given.cell, x, valid, initial, given.go_backwards)


def cell(
    given: Any,
    x: Any,
    valid: NDArray[np.bool_],
    initial: Sequence[NDArray[Any]] | None,
    backwards: bool,
) -> dict[str, Float]:
    """Signals [B, T, U] of a Keras LSTM, GRU or simple cell."""
    weights = [each.astype(np.float64) for each in given.get_weights()]
    tanh = given.activation.__name__
    match type(given).__name__:
        case "LSTMCell":
            step = lstm_step(weights, tanh, given.recurrent_activation.__name__)
            signals, states = "hcifog", "hc"
        case "GRUCell":
            after = given.reset_after
            step = gru_step(weights, tanh, given.recurrent_activation.__name__, after)
            signals, states = "hzrg", "h"
        case "ConvLSTMCell":
            options = given.padding, given.strides, given.dilation_rate
            maps = correlated(np.zeros(x.shape[2:]), weights[0], *options)[..., : given.filters]
            step = conv_lstm_step(given, weights, maps.shape)
            start = {
                name: None if initial is None else initial[number].reshape(len(x), -1)
                for number, name in enumerate("hc")
            }
            return run(step, "hcifog", x, valid, start, maps.size, backwards)
        case _:
            step = simple_step(weights, tanh)
            signals, states = "h", "h"
    start = dict(zip(states, [None] * len(states) if initial is None else initial, strict=True))
    return run(step, signals, np.asarray(x), valid, start, given.units, backwards)


def run(
    step: Step,
    signals: str,
    x: NDArray[np.floating],
    valid: NDArray[np.bool_],
    initial: dict[str, Any],
    units: int,
    backwards: bool,
) -> dict[str, Float]:
    """Sequence by sequence, step by step, over the valid timesteps alone."""
    batch, timesteps = x.shape[:2]
    found = {name: np.full((batch, timesteps, units), np.nan) for name in signals}
    for number in range(batch):
        now = {
            name: np.zeros(units) if start is None else start[number].astype(np.float64)
            for name, start in initial.items()
        }
        read = np.flatnonzero(valid[number])
        for t in read[::-1] if backwards else read:
            now = step(x[number, t].astype(np.float64), now)
            for name in signals:
                found[name][number, t] = now[name]
    return found


def lstm_step(weights: Sequence[Float], activation: str, gate: str) -> Step:
    kernel, recurrent, *bias = weights
    tanh, sigma = FUNCTIONS[activation], FUNCTIONS[gate]

    def step(x: Float, before: dict[str, Float]) -> dict[str, Float]:
        a_i, a_f, a_g, a_o = np.split(x @ kernel + before["h"] @ recurrent + sum(bias), 4)
        i, f, g, o = sigma(a_i), sigma(a_f), tanh(a_g), sigma(a_o)
        c = f * before["c"] + i * g
        return {"h": o * tanh(c), "c": c, "i": i, "f": f, "o": o, "g": g}

    return step


def gru_step(weights: Sequence[Float], activation: str, gate: str, reset_after: bool) -> Step:
    kernel, recurrent, *bias = weights
    tanh, sigma = FUNCTIONS[activation], FUNCTIONS[gate]
    units = len(recurrent)
    zero = np.zeros(3 * units)
    inner = (bias[0][0] if reset_after else bias[0]) if bias else zero
    outer = bias[0][1] if bias and reset_after else zero

    def step(x: Float, before: dict[str, Float]) -> dict[str, Float]:
        h = before["h"]
        x_z, x_r, x_g = np.split(x @ kernel + inner, 3)
        h_z, h_r, h_g = np.split(h @ recurrent + outer, 3)
        z, r = sigma(x_z + h_z), sigma(x_r + h_r)
        g = tanh(x_g + (r * h_g if reset_after else (r * h) @ recurrent[:, 2 * units :]))
        return {"h": z * h + (1 - z) * g, "z": z, "r": r, "g": g}

    return step


def conv_lstm_step(given: Any, weights: Sequence[Float], shape: tuple[int, ...]) -> Step:
    """Of a ConvLSTM with channels last, whose states have this shape: [..., filters].

    Source: Shi et al. 2015, without peepholes.
    """
    kernel, recurrent, *bias = weights
    tanh = FUNCTIONS[given.activation.__name__]
    sigma = FUNCTIONS[given.recurrent_activation.__name__]
    one = (1,) * given.rank

    def step(x: Float, before: dict[str, Float]) -> dict[str, Float]:
        drive = correlated(x, kernel, given.padding, given.strides, given.dilation_rate)
        drive = drive + correlated(before["h"].reshape(shape), recurrent, "same", one, one)
        a_i, a_f, a_g, a_o = np.split(drive + sum(bias), 4, axis=-1)
        i, f, g, o = (each.ravel() for each in (sigma(a_i), sigma(a_f), tanh(a_g), sigma(a_o)))
        c = f * before["c"] + i * g
        return {"h": o * tanh(c), "c": c, "i": i, "f": f, "o": o, "g": g}

    return step


def correlated(
    x: Float, kernel: Float, padding: str, strides: Sequence[int], dilation: Sequence[int]
) -> Float:
    """The convolution of x [..., C] with a kernel [..., C, D], which is not turned round."""
    sizes = kernel.shape[:-2]
    reach = [(size - 1) * step + 1 for size, step in zip(sizes, dilation, strict=True)]
    if padding == "same":
        margins = []
        for length, width, stride in zip(x.shape, reach, strides, strict=False):
            total = max((-(-length // stride) - 1) * stride + width - length, 0)
            margins.append((total // 2, total - total // 2))
        x = np.pad(x, [*margins, (0, 0)])
    made = [
        (length - width) // stride + 1
        for length, width, stride in zip(x.shape, reach, strides, strict=False)
    ]
    found = np.zeros((*made, kernel.shape[-1]))
    for place in np.ndindex(*sizes):
        cut = tuple(
            slice(at * step, at * step + (count - 1) * stride + 1, stride)
            for at, step, count, stride in zip(place, dilation, made, strides, strict=True)
        )
        found += x[cut] @ kernel[place]
    return found


def simple_step(weights: Sequence[Float], activation: str) -> Step:
    kernel, recurrent, *bias = weights
    tanh = FUNCTIONS[activation]
    return lambda x, before: {"h": tanh(x @ kernel + before["h"] @ recurrent + sum(bias))}
