"""Files of Keras 2 before TensorFlow's: loaded, and as a float64 loop over their weights says."""

import sys
import tempfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from rnnscope import models
from rnnscope.errors import UserError
from tests import reference
from tests.models.keras2 import (
    Json,
    Layer,
    both_ways,
    dense,
    entry,
    functional,
    recurrent,
    values,
    wrapped,
    write,
)

pytestmark = pytest.mark.tensorflow

X = np.random.default_rng(1).normal(size=(3, 7, 2)).astype(np.float32)


def sequential(*layers: Layer) -> Json:
    inner = [layer.config for layer in layers]
    return {"class_name": "Sequential", "config": {"name": "sequential_1", "layers": inner}}


def h(layer: Layer, x: NDArray[Any], backwards: bool = False, **initial: Any) -> NDArray[Any]:
    """The states h [B, T, U] of a layer by its equations, in float64."""
    weights = [each.astype(np.float64) for each in layer.weights.values()]
    options = layer.config["config"]
    gate = options.get("recurrent_activation", "sigmoid").replace("hard_sigmoid", KERAS_2)
    states, signals = {"h": None}, "hzrg"
    match layer.config["class_name"]:
        case "LSTM":
            step, signals = reference.lstm_step(weights, "tanh", gate), "hcifog"
            states["c"] = None
        case "GRU":
            after = options.get("reset_after", False)
            step = reference.gru_step(weights, "tanh", gate, after)
        case _:
            step, signals = reference.simple_step(weights, options["activation"]), "h"
    valid = np.ones(x.shape[:2], bool)
    units = len(weights[1])
    return reference.run(step, signals, x, valid, states | initial, units, backwards)["h"]


KERAS_2 = "hard_sigmoid_of_keras_2"


def agrees(path: Path, want: NDArray[Any], *x: NDArray[Any], **options: Any) -> None:
    """The model in a file gives what the equations say, to 1e-5 of max(1, |value|)."""
    model = models.load(path, **options)
    got = np.asarray(model(list(x) if len(x) > 1 else x[0], training=False))
    assert got.shape == want.shape
    assert (np.abs(got - want) / np.maximum(1, np.abs(want))).max() < 1e-5


def complaint(path: Path, *, architecture: Path | None = None) -> str:
    with pytest.raises(UserError) as caught:
        models.load(path, architecture=architecture)
    said = str(caught.value)
    assert said.startswith(f"model.path={path}: ")
    assert "\n" not in said
    assert "give the module that defines it" not in said
    return said


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
@pytest.mark.parametrize("version", ["2.0.8", "2.1.4", "2.2.2", "2.3.1"])
def test_a_sequential_of_each_age(tmp_path: Path, kind: str, version: str) -> None:
    """Until 2.2.2 a list of layers; the shape at the first layer; no reset_after until 2.1.5."""
    shape = {"batch_input_shape": [None, 7, 2]}
    layers = [recurrent(kind, "rnn_1", 2, 4, **shape), recurrent(kind, "rnn_2", 4, 3)]
    config = sequential(*layers)
    if version < "2.2.3":
        config["config"] = config["config"]["layers"]
    path = write(tmp_path / "model.h5", config, layers, version)
    agrees(path, h(layers[1], h(layers[0], X)), X)


@pytest.mark.parametrize("after", [False, True])
def test_a_gru_that_says_what_it_resets(tmp_path: Path, after: bool) -> None:
    layer = recurrent("GRU", "gru", 2, 4, reset_after=after, recurrent_activation="sigmoid")
    path = write(tmp_path / "model.h5", sequential(entry("x", 7, 2), layer), [layer])
    agrees(path, h(layer, X), X)


