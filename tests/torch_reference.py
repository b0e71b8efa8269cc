"""The equations of torch.nn.LSTM, GRU and RNN as PyTorch documents them, in NumPy and float64.

They are written for PyTorch's own tensors, in its own order of gates, and know nothing of Keras.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Signals = dict[str, Array]
GATES = {"lstm": 4, "gru": 3, "rnn": 1}


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def state_dict(
    kind: str, features: int, units: int, layers: int, random: np.random.Generator, **more: Any
) -> dict[str, Array]:
    """Random tensors of a module, named and shaped as PyTorch does (float64)."""
    found = {}
    ways = ("", "_reverse") if more.get("bidirectional") else ("",)
    for layer in range(layers):
        width = features if layer == 0 else units * len(ways)
        for way in ways:
            rows = GATES[kind] * units
            shapes: dict[str, tuple[int, ...]] = {
                "weight_ih": (rows, width),
                "weight_hh": (rows, units),
            }
            if more.get("bias", True):
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
            for part, shape in shapes.items():
                found[f"{part}_l{layer}{way}"] = random.normal(size=shape) / np.sqrt(units)
    return found


def step(
    kind: str, tensors: dict[str, Array], x: Array, h: Array, c: Array, nonlinearity: str
) -> Signals:
    """Every signal of one timestep, from x [N, F] and the states before [N, U]."""
    zero = np.zeros(len(tensors["weight_ih"]))
    ih = x @ tensors["weight_ih"].T + tensors.get("bias_ih", zero)
    hh = h @ tensors["weight_hh"].T + tensors.get("bias_hh", zero)
    if kind == "rnn":
        return {"h": np.tanh(ih + hh) if nonlinearity == "tanh" else np.maximum(ih + hh, 0)}
    if kind == "gru":
        (ri, zi, ni), (rh, zh, nh) = np.split(ih, 3, 1), np.split(hh, 3, 1)
        r, z = sigmoid(ri + rh), sigmoid(zi + zh)
        n = np.tanh(ni + r * nh)
        return {"h": (1 - z) * n + z * h, "r": r, "z": z, "g": n}
    i, f, g, o = np.split(ih + hh, 4, 1)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    c = f * c + i * g
    return {"h": o * np.tanh(c), "c": c, "i": i, "f": f, "g": g, "o": o}


def run(
    kind: str, tensors: dict[str, Array], x: Array, lengths: Array, nonlinearity: str = "tanh"
) -> tuple[list[list[Signals]], Array]:
    """Of each layer and direction every signal [N, T, U], zero past each length; and the output.

    Sequences that differ in length are computed as packed ones: the backward direction begins at
    each one's end.
    """
    layers = []
    number = 0
    while f"weight_ih_l{number}" in tensors:
        ways = []
        for reverse in ("", "_reverse"):
            suffix = f"_l{number}{reverse}"
            own = {
                name.removesuffix(suffix): value
                for name, value in tensors.items()
                if name.endswith(suffix) and name.removesuffix(suffix).count("_") == 1
            }
            if own:
                ways.append(_direction(kind, own, x, lengths, nonlinearity, bool(reverse)))
        layers.append(ways)
        x = np.concatenate([way["h"] for way in ways], axis=2)
        number += 1
    return layers, x


def _direction(
    kind: str,
    own: dict[str, Array],
    x: Array,
    lengths: Array,
    nonlinearity: str,
    reverse: bool,
) -> Signals:
    n, timesteps, _ = x.shape
    units = own["weight_hh"].shape[1]
    found: Signals = {}
    for sequence in range(n):
        h = c = np.zeros((1, units))
        order = range(lengths[sequence])
        for t in reversed(order) if reverse else order:
            signals = step(kind, own, x[sequence, t][np.newaxis], h, c, nonlinearity)
            h, c = signals["h"], signals.get("c", c)
            for name, value in signals.items():
                found.setdefault(name, np.zeros((n, timesteps, units)))[sequence, t] = value
    return found
