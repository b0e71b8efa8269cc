"""After a recording everything is as before: the model, random streams, and the process."""

import logging
import os
import random
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import config as determinism
from threadpoolctl import threadpool_info

import rnnscope
from rnnscope.errors import UserError
from rnnscope.extract.recorder import Recorder

pytestmark = pytest.mark.tensorflow

X = np.random.default_rng(0).normal(size=(12, 6, 2)).astype(np.float32)
LENGTHS = np.array([6, 3, 1, 6, 2, 5, 4, 6, 1, 2, 3, 6])


@keras.saving.register_keras_serializable("tests.live")
class Noisy(keras.layers.Layer):
    """Draws at random."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.seed = keras.random.SeedGenerator(1)

    def call(self, x: Any) -> Any:
        return x + 0.1 * keras.random.normal(keras.ops.shape(x), seed=self.seed)


@keras.saving.register_keras_serializable("tests.live")
class Counting(keras.layers.Layer):
    """Counts its calls in variables, and draws at random."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.seed = keras.random.SeedGenerator(1)
        self.count = tf.Variable(0.0)  # of no kind that Keras follows

    def build(self, shape: Any) -> None:
        self.weight = self.add_weight(shape=(), name="weight")

    def call(self, x: Any) -> Any:
        self.count.assign_add(1.0)
        self.weight.assign(self.weight * 1.5 + 1.0)
        return x + 0.1 * keras.random.normal(keras.ops.shape(x), seed=self.seed)


def masked() -> keras.Model:
    lstm = keras.layers.LSTM(3, name="lstm", activity_regularizer="l2", recurrent_dropout=0.3)
    layers = [keras.Input((None, 2)), keras.layers.Masking(), lstm, keras.layers.Dense(3)]
    return keras.Sequential(layers)


def stateful() -> keras.Model:
    gru = keras.layers.GRU(3, stateful=True, name="gru", dropout=0.2)
    x = keras.Input(batch_shape=(5, 6, 2))
    model = keras.Model(x, gru(x))
    model(X[:5])  # its states are not zero
    return model


def drawing() -> keras.Model:
    layers = [keras.Input((6, 2)), Noisy(), keras.layers.BatchNormalization()]
    return keras.Sequential([*layers, keras.layers.SimpleRNN(3, name="rnn")])


def counting() -> keras.Model:
    layers = [keras.Input((6, 2)), Counting(), keras.layers.SimpleRNN(3, name="rnn")]
    return keras.Sequential(layers)


def of_two() -> keras.Model:
    a, b = keras.Input((6, 2), name="a"), keras.Input((6, 2), name="b")
    both = keras.layers.Bidirectional(keras.layers.LSTM(2), name="both")(a)
    return keras.Model([a, b], [both, keras.layers.GRU(2, name="gru")(b)])


def state_of(model: keras.Model) -> list[Any]:
    """All that a model holds."""
    layers = list(model._flatten_layers())
    held = [*model.variables, *(layer.count for layer in layers if isinstance(layer, Counting))]
    held += [each for layer in layers for each in tf.nest.flatten(getattr(layer, "states", None))]
    numbers = [np.array(each).tolist() for each in held if each is not None]
    return [numbers, [sorted(vars(layer)) for layer in layers], [len(a._losses) for a in layers]]


def process() -> list[Any]:
    """What is global in this process."""
    loggers = [logging.getLogger(name) for name in (None, "tensorflow", "absl", "rnnscope")]
    return [
        dict(os.environ),
        list(sys.path),
        [(each.level, list(each.handlers)) for each in loggers],
        [(each["filepath"], each["num_threads"]) for each in threadpool_info()],
        tf.config.threading.get_intra_op_parallelism_threads(),
        determinism.is_op_determinism_enabled(),
        keras.config.floatx(),
        random.getstate(),
        repr(np.random.get_state(legacy=False)),  # noqa: NPY002
        keras.random.SeedGenerator.next,
        np.geterr(),
    ]


