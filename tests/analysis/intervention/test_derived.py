"""Attributions of layers of every make against central differences of the loss in float64."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from tests.analysis.intervention import held
from tests.analysis.intervention.held import CLASSES, COUNT, FEATURES, TIMESTEPS, UNITS, Float

pytestmark = pytest.mark.tensorflow

STEP = 1e-4
Simulate = Callable[[held.Hold], tuple[dict[str, Float], Float]]
"""From a hold to a layer's signals [T, B, U] in the order of its steps, and logits [B, K]."""


@dataclass
class Case:
    """A model with its data, and its layers in NumPy."""

    model: keras.Model
    layers: dict[str, Simulate]
    backwards: list[str] = field(default_factory=list)
    given: dict[str, Any] = field(default_factory=held.arrays)


def lstm(name: str = "r", **options: Any) -> Any:
    return keras.layers.LSTM(UNITS, name=name, **options)


def flat(backwards: bool, use_bias: bool) -> Case:
    """One layer."""
    model = held.network(lstm(go_backwards=backwards, use_bias=use_bias))
    *weights, kernel = model.get_weights()
    given = held.arrays()
    x = given["x_test"][:, ::-1] if backwards else given["x_test"]
    whole = weights if use_bias else [*weights, np.zeros(4 * UNITS)]

    def simulate(hold: held.Hold) -> tuple[dict[str, Float], Float]:
        signals = held.lstm(whole, x, hold)
        return signals, np.asarray(signals["h"][-1] @ kernel)

    return Case(model, {"r": simulate}, ["r"] if backwards else [], given)


def bidirectional() -> Case:
    x = keras.Input((TIMESTEPS, FEATURES), name="x")
    both = keras.layers.Bidirectional(lstm(), name="both")
    y = keras.layers.Dense(CLASSES, use_bias=False)(both(x))
    model = held.drawn(keras.Model(x, y))
    weights = model.get_weights()
    forward, backward, kernel = weights[:3], weights[3:6], weights[6]
    given = held.arrays()

    def of(changes: int) -> Simulate:
        def simulate(hold: held.Hold) -> tuple[dict[str, Float], Float]:
            holds = [hold if n == changes else held.free for n in (0, 1)]
            ways = given["x_test"], given["x_test"][:, ::-1]
            found = [
                held.lstm(each, x, one)
                for each, x, one in zip((forward, backward), ways, holds, strict=True)
            ]
            ends = np.concatenate([each["h"][-1] for each in found], axis=1)
            return found[changes], np.asarray(ends @ kernel)

        return simulate

    names = [f"both.{each}" for each in ("forward", "backward")]
    return Case(model, {name: of(n) for n, name in enumerate(names)}, names[1:], given)


def masked() -> Case:
    model = held.network(lstm(), padded=True)
    lengths = np.array([5, 1, 3, 2, 5, 4, 4, 3, 2, 1, 5, 5], np.int32)
    given = held.arrays(lengths=lengths)
    *weights, kernel = model.get_weights()

    def simulate(hold: held.Hold) -> tuple[dict[str, Float], Float]:
        signals = held.lstm(weights, given["x_test"], hold)
        return signals, np.asarray(signals["h"][lengths - 1, np.arange(COUNT)] @ kernel)

    return Case(model, {"r": simulate}, given=given)


def stacked() -> Case:
    """A layer above another."""
    x = keras.Input((TIMESTEPS, FEATURES), name="x")
    h = lstm("high")(lstm("low", return_sequences=True)(x))
    model = held.drawn(keras.Model(x, keras.layers.Dense(CLASSES, use_bias=False)(h)))
    weights, given = model.get_weights(), held.arrays()

    def of(changes: str) -> Simulate:
        def simulate(hold: held.Hold) -> tuple[dict[str, Float], Float]:
            low, high = (hold if changes == name else held.free for name in ("low", "high"))
            below = held.lstm(weights[:3], given["x_test"], low)
            above = held.lstm(weights[3:6], np.swapaxes(below["h"], 0, 1), high)
            return below if changes == "low" else above, np.asarray(above["h"][-1] @ weights[6])

        return simulate

    return Case(model, {name: of(name) for name in ("low", "high")}, given=given)


CASES: dict[str, Callable[[], Case]] = {
    "backward": lambda: flat(backwards=True, use_bias=True),
    "without bias": lambda: flat(backwards=False, use_bias=False),
    "bidirectional": bidirectional,
    "masked": masked,
    "stacked": stacked,
}


@pytest.mark.parametrize("name", CASES)
def test_attributions_are_central_differences_times_states(name: str, tmp_path: Path) -> None:
    case = CASES[name]()
    options = ("intervention.exact=false", "intervention.states=[h,c,f]")
    held.run(tmp_path, case.model, case.given, *options)
    table = pd.read_parquet(tmp_path / "attribution.parquet")
    assert set(table["layer"]) == set(case.layers)
    labels = case.given["y_test"]
    lengths = case.given.get("lengths_test", np.full(COUNT, TIMESTEPS))
    largest = 0.0
    for row in table[table["unit"].isin([0, 3])].itertuples():
        simulate, at = case.layers[row.layer], row.timestep
        step = TIMESTEPS - 1 - at if row.layer in case.backwards else at
        unit = np.arange(UNITS) == row.unit

        def loss(
            by: float, row: Any = row, step: int = step, unit: Any = unit, run: Any = simulate
        ) -> Any:
            hold = held.within((step, step + 1), row.state, lambda _, now, __: now + by * unit)
            return held.losses(run(hold)[1], labels)

        there = lengths > at
        free, _ = simulate(held.free)
        want = ((loss(STEP) - loss(-STEP)) / (2 * STEP) * free[row.state][step][:, row.unit])[there]
        assert row.sequences == there.sum()
        assert row.loss == pytest.approx(want.mean(), abs=1e-5), row
        assert row.loss_absolute == pytest.approx(np.abs(want).mean(), abs=1e-5), row
        largest = max(largest, np.abs(want).mean())
    assert largest > 1e-2
