"""The proof: no alarm on what is recorded rightly, whatever its scale; each wrong one is caught."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from rnnscope import trace
from rnnscope.errors import UserError
from rnnscope.trace import cells, loops, proof, reading, steps
from rnnscope.trace.findings import Findings
from tests import reference

pytestmark = pytest.mark.tensorflow

TOLERANCE = 1e-5
"""The default of extract.tolerance."""
LAYERS: dict[str, Callable[..., keras.layers.RNN]] = {
    "fused": keras.layers.LSTM,
    "loop": lambda *args, **options: keras.layers.LSTM(
        *args, recurrent_activation="hard_sigmoid", **options
    ),
    "softsign": lambda *args, **options: keras.layers.LSTM(*args, activation="softsign", **options),
    "gru": keras.layers.GRU,
    "gru_before": lambda *args, **options: keras.layers.GRU(*args, reset_after=False, **options),
    "gru_relu": lambda *args, **options: keras.layers.GRU(*args, activation="relu", **options),
    "simple": keras.layers.SimpleRNN,
    "simple_relu": lambda *args, **options: keras.layers.SimpleRNN(
        *args, activation="relu", **options
    ),
}


def worst(found: Findings) -> float:
    """The largest residual that is judged."""
    return max(
        each.value
        for kinds in found.values()
        for kind, each in kinds.items()
        if kind not in proof.DRIFT
    )


def found_of(traced: trace.Trace, count: int = 32) -> Findings:
    return proof.proof(proof.calls_of(traced), steps.gathered(traced, count))


def build(kind: str, units: int, features: int, masked: bool, **options: Any) -> keras.Model:
    x, mask = keras.Input((None, features)), keras.Input((None,), dtype="bool")
    layer = LAYERS[kind](units, return_sequences=True, name="r", **options)
    return keras.Model([x, mask], layer(x, mask=mask if masked else None))


# No alarm


@pytest.mark.slow
@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize(("units", "features", "masked"), [(2, 1, True), (16, 3, False)])
def test_no_alarm_on_random_networks(kind: str, units: int, features: int, masked: bool) -> None:
    """16 times 13 networks: inputs of any scale, c that counts to 1,000, up to 2,000 timesteps."""
    random = np.random.default_rng([units, *kind.encode()])
    model = build(kind, units, features, masked)
    calls: dict[str, proof.Proved] = {}

    def gathered(x: Any, mask: Any) -> Any:
        with trace.recording(model) as traced:
            model([x, mask], training=False)
        calls.update(proof.calls_of(traced))
        return steps.gathered(traced, 32)

    specs = [tf.TensorSpec((None, None, features)), tf.TensorSpec((None, None), tf.bool)]
    graph = tf.function(gathered, input_signature=specs, autograph=False)
    drifted, largest = 0, 0.0
    for timesteps in (2000, *random.choice([5, 20, 60, 200], 12)):
        batch = min(16, 4000 // timesteps)
        set_weights(model, kind, random)
        x = random.normal(size=(batch, timesteps, features))
        x = [x, 0.3 * np.cumsum(x, axis=1), 10 * x, 1000 + 100 * x][
            random.integers(4) * (timesteps < 2000)
        ]
        given = graph(x.astype(np.float32), random.random((batch, timesteps)) < 0.8)
        (found,) = proof.proof(calls, given).values()
        assert worst({"r": found}) < TOLERANCE, (timesteps, found)
        drifted += found["drift_float64"].value > TOLERANCE
        signals = given["r"].cells["r"].signals
        largest = max(
            largest, float(tf.reduce_max(tf.abs(signals["c" if "c" in signals else "h"])))
        )
    if kind in ("fused", "softsign", "loop") and not masked:
        assert largest > 900
    if kind == "fused" and not masked:
        assert drifted  # two right loops part


def set_weights(model: keras.Model, kind: str, random: np.random.Generator) -> None:
    """Weights at random; c counts, its first unit at every step; no state grows without end."""
    scale = random.choice([0.2, 0.5, 1.0])
    weights = [random.normal(0, scale, w.shape) for w in model.get_weights()]
    units = len(weights[1])
    weights[1] /= np.sqrt(units)
    if "relu" in kind:
        weights[1] *= 0.5 / np.linalg.norm(weights[1], 2)
    if kind in ("fused", "softsign", "loop"):
        weights[2][:units] += 3
        weights[2][units : 2 * units] += 12
        weights[2][2 * units] += 9
    model.set_weights(weights)


# What is caught


def recorded(kind: str, **options: Any) -> tuple[trace.Trace, keras.Model]:
    """A pass of a small network over sequences with gaps."""
    model = build(kind, 4, 3, masked=True, **options)
    random = np.random.default_rng(3)
    model.set_weights([random.normal(0, 0.7, w.shape) for w in model.get_weights()])
    x = tf.constant(random.normal(size=(5, 9, 3)), tf.float32)
    mask = tf.constant(random.random((5, 9)) < 0.7)
    with trace.recording(model) as traced:
        model([x, mask], training=False)
    return traced, model


CAUGHT = ("fused", "loop", "gru", "gru_before", "simple")


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("kind", CAUGHT)
def test_a_right_recording_passes(kind: str, backwards: bool) -> None:
    traced, _ = recorded(kind, go_backwards=backwards)
    assert worst(found_of(traced)) < 1e-6


PRECISION = {"float64": 1e-14, "float16": 4e-3, "bfloat16": 3e-2}


@pytest.mark.parametrize(
    "policy", ["float64", "float16", "mixed_float16", "bfloat16", "mixed_bfloat16"]
)
@pytest.mark.parametrize("kind", CAUGHT)
def test_a_right_recording_passes_in_every_precision(kind: str, policy: str) -> None:
    """To a few roundings of the precision that the cell computes in; 3e-2 is 4 of bfloat16's."""
    traced, _ = recorded(kind, dtype=policy, recurrent_initializer="glorot_uniform")
    assert worst(found_of(traced)) < PRECISION[policy.removeprefix("mixed_")]