CASES: dict[str, tuple[Callable[[], keras.Model], Any, dict[str, Any]]] = {
    "masked": (masked, X, {"lengths": LENGTHS}),
    "stateful": (stateful, X, {}),
    "drawing": (drawing, X, {}),
    "of two": (of_two, {"a": X, "b": X}, {}),
}


@pytest.mark.filterwarnings("ignore:layer .* draws at random")
@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_model_and_the_process_are_as_before_also_after_an_exception(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, x, known = CASES[name]
    model = make()
    model(x if isinstance(x, dict) else x[:5])  # what Keras notes of any call is there
    of_model = state_of(model)
    rnnscope.record(model, x, **known, units=0)  # what is imported and made once is there
    assert state_of(model) == of_model
    of_process = process()
    for options in ({"layers": ["none"]}, {"tolerance": 1e-15}, {"batch_size": 5}):
        if "batch_size" in options:
            monkeypatch.setattr(Recorder, "_batch", failing_at_the_second())
        with pytest.raises((UserError, OSError)):
            rnnscope.record(model, x, **known, **options)
        assert state_of(model) == of_model, options
    for one, other in zip(of_process, process(), strict=True):
        assert one == other


def test_a_model_that_counts_its_calls_is_refused_and_counts_none() -> None:
    model = counting()
    model(X[:5])
    before = state_of(model)
    with pytest.raises(UserError, match="a pass in inference changes its variable"):
        rnnscope.record(model, X)
    assert state_of(model) == before


def failing_at_the_second() -> Any:
    """Records batches as ever, and fails at the second."""
    whole, calls = Recorder._batch, []

    def batch(self: Recorder, *args: Any, **kwargs: Any) -> Any:
        calls.append(whole(self, *args, **kwargs))
        if len(calls) == 2:
            raise OSError("the second batch")
        return calls[-1]

    return batch


def test_a_stateful_model_starts_from_zero_and_goes_on_between_batches() -> None:
    model = stateful()
    states = rnnscope.record(model, X[:10])["gru"]["h"]
    layer = model.get_layer("gru")
    kept = [np.array(each) for each in layer.states]
    layer.reset_states()
    want = [np.asarray(model(X[start : start + 5])) for start in (0, 5)]
    np.testing.assert_allclose(states[:, -1], np.concatenate(want), rtol=0, atol=1e-6)
    assert kept[0].any()


def test_names_of_layers_that_are_made_next_do_not_depend_on_it() -> None:
    model = masked()
    keras.backend.clear_session()
    rnnscope.record(model, X)
    assert keras.layers.LSTM(1).name == "lstm"
    assert keras.Input((2, 1)).name == "keras_tensor"


@pytest.mark.slow
def test_training_goes_on_as_without_it() -> None:
    losses = []
    for recorded in (False, True):
        keras.utils.set_random_seed(3)
        model = masked()
        model.compile("adam", "mse")
        y = np.zeros((12, 3), np.float32)
        for _ in range(3):
            losses.append(model.fit(X, y, batch_size=4, verbose=0).history["loss"])
            if recorded:
                rnnscope.record(model, X, units=[0])
    assert losses[:3] == losses[3:]


FIRST_USE = """
import random, keras, numpy as np
random.seed(0), np.random.seed(0)
layers = [keras.Input((5, 2)), keras.layers.LSTM(3, dropout=0.2), keras.layers.Dropout(0.2)]
model = keras.Sequential(layers)
before = random.getstate(), repr(np.random.get_state(legacy=False))
import rnnscope
states = rnnscope.record(model, np.ones((8, 5, 2), "float32"), labels=[0, 1] * 4)
rnnscope.measure(states)
print(before == (random.getstate(), repr(np.random.get_state(legacy=False))))
"""


@pytest.mark.slow
def test_the_first_use_in_a_process_draws_nothing_from_global_streams() -> None:
    """Importing counts: a model that is made afterwards has the weights that it would have had."""
    ended = subprocess.run(
        [sys.executable, "-c", FIRST_USE], capture_output=True, text=True, check=False
    )
    assert ended.stdout == "True\n", ended.stderr
