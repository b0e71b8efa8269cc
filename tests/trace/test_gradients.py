"""Gradients through a recording are those of the model: held to Keras' own loop and to NumPy."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from rnnscope import trace
from rnnscope.trace.cells import fused
from tests.analysis.intervention import held

pytestmark = pytest.mark.tensorflow

T, F, U = 6, 3, 4
RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(5, T, F)).astype(np.float32)
PADDED = np.where(np.arange(T)[:, np.newaxis] < np.array([6, 3, 1, 5, 2])[:, None, None], X, 0)
NETWORKS: dict[str, Any] = {
    "plain": lambda x: layers.LSTM(U)(x),
    "without bias": lambda x: layers.LSTM(U, use_bias=False)(x),
    "stacked": lambda x: layers.LSTM(U)(layers.LSTM(3, return_sequences=True)(x)),
    "bidirectional": lambda x: layers.Bidirectional(layers.LSTM(U, return_sequences=True))(x),
    "masked": lambda x: layers.Bidirectional(layers.LSTM(U))(layers.Masking()(x)),
    "initial states": lambda x: layers.LSTM(U)(
        x, initial_state=[layers.Dense(U)(x[:, 0]), layers.Dense(U)(x[:, 1])]
    ),
}


def network(kind: str) -> keras.Model:
    x = keras.Input((T, F))
    return held.drawn(keras.Model(x, layers.Dense(1)(NETWORKS[kind](x))))


def gradients(model: keras.Model, x: Any, *, recorded: bool) -> list[Any]:
    """Of a sum of the outputs, with respect to the inputs and all weights."""
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        if recorded:
            with trace.recording(model):
                outputs = model(x, training=False)
        else:
            outputs = model(x, training=False)
        value = tf.reduce_sum(tf.sin(outputs))
    weights = [each.value for each in model.trainable_variables]
    return [np.asarray(each) for each in tape.gradient(value, [x, *weights])]


@pytest.mark.parametrize("in_graph", [False, True])
@pytest.mark.parametrize("kind", NETWORKS)
def test_gradients_through_a_recording_are_those_of_keras_own_loop(
    kind: str, in_graph: bool
) -> None:
    model = network(kind)
    x = PADDED if kind == "masked" else X
    want = gradients(model, x, recorded=False)
    if in_graph:
        graph = tf.function(lambda: gradients_in_graph(model, x), autograph=False)
        got = [np.asarray(each) for each in graph()]
    else:
        got = gradients(model, x, recorded=True)
    assert max(np.abs(each).max() for each in want) > 0.1
    for one, other in zip(got, want, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def gradients_in_graph(model: keras.Model, x: Any) -> Any:
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        with trace.recording(model):
            value = tf.reduce_sum(tf.sin(model(x, training=False)))
    return tape.gradient(value, [x, *(each.value for each in model.trainable_variables)])


@pytest.mark.parametrize("signal", list("hcifog"))
def test_each_signal_has_the_gradient_of_its_equations(signal: str) -> None:
    """Held to differences of the equations in NumPy and float64."""
    model = network("plain")
    layer = model.layers[1]
    weights = layer.get_weights()
    of_each = RANDOM.normal(size=(T, len(X), U))
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        with trace.recording(model) as traced:
            model(x, training=False)
        value = tf.reduce_sum(traced.layers[layer.name].signals[signal] * of_each.astype("f4"))
    found = np.asarray(tape.gradient(value, x))
    step = 1e-6
    for t, feature in ((0, 0), (2, 1), (T - 1, 2)):
        ends = []
        for way in (step, -step):
            moved = X.astype(np.float64)
            moved[:, t, feature] += way
            ends.append((held.lstm(weights, moved)[signal] * of_each).sum(axis=(0, 2)))
        want = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose(found[:, t, feature], want, rtol=1e-3, atol=1e-4)


def test_gradients_of_the_second_order_are_those_of_the_cell() -> None:
    cell = layers.LSTMCell(U)
    cell.build((None, F))
    cell.set_weights([RANDOM.normal(size=each.shape) for each in cell.get_weights()])
    x = tf.constant(X.transpose(1, 0, 2))
    h, c = (tf.constant(RANDOM.normal(size=(len(X), U)), tf.float32) for _ in range(2))

    def by_cell() -> Any:
        states, outputs = [h, c], []
        for each in x:
            _, states = cell(each, states)
            outputs.append(states[0])
        return tf.stack(outputs)

    def by_fused() -> Any:
        return fused(cell, x, h, c)["h"]

    found = []
    for made in (by_fused, by_cell):
        with tf.GradientTape() as outer:
            outer.watch([x, h, c])
            with tf.GradientTape() as inner:
                inner.watch([x, h, c])
                value = tf.reduce_sum(made() ** 2)
            first = inner.gradient(value, [x, h, c])
            norm = tf.add_n([tf.reduce_sum(each**2) for each in first])
        found.append(outer.gradient(norm, [x, h, c]))
    for one, other in zip(*found, strict=True):
        assert np.abs(other).max() > 0.1
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
