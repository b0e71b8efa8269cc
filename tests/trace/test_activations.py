"""Activations that are layers, with weights of each unit; and methods that somebody replaced."""

from typing import Any

import keras
import numpy as np
import pytest

import rnnscope
from rnnscope.errors import UserError
from tests import reference

pytestmark = pytest.mark.tensorflow

X = np.random.default_rng(0).normal(size=(6, 5, 3)).astype(np.float32)
ALPHA = np.array([0.1, 0.5, 2.0, -0.3], np.float32)


def leaky() -> keras.Layer:
    """Another slope for each of four units."""
    layer = keras.layers.PReLU()
    layer.build((None, 4))
    layer.set_weights([ALPHA])
    return layer


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.LSTM(4, activation=leaky(), return_sequences=True, name="rnn"),
        keras.layers.GRU(4, activation=leaky(), return_sequences=True, name="rnn"),
        keras.layers.GRU(4, activation=leaky(), reset_after=False, name="rnn"),
        keras.layers.SimpleRNN(4, activation=leaky(), name="rnn"),
    ],
    ids=["lstm", "gru", "gru, reset before", "simple"],
)
def test_an_activation_with_weights_of_its_own(layer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = keras.Sequential([keras.Input((None, 3)), layer])
    monkeypatch.setitem(
        reference.FUNCTIONS, "leaky", lambda a: np.where(a > 0, a, ALPHA.astype(np.float64) * a)
    )
    weights = [np.asarray(each, np.float64) for each in _without(layer, ALPHA)]
    kind = type(layer).__name__
    signals, states = {"LSTM": ("hcifog", "hc"), "GRU": ("hzrg", "h")}.get(kind, ("h", "h"))
    if kind == "LSTM":
        step = reference.lstm_step(weights, "leaky", "sigmoid")
    elif kind == "GRU":
        step = reference.gru_step(weights, "leaky", "sigmoid", layer.reset_after)
    else:
        step = reference.simple_step(weights, "leaky")
    start: dict[str, Any] = dict.fromkeys(states)
    want = reference.run(step, signals, X, np.ones(X.shape[:2], bool), start, 4, False)
    found = rnnscope.record(model, X)["rnn"]
    assert set(found) == set(signals)
    for signal in signals:
        np.testing.assert_allclose(found[signal], want[signal], rtol=0, atol=2e-6, err_msg=signal)


def _without(layer: Any, alpha: Any) -> list[Any]:
    """The weights of a layer's cell that are not those of its activation."""
    return [each for each in layer.cell.get_weights() if each.shape != alpha.shape]


def test_a_loop_that_somebody_put_in_place_of_keras_own_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On the layer itself, or on Keras' class for all layers."""
    model = keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(4, name="lstm")])
    stock = keras.layers.LSTM.inner_loop

    def scaled(self: Any, sequences: Any, *args: Any, **kwargs: Any) -> Any:
        return stock(self, 2.0 * sequences, *args, **kwargs)

    layer: Any = model.layers[0]
    object.__setattr__(layer, "inner_loop", lambda *args, **more: scaled(layer, *args, **more))
    for undo in (lambda: object.__delattr__(layer, "inner_loop"), None):
        with pytest.raises(UserError, match="layer 'lstm': LSTM has an inner loop of its own"):
            rnnscope.record(model, X)
        if undo:
            undo()
            assert set(rnnscope.record(model, X)) == {"lstm"}
            monkeypatch.setattr(keras.layers.LSTM, "inner_loop", scaled)


def test_a_cell_whose_method_somebody_replaced_counts_as_another_cell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stock = keras.layers.GRUCell.call

    def halved(self: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        return stock(self, 0.5 * x, *args, **kwargs)

    monkeypatch.setattr(keras.layers.GRUCell, "call", halved)
    model = keras.Sequential([keras.Input((5, 3)), keras.layers.GRU(4, name="gru")])
    found = rnnscope.record(model, X)["gru"]
    assert set(found) == {"s0"}
    np.testing.assert_allclose(found["s0"][:, -1], model(X), rtol=0, atol=1e-6)