@pytest.mark.parametrize("where", ["bidirectional", "embedding", "nested"])
def test_the_shape_of_the_input_is_found_in_any_first_layer(tmp_path: Path, where: str) -> None:
    shape = {"batch_input_shape": [None, 7, 2]}
    x: NDArray[Any] = X
    if where == "bidirectional":
        ways = [recurrent("GRU", "gru", 2, 3), recurrent("GRU", "gru", 2, 3)]
        first = both_ways("first", *ways)
        first.config["config"] |= shape
        want = np.concatenate([h(ways[0], X), h(ways[1], X, backwards=True)], axis=-1)
    elif where == "embedding":
        config = {"name": "first", "input_dim": 9, "output_dim": 2, "input_length": 7}
        config |= {"batch_input_shape": [None, 7], "dtype": "float32", "mask_zero": False}
        table = values(9, 2)
        first = Layer({"class_name": "Embedding", "config": config}, {"embeddings:0": table})
        x = np.random.default_rng(2).integers(0, 9, size=(3, 7))
        want = table[x]
    else:
        inner = recurrent("LSTM", "inner_lstm", 2, 3, **shape)
        first = Layer(sequential(inner), inner.weights)
        first.config["config"]["name"] = "first"
        want = h(inner, X)
    last = recurrent("LSTM", "last", want.shape[-1], 3)
    path = write(tmp_path / "model.h5", sequential(first, last), [first, last])
    agrees(path, h(last, want), x)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_layers_within_layers_without_a_module(tmp_path: Path, kind: str) -> None:
    """Bidirectional and TimeDistributed, as all of Keras 2 up to TensorFlow 2.12 wrote them."""
    ways = [recurrent(kind, "rnn", 2, 3), recurrent(kind, "rnn", 2, 3)]
    both, head = both_ways("both", *ways), dense("head", 6, 2, "tanh")
    each = wrapped("TimeDistributed", "each", head, head.weights)
    path = write(tmp_path / "model.h5", sequential(entry("x", 7, 2), both, each), [both, each])
    states = np.concatenate([h(ways[0], X), h(ways[1], X, backwards=True)], axis=-1)
    kernel, bias = head.weights.values()
    agrees(path, np.tanh(states @ kernel + bias), X)


def stack_of_cells(*layers: Layer) -> Layer:
    """RNN over the cells of these layers, one above the other."""
    cells = []
    weights: dict[str, NDArray[np.float32]] = {}
    for number, layer in enumerate(layers):
        dropped = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll")
        config = {k: v for k, v in layer.config["config"].items() if k not in dropped}
        cells.append({"class_name": f"{layer.config['class_name']}Cell", "config": config})
        weights |= {f"cell_{number}/{key}": value for key, value in layer.weights.items()}
    stack = {"class_name": "StackedRNNCells", "config": {"cells": cells}}
    config = {"name": "stack", "return_sequences": True, "cell": stack}
    return Layer({"class_name": "RNN", "config": config}, weights)


def test_a_stack_of_cells_with_the_old_hard_sigmoid_in_each(tmp_path: Path) -> None:
    layers = [recurrent("LSTM", "low", 2, 4), recurrent("GRU", "high", 4, 3)]
    stack = stack_of_cells(*layers)
    path = write(tmp_path / "model.h5", sequential(entry("x", None, 2), stack), [stack])
    agrees(path, h(layers[1], h(layers[0], X)), X)


def test_an_encoder_and_a_decoder_that_starts_from_its_states(tmp_path: Path) -> None:
    """Initial states are further tensors of the decoder's call."""
    encoder = recurrent("GRU", "encoder", 2, 4, return_state=True, return_sequences=False)
    decoder = recurrent("GRU", "decoder", 3, 4)
    layers = [
        *(entry("read", None, 2).called(), entry("write", None, 3).called()),
        encoder.called(("read", 0, 0)),
        decoder.called(("write", 0, 0), ("encoder", 0, 1)),
    ]
    config = functional(layers, ["read", "write"], [("decoder", 0, 0)])
    path = write(tmp_path / "model.h5", config, layers, "2.2.5")
    words = np.random.default_rng(3).normal(size=(3, 5, 3)).astype(np.float32)
    agrees(path, h(decoder, words, h=h(encoder, X)[:, -1]), X, words)


def test_initial_states_of_a_stack_of_cells_and_of_both_directions(tmp_path: Path) -> None:
    """In one list, in the order of the cells, or forward before backward."""
    layers = [recurrent("LSTM", "low", 2, 4), recurrent("GRU", "high", 4, 4)]
    ways = [recurrent("GRU", "gru", 4, 4), recurrent("GRU", "gru", 4, 4)]
    names = ("h_low", "c_low", "h_high")
    graph = [
        *(entry(name, 4).called() for name in names),
        entry("x", 7, 2).called(),
        stack_of_cells(*layers).called(("x", 0, 0), *((name, 0, 0) for name in names)),
        both_ways("both", *ways).called(("stack", 0, 0), ("h_low", 0, 0), ("c_low", 0, 0)),
    ]
    config = functional(graph, ["x", *names], [("both", 0, 0)])
    path = write(tmp_path / "model.h5", config, graph)
    states = np.random.default_rng(4).normal(size=(3, 3, 4)).astype(np.float32)
    low = h(layers[0], X, h=states[0], c=states[1])
    high = h(layers[1], low, h=states[2])
    want = [h(ways[0], high, h=states[0]), h(ways[1], high, backwards=True, h=states[1])]
    agrees(path, np.concatenate(want, axis=-1), X, *states)


