"""The heart: every signal is what the layer computes, and the model is left as it was."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from rnnscope import config, models, trace
from rnnscope.data import Batch, Dataset, Split
from rnnscope.errors import UserError
from tests import reference

pytestmark = pytest.mark.tensorflow

SIGNALS = tuple("hcifog")
RANDOM = np.random.default_rng(0)


def network(
    units: int = 7,
    layers: int = 1,
    bidirectional: bool = False,
    timesteps: int = 9,
    features: int = 4,
    lengths: NDArray[np.int32] | None = None,
) -> keras.Model:
    """A network as the pipeline builds it, its weights and biases drawn at random and not small."""
    x = np.zeros((2, timesteps, features), np.float32)
    split = Split(x, np.array([0, 2], np.int32), lengths)
    options = config.Lstm("lstm", units, layers, bidirectional, 0.0, 1.0)
    model = models.build(options, Dataset(split, classes=("a", "b", "c")))
    random = np.random.default_rng(1)
    model.set_weights([random.normal(0, 0.7, each.shape) for each in model.get_weights()])
    return model


def batch(count: int = 6, timesteps: int = 9, features: int = 4, padded: bool = False) -> Batch:
    x = RANDOM.normal(size=(count, timesteps, features)).astype(np.float32)
    if not padded:
        return Batch(x, None, None)
    lengths = np.resize([timesteps, 1, 4, 2], count).astype(np.int32)
    x[np.arange(timesteps) >= lengths[:, np.newaxis]] = 50  # padding that would show
    return Batch(x, None, lengths)


def record(model: keras.Model, given: Batch) -> tuple[dict[str, dict[str, Any]], Any]:
    """Signals [B, T, U] by layer, and the model's output."""
    with trace.recording(model) as traced:
        output = model(models.inputs(model, given), training=False)
    signals = {
        name: {key: np.transpose(value, (1, 0, 2)) for key, value in layer.signals.items()}
        for name, layer in traced.layers.items()
    }
    return signals, np.asarray(output)


def expected(
    layer: keras.layers.LSTM, x: NDArray[Any], lengths: NDArray[Any] | None, backwards: bool
) -> dict[str, NDArray[np.float64]]:
    return reference.lstm(x, layer.get_weights(), lengths, backwards)


def assert_signals(
    got: dict[str, Any], want: dict[str, NDArray[np.float64]], tolerance: float = 1e-5
) -> None:
    assert set(got) == set(want)
    for name, values in want.items():
        valid = ~np.isnan(values)
        assert valid.any()
        np.testing.assert_allclose(got[name][valid], values[valid], 0, tolerance, err_msg=name)


@pytest.mark.parametrize("padded", [False, True])
def test_every_signal_agrees_with_the_equations_in_float64(padded: bool) -> None:
    given = batch(padded=padded)
    model = network(lengths=given.lengths)
    signals, _ = record(model, given)
    layer = model.get_layer("lstm")
    assert_signals(signals["lstm"], expected(layer, given.x, given.lengths, False))


@pytest.mark.parametrize("padded", [False, True])
def test_both_directions_are_aligned_to_input_time(padded: bool) -> None:
    given = batch(padded=padded)
    model = network(bidirectional=True, lengths=given.lengths)
    signals, _ = record(model, given)
    both = model.get_layer("lstm")
    assert set(signals) == {"lstm.forward", "lstm.backward"}
    for name, layer in (("forward", both.forward_layer), ("backward", both.backward_layer)):
        want = expected(layer, given.x, given.lengths, name == "backward")
        assert_signals(signals[f"lstm.{name}"], want)


@pytest.mark.parametrize("padded", [False, True])
def test_a_stack_feeds_each_layer_with_the_h_of_the_one_below(padded: bool) -> None:
    given = batch(padded=padded)
    model = network(layers=3, lengths=given.lengths)
    signals, _ = record(model, given)
    x: NDArray[Any] = given.x
    for name in ("lstm_1", "lstm_2", "lstm_3"):
        want = expected(model.get_layer(name), x, given.lengths, False)
        assert_signals(signals[name], want)
        x = np.nan_to_num(want["h"])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
def test_recording_leaves_the_prediction_as_it_is(
    bidirectional: bool, padded: bool, layers: int
) -> None:
    given = batch(padded=padded)
    model = network(layers=layers, bidirectional=bidirectional, lengths=given.lengths)
    _, output = record(model, given)
    stock = np.asarray(model(models.inputs(model, given), training=False))
    np.testing.assert_allclose(output, stock, rtol=1e-5, atol=1e-5)


