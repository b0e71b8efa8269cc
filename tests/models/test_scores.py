"""Scores: which output y is held against, and what it holds, however the layers are nested."""

import re
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from rnnscope import models
from rnnscope.data import Dataset, Split
from rnnscope.errors import UserError
from rnnscope.models.scores import Output, Scores, output_of, scores_of

pytestmark = pytest.mark.tensorflow

N, T, F, U = 4, 5, 3, 6


def traced(model: keras.Model, read: Any) -> Any:
    """What ``read`` makes of the model's outputs in the graph of a forward pass."""
    found = []

    def passed(inputs: Any) -> Any:
        outputs = model(inputs, training=False)
        found.append(read(outputs))
        return outputs

    graph = tf.function(passed, autograph=False, input_signature=[models.signature(model)])
    graph.get_concrete_function()
    return found[-1]


def held(model: keras.Model) -> str:
    """What its only output holds."""
    output: Output = traced(model, output_of)
    return output.kind


def scored(model: keras.Model, y: Any = None, classes: int = 0) -> Scores:
    split = Split(np.zeros((N, T, F), np.float32), None if y is None else np.asarray(y))
    dataset = Dataset(split, classes=tuple(map(str, range(classes))))
    scores: Scores = traced(model, lambda outputs: scores_of(outputs, dataset))
    return scores


def ending(*last: Any, every: bool = False, timesteps: int | None = T) -> keras.Model:
    """An LSTM and what comes after it, at the final step or at every timestep."""
    x = keras.Input((timesteps, F))
    y = layers.LSTM(U, return_sequences=every)(x)
    for layer in last:
        y = layer(y)
    return keras.Model(x, y)


def nested(*last: Any) -> keras.Model:
    """A functional model for the readout."""
    x = y = keras.Input((U,))
    for layer in last:
        y = layer(y)
    return keras.Model(x, y)


FINAL = {
    "dense": lambda u, name: [layers.Dense(u, activation=name)],
    "without a bias": lambda u, name: [layers.Dense(u, activation=name, use_bias=False)],
    "activation layer": lambda u, name: [layers.Dense(u), layers.Activation(name)],
    "dropout after it": lambda u, name: [layers.Dense(u, activation=name), layers.Dropout(0.5)],
    "reshaped after it": lambda u, name: [layers.Dense(u, activation=name), layers.Reshape((1, u))],
    "sequential": lambda u, name: [
        keras.Sequential([layers.Dense(4, "relu"), layers.Dense(u, activation=name)])
    ],
    "functional": lambda u, name: [nested(layers.Dense(u), layers.Activation(name))],
    "half precision": lambda u, name: [layers.Dense(u, activation=name, dtype="mixed_bfloat16")],
}
EVERY = {
    "dense": FINAL["dense"],
    "time distributed": lambda u, name: [layers.TimeDistributed(layers.Dense(u, activation=name))],
    "its head": lambda u, name: [layers.TimeDistributed(nested(layers.Dense(u, activation=name)))],
    "convolution": lambda u, name: [layers.Conv1D(u, 2, padding="same", activation=name)],
}
KINDS = [
    (3, "softmax", "probabilities"),
    (3, "linear", "logits"),
    (3, "log_softmax", "logits"),
    (1, "sigmoid", "sigmoid"),
    (3, "sigmoid", "sigmoid"),
    (3, "relu", "values"),
    (3, "tanh", "values"),
]


@pytest.mark.parametrize(("units", "activation", "kind"), KINDS)
@pytest.mark.parametrize("form", FINAL)
def test_the_readout_of_the_final_step_is_known(
    form: str, units: int, activation: str, kind: str
) -> None:
    assert held(ending(*FINAL[form](units, activation))) == kind