@pytest.mark.parametrize(
    ("kind", "pair"),
    [(kind, pair) for kind in ("fused", "loop") for pair in ("if", "fo", "io", "ig", "hc")]
    + [("gru", "zr"), ("gru", "rg"), ("gru_before", "zr")],
)
def test_two_signals_swapped(kind: str, pair: str) -> None:
    traced, _ = recorded(kind)
    signals = traced.layers["r"].signals
    signals |= {pair[0]: signals[pair[1]], pair[1]: signals[pair[0]]}
    assert worst(found_of(traced)) > 1e-3


@pytest.mark.parametrize("kind", CAUGHT)
@pytest.mark.parametrize("unit", [0, 7, -1])
def test_a_bias_of_a_thousandth_in_one_unit(kind: str, unit: int) -> None:
    traced, model = recorded(kind)
    weights = model.get_weights()
    weights[2].flat[unit % weights[2].size] += 1e-3
    model.set_weights(weights)
    assert worst(found_of(traced)) > 3 * TOLERANCE


@pytest.mark.parametrize("kind", CAUGHT)
@pytest.mark.parametrize("shift", [-1, 1])
@pytest.mark.parametrize("what", ["signals", "one", "inputs"])
def test_one_timestep_shifted(kind: str, shift: int, what: str) -> None:
    traced, _ = recorded(kind)
    layer = traced.layers["r"]
    if what == "inputs":
        call = traced.calls["r"]
        object.__setattr__(call, "sequences", tf.roll(call.sequences, shift, axis=1))
    else:
        for signal in list(layer.signals)[: 1 if what == "one" else None]:
            layer.signals[signal] = tf.roll(layer.signals[signal], shift, axis=0)
    assert worst(found_of(traced)) > 1e-3


