"""One unit's h or c held, against the equations in float64 with the same done in their loop."""

import contextlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnscope import trace
from rnnscope.analysis.ablation.clamping import clamping
from rnnscope.errors import UserError
from rnnscope.trace import cells, loops
from rnnscope.trace.places import places
from tests import reference
from tests.trace.test_architectures import CLASSES, Subclassed, mask_of, masks

pytestmark = pytest.mark.tensorflow

RANDOM = np.random.default_rng(0)

Float = NDArray[np.float64]


def run(
    model: keras.Model, inputs: Any, name: str, state: str, unit: int, value: float
) -> list[Float]:
    """The model's outputs with one unit held; in a graph, as the stage runs it."""
    held = tf.function(eagerly, autograph=False)
    outputs = held(model, inputs, name, state, tf.constant(unit), tf.constant(value, tf.float64))
    return [np.asarray(each) for each in outputs]


def eagerly(
    model: keras.Model, inputs: Any, name: str, state: str, unit: Any, value: Any
) -> list[Any]:
    """The same, outside a graph."""
    with clamping(model, places(model)[name], state, unit, value):
        return tf.nest.flatten(model(inputs, training=False))


def whole(model: keras.Model, inputs: Any) -> list[Float]:
    """The model's outputs, as a recording gives them."""

    @tf.function(autograph=False)
    def recorded(inputs: Any) -> Any:
        with trace.recording(model):
            return tf.nest.flatten(model(inputs, training=False))

    return [np.asarray(each) for each in recorded(inputs)]


def holding(step: reference.Step, state: str, unit: int, value: float, cell: Any) -> reference.Step:
    """A step of the reference with one unit held at its end."""
    tanh = reference.FUNCTIONS[cell.activation.__name__]

    def held(x: Float, before: dict[str, Float]) -> dict[str, Float]:
        now = step(x, before)
        now[state][unit] = value
        if state == "c":
            now["h"][unit] = now["o"][unit] * tanh(np.array([value]))[0]
        return now

    return held


@contextlib.contextmanager
def held_reference(state: str, unit: int, value: float, cell: Any) -> Any:
    """While open, the reference runs with one unit of one cell held."""
    stock = reference.run

    def run(step: reference.Step, *args: Any) -> dict[str, Float]:
        return stock(holding(step, state, unit, value, cell), *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "run", run)
        yield


def expected(
    cell: Any, x: Any, valid: Any, initial: Any, backwards: bool, state: str, unit: int, value: Any
) -> dict[str, Float]:
    """Signals [B, T, U] of a cell with one unit held."""
    with held_reference(state, unit, value, cell):
        return reference.cell(cell, x, valid, initial, backwards)


def drawn(model: keras.Model, seed: int = 1, scale: float = 0.6) -> keras.Model:
    """The model with weights drawn at random, and not small."""
    random = np.random.default_rng(seed)
    model.set_weights([random.normal(0, scale, each.shape) for each in model.get_weights()])
    return model


@st.composite
def single(draw: st.DrawFn) -> dict[str, Any]:
    """One layer of any kind, a mask, initial states, and what is held."""
    kind = draw(st.sampled_from(["lstm", "lstm", "gru", "simple_rnn"]))
    units = draw(st.integers(1, 5))
    options: dict[str, Any] = {"units": units, "use_bias": draw(st.booleans())}
    if draw(st.booleans()):
        options["activation"] = draw(st.sampled_from(["relu", "softsign"]))
    if kind == "gru":
        options["reset_after"] = draw(st.booleans())
    return {
        "kind": kind,
        "options": options,
        "backwards": draw(st.booleans()),
        "zeros": draw(st.booleans()),
        "initial": draw(st.booleans()),
        "mask": draw(masks),
        "dtype": draw(st.sampled_from(["float32", "float32", "float64"])),
        "state": draw(st.sampled_from("hc" if kind == "lstm" else "h")),
        "unit": draw(st.integers(0, units - 1)),
        "value": draw(st.sampled_from([0.0, 0.3, -0.8, 2.5])),
        "seed": draw(st.integers(0, 2**16)),
    }