def cudnn(layer: Layer, x: NDArray[Any], backwards: bool = False) -> NDArray[Any]:
    """The states h [B, T, U] by cuDNN's equations, from matrices [U, F] in its memory's order."""
    kernel, recurrent_kernel, bias = (w.astype(np.float64) for w in layer.weights.values())
    gates, units = len(bias) // len(recurrent_kernel) // 2, len(recurrent_kernel)
    w = [part.ravel().reshape(units, -1) for part in np.split(kernel, gates, axis=1)]
    r = [part.ravel().reshape(units, units) for part in np.split(recurrent_kernel, gates, axis=1)]
    b_w, b_r = np.split(bias[: gates * units], gates), np.split(bias[gates * units :], gates)
    sigma = reference.FUNCTIONS["sigmoid"]
    found = np.zeros((*x.shape[:2], units))
    for number, sequence in enumerate(x):
        now = c = np.zeros(units)
        for t in range(len(sequence))[:: -1 if backwards else 1]:
            a = [w[k] @ sequence[t] + b_w[k] for k in range(gates)]
            s = [r[k] @ now + b_r[k] for k in range(gates)]
            if gates == 4:
                i, f, o = (sigma(a[k] + s[k]) for k in (0, 1, 3))
                c = f * c + i * np.tanh(a[2] + s[2])
                now = o * np.tanh(c)
            else:
                z, reset = sigma(a[0] + s[0]), sigma(a[1] + s[1])
                now = z * now + (1 - z) * np.tanh(a[2] + reset * s[2])
            found[number, t] = now
    return found


@pytest.mark.parametrize("kind", ["CuDNNLSTM", "CuDNNGRU"])
def test_layers_of_cudnn_stacked_and_in_both_directions(tmp_path: Path, kind: str) -> None:
    low = recurrent(kind, "low", 2, 4, batch_input_shape=[None, None, 2])
    ways = [recurrent(kind, "rnn", 4, 3), recurrent(kind, "rnn", 4, 3)]
    layers = [low, both_ways("top", *ways)]
    path = write(tmp_path / "model.h5", sequential(*layers), layers)
    below = cudnn(low, X)
    want = [cudnn(ways[0], below), cudnn(ways[1], below, backwards=True)]
    agrees(path, np.concatenate(want, axis=-1), X)


def test_layers_of_one_shape_are_matched_by_name(tmp_path: Path) -> None:
    """Keras 2 stored them in the order of its graph, which Keras 3 sorts in another way."""
    rnns = {name: recurrent("LSTM", name, 2, 3) for name in ("z", "a", "m")}
    layers = [entry("x", 7, 2).called()]
    layers += [layer.called(("x", 0, 0)) for layer in rnns.values()]
    outputs = [(name, 0, 0) for name in ("m", "a", "z")]
    path = write(tmp_path / "model.h5", functional(layers, ["x"], outputs), layers[::-1])
    got = np.asarray(models.load(path)(X, training=False))
    for (name, _, _), states in zip(outputs, got, strict=True):
        np.testing.assert_allclose(states, h(rnns[name], X), rtol=1e-5, atol=1e-6)


def test_a_frozen_layer_within_a_model_has_its_weights_last(tmp_path: Path) -> None:
    """A model's group holds what is trained first, so that the order is not that of layers."""
    low = recurrent("SimpleRNN", "low", 2, 2, batch_input_shape=[None, 7, 2], trainable=False)
    high = recurrent("SimpleRNN", "high", 2, 2)
    inner = Layer(sequential(low, high))
    inner.weights.update({f"high/{key}": value for key, value in high.weights.items()})
    inner.weights.update({f"low/{key}": value for key, value in low.weights.items()})
    inner.config["config"]["name"] = "inner"
    path = write(tmp_path / "model.h5", sequential(entry("x", 7, 2), inner), [inner])
    agrees(path, h(high, h(low, X)), X)


def nothing() -> tuple[Json, list[Layer]]:
    layer = recurrent("LSTM", "lstm", 2, 3)
    return sequential(entry("x", 7, 2), layer), [layer]


def with_layer(class_name: str, **options: Any) -> tuple[Json, list[Layer]]:
    config, layers = nothing()
    other = {"class_name": class_name, "config": {"name": "other", **options}}
    config["config"]["layers"].append(other)
    return config, layers


def with_option(**options: Any) -> tuple[Json, list[Layer]]:
    layer = recurrent("LSTM", "lstm", 2, 3, **options)
    return sequential(entry("x", 7, 2), layer), [layer]