@pytest.mark.parametrize("kind", CAUGHT)
def test_another_activation(kind: str) -> None:
    traced, model = recorded(kind)
    cell = model.get_layer("r").cell
    cell.activation = keras.activations.softsign
    assert worst(found_of(traced)) > 1e-3


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("kind", CAUGHT)
@pytest.mark.parametrize("shift", [-1, 1])
def test_a_mask_off_by_one(
    kind: str, shift: int, backwards: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def off_by_one(mask: Any, backwards: bool) -> reading.Reading:
        return reading.reading(tf.roll(mask, shift, axis=1), backwards)

    monkeypatch.setattr(loops, "reading", off_by_one)
    traced, _ = recorded(kind, go_backwards=backwards)
    assert worst(found_of(traced)) > 1e-3


@pytest.mark.parametrize("path", ["fused", "loop"])
def test_gates_that_are_split_in_another_order(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the code itself: on the loop path h and c are right, and only the names are not."""
    own = getattr(cells, "fused" if path == "fused" else "_lstm_gates")

    def swapped(*args: Any) -> dict[str, Any]:
        found = own(*args)
        return found | {"i": found["f"], "f": found["i"]}

    monkeypatch.setattr(cells, own.__name__, swapped)
    found = found_of(recorded(path)[0])["r"]
    assert found["gates"].value > 1e-3
    assert max(found[kind].value for kind in ("step_h", "step_c", "handed")) < 1e-6


@pytest.mark.parametrize("kind", CAUGHT)
@pytest.mark.parametrize("number", [0, 1])
def test_what_is_handed_back_to_keras(kind: str, number: int) -> None:
    """Outputs, and final states, from which a decoder may start."""
    traced, _ = recorded(kind)
    handed = traced.calls["r"].handed
    handed[number] = handed[number] + 1e-3
    found = found_of(traced)["r"]
    assert found["handed"].value > 3e-4
    assert found["step_h"].value < 1e-6


def test_the_place_and_both_values_are_those_of_the_worst() -> None:
    traced, _ = recorded("fused", go_backwards=True)
    c = np.array(traced.layers["r"].signals["c"])
    place = next((t, 2) for t in range(3, 9) if np.asarray(traced.calls["r"].mask)[2, t])
    before = c[*place, 1]
    c[*place, 1] += 5
    traced.layers["r"].signals["c"] = tf.constant(c)
    each = proof.proof(proof.calls_of(traced), steps.gathered(traced, 32), 100)["r"]["step_c"]
    assert (each.signal, each.sequence, each.timestep, each.unit) == ("c", 102, place[0], 1)
    assert each.recorded == pytest.approx(before + 5)
    assert each.expected == pytest.approx(before, abs=1e-6)


# Cells that are not Keras' own


class Peephole(keras.layers.LSTMCell):
    """Overrides what call uses, and not call (Gers & Schmidhuber 2000)."""

    def build(self, shape: Any) -> None:
        super().build(shape)
        self.peek = self.add_weight(shape=(self.units,), name="peek", initializer="ones")

    def _compute_carry_and_output_fused(self, z: Any, c_tm1: Any) -> Any:
        i, f, g, o = z
        sigma = self.recurrent_activation
        c = sigma(f + self.peek * c_tm1) * c_tm1 + sigma(i + self.peek * c_tm1) * self.activation(g)
        return c, sigma(o + self.peek * c)


class Started(keras.layers.LSTMCell):
    """Starts from other states."""

    def get_initial_state(self, batch_size: Any = None) -> Any:
        return [keras.ops.ones((batch_size, self.units))] * 2


class Bounded(keras.layers.GRUCell):
    """Has an attribute in place of Keras' own."""

    @property
    def recurrent_activation(self) -> Any:
        return lambda a: keras.ops.clip(a, 0, 1)

    @recurrent_activation.setter
    def recurrent_activation(self, value: Any) -> None:
        pass


class Named(keras.layers.LSTMCell):
    """Differs in how it is made alone."""

    def __init__(self, units: int, note: str = "", **options: Any) -> None:
        super().__init__(units, **options)
        self.note = note


@pytest.mark.parametrize("cell", [Peephole, Started, Bounded])
def test_a_cell_that_overrides_what_call_uses_takes_the_loop(cell: Any) -> None:
    x = keras.Input((9, 3))
    layer = keras.layers.RNN(cell(4), return_sequences=True, name="r")
    model = keras.Model(x, layer(x))
    given = np.random.default_rng(0).normal(size=(5, 9, 3)).astype(np.float32)
    with trace.recording(model) as traced:
        output = model(given)
    found = traced.layers["r"]
    assert found.path == "loop"
    assert set(found.signals) == ({"s0"} if cell is Bounded else {"s0", "s1"})
    np.testing.assert_array_equal(np.transpose(found.signals["s0"], (1, 0, 2)), output)
    np.testing.assert_allclose(output, model(given), atol=1e-6)
    assert worst(found_of(traced)) < 1e-6


def test_the_states_of_a_peephole_cell_are_those_of_its_equations() -> None:
    x = keras.Input((9, 3))
    layer = keras.layers.RNN(Peephole(4), name="r")
    model = keras.Model(x, layer(x))
    given = np.random.default_rng(0).normal(size=(5, 9, 3)).astype(np.float32)
    with trace.recording(model) as traced:
        model(given)
    kernel, recurrent, bias, peek = (w.astype(np.float64) for w in layer.cell.get_weights())
    sigma = reference.FUNCTIONS["sigmoid"]
    h = c = np.zeros((5, 4))
    for t in range(9):
        a_i, a_f, a_g, a_o = np.split(given[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
        c = sigma(a_f + peek * c) * c + sigma(a_i + peek * c) * np.tanh(a_g)
        h = sigma(a_o + peek * c) * np.tanh(c)
        np.testing.assert_allclose(traced.layers["r"].signals["s0"][t], h, atol=1e-6)
        np.testing.assert_allclose(traced.layers["r"].signals["s1"][t], c, atol=1e-6)


def test_a_method_replaced_on_the_cell_itself_counts_too() -> None:
    cell = keras.layers.LSTMCell(4)
    assert cells.stock_kind(cell) is keras.layers.LSTMCell
    cell._compute_carry_and_output_fused = lambda z, c: (c, c)
    assert cells.stock_kind(cell) is None


def test_a_cell_that_differs_in_how_it_is_made_has_its_gates() -> None:
    x = keras.Input((9, 3))
    model = keras.Model(x, keras.layers.RNN(Named(4), name="r")(x))
    with trace.recording(model) as traced:
        model(np.ones((2, 9, 3), np.float32))
    assert set(traced.layers["r"].signals) == set("hcifog")


class Attending(keras.layers.Layer):
    """Attends to what belongs to the batch: it takes its B sequences and no other number."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.state_size, self.memory = units, None
        self.inner = keras.layers.GRUCell(units)

    def build(self, shape: Any) -> None:
        self.inner.build((shape[0], shape[1] + self.state_size))

    def call(self, inputs: Any, states: Any) -> Any:
        weight = keras.ops.softmax(keras.ops.einsum("btu,bu->bt", self.memory, states[0]))
        read = keras.ops.einsum("bt,btu->bu", weight, self.memory)
        return self.inner(keras.ops.concatenate([inputs, read], axis=-1), states)


class Translating(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = keras.layers.GRU(4, return_sequences=True, name="encoder")
        self.cell = Attending(4)
        self.decoder = keras.layers.RNN(self.cell, return_sequences=True, name="decoder")

    def call(self, x: Any) -> Any:
        self.cell.memory = self.encoder(x)
        return self.decoder(x[:, 1:])


def test_a_cell_that_holds_what_belongs_to_the_batch() -> None:
    model = Translating()
    model(np.zeros((2, 6, 3), np.float32))

    def gathered(x: Any) -> Any:
        with trace.recording(model) as traced:
            model(x, training=False)
        calls.update(proof.calls_of(traced))
        return steps.gathered(traced, 3)

    calls: dict[str, proof.Proved] = {}
    x = np.random.default_rng(0).normal(size=(5, 6, 3)).astype(np.float32)
    found = proof.proof(calls, tf.function(gathered, autograph=False)(x))
    assert set(found) == {"encoder", "decoder"}
    assert worst(found) < 1e-6
    assert found["decoder"]["step_s0"].sequence < 3


# A stack, both directions, states of the user's own


@pytest.mark.slow
def test_every_arrangement_passes_and_is_caught() -> None:
    x = keras.Input((7, 3))
    stack = [keras.layers.LSTMCell(4), keras.layers.GRUCell(3, dropout=0.5)]
    y = keras.layers.RNN(stack, return_sequences=True, name="stack")(x)
    shared = keras.layers.SimpleRNN(3, dropout=0.5, return_sequences=True, name="shared")
    y = shared(shared(y))
    y, *states = keras.layers.Bidirectional(
        keras.layers.LSTM(2, return_sequences=True, return_state=True), name="both"
    )(y)
    y = keras.layers.LSTM(2, name="last")(y, initial_state=states[:2])
    model = keras.Model(x, y)
    given = np.random.default_rng(0).normal(size=(5, 7, 3)).astype(np.float32)
    with trace.recording(model) as traced:
        model(given)
    assert set(found_of(traced)) == {
        *("stack.cell0", "stack.cell1", "shared", "shared.call1"),
        *("both.forward", "both.backward", "last"),
    }
    assert worst(found_of(traced)) < 1e-6
    for layer in traced.layers.values():
        for signal, kept in list(layer.signals.items())[-2:]:
            values: NDArray[Any] = np.array(kept)
            values[3, 2, 1] += 1e-3
            layer.signals[signal] = tf.constant(values)
            assert worst(found_of(traced)) > TOLERANCE
            layer.signals[signal] = kept


class Noisy(keras.layers.Layer):
    """Draws at every timestep."""

    state_size = 3

    def __init__(self) -> None:
        super().__init__()
        self.seed = keras.random.SeedGenerator(0)

    def call(self, x: Any, states: Any) -> Any:
        h = x + keras.random.normal(keras.ops.shape(x), seed=self.seed)
        return h, [h]


def test_a_cell_that_draws_at_each_timestep_is_refused_by_name() -> None:
    x = keras.Input((7, 3))
    model = keras.Model(x, keras.layers.RNN(Noisy(), name="noisy")(x))
    with trace.recording(model) as traced:
        model(np.ones((2, 7, 3), np.float32))
    with pytest.raises(UserError, match="layer 'noisy': its cell draws at random"):
        found_of(traced)
