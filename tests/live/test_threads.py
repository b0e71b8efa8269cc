"""Threads that use one model at the same time each have their own numbers, and leave it whole."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import rnnscope
from rnnscope.extract import forgetful
from rnnscope.libraries import replacing
from rnnscope.models.calls import followed
from rnnscope.trace import drawing, loops

pytestmark = pytest.mark.tensorflow

X = np.random.default_rng(0).normal(size=(12, 6, 2)).astype(np.float32)


@pytest.fixture
def model() -> keras.Model:
    """A masked LSTM and a read-out."""
    layers = [keras.Input((None, 2)), keras.layers.Masking(), keras.layers.LSTM(3, name="lstm")]
    return keras.Sequential([*layers, keras.layers.Dense(2)])


def elsewhere(call: Callable[[], Any]) -> Any:
    """What a call gives in another thread, which has ended then."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result(timeout=120)


def test_another_thread_runs_the_model_as_it_is_while_one_records(model: keras.Model) -> None:
    want = np.asarray(model(X, training=False))
    batch = rnnscope.record(model, X)  # whatever is made once is there
    with rnnscope.recording(model) as trace:
        np.testing.assert_array_equal(elsewhere(lambda: model(X, training=False)), want)
        predicted = elsewhere(lambda: model.predict(X, verbose=0))
        np.testing.assert_allclose(predicted, want, rtol=0, atol=1e-6)
        assert not trace.layers
        model(X, training=False)
    recorded = np.asarray(trace.layers["lstm"].signals["c"]).swapaxes(0, 1)
    np.testing.assert_allclose(recorded, batch["lstm"]["c"], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(model.predict(X, verbose=0), predicted)


def test_replacements_are_those_of_one_thread(model: keras.Model) -> None:
    """Of loops, of what follows calls, and of random seeds."""
    want, seen = np.asarray(model(X, training=False)), []
    layers = loops.recurrent_layers(model)

    def useless(name: str, layer: Any) -> Any:
        return lambda *args, **kwargs: 1 / 0

    with loops.replaced(layers, useless), followed(model.layers, lambda *call: seen.append(call)):
        np.testing.assert_array_equal(elsewhere(lambda: model(X, training=False)), want)
    assert not seen
    draws = [keras.random.SeedGenerator(5).next() for _ in range(2)]
    generator = keras.random.SeedGenerator(5)
    with forgetful.unchanged(model), drawing.watched() as drawn:
        np.testing.assert_array_equal(elsewhere(generator.next), draws[0])
    assert not drawn


def test_threads_that_record_at_once_all_have_it_right(model: keras.Model) -> None:
    """One model in some threads, others in others; they are as before then."""
    other = keras.models.clone_model(model)
    before = [sorted(vars(layer)) for layer in (*model.layers, model, *other.layers, other)]
    want = {id(each): rnnscope.record(each, X)["lstm"]["c"] for each in (model, other)}
    gate = threading.Barrier(4)

    def recorded(each: keras.Model) -> Any:
        gate.wait()
        return [np.asarray(rnnscope.record(each, X)["lstm"]["c"]) for _ in range(2)]

    with ThreadPoolExecutor(4) as pool:
        models = [model, other, model, other]
        for each, found in zip(models, pool.map(recorded, models), strict=True):
            for states in found:
                np.testing.assert_allclose(states, want[id(each)], rtol=0, atol=1e-6)
    after = [sorted(vars(layer)) for layer in (*model.layers, model, *other.layers, other)]
    assert after == before


def other_model() -> keras.Model:
    return keras.Sequential([keras.Input((None, 2)), keras.layers.GRU(2, name="gru")])


def test_one_who_records_may_wait_for_another(model: keras.Model) -> None:
    other = other_model()
    want = rnnscope.record(other, X)["gru"]["h"]
    with rnnscope.recording(model) as trace:
        model(X, training=False)
        found = elsewhere(lambda: rnnscope.record(other, X)["gru"]["h"])
    np.testing.assert_array_equal(found, want)
    assert set(trace.layers) == {"lstm"}


def test_a_layer_may_record_another_model_in_a_thread_of_tensorflow() -> None:
    other = other_model()

    class Asking(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            asked = tf.py_function(lambda y: rnnscope.record(other, y)["gru"]["h"], [x], x.dtype)
            return x + 0 * tf.reduce_sum(tf.where(tf.math.is_nan(asked), 0.0, asked))

    layers = [keras.Input((6, 2)), Asking(), keras.layers.LSTM(3, name="lstm")]
    assert set(rnnscope.record(keras.Sequential(layers), X)) == {"lstm"}


def test_a_recording_may_be_closed_by_another_thread(model: keras.Model) -> None:
    """As a generator is that one thread begins and another ends."""

    def begun() -> Iterator[Any]:
        with rnnscope.recording(model) as trace:
            model(X, training=False)
            yield set(trace.layers)

    one = begun()
    assert elsewhere(lambda: next(one)) == {"lstm"}
    assert list(one) == []
    assert "inner_loop" not in vars(model.get_layer("lstm"))
    assert elsewhere(lambda: set(rnnscope.record(model, X))) == {"lstm"}


@pytest.mark.parametrize("compiled", [False, True])
def test_the_threads_of_a_strategys_replicas_are_the_openers(compiled: bool) -> None:
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        model = other_model()
    found = []

    def run() -> Any:
        with rnnscope.recording(model) as trace:
            outputs = strategy.run(lambda: model(tf.constant(X), training=False))
        found.append(set(trace.layers))
        return outputs

    (tf.function(run, autograph=False) if compiled else run)()
    assert found == [{"gru"}]


def test_replacements_lie_within_each_other_and_are_taken_away_in_any_order() -> None:
    class Thing:
        def method(self) -> str:
            return "own"

    thing, said = Thing(), []

    def over(name: str) -> Any:
        below = replacing.as_it_is(thing, "method")
        return replacing.replaced([(thing, "method", lambda: f"{name} over {below()}")])

    first = over("a")
    first.__enter__()
    second = over("b")
    second.__enter__()
    said.append(thing.method())
    assert elsewhere(thing.method) == "own"
    first.__exit__(None, None, None)
    said.append(thing.method())
    second.__exit__(None, None, None)
    said.append(thing.method())
    assert said == ["b over a over own", "b over a over own", "own"]
    assert vars(thing) == {}