def built(case: dict[str, Any]) -> tuple[keras.Model, dict[str, Any]]:
    """A model of that layer, with all it gives as outputs, and a batch for it."""
    batch, timesteps, features, dtype = 3, 5, 2, case["dtype"]
    random = np.random.default_rng(case["seed"])
    x = keras.Input((None, features), name="x", dtype=dtype)
    mask = keras.Input((None,), name="mask", dtype="bool")
    layer = CLASSES[case["kind"]](
        **case["options"],
        return_sequences=True,
        return_state=True,
        go_backwards=case["backwards"],
        zero_output_for_mask=case["zeros"],
        dtype=dtype,
        name="r",
    )
    count = 2 if case["kind"] == "lstm" else 1
    states = [
        keras.Input((case["options"]["units"],), name=f"s{n}", dtype=dtype) for n in range(count)
    ]
    masked = case["mask"] != "none"
    y = layer(x, mask=mask if masked else None, initial_state=states if case["initial"] else None)
    inputs: dict[str, Any] = {"x": x}
    inputs |= {"mask": mask} if masked else {}
    inputs |= {each.name: each for each in states} if case["initial"] else {}
    fed: dict[str, Any] = {
        each.name: random.normal(size=(batch, timesteps, features)[: len(each.shape)])
        for each in [x]
    }
    fed |= {
        n: random.normal(size=(batch, each.shape[1])) for n, each in inputs.items() if n[0] == "s"
    }
    fed = {name: values.astype(dtype) for name, values in fed.items()}
    if masked:
        fed["mask"] = mask_of(case["mask"], batch, timesteps, case["seed"])
    return drawn(keras.Model(inputs, y), case["seed"]), fed


SETTINGS = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.mark.slow
@SETTINGS
@given(single())
def test_outputs_and_final_states_agree_with_the_held_equations_in_float64(
    case: dict[str, Any],
) -> None:
    model, fed = built(case)
    state, unit, value = case["state"], case["unit"], case["value"]
    output, *final = map(np.asarray, eagerly(model, fed, "r", state, unit, value))
    layer = model.get_layer("r")
    valid = fed.get("mask", np.ones(fed["x"].shape[:2], bool))
    given_states = [fed[name] for name in ("s0", "s1") if name in fed] or None
    want = expected(
        layer.cell, fed["x"], valid, given_states, case["backwards"], state, unit, value
    )
    names = ("h", "c")[: len(final)]
    start = dict(zip(names, given_states or [np.zeros_like(each) for each in final], strict=True))
    steps = np.arange(valid.shape[1])[:: -1 if case["backwards"] else 1]
    for b, reads in enumerate(valid):
        shown, now = np.zeros(output.shape[2]), {name: start[name][b] for name in names}
        for place, t in enumerate(steps):
            if reads[t]:
                now = {name: want[name][b, t] for name in names}
                shown = now["h"]
            hidden = case["zeros"] and not reads[t]
            np.testing.assert_allclose(output[b, place], 0 if hidden else shown, 1e-5, 1e-5)
        for name, values in zip(names, final, strict=True):
            np.testing.assert_allclose(values[b], now[name], 1e-5, 1e-5)


@pytest.mark.slow
@SETTINGS
@given(single())
def test_the_fused_path_gives_what_the_loop_gives(case: dict[str, Any]) -> None:
    case |= {"kind": "lstm", "dtype": "float32"}
    case["options"] = {name: case["options"][name] for name in ("units", "use_bias")}
    model, fed = built(case)
    assert cells.can_fuse(model.get_layer("r").cell, "float32")
    for state in "hc":
        held = ("r", state, case["unit"], case["value"])
        fused = eagerly(model, fed, *held)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cells, "can_fuse", lambda *_: False)
            looped = eagerly(model, fed, *held)
        for a, b in zip(fused, looped, strict=True):
            np.testing.assert_allclose(a, b, 1e-5, 1e-6)
        # What is held is held to the last bit, where a timestep was read.
        read = fed["mask"].any(axis=1) if "mask" in fed else slice(None)
        final = np.asarray(fused[1 + "hc".index(state)])[read, case["unit"]]
        assert (final == np.float32(case["value"])).all()


