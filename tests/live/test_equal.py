"""What is recorded in a script is what the stages write: bytes, tables, arrays."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import rnnscope
from rnnscope import data, states
from rnnscope.extract import stage as extract
from rnnscope.store.inputs import Inputs
from tests import reference
from tests.compose import analysed, composed

pytestmark = pytest.mark.tensorflow

KEY = "0123456789abcdef" * 4
FEW = {"permutations": 20, "lags": 5}
"""Options of stage units that make it quick."""


@keras.saving.register_keras_serializable("tests.live")
class TwoStates(keras.layers.Layer):
    """A cell of the user's own, with two states of different sizes."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.state_size, self.output_size = [3, 2], 3

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], 5), name="kernel")

    def call(self, x: Any, before: Any) -> Any:
        a, b = keras.ops.split(keras.ops.matmul(x, self.kernel), [3], axis=-1)
        after = [keras.ops.tanh(a + before[0]), 0.5 * before[1] + b]
        return after[0], after


@dataclass
class Case:
    """A model, and its sequences with lengths, labels and annotations."""

    model: keras.Model
    x: Any
    known: dict[str, Any] = field(default_factory=dict)
    """Further keyword arguments of ``record``."""

    def save(self, folder: Path) -> tuple[str, ...]:
        """Files of the same, and the options that name them."""
        arrays = {"x_test": self.x}
        arrays |= {"y_test": self.known["labels"]} if "labels" in self.known else {}
        arrays |= {"lengths_test": self.known["lengths"]} if "lengths" in self.known else {}
        noted = self.known.get("annotations", {})
        arrays |= {f"{name}_test": each for name, each in noted.items()}
        np.savez(folder / "mine.npz", **arrays)
        self.model.save(folder / "mine.keras")
        chosen = [
            f"extract.{name}={str(value).replace(' ', '').replace(chr(39), '')}"
            for name, value in self.known.items()
            if name not in ("labels", "lengths", "annotations")
        ]
        names = [f"data.annotations=[{','.join(noted)}]"] if noted else []
        paths = f"data.path={folder / 'mine.npz'}", f"model.path={folder / 'mine.keras'}"
        return ("data=files", "model=file", *paths, *chosen, *names)


def head(layer: Any, features: int, *before: Any, steps: bool = False) -> keras.Model:
    """A model of three classes around a recurrent layer."""
    layers = [keras.Input((None, features)), *before, layer]
    return keras.Sequential([*layers, keras.layers.Dense(3, activation="softmax")])


def case(name: str) -> Case:
    """One model of each cell, with labels; others with lengths, parts, or less asked for."""
    keras.utils.set_random_seed(1)
    random = np.random.default_rng(0)
    x = random.normal(size=(40, 9, 3)).astype(np.float32)
    y = random.integers(0, 3, 40)
    lengths = random.integers(1, 10, 40)
    rnn = keras.layers
    match name:
        case "lstm":
            return Case(head(rnn.LSTM(4, name="lstm"), 3), x, {"labels": y})
        case "gru":
            return Case(head(rnn.GRU(4, name="gru"), 3), x, {"labels": y})
        case "simple":
            return Case(head(rnn.SimpleRNN(4, name="simple"), 3), x, {"labels": y})
        case "own":
            return Case(head(rnn.RNN(TwoStates(), name="own"), 3), x, {"labels": y})
        case "bidirectional":
            both = rnn.Bidirectional(rnn.LSTM(2), name="both")
            return Case(head(both, 3), x, {"labels": y, "timesteps": "last"})
        case "lengths":
            layer = rnn.LSTM(4, name="lstm", return_sequences=True)
            known = {
                "labels": random.integers(0, 3, (40, 9)),
                "lengths": lengths,
                "annotations": {"depth": random.integers(0, 5, (40, 9))},
            }
            return Case(head(layer, 3, rnn.Masking()), x * _valid(lengths), known)
        case "parts":
            x = random.normal(size=(600, 200, 1)).astype(np.float32)
            chosen = {"units": [0, 2], "timesteps": "5::3", "signals": ["h"], "batch_size": 100}
            return Case(head(rnn.GRU(3, name="gru"), 1), x, chosen)
    raise ValueError(name)


