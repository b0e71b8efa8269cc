"""Networks whose weights are written down, so that their statistics follow from a formula."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from tests.proof.checks import Check, run, table

Float = NDArray[np.float64]

PHI = (0.5, 0.8, 0.9, 0.95)
TIMESCALES = (2.0, 5.0, 20.0, 100.0)
UNSTABLE = {2: [0, 0, 1], 3: [1, 1, 2], 4: [0, 0, 1, 1, 2, 2, 2, 2, 3]}
"""Units -> how many unstable modes each fixed point has."""
DELAY = 5


def ar1(root: Path) -> Iterator[Check]:
    """A network whose h is its input, an AR(1) process: R(k) = φᵏ, so that τ = −1/ln φ."""
    units = len(PHI)
    model = _simple(root, np.eye(units), np.zeros((units, units)), activation="linear")
    size = "data.test_sequences=500", "data.length=400"
    run(root, *model, "data=ar1", f"data.phi={_list(PHI)}", *size, "stage=units")
    found = table(root, "units", "units")["timescale"].to_numpy()
    error = np.abs(found / (-1 / np.log(PHI)) - 1).max()
    yield Check(
        "ar1",
        f"timescales of AR(1) with φ = {', '.join(map(str, PHI))}",
        "τ = −1/ln φ",
        "within 5 %",
        f"{error:.1%}",
        bool(error < 0.05),
    )


def tanh(root: Path) -> Iterator[Check]:
    """Three networks of which all fixed points are known: W[i] = −roll(linspace(−1, 1, n), −i)."""
    for size, want in UNSTABLE.items():
        weights = np.array([-np.roll(np.linspace(-1, 1, size), -row) for row in range(size)])
        folder = root / str(size)
        folder.mkdir()
        model = _simple(folder, 2 * np.eye(size), weights, activation="tanh")
        noise = "data=lagged", f"data.features={size}", "data.test_sequences=100"
        how = "fixed_points.inputs=[zeros]", "fixed_points.starts=500"
        run(folder, *model, *noise, "stage=fixed_points", *how)
        points = table(folder, "fixed_points", "fixed_points").query("kind == 'fixed'")
        index = sorted(points["index"])
        yield Check(
            "tanh",
            f"fixed points of h' = tanh(h W), {size} units, by their unstable modes",
            "roots of tanh(h W) = h",
            str(want),
            str(index),
            index == want,
        )


def mahto(root: Path) -> Iterator[Check]:
    """A forget bias for timescale T: the forget gate is e^(−1/T) at every timestep."""
    size = len(TIMESCALES)
    biases = -np.log(np.expm1(1 / np.array(TIMESCALES)))  # sigmoid(b) = e^(-1/T)
    layer = keras.layers.LSTM(size, name="lstm")
    model = keras.Sequential([keras.Input((None, 1)), layer])
    bias = np.concatenate([np.zeros(size), biases, np.zeros(2 * size)])
    layer.set_weights([np.zeros((1, 4 * size)), np.zeros((size, 4 * size)), bias])
    words = _saved(root, model)
    run(root, *words, "data=ar1", "data.phi=[0.5]", "stage=units")
    units = table(root, "units", "units").query("signal == 'f'").sort_values("unit")
    error = np.abs(units["forget_timescale"].to_numpy() / TIMESCALES - 1).max()
    yield Check(
        "mahto",
        f"T of forget biases for T = {', '.join(f'{each:g}' for each in TIMESCALES)}",
        "Mahto et al. 2021",
        "exact: float32's 1e-5",
        f"{error:.1e}",
        bool(error < 1e-5),
    )


def lagged(root: Path) -> Iterator[Check]:
    """A linear delay line: unit k holds the input of k steps before."""
    units = DELAY + 1
    model = _simple(root, np.eye(1, units), np.eye(units, k=1), activation="linear")
    size = "data.test_sequences=500", "data.length=50"
    run(root, *model, "data=lagged", *size, "stage=decoding", "decoding.timesteps=last")
    (capacity,) = table(root, "decoding", "memory_capacity").query("signal == 'h'")["capacity"]
    yield Check(
        "lagged",
        f"memory capacity of a linear delay line of {DELAY} steps",
        "Jaeger 2001",
        f"{DELAY} ± 0.05",
        f"{capacity:.3f}",
        abs(capacity - DELAY) < 0.05,
    )


def _simple(root: Path, kernel: Float, recurrent: Float, activation: str) -> Sequence[str]:
    """A simple RNN of these weights [F, U] and [U, U]; the words that take it."""
    layer = keras.layers.SimpleRNN(len(recurrent), activation, use_bias=False, name="rnn")
    model = keras.Sequential([keras.Input((None, len(kernel))), layer])
    layer.set_weights([kernel, recurrent])
    return _saved(root, model)


def _saved(root: Path, model: keras.Model) -> Sequence[str]:
    path = root / "network.keras"
    model.save(path)
    return "model=file", f"model.path={path}"


def _list(values: Sequence[float]) -> str:
    return f"[{','.join(map(str, values))}]"
