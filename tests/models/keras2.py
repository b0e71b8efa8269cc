"""Files of Keras 2: in its layouts without it, layers as JSON, arrays by name; or by tf_keras."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from rnnscope import models

Json = Any
Array = NDArray[np.float32]

GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1, "CuDNNLSTM": 4, "CuDNNGRU": 3}
_VALUES = np.random.default_rng(0)


@dataclass(frozen=True)
class Layer:
    """A layer's config, and its weights by the end of their names in the file."""

    config: Json
    weights: dict[str, Array] = field(default_factory=dict)

    @property
    def name(self) -> str:
        name: str = self.config["config"]["name"]
        return name

    def called(self, *inbound: tuple[str, int, int]) -> "Layer":
        """The layer in a functional model, called once on these tensors."""
        nodes = [[[*place, {}] for place in inbound]] if inbound else []
        return Layer(self.config | {"name": self.name, "inbound_nodes": nodes}, self.weights)


def recurrent(kind: str, name: str, features: int, units: int, **options: Any) -> Layer:
    """A recurrent layer as Keras 2.0 to 2.3 wrote it, by default with all timesteps as output."""
    config: Json = {"name": name, "trainable": True, "units": units, "return_sequences": True}
    config |= {"return_state": False, "go_backwards": False, "stateful": False}
    if not kind.startswith("CuDNN"):
        config |= {"activation": "tanh", "use_bias": True, "unroll": False, "implementation": 1}
        config |= {"dropout": 0.0, "kernel_initializer": INITIALIZER, "bias_regularizer": None}
        config |= {} if kind == "SimpleRNN" else {"recurrent_activation": "hard_sigmoid"}
    gates = GATES[kind] * units
    bias = 2 * gates if kind.startswith("CuDNN") else gates
    return Layer(
        {"class_name": kind, "config": config | options},
        {
            "kernel:0": values(features, gates),
            "recurrent_kernel:0": values(units, gates),
            "bias:0": values(2, gates) if options.get("reset_after") else values(bias),
        },
    )


INITIALIZER = {"class_name": "VarianceScaling", "config": {"scale": 1.0, "dtype": "float32"}}


def dense(name: str, features: int, units: int, activation: str = "linear") -> Layer:
    config = {"name": name, "units": units, "activation": activation, "use_bias": True}
    weights = {"kernel:0": values(features, units), "bias:0": values(units)}
    return Layer({"class_name": "Dense", "config": config}, weights)


def wrapped(kind: str, name: str, inner: Layer, weights: dict[str, Array], **more: Any) -> Layer:
    """A layer around another, whose config says neither module nor registered name."""
    config = {"name": name, "trainable": True, "layer": inner.config, **more}
    return Layer({"class_name": kind, "config": config}, weights)


def both_ways(name: str, forward: Layer, backward: Layer) -> Layer:
    """A Bidirectional layer with these weights."""
    weights = {f"forward/{key}": value for key, value in forward.weights.items()}
    weights |= {f"backward/{key}": value for key, value in backward.weights.items()}
    return wrapped("Bidirectional", name, forward, weights, merge_mode="concat")


def entry(name: str, *shape: int | None) -> Layer:
    config = {"batch_input_shape": [None, *shape], "dtype": "float32", "sparse": False}
    return Layer({"class_name": "InputLayer", "config": config | {"name": name}})


def values(*shape: int) -> Array:
    return _VALUES.normal(scale=0.5, size=shape).astype(np.float32)


def functional(
    layers: Iterable[Layer], inputs: Sequence[str], outputs: Sequence[tuple[str, int, int]]
) -> Json:
    """A functional model as Keras 2 named its class until TensorFlow 2.3."""
    config = {"name": "model_1", "layers": [layer.config for layer in layers]}
    config["input_layers"] = [[name, 0, 0] for name in inputs]
    return {"class_name": "Model", "config": config | {"output_layers": [*map(list, outputs)]}}


def write(path: Path, config: Json | None, layers: Iterable[Layer], version: str = "2.2.4") -> Path:
    """An .h5 with a group for each layer; without a config the layout of save_weights."""
    with h5py.File(path, "w") as file:
        group: Any = file
        if config is not None:
            file.attrs.update(keras_version=version, model_config=json.dumps(config))
            group = file.create_group("model_weights")
        group.attrs.update(keras_version=version, backend=b"tensorflow")
        group.attrs["layer_names"] = [layer.name.encode() for layer in layers]
        for layer in layers:
            inner = group.create_group(layer.name)
            names = [f"{layer.name}/{key}" for key in layer.weights]
            inner.attrs["weight_names"] = [name.encode() for name in names]
            for name, value in zip(names, layer.weights.values(), strict=True):
                inner.create_dataset(name, data=value)
    return path


def by_tf_keras(folder: Path, script: str) -> Path:
    """The folder, in which a script with tf_keras, that is Keras 2, has written files."""
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def agrees(folder: Path, name: str, file: str, **options: Path | str) -> None:
    """The model in a file predicts what Keras 2 did, to 1e-5 of max(1, |value|).

    Args:
        folder: with values.npz, in which <name>/x0, ... are the inputs and <name>/y the outputs.
        name: of the model among the values.
        file: its name in the folder.
        options: of ``models.load``.
    """
    model = models.load(folder / file, **options)  # type: ignore[arg-type]
    with np.load(folder / "values.npz") as stored:
        want = stored[f"{name}/y"]
        x = [stored[key] for key in sorted(stored) if key.startswith(f"{name}/x")]
    got = np.asarray(model(x if len(x) > 1 else x[0], training=False))
    assert got.shape == want.shape
    assert (np.abs(got - want) / np.maximum(1, np.abs(want))).max() < 1e-5
