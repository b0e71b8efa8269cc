"""Random architectures: every signal against the equations in float64, the model left as it was."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnscope import trace
from rnnscope.trace import proof, steps
from tests import reference

pytestmark = pytest.mark.tensorflow

ACTIVATIONS = ("tanh", "relu", "softsign")
GATE_ACTIVATIONS = ("sigmoid", "hard_sigmoid")

cell_kinds = st.sampled_from(["lstm", "gru", "gru_before", "simple_rnn"])
masks = st.sampled_from(["none", "right", "left", "holes", "empty"])


@st.composite
def layers(draw: st.DrawFn) -> dict[str, Any]:
    """The options of one recurrent layer."""
    kind = draw(cell_kinds)
    options: dict[str, Any] = {
        "units": draw(st.integers(1, 6)),
        "activation": draw(st.sampled_from(ACTIVATIONS)),
        "use_bias": draw(st.booleans()),
        "dropout": draw(st.sampled_from([0.0, 0.3])),
    }
    if kind != "simple_rnn":
        options["recurrent_activation"] = draw(st.sampled_from(GATE_ACTIVATIONS))
    if kind.startswith("gru"):
        options["reset_after"] = kind == "gru"
    return {
        "kind": kind.partition("_before")[0],
        "options": options,
        "bidirectional": draw(st.booleans()),
        "backwards": draw(st.booleans()),
        "zeros": draw(st.booleans()),
        "initial": draw(st.booleans()),
    }


def mask_of(kind: str, batch: int, timesteps: int, seed: int) -> NDArray[np.bool_] | None:
    random = np.random.default_rng(seed)
    lengths = random.integers(1, timesteps + 1, batch)
    match kind:
        case "right":
            return np.arange(timesteps) < lengths[:, np.newaxis]
        case "left":
            return np.arange(timesteps) >= timesteps - lengths[:, np.newaxis]
        case "holes":
            return random.random((batch, timesteps)) < 0.6
        case "empty":
            return np.arange(timesteps) < np.where(np.arange(batch) == 0, 0, lengths)[:, np.newaxis]
    return None


CLASSES = {
    "lstm": keras.layers.LSTM,
    "gru": keras.layers.GRU,
    "simple_rnn": keras.layers.SimpleRNN,
}


def build(stack: list[dict[str, Any]], features: int, dtype: str, last: bool, seed: int) -> Any:
    """A model with a mask of its own as input, and initial states where asked for."""
    x = keras.Input((None, features), name="x", dtype=dtype)
    mask = keras.Input((None,), dtype="bool", name="mask")
    inputs: dict[str, Any] = {"x": x, "mask": mask}
    y = x
    for number, spec in enumerate(stack):
        layer = CLASSES[spec["kind"]](
            **spec["options"],
            return_sequences=number < len(stack) - 1 or last,
            go_backwards=spec["backwards"] and not spec["bidirectional"],
            zero_output_for_mask=spec["zeros"],
            dtype=dtype,
            name=f"r{number}",
        )
        initial = None
        if spec["bidirectional"]:
            layer = keras.layers.Bidirectional(layer, name=f"r{number}", dtype=dtype)
        elif spec["initial"]:
            units = spec["options"]["units"]
            initial = [
                keras.Input((units,), name=f"s{number}_{k}", dtype=dtype)
                for k in range(2 if spec["kind"] == "lstm" else 1)
            ]
            inputs |= {each.name: each for each in initial}
        y = layer(y, mask=mask, initial_state=initial)
    model = keras.Model(inputs, y)
    random = np.random.default_rng(seed)
    model.set_weights([random.normal(0, 0.6, w.shape) for w in model.get_weights()])
    return model


@pytest.mark.slow
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    stack=st.lists(layers(), min_size=1, max_size=3),
    mask_kind=masks,
    batch=st.integers(1, 4),
    timesteps=st.integers(1, 7),
    features=st.integers(1, 3),
    dtype=st.sampled_from(["float32", "float64"]),
    last=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_any_stack_agrees_with_the_equations_and_with_itself_untouched(
    stack: list[dict[str, Any]],
    mask_kind: str,
    batch: int,
    timesteps: int,
    features: int,
    dtype: str,
    last: bool,
    seed: int,
) -> None:
    model = build(stack, features, dtype, last, seed)
    random = np.random.default_rng(seed)
    mask = mask_of(mask_kind, batch, timesteps, seed)
    fed: dict[str, Any] = {"x": random.normal(size=(batch, timesteps, features))}
    fed["mask"] = np.ones((batch, timesteps), bool) if mask is None else mask
    for each in model.inputs:
        if each.name.startswith("s"):
            fed[each.name] = random.normal(0, 0.5, (batch, each.shape[1]))
    fed = {name: tf.constant(v, "bool" if name == "mask" else dtype) for name, v in fed.items()}
    stock = np.asarray(model(fed, training=False))
    with trace.recording(model) as traced:
        output = np.asarray(model(fed, training=False))
    np.testing.assert_array_equal(model(fed, training=False), stock)
    np.testing.assert_allclose(output, stock, rtol=1e-5, atol=1e-5)

    recurrent = trace.recurrent_layers(model)
    assert set(traced.layers) == set(recurrent)
    for name, layer in recurrent.items():
        found = traced.layers[name]
        number = int(name[1])
        given = fed["x"] if number == 0 else below(traced, stack, number)
        initial = [np.asarray(value) for value in found.initial.values()]
        want = reference.layer(layer, given, np.asarray(fed["mask"]), initial)
        assert set(found.signals) == set(want)
        for signal, values in want.items():
            got = np.transpose(found.signals[signal], (1, 0, 2))
            valid = ~np.isnan(values)
            np.testing.assert_allclose(
                got[valid], values[valid], rtol=1e-5, atol=1e-5, err_msg=f"{name}/{signal}"
            )
    residuals = proof.proof(proof.calls_of(traced), steps.gathered(traced, batch))
    assert set(residuals) == set(recurrent)
    for kinds in residuals.values():
        for kind, worst in kinds.items():
            assert worst.value < (1e-12 if dtype == "float64" else 3e-6), (kind, worst)


def below(traced: trace.Trace, stack: list[dict[str, Any]], number: int) -> NDArray[Any]:
    """What layer ``number`` was given: what the layer below handed on, in the order it did."""
    if stack[number - 1]["bidirectional"]:
        forward = np.asarray(traced.calls[f"r{number - 1}.forward"].handed[0])
        backward = np.asarray(traced.calls[f"r{number - 1}.backward"].handed[0])
        return np.concatenate([forward, backward[:, ::-1]], axis=-1)
    return np.asarray(traced.calls[f"r{number - 1}"].handed[0])


def small_input() -> tuple[Any, NDArray[np.float32]]:
    return keras.Input((5, 3)), np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")


def record(model: keras.Model, *inputs: Any) -> tuple[trace.Trace, NDArray[Any]]:
    fed = list(inputs) if len(inputs) > 1 else inputs[0]
    stock = np.asarray(model(fed, training=False))
    with trace.recording(model) as traced:
        output = np.asarray(model(fed, training=False))
    np.testing.assert_allclose(output, stock, rtol=1e-5, atol=1e-6)
    return traced, output


def agree(traced: trace.Trace, name: str, layer: Any, x: Any, mask: Any = None) -> None:
    found = traced.layers[name]
    initial = [np.asarray(value) for value in found.initial.values()]
    everywhere = np.ones(x.shape[:2], bool) if mask is None else mask
    for signal, values in reference.layer(layer, x, everywhere, initial).items():
        got = np.transpose(found.signals[signal], (1, 0, 2))
        valid = ~np.isnan(values)
        np.testing.assert_allclose(got[valid], values[valid], rtol=1e-5, atol=1e-5)


def test_an_encoder_and_a_decoder_that_starts_from_its_state() -> None:
    x, values = small_input()
    y = keras.Input((7, 2))
    encoder = keras.layers.LSTM(4, return_state=True, name="encoder")
    decoder = keras.layers.LSTM(4, return_sequences=True, name="decoder")
    _, h, c = encoder(x)
    model = keras.Model([x, y], keras.layers.Dense(3)(decoder(y, initial_state=[h, c])))
    later = np.random.default_rng(1).normal(size=(4, 7, 2)).astype("float32")
    traced, _ = record(model, values, later)
    agree(traced, "encoder", encoder, values)
    agree(traced, "decoder", decoder, later)
    np.testing.assert_allclose(
        traced.layers["decoder"].initial["c"], traced.layers["encoder"].signals["c"][-1], atol=1e-6
    )


def test_a_layer_called_twice_is_recorded_twice() -> None:
    x, values = small_input()
    layer = keras.layers.GRU(4, name="shared")
    traced, _ = record(keras.Model(x, layer(x) + layer(2 * x)), values)
    assert list(traced.layers) == ["shared", "shared.call1"]
    agree(traced, "shared", layer, values)
    agree(traced, "shared.call1", layer, 2 * values)


class Subclassed(keras.Model):
    """Layers in attributes, a list and a block within."""

    def __init__(self) -> None:
        super().__init__()
        self.first = keras.layers.LSTM(4, return_sequences=True, name="first")
        self.others = [keras.layers.SimpleRNN(3, return_sequences=True, name="second")]
        self.block = keras.Sequential([keras.layers.GRU(2, name="third")], name="block")
        self.unused = keras.layers.LSTM(2, name="unused")
        self.unused.build((None, None, 3))

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self.block(self.others[0](self.first(inputs)))


def test_a_subclassed_model_with_layers_in_lists_and_blocks() -> None:
    _, values = small_input()
    model = Subclassed()
    traced, _ = record(model, values)
    assert set(traced.layers) == {"first", "second", "block.third"}
    agree(traced, "first", model.first, values)
    assert set(trace.recurrent_layers(model)) - set(traced.layers) == {"unused"}


def test_tokens_with_a_mask_of_the_embedding() -> None:
    tokens = np.array([[3, 1, 2, 0, 0], [0, 0, 4, 1, 2], [1, 0, 2, 0, 3]], np.int32)
    x = keras.Input((5,), dtype="int32")
    embedding = keras.layers.Embedding(5, 3, mask_zero=True)
    layer = keras.layers.Bidirectional(keras.layers.LSTM(4, name="r"), name="both")
    model = keras.Model(x, layer(embedding(x)))
    traced, _ = record(model, tokens)
    vectors = embedding.get_weights()[0][tokens]
    agree(traced, "both.forward", layer.forward_layer, vectors, tokens != 0)
    agree(traced, "both.backward", layer.backward_layer, vectors, tokens != 0)


def test_a_masking_layer() -> None:
    x, values = small_input()
    values[0, 3:] = 0
    values[1, :2] = 0
    values[2, 1] = 0
    layer = keras.layers.LSTM(4, name="r")
    traced, _ = record(keras.Model(x, layer(keras.layers.Masking(0.0)(x))), values)
    agree(traced, "r", layer, values, (values != 0).any(axis=2))


def test_a_stateful_layer_goes_on_where_it_stopped() -> None:
    x = keras.Input(batch_shape=(4, 5, 3))
    _, values = small_input()
    layer = keras.layers.LSTM(4, stateful=True, name="r")
    model = keras.Model(x, layer(x))
    with trace.recording(model) as first:
        model(values)
    with trace.recording(model) as second:
        model(values)
    agree(first, "r", layer, values)
    agree(second, "r", layer, values)
    np.testing.assert_allclose(
        second.layers["r"].initial["c"], first.layers["r"].signals["c"][-1], atol=1e-6
    )
    assert np.abs(second.layers["r"].initial["c"]).max() > 0


def test_a_stack_of_cells_is_recorded_cell_by_cell() -> None:
    x, values = small_input()
    stack = [keras.layers.LSTMCell(4), keras.layers.GRUCell(3), keras.layers.SimpleRNNCell(2)]
    traced, _ = record(keras.Model(x, keras.layers.RNN(stack, name="rnn")(x)), values)
    assert [set(traced.layers[f"rnn.cell{n}"].signals) for n in range(3)] == [
        set("hcifog"),
        set("hzrg"),
        {"h"},
    ]
    below: Any = values
    for number, cell in enumerate(stack):
        want = reference.cell(cell, below, np.ones((4, 5), bool), None, False)
        for signal, expected in want.items():
            got = np.transpose(traced.layers[f"rnn.cell{number}"].signals[signal], (1, 0, 2))
            np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
        below = want["h"]


class Leaky(keras.layers.Layer):
    """A user's own cell with two states, one of them a matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.state_size = [3, (2, 2)]
        self.output_size = 3

    def call(self, inputs: Any, states: Any) -> Any:
        slow = 0.9 * states[0] + inputs
        count = states[1] + 1
        return slow + count[:, 0, :1], [slow, count]

    def get_initial_state(self, batch_size: Any = None) -> Any:
        return [keras.ops.zeros((batch_size, 3)), keras.ops.zeros((batch_size, 2, 2))]


