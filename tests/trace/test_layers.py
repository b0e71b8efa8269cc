"""Which recurrent layers a model has, by name: none is passed over, none shares a folder."""

import re
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from rnnscope import trace
from rnnscope.errors import UserError
from rnnscope.states import place_of
from tests.trace.test_architectures import agree, record

pytestmark = pytest.mark.tensorflow

VALUES = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)


class Block(layers.Layer):
    """A layer whose layers lie in a list, a dict and a tuple, in one another."""

    def __init__(self, *inner: Any, **options: Any):
        super().__init__(**options)
        self.inner: list[Any] = [{"first": inner[0]}, inner[1:]]

    def call(self, x: Any) -> Any:
        x = self.inner[0]["first"](x)
        for layer in self.inner[1]:
            x = layer(x)
        return x


def lstm(name: str, every: bool = True) -> layers.LSTM:
    return layers.LSTM(3, return_sequences=every, name=name)


def test_layers_of_one_name_are_told_apart() -> None:
    x = keras.Input((5, 3))
    inner = [lstm("same"), lstm("same"), lstm("same.2"), lstm("other")]
    model = keras.Model(x, Block(*inner, name="block")(x))
    found = trace.recurrent_layers(model)
    names = ["block.same", "block.same.2", "block.same.2.2", "block.other"]
    assert sorted(found) == sorted(names)
    assert [place_of(name) for name in found] == list(found)
    traced, _ = record(model, VALUES)
    assert set(traced.layers) == set(names)
    h: Any = VALUES
    for layer in inner:
        name = next(name for name, each in found.items() if each is layer)
        agree(traced, name, layer, h)
        h = np.transpose(traced.layers[name].signals["h"], (1, 0, 2))


def test_a_layer_that_two_models_share_has_one_name_and_a_number_per_call() -> None:
    x = keras.Input((5, 3))
    shared = lstm("lstm", every=False)
    one, other = (keras.Model(y := keras.Input((5, 3)), shared(y), name=n) for n in ("a", "b"))
    model = keras.Model(x, one(x) + other(2 * x))
    assert list(trace.recurrent_layers(model)) == ["a.lstm"]
    traced, _ = record(model, VALUES)
    assert list(traced.layers) == ["a.lstm", "a.lstm.call1"]
    agree(traced, "a.lstm", shared, VALUES)
    agree(traced, "a.lstm.call1", shared, 2 * VALUES)


def test_a_layer_named_like_a_call_counts_no_call() -> None:
    x = keras.Input((5, 3))
    model = keras.Model(x, [lstm("r")(x), lstm("r.caller")(x), lstm("r.celled")(x)])
    with trace.recording(model) as traced:
        model(VALUES)
    assert set(traced.layers) == {"r", "r.caller", "r.celled"}


class Within(layers.Layer):
    """A cell that runs a recurrent layer at each of its own timesteps."""

    def __init__(self) -> None:
        super().__init__(name="cell")
        self.state_size = 3
        self.inner = lstm("inner", every=False)
        self.inner.build((None, 1, 3))

    def call(self, x: Any, states: Any) -> Any:
        h = states[0] + self.inner(x[:, tf.newaxis])
        return h, [h]


def test_a_layer_within_a_cell_is_refused_and_not_passed_over() -> None:
    x = keras.Input((5, 3))
    model = keras.Model(x, layers.RNN(Within(), name="outer")(x))
    assert list(trace.recurrent_layers(model)) == ["outer", "outer.cell.inner"]

    @tf.function(autograph=False)
    def passed(values: Any) -> Any:
        with trace.recording(model):
            return model(values)

    with pytest.raises(UserError, match=r"'outer\.cell\.inner': called inside a loop"):
        passed(VALUES)


@pytest.mark.parametrize("cell", ["LSTMCell", "ConvLSTMCell"])
def test_a_cell_outside_of_a_layer_is_refused(cell: str) -> None:
    x = keras.Input((8, 3))
    if cell == "LSTMCell":
        model = keras.Model(x, layers.LSTMCell(2)(x[:, 0], [x[:, 0, :2], x[:, 1, :2]])[0])
    else:
        inner = layers.ConvLSTM1D(3, 1).cell
        model = keras.Model(x, inner(x, [x, 2 * x])[0])
    with (
        pytest.raises(UserError, match=r"called outside keras\.layers\.RNN"),
        trace.recording(model),
    ):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("timesteps", [5, None])
@pytest.mark.parametrize("nested", [False, True])
def test_inside_time_distributed_two_models_give_what_one_cannot(
    nested: bool, timesteps: int | None
) -> None:
    chars = lstm("chars", every=False)
    inner = keras.Sequential([keras.Input((4, 3)), chars]) if nested else chars
    x = keras.Input((timesteps, 4, 3))
    words = lstm("words", every=False)
    model = keras.Model(x, layers.Dense(2)(words(layers.TimeDistributed(inner, name="td")(x))))
    data = np.random.default_rng(0).normal(size=(6, 5, 4, 3)).astype(np.float32)
    with pytest.raises(UserError) as caught, trace.recording(model):
        pass
    says = str(caught.value)
    assert "chars': inside TimeDistributed 'td'" in says
    # The recipe that it ends with is followed to the letter.
    names: dict[str, Any] = {"keras": keras, "model": model, "data": data}
    recipe = re.search(r"with (.+?) and (x = .+?), (.+?) on (.+?), and (.+) on (.+)", says)
    assert recipe is not None
    for line in recipe.groups()[:2]:
        exec(line, names)
    below, frames, above, outer = (eval(code, names) for code in recipe.groups()[2:])
    assert frames.shape == (30, 4, 3)
    traced, h = record(below, frames)
    agree(traced, next(iter(traced.layers)), chars, frames)
    np.testing.assert_allclose(outer, h.reshape(6, 5, 3), atol=1e-6)
    traced, outputs = record(above, outer)
    agree(traced, "words", words, outer)
    np.testing.assert_allclose(outputs, model(data), atol=1e-6)


def test_inside_time_distributed_of_a_subclassed_model_the_layer_is_named() -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.td = layers.TimeDistributed(lstm("chars", every=False), name="td")

        def call(self, x: Any) -> Any:
            return self.td(x)

    model = Own()
    model(np.zeros((2, 5, 4, 3), np.float32))
    with (
        pytest.raises(UserError, match="record 'chars' as a model of its own, on what 'td' gives"),
        trace.recording(model),
    ):
        pass
