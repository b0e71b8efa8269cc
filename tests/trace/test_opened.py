"""What happens inside an open recording other than one call of the model."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnnscope import trace
from rnnscope.errors import UserError
from tests import reference

pytestmark = pytest.mark.tensorflow

X = np.random.default_rng(0).normal(size=(6, 5, 3)).astype(np.float32)
Y = np.zeros((6, 1), np.float32)
INSTEAD = "write model(x, training=False) for one batch, rnnscope.record(model, x) for many"


def network(**compiled: Any) -> keras.Model:
    keras.utils.set_random_seed(1)
    layers = [keras.layers.LSTM(4, name="lstm"), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((5, 3)), *layers])
    model.compile("sgd", "mse", **compiled)
    return model


def c_of(traced: trace.Trace, name: str = "lstm") -> Any:
    return np.transpose(traced.layers[name].signals["c"], (1, 0, 2))


def right_c(model: keras.Model) -> Any:
    """By the equations, in float64 [N, T, U]."""
    return reference.lstm(X, model.get_layer("lstm").get_weights(), None, False)["c"]


LOOPS = {
    "predict": lambda model: model.predict(X, batch_size=2, verbose=0),
    "predict_on_batch": lambda model: model.predict_on_batch(X),
    "evaluate": lambda model: model.evaluate(X, Y, verbose=0),
    "test_on_batch": lambda model: model.test_on_batch(X, Y),
    "fit": lambda model: model.fit(X, Y, verbose=0),
    "train_on_batch": lambda model: model.train_on_batch(X, Y),
}


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("traced_before", [False, True])
def test_keras_loops_are_refused_with_what_to_write(name: str, traced_before: bool) -> None:
    """Also where Keras has traced their graph, in which nothing would be recorded."""
    model, other = network(), network()
    if traced_before:
        LOOPS[name](model)
        LOOPS[name](other)
    before = set(vars(model))
    weights = model.get_weights()
    with pytest.raises(UserError) as caught, trace.recording(model):
        LOOPS[name](model)
    said = str(caught.value)
    assert said.startswith(f"model.{name} inside recording: ")
    assert "\n" not in said
    assert INSTEAD in said or "callbacks=[rnnscope.RecordStates(x)]" in said
    assert set(vars(model)) == before
    np.testing.assert_equal(model.get_weights(), weights)
    LOOPS[name](model)  # and afterwards it runs Keras' own graph
    LOOPS[name](other)
    np.testing.assert_equal(model.get_weights(), other.get_weights())
    np.testing.assert_array_equal(model.predict(X, verbose=0), other.predict(X, verbose=0))


def test_what_the_refusal_says_to_write_works() -> None:
    model = network(run_eagerly=True)
    with pytest.raises(UserError, match="inside recording"), trace.recording(model):
        model.predict(X, verbose=0)
    with trace.recording(model) as traced:
        model(X, training=False)
    np.testing.assert_allclose(c_of(traced), right_c(model), 0, 1e-5)


def test_the_predict_of_a_model_inside_or_around_is_refused_and_no_graph_of_it_kept() -> None:
    inner = network()
    x = keras.Input((5, 3))
    outer = keras.Model(x, keras.layers.Dense(2)(inner(x)))
    with pytest.raises(UserError, match=r"^model\.predict inside"), trace.recording(outer):
        inner.predict(X, verbose=0)
    with pytest.raises(UserError, match="layer 'lstm': called in a graph"), trace.recording(inner):
        outer.predict(X, verbose=0)
    eagerly = np.asarray(outer(X, training=False))
    np.testing.assert_allclose(outer.predict(X, verbose=0), eagerly, 1e-5, 1e-6)
    (function,) = outer.predict_function._list_all_concrete_functions()
    operations = _ops(function.graph)
    assert "MatMul" in operations
    assert "BlockLSTMV2" not in operations


def _ops(graph: Any) -> list[str]:
    whole = graph.as_graph_def()
    return [
        node.op
        for nodes in (whole.node, *(function.node_def for function in whole.library.function))
        for node in nodes
    ]


def test_a_function_around_the_model_records_where_it_opens_the_recording() -> None:
    model = network()
    outside = tf.function(model)
    with pytest.raises(UserError, match="open it inside the"), trace.recording(model):
        outside(X)

    @tf.function(autograph=False)
    def inside(x: Any) -> Any:
        with trace.recording(model) as traced:
            model(x, training=False)
        return traced.layers["lstm"].signals["c"]

    for _ in range(2):
        found = np.transpose(inside(X), (1, 0, 2))
        np.testing.assert_allclose(found, right_c(model), 0, 1e-5)
    with pytest.raises(UserError, match="called in a graph"), trace.recording(model):
        tf.function(inside.python_function, autograph=False)(X)
    np.testing.assert_allclose(outside(X), model(X), 1e-5, 1e-6)


def test_recordings_inside_each_other_both_have_the_pass() -> None:
    model = network()
    with trace.recording(model) as around:
        with trace.recording(model) as within:
            model(X, training=False)
        model(2 * X, training=False)
        with pytest.raises(UserError, match="inside recording"):
            model.predict(X, verbose=0)
    assert list(within.layers) == list(within.calls) == ["lstm"]
    assert list(around.layers) == list(around.calls) == ["lstm", "lstm.call1"]
    np.testing.assert_array_equal(c_of(within), c_of(around))
    np.testing.assert_allclose(c_of(within), right_c(model), 0, 1e-5)
    assert not np.allclose(c_of(around, "lstm.call1"), c_of(around))
    assert "inner_loop" not in vars(model.get_layer("lstm"))
    assert "predict" not in vars(model)


def test_recordings_of_a_model_and_of_one_around_it_name_its_layers_each_in_their_own_way() -> None:
    cells = [keras.layers.GRUCell(2), keras.layers.LSTMCell(3)]
    inner = keras.Sequential(
        [keras.Input((5, 3)), keras.layers.RNN(cells, name="stack")], name="inner"
    )
    x = keras.Input((5, 3))
    outer = keras.Model(x, keras.layers.Dense(2)(inner(x)))
    with trace.recording(inner) as one, trace.recording(outer) as other:
        outer(X, training=False)
    assert list(one.layers) == ["stack.cell0", "stack.cell1"]
    assert list(other.layers) == ["inner.stack.cell0", "inner.stack.cell1"]
    assert list(other.calls["inner.stack"].cells) == list(other.layers)
    for name, layer in one.layers.items():
        for signal, values in layer.signals.items():
            assert values is other.layers[f"inner.{name}"].signals[signal]


def test_a_model_that_is_not_built_yet_is_recorded_once() -> None:
    """Keras first calls it for its shapes alone."""

    class Subclassed(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = keras.layers.LSTM(4, name="lstm")
            self.dense = keras.layers.Dense(1)

        def call(self, x: Any) -> Any:
            return self.dense(self.lstm(x))

    model = Subclassed()
    with trace.recording(model) as traced:
        output = model(X)
        assert model(keras.Input((5, 3))).shape == (None, 1)
    assert list(traced.layers) == ["lstm"]
    np.testing.assert_allclose(c_of(traced), right_c(model), 0, 1e-5)
    np.testing.assert_allclose(output, model.predict(X, verbose=0), 1e-5, 1e-6)
    other = Subclassed()

    @tf.function(autograph=False)
    def inside(x: Any) -> Any:
        with trace.recording(other) as traced:
            other(x)
        return {name: layer.signals["c"] for name, layer in traced.layers.items()}

    (found,) = inside(X).values()
    np.testing.assert_allclose(np.transpose(found, (1, 0, 2)), right_c(other), 0, 1e-5)
