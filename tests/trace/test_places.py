"""The recurrent cells of a model: their names, and which of their states are known."""

import keras
import numpy as np
import pytest

from rnnscope import trace
from rnnscope.states import place_of
from rnnscope.trace.places import places
from tests.trace.test_architectures import Leaky

pytestmark = pytest.mark.tensorflow


def test_the_cells_of_a_model_are_named_as_a_trace_names_them() -> None:
    x = keras.Input((5, 3))
    layer = keras.layers.RNN([keras.layers.GRUCell(2), keras.layers.SimpleRNNCell(3)], name="rnn")
    y = keras.layers.Bidirectional(keras.layers.LSTM(2, return_sequences=True), name="both")(x)
    model = keras.Model(x, layer(x) + layer(2 * x) + keras.layers.RNN(Leaky(), name="own")(x))
    with trace.recording(model) as traced:
        model(np.ones((1, 5, 3), np.float32))
    assert {place_of(name) for name in traced.layers} == set(places(model))
    assert {name: place.states for name, place in places(model).items()} == {
        "rnn.cell0": ("h",),
        "rnn.cell1": ("h",),
        "own": (),
    }
    assert set(places(keras.Model(x, y))) == {"both.forward", "both.backward"}
    assert place_of("rnn.call3.cell1") == "rnn.cell1"
    assert place_of("my.caller") == "my.caller"