def lstm(units: int = 6, outgoing: int | None = None) -> tuple[keras.Model, NDArray[Any]]:
    """An LSTM and a read-out; of one unit all outgoing weights may be zero."""
    x = keras.Input((7, 3))
    layer = keras.layers.LSTM(units, name="lstm")
    model = drawn(keras.Model(x, keras.layers.Dense(4, name="readout")(layer(x))))
    if outgoing is not None:
        for w in (layer.cell.recurrent_kernel, model.get_layer("readout").kernel):
            w.assign(w.numpy() * (np.arange(units) != outgoing)[:, np.newaxis])
    return model, RANDOM.normal(size=(5, 7, 3)).astype(np.float32)


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("state", ["h", "c"])
def test_a_unit_without_outgoing_weights_changes_nothing_at_all(
    state: str, loop: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x = lstm(outgoing=2)
    if loop:
        monkeypatch.setattr(cells, "can_fuse", lambda *_: False)
    before = whole(model, x)
    np.testing.assert_array_equal(run(model, x, "lstm", state, 2, 0.9), before)
    assert np.abs(np.subtract(run(model, x, "lstm", state, 3, 0.9), before)).max() > 0.01


@pytest.mark.parametrize("state", ["h", "c"])
def test_a_constant_unit_held_at_its_mean_changes_nothing(state: str) -> None:
    model, x = lstm()
    cell = model.get_layer("lstm").cell
    kernel, recurrent, bias = cell.get_weights()
    own = np.arange(24) % 6 == 4
    kernel[:, own] = recurrent[:, own] = 0
    bias[own] = [20, -20, 0.5, 0.3]  # i = 1, f = 0: c is tanh 0.5 from the first timestep on
    cell.set_weights([kernel, recurrent, bias])
    with trace.recording(model) as traced:
        model(x)
    values = np.asarray(traced.layers["lstm"].signals[state])[:, :, 4]
    assert np.ptp(values) < 1e-6
    assert abs(values.mean()) > 0.2
    held = run(model, x, "lstm", state, 4, values.mean())
    np.testing.assert_allclose(held, whole(model, x), 0, 1e-6)


def test_c_at_zero_is_h_at_zero_unless_the_layer_hands_c_on() -> None:
    model, x = lstm()
    assert places(model)["lstm"].c_is_private
    for unit in range(6):
        c, h = (run(model, x, "lstm", state, unit, 0.0) for state in "ch")
        np.testing.assert_array_equal(c, h)
    model, (x, later) = translator()
    assert not places(model)["encoder"].c_is_private
    c, h = (run(model, [x, later], "encoder", state, 1, 0.0) for state in "ch")
    assert np.abs(np.subtract(c, h)).max() > 1e-3


def translator() -> tuple[keras.Model, tuple[NDArray[Any], NDArray[Any]]]:
    """An encoder, and a decoder that starts from its states."""
    x, y = keras.Input((5, 3), name="x"), keras.Input((4, 2), name="y")
    _, h, c = keras.layers.LSTM(3, return_state=True, name="encoder")(x)
    decoder = keras.layers.LSTM(3, return_sequences=True, name="decoder")
    model = drawn(keras.Model([x, y], decoder(y, initial_state=[h, c])))
    random = np.random.default_rng(3)
    return model, tuple(  # type: ignore[return-value]
        random.normal(size=shape).astype(np.float32) for shape in ((2, 5, 3), (2, 4, 2))
    )


@pytest.mark.parametrize("state", ["h", "c"])
def test_a_decoder_starts_from_the_held_state_and_goes_on_free(state: str) -> None:
    model, (x, later) = translator()
    everywhere = np.ones((2, 5), bool)
    encoder, decoder = model.get_layer("encoder"), model.get_layer("decoder")
    first = expected(encoder.cell, x, everywhere, None, False, state, 1, -0.4)
    np.testing.assert_allclose(first[state][:, -1, 1], -0.4)
    initial = [first[name][:, -1] for name in "hc"]
    want = reference.layer(decoder, later, everywhere[:, :4], initial)
    got = run(model, [x, later], "encoder", state, 1, -0.4)
    np.testing.assert_allclose(got[0], want["h"], 1e-5, 1e-5)


@pytest.mark.parametrize("state", ["h", "c"])
def test_in_a_stack_of_layers_the_one_above_hears_the_held_unit(state: str) -> None:
    x = keras.Input((6, 3))
    lower = keras.layers.LSTM(4, return_sequences=True, name="lower")
    upper = keras.layers.GRU(3, name="upper")
    model = drawn(keras.Model(x, upper(lower(x))))
    values = RANDOM.normal(size=(4, 6, 3)).astype(np.float32)
    everywhere = np.ones((4, 6), bool)
    h = expected(lower.cell, values, everywhere, None, False, state, 2, 0.6)["h"]
    want = reference.layer(upper, h, everywhere, None)["h"][:, -1]
    np.testing.assert_allclose(run(model, values, "lower", state, 2, 0.6)[0], want, 1e-5, 1e-5)


def test_of_two_directions_one_is_held() -> None:
    x = keras.Input((6, 3))
    both = keras.layers.Bidirectional(keras.layers.LSTM(4), name="both")
    model = drawn(keras.Model(x, both(x)))
    values = RANDOM.normal(size=(4, 6, 3)).astype(np.float32)
    everywhere = np.ones((4, 6), bool)
    cell = both.backward_layer.cell
    backward = expected(cell, values, everywhere, None, True, "c", 1, 0.6)["h"][:, 0]
    forward = reference.layer(both.forward_layer, values, everywhere, None)["h"][:, -1]
    got = run(model, values, "both.backward", "c", 1, 0.6)[0]
    np.testing.assert_allclose(got, np.concatenate([forward, backward], 1), 1e-5, 1e-5)


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("state", ["h", "c"])
def test_a_cell_of_a_list_is_held_alone(state: str, number: int) -> None:
    stack = [keras.layers.LSTMCell(4), keras.layers.GRUCell(3), keras.layers.LSTMCell(2)]
    x = keras.Input((6, 3))
    model = drawn(keras.Model(x, keras.layers.RNN(stack, name="rnn")(x)))
    place = places(model)[f"rnn.cell{number}"]
    assert place.states == (("h",) if number == 1 else ("h", "c"))
    if state not in place.states:
        return
    below: Any = RANDOM.normal(size=(4, 6, 3)).astype(np.float32)
    got = run(model, below, f"rnn.cell{number}", state, 1, 0.4)
    everywhere = np.ones((4, 6), bool)
    for n, cell in enumerate(stack):
        if n == number:
            below = expected(cell, below, everywhere, None, False, state, 1, 0.4)["h"]
        else:
            below = reference.cell(cell, below, everywhere, None, False)["h"]
    np.testing.assert_allclose(got[0], below[:, -1], 1e-5, 1e-5)


@pytest.mark.parametrize("form", ["channels_last", "channels_first"])
@pytest.mark.parametrize("state", ["h", "c"])
def test_one_unit_of_a_map_is_held(state: str, form: str) -> None:
    values = RANDOM.normal(size=(4, 5, 4, 3, 2)).astype(np.float32)
    fed = values if form.endswith("last") else np.moveaxis(values, -1, 2)
    x = keras.Input(fed.shape[1:])
    layer = keras.layers.ConvLSTM2D(
        3, 2, padding="same", data_format=form, return_state=True, name="maps"
    )
    model = drawn(keras.Model(x, layer(x)))
    place = places(model)["maps"]
    assert (place.states, place.units) == (("h", "c"), 36)
    everywhere = np.ones((4, 5), bool)
    want = expected(layer.cell, values, everywhere, None, False, state, 17, 0.7)
    output, h, c = run(model, fed, "maps", state, 17, 0.7)
    for got, name in ((output, "h"), (h, "h"), (c, "c")):
        maps = got if form.endswith("last") else np.moveaxis(got, 1, -1)
        np.testing.assert_allclose(maps.reshape(4, 36), want[name][:, -1], 1e-5, 1e-5)


def test_both_calls_of_a_layer_are_held() -> None:
    x = keras.Input((5, 3))
    layer = keras.layers.GRU(4, name="shared")
    model = drawn(keras.Model(x, layer(x) + layer(2 * x)))
    values = RANDOM.normal(size=(4, 5, 3)).astype(np.float32)
    got = run(model, values, "shared", "h", 0, 0.25)[0]
    np.testing.assert_array_equal(got[:, 0], 0.5)
    everywhere = np.ones((4, 5), bool)
    first, second = (
        expected(layer.cell, times * values, everywhere, None, False, "h", 0, 0.25)["h"][:, -1]
        for times in (1, 2)
    )
    np.testing.assert_allclose(got, first + second, 1e-5, 1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16"])
@pytest.mark.parametrize("state", ["h", "c"])
def test_half_precision_is_held_too(state: str, policy: str) -> None:
    x = keras.Input((5, 3))
    layer = keras.layers.LSTM(
        4, dtype=policy, name="r", return_sequences=True, recurrent_initializer="glorot_uniform"
    )
    model = keras.Model(x, layer(x))
    values = RANDOM.normal(size=(4, 5, 3)).astype(np.float32)
    got = tf.cast(run(model, values, "r", state, 1, 0.5)[0], tf.float32)
    want = expected(layer.cell, values, np.ones((4, 5), bool), None, False, state, 1, 0.5)["h"]
    np.testing.assert_allclose(got, want, 0, 3e-2)


def test_no_weight_and_no_layer_is_touched_also_after_an_error() -> None:
    x = np.ones((2, 5, 3), np.float32)
    model = Subclassed()
    model(x)
    layers = loops.recurrent_layers(model)
    before = {name: set(vars(layer)) for name, layer in layers.items()}
    weights = [each.copy() for each in model.get_weights()]
    for name, state in (("first", "h"), ("first", "c"), ("second", "h"), ("block.third", "h")):
        run(model, x, name, state, 0, 0.5)
        with (
            pytest.raises(RuntimeError, match="inside"),
            clamping(model, places(model)[name], state, 0, 0.5),
        ):
            raise RuntimeError("inside")
    for name, layer in layers.items():
        assert set(vars(layer)) == before[name]
        assert layer.inner_loop.__func__ is type(layer).inner_loop
    for a, b in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def own_loop(x: Any) -> Any:
    class OwnLoop(keras.layers.LSTM):
        def inner_loop(self, *args: Any, **kwargs: Any) -> Any:
            return super().inner_loop(*args, **kwargs)

    return OwnLoop(3, name="odd")(x)


def bare_cell(x: Any) -> Any:
    y = keras.layers.LSTM(3)(x)
    return keras.layers.LSTMCell(3, name="odd")(x[:, 0], [y, y])[0]


@pytest.mark.parametrize("make", [own_loop, bare_cell])
def test_what_cannot_be_held_truly_is_refused_by_name(make: Callable[[Any], Any]) -> None:
    x = keras.Input((9, 4))
    model = keras.Model(x, make(x))
    place = next(iter(places(model).values()))
    with pytest.raises(UserError, match="'odd'"), clamping(model, place, "h", 0, 0.0):
        pass
