"""Weights without their model: loaded with an architecture, or refused with what to save."""

import json
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from rnnscope import models
from tests.models.keras2 import Layer, dense, entry, recurrent, write
from tests.models.test_keras2 import X, agrees, complaint, h, nothing, sequential

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize("names", ["lstm dense", "lstm_7 dense_9"])
def test_weights_alone_load_with_the_text_of_to_json(tmp_path: Path, names: str) -> None:
    """By the layers' names, or in their order where another session counted on."""
    layer, head = recurrent("LSTM", "lstm", 2, 3), dense("dense", 3, 2)
    config = sequential(entry("x", 7, 2), layer, head) | {"keras_version": "2.3.1"}
    architecture = tmp_path / "arch.json"
    architecture.write_text(json.dumps(config))
    stored = [
        Layer({"config": {"name": name}}, each.weights)
        for name, each in zip(names.split(), (layer, head), strict=True)
    ]
    path = write(tmp_path / "weights.h5", None, stored)
    kernel, bias = head.weights.values()
    agrees(path, h(layer, X) @ kernel + bias, X, architecture=architecture)


@pytest.mark.parametrize("name", ["only.weights.h5", "old.h5"])
def test_weights_alone_say_what_to_save_instead(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "old.h5":
        write(path, None, nothing()[1])
    else:
        x = keras.Input((7, 2))
        keras.Model(x, keras.layers.LSTM(3)(x)).save_weights(path)
    said = complaint(path)
    assert "it holds weights alone" in said
    assert "model.save('x.keras')" in said
    assert "model.architecture=x.json" in said


@pytest.mark.parametrize("text", ["{", "[]", '{"layers": []}', "null"])
def test_an_architecture_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "old.h5", None, nothing()[1])
    architecture = tmp_path / "arch.json"
    architecture.write_text(text)
    assert f"model.architecture={architecture}" in complaint(path, architecture=architecture)


def test_a_whole_model_takes_no_architecture(tmp_path: Path) -> None:
    path = write(tmp_path / "model.h5", *nothing())
    said = complaint(path, architecture=tmp_path / "arch.json")
    assert "model.architecture=null" in said


def test_an_hdf5_file_of_something_else_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"] = X
    assert "without a Keras model or weights" in complaint(tmp_path / "data.h5")


def stack() -> keras.Model:
    """A model of Keras 3 whose weights are all different."""
    x = keras.Input((7, 2))
    y = keras.layers.Bidirectional(keras.layers.LSTM(3, return_sequences=True))(x)
    y = keras.layers.GRU(4, recurrent_activation="hard_sigmoid")(y)
    model = keras.Model(x, keras.layers.Dense(2)(keras.layers.BatchNormalization()(y)))
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.1, 0.5, size=each.shape) for each in model.get_weights()])
    return model


def test_weights_and_architecture_of_keras_3(tmp_path: Path) -> None:
    """Its hard_sigmoid stays its own."""
    model = stack()
    model.compile(loss="mse")
    (tmp_path / "arch.json").write_text(model.to_json())
    model.save_weights(tmp_path / "mine.weights.h5")
    again = models.load(tmp_path / "mine.weights.h5", architecture=tmp_path / "arch.json")
    np.testing.assert_array_equal(again(X, training=False), model(X, training=False))
    (tmp_path / "mine.weights.h5").rename(tmp_path / "mine.h5")
    said = complaint(tmp_path / "mine.h5", architecture=tmp_path / "arch.json")
    assert "name it *.weights.h5" in said


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    stack().save_weights(tmp_path / "mine.weights.h5")
    x = keras.Input((7, 2))
    (tmp_path / "arch.json").write_text(keras.Model(x, keras.layers.GRU(4)(x)).to_json())
    assert complaint(tmp_path / "mine.weights.h5", architecture=tmp_path / "arch.json")


@pytest.mark.parametrize("root", ["layers", "_layer_checkpoint_dependencies"])
@pytest.mark.parametrize("separator", ["/", "\\"])
def test_paths_of_weights_as_each_system_wrote_them(
    tmp_path: Path, root: str, separator: str
) -> None:
    """TensorFlow 2.12 named the root in another way, and Windows parts with backslashes."""
    layers = [recurrent("LSTM", "low", 2, 3), recurrent("LSTM", "high", 3, 3)]
    config = sequential(entry("x", 7, 2), *layers) | {"keras_version": "2.12.0"}
    (tmp_path / "arch.json").write_text(json.dumps(config))
    with h5py.File(tmp_path / "mine.weights.h5", "w") as file:
        for name, layer in zip(("lstm", "lstm_1"), layers, strict=True):
            group: Any = file.create_group(separator.join([root, name, "cell"]))
            for number, value in enumerate(layer.weights.values()):
                group[f"vars/{number}"] = value
    want = h(layers[1], h(layers[0], X))
    agrees(tmp_path / "mine.weights.h5", want, X, architecture=tmp_path / "arch.json")