def test_the_readout_saw_h_of_the_last_valid_timestep() -> None:
    given = batch(padded=True)
    model = network(lengths=given.lengths)
    signals, output = record(model, given)
    assert given.lengths is not None
    last = signals["lstm"]["h"][np.arange(len(given.x)), given.lengths - 1]
    kernel, bias = model.get_layer("readout").get_weights()
    np.testing.assert_allclose(last @ kernel + bias, output, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("signal", ["h", "c"])
@pytest.mark.parametrize("step", [0, 4, 8])
def test_a_state_depends_on_no_input_after_it_by_gradient(signal: str, step: int) -> None:
    model = network()
    x = tf.constant(batch(count=1).x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        with trace.recording(model) as traced:
            model(x, training=False)
        value = tf.reduce_sum(traced.layers["lstm"].signals[signal][step])
    gradient = np.abs(tape.gradient(value, x)[0]).sum(axis=1)
    assert (gradient[step + 1 :] == 0).all()
    assert (gradient[: step + 1] > 0).all()


@pytest.mark.parametrize("step", [0, 4, 7])
def test_no_signal_up_to_a_timestep_changes_with_the_inputs_after_it(step: int) -> None:
    model = network()
    given = batch()
    changed = given.x.copy()
    changed[:, step + 1 :] += 1
    before, _ = record(model, given)
    after, _ = record(model, Batch(changed, None, None))
    for name in SIGNALS:
        a, b = before["lstm"][name], after["lstm"][name]
        np.testing.assert_array_equal(a[:, : step + 1], b[:, : step + 1])
        assert (a[:, step + 1] != b[:, step + 1]).any()


def test_the_order_of_sequences_changes_nothing() -> None:
    given = batch(count=12)
    model = network()
    order = RANDOM.permutation(12)
    straight, _ = record(model, given)
    shuffled, _ = record(model, Batch(given.x[order], None, None))
    for name in SIGNALS:
        np.testing.assert_allclose(
            shuffled["lstm"][name], straight["lstm"][name][order], rtol=0, atol=1e-6
        )


def test_the_batch_size_changes_nothing() -> None:
    given = batch(count=12)
    model = network()
    whole, _ = record(model, given)
    for size in (1, 5):
        pieces = [
            record(model, Batch(given.x[start : start + size], None, None))[0]["lstm"]
            for start in range(0, 12, size)
        ]
        for name in SIGNALS:
            joined = np.concatenate([piece[name] for piece in pieces])
            np.testing.assert_allclose(joined, whole["lstm"][name], rtol=0, atol=1e-6)


def test_padding_does_not_reach_the_states() -> None:
    given = batch(padded=True)
    model = network(bidirectional=True, lengths=given.lengths)
    assert given.lengths is not None
    valid = np.arange(9) < given.lengths[:, np.newaxis]
    other = np.where(valid[:, :, np.newaxis], given.x, np.float32(-7))
    a, _ = record(model, given)
    b, _ = record(model, Batch(other, None, given.lengths))
    for layer, signals in a.items():
        for name in signals:
            np.testing.assert_array_equal(a[layer][name][valid], b[layer][name][valid])


def test_the_layers_are_untouched_afterwards_also_after_an_error() -> None:
    model = network(bidirectional=True)
    layers = trace.recurrent_layers(model)
    before = {name: set(vars(layer)) for name, layer in layers.items()}
    weights = [each.copy() for each in model.get_weights()]
    record(model, batch())
    with pytest.raises(RuntimeError, match="inside"), trace.recording(model):
        raise RuntimeError("inside")
    for name, layer in layers.items():
        assert set(vars(layer)) == before[name]
        assert layer.inner_loop.__func__ is type(layer).inner_loop
    for a, b in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


class OwnLoop(keras.layers.LSTM):
    def inner_loop(self, *args: Any, **kwargs: Any) -> Any:
        return super().inner_loop(*args, **kwargs)


def own_loop(x: Any) -> Any:
    return OwnLoop(3, name="odd")(x)


class AlwaysTraining(keras.layers.Layer):
    def __init__(self) -> None:
        super().__init__(name="outer")
        self.inner = keras.layers.LSTM(3, dropout=0.5, name="odd")

    def call(self, x: Any) -> Any:
        return self.inner(x, training=True)


def dropping(x: Any) -> Any:
    return AlwaysTraining()(x)


def in_a_loop(x: Any) -> Any:
    return keras.layers.TimeDistributed(keras.layers.LSTM(3, name="odd"))(x[:, :, :, None])


def bare_cell(x: Any) -> Any:
    return keras.layers.LSTMCell(3, name="odd")(x[:, 0], [x[:, 1, :3], x[:, 2, :3]])[0]


class OwnStack(keras.layers.StackedRNNCells):
    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        outputs, states = super().call(inputs, states, training=training)
        return 2 * outputs, states


def own_stack(x: Any) -> Any:
    return keras.layers.RNN(OwnStack([keras.layers.GRUCell(3)]), name="odd")(x)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (own_loop, "inner loop of its own"),
        (dropping, "drops inputs at random"),
        (in_a_loop, "inside TimeDistributed"),
        (bare_cell, "outside keras"),
        (own_stack, "in a way of its own"),
    ],
)
def test_what_cannot_be_recorded_is_refused_by_name(
    make: Callable[[Any], Any], reason: str
) -> None:
    x = keras.Input((9, 4))
    model = keras.Model(x, make(x))

    def record_in_graph(inputs: Any) -> None:
        with trace.recording(model):
            model(inputs, training=False)

    with pytest.raises(UserError, match=f"odd.*{reason}"):
        tf.function(record_in_graph, autograph=False)(tf.constant(batch().x))