@pytest.mark.parametrize("timesteps", [T, None])
@pytest.mark.parametrize(("units", "activation", "kind"), KINDS)
@pytest.mark.parametrize("form", EVERY)
def test_the_readout_of_every_timestep_is_known(
    form: str, units: int, activation: str, kind: str, timesteps: int | None
) -> None:
    model = ending(*EVERY[form](units, activation), every=True, timesteps=timesteps)
    assert held(model) == kind


class Subclassed(keras.Model):
    """A model that says nothing of its layers; ``compiled`` puts its pass in a graph of its own."""

    def __init__(self, units: int, activation: str, *, compiled: bool):
        super().__init__()
        self.lstm, self.readout = layers.LSTM(U), layers.Dense(units)
        self.activation = keras.activations.get(activation)
        self.passed = tf.function(self._passed, autograph=False) if compiled else self._passed

    def _passed(self, x: Any) -> Any:
        return self.activation(self.readout(self.lstm(x)))

    def call(self, inputs: Any) -> Any:
        return self.passed(inputs)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("units", "activation", "kind"), KINDS)
def test_a_subclassed_models_output_is_known_from_its_graph(
    units: int, activation: str, kind: str, compiled: bool
) -> None:
    model = Subclassed(units, activation, compiled=compiled)
    model(np.zeros((2, T, F), np.float32))
    assert held(model) == kind


@pytest.mark.parametrize(
    ("every", "last"),
    [
        (False, []),
        (True, [layers.Softmax(axis=1)]),  # attention over timesteps
        (False, [layers.Dense(4, "softmax"), layers.Reshape((2, 2))]),
        (True, [layers.Dense(3, "softmax"), layers.Permute((2, 1))]),
        (True, [layers.Dense(T, "softmax"), layers.Lambda(lambda y: y[:, :, 0])]),
        (False, [layers.Dense(3), layers.LayerNormalization()]),
        (False, [layers.Dense(3, "softmax"), layers.Rescaling(2.0)]),
        (False, [layers.Dense(3, "softmax"), layers.Lambda(lambda y: keras.ops.stack([y, y], 2))]),
    ],
)
def test_what_is_no_score_of_classes_is_not_taken_for_one(every: bool, last: Any) -> None:
    assert held(ending(*last, every=every)) == "values"


@pytest.mark.parametrize("every", [False, True])
def test_the_final_step_of_a_readout_of_every_timestep_is_that_readout(every: bool) -> None:
    readout = layers.TimeDistributed(layers.Dense(3, "softmax"))
    model = ending(readout, layers.Lambda(lambda y: y if every else y[:, -1]), every=True)
    assert held(model) == "probabilities"


CLASSES, BINARY, NUMBERS = [0, 1, 2, 1], [0, 1, 1, 0], np.zeros(N, np.float32)
SEVERAL = np.zeros((N, T, 3), np.float32)
OF_TIMESTEPS = np.zeros((N, T), np.int32)


def linear(units: int) -> layers.Layer:
    return layers.Dense(units)


