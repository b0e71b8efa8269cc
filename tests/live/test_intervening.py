"""``rnnscope.intervene`` against loops in NumPy, float64, in which the same state is set."""

import logging
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import rnnscope
from rnnscope.errors import UserError

pytestmark = pytest.mark.tensorflow

Float = NDArray[np.float64]
Signals = dict[str, Float]

N, T, F, U = 7, 9, 3, 4


def sigma(x: Float) -> Float:
    return 1 / (1 + np.exp(-x))


def weights_of(layer: keras.Layer) -> list[Float]:
    return [each.astype(np.float64) for each in layer.get_weights()]


def lstm(x: Float, layer: keras.Layer, state: str, unit: int, at: range, value: Any) -> Signals:
    """All signals [N, T, U] of an LSTM, by its equations, with one of them set."""
    kernel, recurrent, bias = weights_of(layer)
    h = c = np.zeros((len(x), U))
    found: dict[str, list[Float]] = {name: [] for name in "hcifog"}
    for t in range(x.shape[1]):

        def held(name: str, values: Float, t: int = t) -> Float:
            if name == state and t in at:
                values = values.copy()
                values[:, unit] = value if np.ndim(value) == 0 else value[:, t - at.start]
            return values

        i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
        i, f, o = held("i", sigma(i)), held("f", sigma(f)), held("o", sigma(o))
        g = held("g", np.tanh(g))
        c = held("c", f * c + i * g)
        h = held("h", o * np.tanh(c))
        for name, values in zip("hcifog", (h, c, i, f, o, g), strict=True):
            found[name].append(values)
    return {name: np.stack(each, axis=1) for name, each in found.items()}


def gru(x: Float, layer: keras.Layer, state: str, unit: int, at: range, value: float) -> Signals:
    """The same of a GRU with the reset after the product."""
    kernel, recurrent, (inner, outer) = weights_of(layer)
    h = np.zeros((len(x), U))
    found: dict[str, list[Float]] = {name: [] for name in "hzrg"}
    for t in range(x.shape[1]):

        def held(name: str, values: Float, t: int = t) -> Float:
            if name == state and t in at:
                values = values.copy()
                values[:, unit] = value
            return values

        x_z, x_r, x_g = np.split(x[:, t] @ kernel + inner, 3, axis=1)
        h_z, h_r, h_g = np.split(h @ recurrent + outer, 3, axis=1)
        z, r = held("z", sigma(x_z + h_z)), held("r", sigma(x_r + h_r))
        g = held("g", np.tanh(x_g + r * h_g))
        h = held("h", z * h + (1 - z) * g)
        for name, values in zip("hzrg", (h, z, r, g), strict=True):
            found[name].append(values)
    return {name: np.stack(each, axis=1) for name, each in found.items()}


@pytest.fixture(scope="module")
def x() -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(N, T, F)).astype("float32")


def model_of(kind: Any, **options: Any) -> keras.Model:
    keras.utils.set_random_seed(1)
    layers = [keras.Input((None, F)), kind(U, name="rnn", **options), keras.layers.Dense(2)]
    return keras.Sequential(layers)


@pytest.mark.parametrize("state", list("hcifog"))
def test_an_lstm_goes_on_as_by_its_equations(state: str, x: NDArray[np.float32]) -> None:
    model = model_of(keras.layers.LSTM)
    found = rnnscope.intervene(
        model, x, layer="rnn", state=state, unit=2, at=slice(3, 6), value=0.4
    )
    want = lstm(x.astype(float), model.get_layer("rnn"), state, 2, range(3, 6), 0.4)
    assert list(found.states) == ["rnn"]
    assert set(found.states["rnn"]) == set(want)
    for name, values in want.items():
        np.testing.assert_allclose(found.states["rnn"][name], values, atol=2e-6, err_msg=name)
    dense, bias = weights_of(model.layers[-1])
    np.testing.assert_allclose(found.outputs, want["h"][:, -1] @ dense + bias, atol=1e-5)
    untouched = rnnscope.record(model, x)
    for name in want:
        before = found.states["rnn"][name][:, :3], untouched["rnn"][name][:, :3]
        np.testing.assert_allclose(*before, atol=1e-6)


@pytest.mark.parametrize("state", list("hzrg"))
def test_a_gru_goes_on_as_by_its_equations(state: str, x: NDArray[np.float32]) -> None:
    model = model_of(keras.layers.GRU)
    found = rnnscope.intervene(model, x, layer="rnn", state=state, unit=0, at=4, value=-0.3)
    want = gru(x.astype(float), model.get_layer("rnn"), state, 0, range(4, 5), -0.3)
    for name, values in want.items():
        np.testing.assert_allclose(found.states["rnn"][name], values, atol=2e-6, err_msg=name)


