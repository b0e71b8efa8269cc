"""LSTM, GRU and simple RNN in NumPy and float64 with states held, and models to hold them to."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.analysis.intervention import stage
from rnnscope.store.inputs import Inputs
from tests.compose import composed

Float = NDArray[np.float64]
Hold = Callable[[int, str, Float, Float], Float]
"""From the timestep, the name of a signal, its values now and one timestep earlier [B, U] to what
takes their place."""

COUNT, TIMESTEPS, FEATURES, CLASSES, UNITS = 12, 5, 2, 3, 4


def sigma(a: Any) -> Float:
    return np.asarray(1 / (1 + np.exp(-a)))


def free(t: int, name: str, now: Float, before: Float) -> Float:
    """Nothing is held."""
    return now


def lstm(
    weights: Any, x: Any, hold: Hold = free, initial: Any = None, **_: Any
) -> dict[str, Float]:
    """Signals [T, B, U] over x [B, T, F], from zero or from initial h and c [B, U]."""
    kernel, recurrent, bias = (each.astype(np.float64) for each in weights)
    units = len(recurrent)
    was = {name: np.zeros((len(x), units)) for name in "hcifog"} | (initial or {})
    steps = []
    for t in range(x.shape[1]):
        drive = x[:, t].astype(np.float64) @ kernel + was["h"] @ recurrent + bias
        raw = dict(zip("ifgo", np.split(drive, 4, axis=1), strict=True))
        now = {name: hold(t, name, sigma(raw[name]), was[name]) for name in "ifo"}
        now["g"] = hold(t, "g", np.tanh(raw["g"]), was["g"])
        now["c"] = hold(t, "c", now["f"] * was["c"] + now["i"] * now["g"], was["c"])
        now["h"] = hold(t, "h", now["o"] * np.tanh(now["c"]), was["h"])
        steps.append(now)
        was = now
    return {name: np.array([each[name] for each in steps]) for name in "hcifog"}


def gru(weights: Any, x: Any, hold: Hold = free, *, reset_after: bool) -> dict[str, Float]:
    """Signals [T, B, U] over x [B, T, F]."""
    kernel, recurrent, bias = (each.astype(np.float64) for each in weights)
    units = len(recurrent)
    inner, outer = (bias[0], bias[1]) if reset_after else (bias, np.zeros(3 * units))
    was = {name: np.zeros((len(x), units)) for name in "hzrg"}
    steps = []
    for t in range(x.shape[1]):
        x_z, x_r, x_g = np.split(x[:, t].astype(np.float64) @ kernel + inner, 3, axis=1)
        h = was["h"]
        h_z, h_r, h_g = np.split(h @ recurrent + outer, 3, axis=1)
        now = {"z": hold(t, "z", sigma(x_z + h_z), was["z"])}
        now["r"] = r = hold(t, "r", sigma(x_r + h_r), was["r"])
        reset = r * h_g if reset_after else (r * h) @ recurrent[:, 2 * units :]
        now["g"] = hold(t, "g", np.tanh(x_g + reset), was["g"])
        now["h"] = hold(t, "h", now["z"] * h + (1 - now["z"]) * now["g"], h)
        steps.append(now)
        was = now
    return {name: np.array([each[name] for each in steps]) for name in "hzrg"}


def simple(weights: Any, x: Any, hold: Hold = free, **_: Any) -> dict[str, Float]:
    """Signals [T, B, U] over x [B, T, F]."""
    kernel, recurrent, bias = (each.astype(np.float64) for each in weights)
    h, steps = np.zeros((len(x), len(recurrent))), []
    for t in range(x.shape[1]):
        drive = x[:, t].astype(np.float64) @ kernel + h @ recurrent + bias
        h = hold(t, "h", np.tanh(drive), h)
        steps.append(h)
    return {"h": np.array(steps)}


def within(window: tuple[int, int], state: str, change: Any) -> Hold:
    """A state changed by ``change(t, now, before)`` in a window."""

    def hold(t: int, name: str, now: Float, before: Float) -> Float:
        inside = name == state and window[0] <= t < window[1]
        return np.asarray(change(t, now, before)) if inside else now

    return hold


def onto(along: Any, wanted: Any, now: Float) -> Float:
    """What is along a target set to what is wanted, the rest as it is now."""
    along = np.asarray(along)
    if along.dtype == bool:
        return np.where(along, wanted, now)
    return now + ((wanted - now) @ along)[:, np.newaxis] * along


def drawn(model: keras.Model, seed: int = 1, scale: float = 0.7) -> keras.Model:
    """The model with weights drawn at random, and not small."""
    random = np.random.default_rng(seed)
    model.set_weights([random.normal(0, scale, each.shape) for each in model.get_weights()])
    return model


def network(layer: Any, outputs: int = CLASSES, *, padded: bool = False) -> keras.Model:
    """A recurrent layer and a linear readout of its last h."""
    x = keras.Input((TIMESTEPS, FEATURES), name="x")
    mask = keras.Input((TIMESTEPS,), dtype="bool", name="mask") if padded else None
    y = keras.layers.Dense(outputs, use_bias=False)(layer(x, mask=mask))
    return drawn(keras.Model({"x": x, "mask": mask} if padded else x, y))


def arrays(count: int = COUNT, **more: Any) -> dict[str, Any]:
    """Data with a class for each sequence, each at least twice."""
    random = np.random.default_rng(5)
    x = random.normal(size=(count, TIMESTEPS, FEATURES)).astype(np.float32)
    y = random.permutation(np.arange(count) % CLASSES).astype(np.int32)
    test = {"x": x, "y": y} | more
    return {f"{name}_test": each for name, each in test.items()} | {
        f"{name}_train": -each if name == "x" else each for name, each in test.items()
    }


def classified(model: keras.Model, given: dict[str, Any]) -> dict[str, Any]:
    """The data with classes as the model has them: a donor of another class is far away then."""
    y = np.asarray(model(given["x_test"], training=False)).argmax(axis=1).astype(np.int32)
    if np.bincount(y, minlength=CLASSES).min() < 2:  # each at least twice
        y[: 2 * CLASSES] = np.arange(2 * CLASSES) % CLASSES
    return given | {"y_test": y, "y_train": y}


def run(
    folder: Path, model: keras.Model, given: dict[str, Any], *overrides: str
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The table and the figures of the stage, for a model from a file and arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "data.npz", **given)
    model.save(folder / "model.keras")
    config = composed(
        folder / "outputs",
        "stage=intervention",
        "model=file",
        f"model.path={folder / 'model.keras'}",
        "data=files",
        f"data.path={folder / 'data.npz'}",
        *overrides,
    )
    figures = stage.run(config, Inputs({}), folder)
    return pd.read_parquet(folder / "intervention.parquet"), figures


def losses(logits: Float, labels: Any) -> Float:
    """Cross-entropy of each sequence."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    logarithms = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return np.asarray(-logarithms[np.arange(len(labels)), labels])