def with_constants() -> tuple[Json, list[Layer]]:
    layers = [entry("x", 7, 2).called(), entry("y", 3).called()]
    layers.append(recurrent("LSTM", "lstm", 2, 3, num_constants=1))
    layers[2] = layers[2].called(("x", 0, 0), ("y", 0, 0))
    return functional(layers, ["x", "y"], [("lstm", 0, 0)]), layers


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (with_layer("Lambda", function=["4wE=", None, None]), ["a Lambda", "function other(x)"]),
        (with_layer("LocallyConnected1D", filters=2), ["a LocallyConnected1D of Keras 2", "cut"]),
        (with_layer("TensorFlowOpLayer", node_def={}), ["a TensorFlowOpLayer of Keras 2", "cut"]),
        (with_layer("TFOpLambda", function="io.read_file"), ["calls tf.io.read_file", "cut"]),
        (with_layer("TFOpLambda", function="random.normal"), ["calls tf.random.normal", "cut"]),
        (with_option(time_major=True), ["time_major=True", "set_weights"]),
        (with_option(beyond=3), ["'lstm' (LSTM) has beyond=3", "set_weights"]),
        (with_constants(), ["'lstm' reads constants", "RepeatVector"]),
    ],
)
def test_what_keras_3_does_not_have_is_refused_by_name(
    tmp_path: Path, made: tuple[Json, list[Layer]], words: list[str]
) -> None:
    said = complaint(write(tmp_path / "model.h5", *made))
    assert all(word in said for word in words), said


@pytest.mark.parametrize("kind", ["layer", "cell", "model", "activation"])
def test_what_is_the_users_own_is_asked_for(tmp_path: Path, kind: str) -> None:
    config, layers = nothing()
    match kind:
        case "layer":
            config, layers = with_layer("Mine")
        case "cell":
            cell = {"class_name": "Mine", "config": {"units": 3}}
            config, layers = with_layer("RNN", cell=cell)
        case "model":
            config["class_name"] = "Mine"
        case _:
            config, layers = with_option(activation="Mine")
    path = write(tmp_path / "model.h5", config, layers)
    with pytest.raises(UserError, match="'Mine' is not Keras' own: give the module"):
        models.load(path)


def test_what_a_users_module_imports_from_keras_stays_keras_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine_and_keras.py").write_text(
        "from keras.activations import hard_sigmoid\nfrom keras.layers import LSTM\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", sys.path.copy())
    config, (layer,) = nothing()
    path = write(tmp_path / "model.h5", config, [layer])
    agrees(path, h(layer, X), X, custom_objects="mine_and_keras")


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "model.h5", *nothing())
    with h5py.File(path, "r+") as file:
        group = file["model_weights"]
        group.copy("lstm", "other")
        group.attrs["layer_names"] = [b"other", b"lstm"]
    assert "of 2 layers (other, lstm)" in complaint(path)


def test_keras_1_is_refused_with_what_to_do(tmp_path: Path) -> None:
    config, layers = with_layer("Embedding", input_dtype="int32")
    said = complaint(write(tmp_path / "model.h5", config, layers, version="1.1.0"))
    assert "written by Keras 1.1.0" in said
    assert "load it with Keras 2.0 to 2.3" in said


def test_arrays_in_an_order_that_their_names_contradict_are_refused(tmp_path: Path) -> None:
    layer = recurrent("SimpleRNN", "rnn", 2, 2)
    swapped = Layer(layer.config, dict(reversed(list(layer.weights.items())[:2])))
    swapped.weights["bias:0"] = layer.weights["bias:0"]
    path = write(tmp_path / "model.h5", sequential(entry("x", 7, 2), layer), [swapped])
    assert "has kernel where the file has rnn/recurrent_kernel:0" in complaint(path)


def test_arrays_of_another_shape_are_refused(tmp_path: Path) -> None:
    layer, other = recurrent("GRU", "gru", 2, 3), recurrent("GRU", "gru", 2, 4)
    path = write(tmp_path / "model.h5", sequential(entry("x", 7, 2), layer), [other])
    assert "takes a kernel [2, 9], and the file has [2, 12]" in complaint(path)


def test_convolutions_of_theano_are_refused(tmp_path: Path) -> None:
    config = {"name": "conv", "filters": 2, "kernel_size": [3], "activation": "relu"}
    weights = {"kernel:0": values(3, 2, 2), "bias:0": values(2)}
    layer = Layer({"class_name": "Conv1D", "config": config}, weights)
    path = write(tmp_path / "model.h5", sequential(entry("x", 7, 2), layer), [layer])
    assert models.load(path)
    with h5py.File(path, "r+") as file:
        file["model_weights"].attrs["backend"] = b"theano"
    assert "Theano" in complaint(path)


def test_nothing_is_written_and_the_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    path = write(tmp_path / "model.h5", *nothing())
    path.chmod(0o400)
    before = path.read_bytes()
    models.load(path)
    assert path.read_bytes() == before
    assert not list(temporary.iterdir())