def test_a_value_per_sequence_and_timestep_is_that_of_another_sequence(
    x: NDArray[np.float32],
) -> None:
    model = model_of(keras.layers.LSTM)
    recorded = rnnscope.record(model, x)["rnn"]["c"]
    donor = np.roll(np.arange(N), 1)
    value = recorded[donor, 2:5, 1]
    found = rnnscope.intervene(
        model, x, layer="rnn", state="c", unit=1, at=slice(2, 5), value=value, batch_size=3
    )
    np.testing.assert_allclose(found.states["rnn"]["c"][:, 2:5, 1], value, atol=1e-6)
    want = lstm(x.astype(float), model.get_layer("rnn"), "c", 1, range(2, 5), value.astype(float))
    np.testing.assert_allclose(found.states["rnn"]["h"], want["h"], atol=2e-6)


def test_what_a_state_has_anyway_changes_nothing(x: NDArray[np.float32]) -> None:
    model = model_of(keras.layers.LSTM)
    before = [each.copy() for each in model.get_weights()]
    recorded = rnnscope.record(model, x)["rnn"]
    found = rnnscope.intervene(
        model, x, layer="rnn", state="c", unit=list(range(U)), at=slice(0, T), value=recorded["c"]
    )
    for name, values in found.states["rnn"].items():
        np.testing.assert_allclose(values, recorded[name], atol=1e-6)
    np.testing.assert_allclose(found.outputs, model(x), atol=1e-6)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_layers_above_follow_and_a_layer_below_does_not(x: NDArray[np.float32]) -> None:
    keras.utils.set_random_seed(2)
    given = keras.Input((None, F))
    below = keras.layers.LSTM(U, return_sequences=True, name="below")(given)
    above = keras.layers.Bidirectional(keras.layers.GRU(U), name="above")(below)
    model = keras.Model(given, keras.layers.Dense(1)(above))
    recorded = rnnscope.record(model, x)
    ask: dict[str, Any] = {"state": "h", "unit": 0, "at": 5, "value": 2.0}
    of_below = rnnscope.intervene(model, x, layer="below", **ask)
    of_above = rnnscope.intervene(model, x, layer="above.backward", **ask)
    assert (of_below.states["below"]["h"][:, 5, 0] == 2).all()
    # It reads from the end: what it does before timestep 5 is what comes after, for it.
    backward = of_above.states["above.backward"]["h"], recorded["above.backward"]["h"]
    np.testing.assert_allclose(backward[0][:, 6:], backward[1][:, 6:], atol=1e-6)
    assert np.abs(backward[0][:, :5] - backward[1][:, :5]).max() > 0.01
    for name in ("below", "above.forward"):
        np.testing.assert_allclose(of_above.states[name]["h"], recorded[name]["h"], atol=1e-6)
    # From what the layer below hands on, those above are as ever.
    top = keras.Model(below, model.output)
    np.testing.assert_allclose(of_below.outputs, top(of_below.states["below"]["h"]), atol=1e-5)


def test_padding_is_no_row_and_a_masked_layer_is_set_in_input_time(x: NDArray[np.float32]) -> None:
    keras.utils.set_random_seed(3)
    given = keras.Input((T, F))
    y = keras.layers.LSTM(U, name="rnn")(keras.layers.Masking()(given))
    model = keras.Model(given, keras.layers.Dense(2)(y))
    lengths = np.array([9, 2, 4, 9, 6, 5, 8])
    found = rnnscope.intervene(
        model, x, layer="rnn", state="c", unit=3, at=slice(3, 5), value=1.5, lengths=lengths
    )
    for number, length in enumerate(lengths):
        one = x[number : number + 1, :length].astype(float)
        want = lstm(one, model.get_layer("rnn"), "c", 3, range(3, 5), 1.5)
        got = found.states["rnn"]["c"][number]
        np.testing.assert_allclose(got[:length], want["c"][0], atol=2e-6)
        assert np.isnan(got[length:]).all()


