"""Padding is what the model masks, and where no mask keeps it out, that is said."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import rnnscope
from rnnscope import stages
from tests.compose import composed

pytestmark = pytest.mark.tensorflow

DRAW = np.random.default_rng(0)
LENGTHS = np.array([9, 4, 2, 7, 9, 1, 5, 3, 8, 6, 2, 9])
VALID = np.arange(9) < LENGTHS[:, np.newaxis]
X = DRAW.normal(size=(12, 9, 3)).astype(np.float32)


def padded(value: float) -> Any:
    return np.where(VALID[..., np.newaxis], X, np.float32(value))


def network(value: float, *, custom: bool = False) -> keras.Model:
    """Two layers in both directions, whose weights and biases are no longer those of the start."""
    keras.utils.set_random_seed(0)
    x = keras.Input((None, 3), name="series")
    lower = keras.layers.LSTM(4, return_sequences=True)
    if custom:
        mask = keras.ops.any(keras.ops.not_equal(x, value), axis=-1)
        h = keras.layers.Bidirectional(lower, name="lower")(x, mask=mask)
    else:
        h = keras.layers.Bidirectional(lower, name="lower")(keras.layers.Masking(value)(x))
    h = keras.layers.Bidirectional(keras.layers.GRU(3), name="upper")(h)
    model = keras.Model(x, keras.layers.Dense(2, activation="softmax")(h))
    draw = np.random.default_rng(1)
    model.set_weights([w + 0.3 * draw.normal(size=w.shape) for w in model.get_weights()])
    return model


@pytest.mark.parametrize("value", [0.0, -99.0, 1e6])
def test_padding_has_the_value_that_the_model_masks(value: float) -> None:
    model = network(value)
    want = np.asarray(model(padded(value), training=False))
    right = rnnscope.record(model, padded(value))
    cut = [each[:length] for each, length in zip(X, LENGTHS, strict=True)]
    forms: list[dict[str, Any]] = [
        {"x": X, "lengths": LENGTHS},
        {"x": padded(value), "lengths": LENGTHS},
        {"x": padded(np.nan)},
        {"x": cut},
    ]
    for form in forms if value == -99 else forms[:1]:
        states = rnnscope.record(model, **form, labels=np.arange(12) % 2)
        scores = states.sequences[["p_0", "p_1"]].to_numpy()
        np.testing.assert_allclose(scores, want, rtol=0, atol=1e-6)
        for layer in right:
            for signal in right[layer]:
                np.testing.assert_allclose(
                    states[layer][signal], right[layer][signal], rtol=0, atol=1e-6
                )


def test_in_files_too(tmp_path: Path) -> None:
    model = network(-99.0)
    model.save(tmp_path / "mine.keras")
    arrays: dict[str, Any] = {"x_test": X, "lengths_test": LENGTHS, "y_test": np.arange(12) % 2}
    np.savez(tmp_path / "mine.npz", **arrays)
    paths = f"model.path={tmp_path / 'mine.keras'}", f"data.path={tmp_path / 'mine.npz'}"
    (step,) = stages.run(composed(tmp_path, "stage=extract", "model=file", "data=files", *paths))
    states = rnnscope.open_states(step.artefact.folder)
    want = np.asarray(model(padded(-99.0), training=False))
    np.testing.assert_allclose(states.sequences[["p_0", "p_1"]], want, rtol=0, atol=1e-6)


def test_a_mask_that_takes_padding_for_timesteps_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="no mask of padding reaches .* and the outputs depend on"):
        rnnscope.record(network(-99.0, custom=True), X, lengths=LENGTHS)
    rnnscope.record(network(0.0, custom=True), X, lengths=LENGTHS)