@pytest.mark.parametrize(
    ("model", "y", "classes", "kind", "why"),
    [
        (lambda: ending(linear(3)), CLASSES, 3, "logits", ""),
        (lambda: ending(linear(3)), None, 0, "logits", ""),
        (lambda: ending(layers.Dense(1, "sigmoid")), BINARY, 2, "sigmoid", ""),
        (lambda: ending(layers.Dense(1, "sigmoid")), [0] * N, 1, "sigmoid", ""),
        (lambda: ending(layers.Dense(1, "sigmoid")), None, 0, None, ""),
        (lambda: ending(layers.Dense(1, "sigmoid")), NUMBERS, 0, "sigmoid", ""),
        (lambda: ending(layers.Dense(1, "sigmoid")), CLASSES, 3, None, "one sigmoid, y has 3"),
        (lambda: ending(linear(1)), BINARY, 2, None, "from a linear layer, not from a sigmoid"),
        (lambda: ending(layers.Dense(3, "sigmoid")), CLASSES, 3, None, "several may be true"),
        (lambda: ending(layers.Dense(3, "relu")), CLASSES, 3, None, "operation '.*Relu'"),
        (lambda: ending(linear(1)), NUMBERS, 0, "logits", ""),
        (lambda: ending(linear(2)), NUMBERS, 0, None, r"is \[sequences, 2\], not one number"),
        (lambda: ending(linear(3), every=True), SEVERAL, 0, "logits", ""),
        (lambda: ending(linear(1), every=True), SEVERAL, 0, None, "not 3 numbers"),
        (lambda: ending(linear(3)), SEVERAL, 0, None, "y has 5 timesteps"),
        (lambda: ending(linear(3), every=True), CLASSES, 3, None, r"is \[sequences, 5, 3\]"),
        (lambda: ending(linear(3), every=True), OF_TIMESTEPS, 3, "logits", ""),
        (
            lambda: ending(layers.Dense(1, "sigmoid"), every=True),
            OF_TIMESTEPS,
            2,
            "sigmoid",
            "",
        ),
        (lambda: ending(linear(3)), OF_TIMESTEPS, 3, None, r"is \[sequences, 3\]"),
        (
            lambda: ending(layers.AveragePooling1D(2), linear(3), every=True),
            OF_TIMESTEPS,
            3,
            None,
            "y has 5 timesteps",
        ),
    ],
)
def test_where_there_is_no_score_the_reason_is_said(
    model: Any, y: Any, classes: int, kind: str | None, why: str
) -> None:
    found = scored(model(), y, classes)
    assert (found.kind, found.output) == (kind, 0)
    assert re.search(why, found.why_not) if why else not found.why_not


def test_of_several_outputs_the_one_is_scored_that_alone_fits() -> None:
    x = keras.Input((T, F))
    every = layers.LSTM(U, return_sequences=True)(x)
    last = every[:, -1]
    tags, number = layers.Dense(3, "softmax")(every), layers.Dense(1)(last)
    model = keras.Model(x, {"number": number, "tags": tags, "z": last})
    assert scored(model, OF_TIMESTEPS, 3) == Scores("probabilities", 1)
    assert scored(model, NUMBERS) == Scores("logits", 0)
    neither = scored(model, CLASSES, 3)
    assert neither.kind is None
    assert "output 0 is [sequences, 1]" in neither.why_not
    two = keras.Model(x, [layers.Dense(3)(last), layers.Dense(3)(last)])
    assert "fits outputs 0, 1 of the model" in scored(two, CLASSES, 3).why_not
    assert scored(two) == Scores(None)
    # An output of another kind is no reason to refuse the model.
    aside = keras.Model(x, [layers.Dense(2, "softmax")(last), layers.Dense(3)(last)])
    assert scored(aside, CLASSES, 3) == Scores("logits", 1)


def test_a_model_of_fewer_classes_than_the_data_is_refused() -> None:
    with pytest.raises(UserError, match="the model has 2 outputs; the data has a class 2"):
        scored(ending(linear(2)), CLASSES, 3)


@pytest.mark.parametrize("names", [("run", "walk"), ("20240131", "20240201"), ("3", "7")])
def test_names_of_fewer_classes_than_outputs_are_asked_for_their_places(
    names: tuple[str, ...],
) -> None:
    split = Split(np.zeros((N, T, F), np.float32), np.arange(N) % 2)

    def of(model: keras.Model) -> Scores:
        scores: Scores = traced(
            model, lambda outputs: scores_of(outputs, Dataset(split, classes=names))
        )
        return scores

    three = ending(layers.Dense(3, activation="softmax"))
    with pytest.raises(UserError, match=f"{names[0]}, {names[1]}, and the model 3 outputs: which"):
        of(three)
    assert of(ending(layers.Dense(2, activation="softmax"))).kind == "probabilities"
    assert scored(three, np.arange(N) % 2, classes=2).kind == "probabilities"