@pytest.mark.filterwarnings("ignore:Layer 'conv1d:UserWarning")
def test_padding_that_is_read_as_rows_is_warned_of_as_record_does(x: NDArray[np.float32]) -> None:
    """Both where lengths tell what no mask does, and where the mask is lost on the way."""
    ask: dict[str, Any] = {"layer": "rnn", "state": "h", "unit": 1, "at": 3, "value": 0.5}
    lengths = np.array([9, 4, 4, 9, 6, 5, 8])
    given = keras.Input((T, F), name="x")
    unmasked = keras.Model(given, keras.layers.GRU(U, name="rnn")(given))
    behind = keras.layers.Conv1D(F, 1)(keras.layers.Masking(name="masking")(given))
    lost = keras.Model(given, keras.layers.GRU(U, name="rnn")(behind))
    padded = np.where(np.arange(T)[:, np.newaxis] < lengths[:, np.newaxis, np.newaxis], x, 0)
    for model, values, told in ((unmasked, x, lengths), (lost, padded, None)):
        with pytest.warns(UserWarning, match="mask of") as said:
            rnnscope.record(model, values, lengths=told)
        with pytest.warns(UserWarning, match="mask of") as again:
            found = rnnscope.intervene(model, values, lengths=told, **ask)
        # Keras' own say another place.
        lines = [
            [str(one.message) for one in each if one.filename == __file__] for each in (said, again)
        ]
        assert lines[0] == lines[1]
        assert any("mask of" in line and "rnn" in line for line in lines[1])
        assert len(found.outputs) == N


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"layer": "lstm"}, "layer='lstm': no recurrent layer; there are: rnn"),
        ({"state": "z"}, "state='z': layer 'rnn' has h, c, i, f, o, g"),
        ({"unit": 4}, "whole numbers from 0 to 3"),
        ({"unit": [1, 1]}, "names one twice"),
        ({"unit": True}, "whole numbers from 0 to 3"),
        ({"at": 9}, "there are 9, from 0"),
        ({"at": -1}, "there are 9, from 0"),
        ({"at": slice(3, 3)}, "there are 9, from 0"),
        ({"at": slice(0, 9, 2)}, "there are 9, from 0"),
        ({"layer": ["rnn"]}, "no recurrent layer; there are: rnn"),
        ({"unit": {1, 2}}, "whole numbers from 0 to 3"),
        ({"at": slice(1.5, 3)}, "there are 9, from 0"),
        ({"at": slice("a", "b")}, "there are 9, from 0"),
        ({"at": slice(True, 3)}, "there are 9, from 0"),
        ({"at": True}, "there are 9, from 0"),
        ({"value": np.nan}, "holds NaN or an infinity"),
        ({"value": 1e39}, "holds a number past float32"),
        ({"value": None}, "must be a number"),
        ({"value": np.ma.MaskedArray(np.zeros((7, 3)), mask=True)}, "value is a masked array"),
        ({"value": [[0.0] * 3] * 6 + [[0.0] * 2]}, "its rows differ in length"),
        (
            {"value": pd.DataFrame(np.zeros((7, 3)), index=[1, 0, 2, 3, 4, 5, 6])},
            "value: its index is 0 to 6 in another order",
        ),
        ({"value": "0"}, "must be a number"),
        ({"value": np.zeros((7, 2))}, r"must be a number, or fit \[7, 3\], \[sequences, timesteps"),
    ],
)
def test_what_does_not_fit_is_one_line(
    wrong: dict[str, Any], says: str, x: NDArray[np.float32]
) -> None:
    right: dict[str, Any] = {"layer": "rnn", "state": "c", "unit": 1, "at": slice(3, 6), "value": 0}
    with pytest.raises(UserError, match=says) as raised:
        rnnscope.intervene(model_of(keras.layers.LSTM), x, **(right | wrong))
    assert "\n" not in str(raised.value)


def test_states_that_are_no_numbers_are_refused_and_not_taken_for_padding(
    x: NDArray[np.float32],
) -> None:
    model = model_of(keras.layers.SimpleRNN, activation="linear")
    ask: dict[str, Any] = {"layer": "rnn", "state": "h", "unit": 1, "at": 3}
    weights = model.get_weights()
    weights[1][:] = 1e20
    model.set_weights(weights)
    with pytest.raises(UserError, match=r"layer 'rnn': h of unit \d .* not a finite number"):
        rnnscope.intervene(model, x, value=1e30, **ask)
    weights[1][0, 0] = np.nan
    model.set_weights(weights)
    with pytest.raises(UserError, match="hold NaN or an infinity"):
        rnnscope.intervene(model, x, value=0, **ask)


def test_a_loop_over_timesteps_draws_no_warning_of_tensorflow(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorFlow warns from the fifth function on that is traced when it is called."""
    model = keras.Sequential([keras.Input((None, F)), keras.layers.LSTM(U, name="r")])
    x = np.zeros((2, T, F), np.float32)
    monkeypatch.setattr(logging.getLogger("tensorflow"), "propagate", True)
    for t in range(6):
        rnnscope.intervene(model, x, layer="r", state="c", unit=1, at=slice(t, t + 1), value=1.0)
    assert not [each.message for each in caplog.records if "retracing" in each.message]