def _valid(lengths: Any) -> Any:
    return (np.arange(9) < lengths[:, np.newaxis])[..., np.newaxis].astype(np.float32)


@pytest.mark.parametrize(
    "name",
    [
        "lstm",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("gru", "simple", "own", "bidirectional", "lengths", "parts")
        ),
    ],
)
def test_bytes_tables_and_arrays_are_those_of_the_stages(name: str, tmp_path: Path) -> None:
    made = case(name)
    config = composed(tmp_path / "root", *made.save(tmp_path))
    folder = tmp_path / "extract"
    folder.mkdir()
    figures = extract.run(config, Inputs(key=KEY), folder)
    recorded = rnnscope.record(made.model, made.x, **made.known)
    written = recorded.write(tmp_path / "written", artefact=KEY)
    assert parquet(written) == parquet(folder)

    opened = rnnscope.open_states(written)
    for layer in recorded:
        for signal in recorded[layer]:
            values = recorded[layer][signal]
            np.testing.assert_array_equal(opened[layer][signal], values)
            expected = pd.read_parquet(folder / layer / signal)
            for each in (recorded, opened):
                pd.testing.assert_frame_equal(each.frame(layer, signal), expected)
            there = expected[[c for c in expected if c not in states.KEYS]].to_numpy()
            np.testing.assert_array_equal(values[~np.isnan(values).all(axis=2)], there)
    for layer, kinds in figures["residuals"].items():
        assert recorded.residuals[layer] == pytest.approx(kinds, rel=1e-6, abs=1e-9)
    assert opened.residuals == recorded.residuals
    pd.testing.assert_frame_equal(recorded.sequences, states.read_sequences(folder))
    pd.testing.assert_frame_equal(opened.sequences, states.read_sequences(folder))

    (tmp_path / "units").mkdir()
    options = composed(tmp_path, "units.permutations=20", "units.lags=5").units
    analysed("units", options, folder, tmp_path / "units")
    expected = pd.read_parquet(tmp_path / "units" / "units.parquet")
    for each in (recorded, opened):
        pd.testing.assert_frame_equal(rnnscope.measure(each, **FEW), expected)


def parquet(folder: Path) -> dict[str, bytes]:
    """Every Parquet file by its path within a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.parquet")}


def test_digits_are_those_of_the_pipeline(tmp_path: Path) -> None:
    layers = [keras.Input((8, 8)), keras.layers.LSTM(5, name="lstm"), keras.layers.Dense(10)]
    model = keras.Sequential(layers)
    model.save(tmp_path / "mine.keras")
    config = composed(tmp_path, "model=file", f"model.path={tmp_path / 'mine.keras'}")
    (tmp_path / "extract").mkdir()
    extract.run(config, Inputs(key=KEY), tmp_path / "extract")
    test = data.load(config.data).test
    recorded = rnnscope.record(model, test.x, labels=test.y)
    assert parquet(recorded.write(tmp_path / "mine", artefact=KEY)) == parquet(tmp_path / "extract")
    want = reference.lstm(test.x, model.layers[0].get_weights())
    for signal, values in want.items():
        np.testing.assert_allclose(recorded["lstm"][signal], values, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_arrays_are_those_of_the_equations_in_float64(kind: str) -> None:
    layer = getattr(keras.layers, kind)(4, name="rnn", go_backwards=True)
    model = keras.Sequential([keras.Input((None, 3)), keras.layers.Masking(), layer])
    random = np.random.default_rng(0)
    lengths = random.integers(1, 10, 20)
    x = tf.RaggedTensor.from_tensor(random.normal(size=(20, 9, 3)).astype("f4"), lengths)
    recorded = rnnscope.record(model, x)
    valid = np.arange(recorded["rnn"]["h"].shape[1]) < lengths[:, np.newaxis]
    want = reference.layer(layer, x.to_tensor().numpy(), valid, None)
    assert set(want) == set(recorded["rnn"])
    for signal, values in want.items():
        np.testing.assert_allclose(recorded["rnn"][signal], values, rtol=0, atol=1e-5)