def test_the_state_tensors_of_a_users_own_cell() -> None:
    x, values = small_input()
    traced, _ = record(keras.Model(x, keras.layers.RNN(Leaky(), name="own")(x)), values)
    found = traced.layers["own"].signals
    assert {name: value.shape for name, value in found.items()} == {
        "s0": (5, 4, 3),
        "s1": (5, 4, 4),
    }
    slow = np.zeros((4, 3))
    for step in range(5):
        slow = 0.9 * slow + values[:, step]
        np.testing.assert_allclose(found["s0"][step], slow, rtol=1e-5)
        np.testing.assert_array_equal(found["s1"][step], np.full((4, 4), step + 1))


@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16"])
def test_half_precision_computes_as_the_stock_model_does(policy: str) -> None:
    x, values = small_input()
    layer = keras.layers.LSTM(
        4, dtype=policy, name="r", return_sequences=True, recurrent_initializer="glorot_uniform"
    )
    model = keras.Model(x, layer(x))
    stock = np.asarray(tf.cast(model(values), tf.float32))
    with trace.recording(model) as traced:
        output = np.asarray(tf.cast(model(values), tf.float32))
    np.testing.assert_allclose(output, stock, atol=1e-2)
    h = tf.cast(traced.layers["r"].signals["h"], tf.float32)
    np.testing.assert_array_equal(np.transpose(h, (1, 0, 2)), output)
