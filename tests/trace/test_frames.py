"""Sequences of frames: convolutional cells against their equations in float64, unit by unit."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers
from numpy.typing import NDArray

from rnnscope import trace
from rnnscope.trace import proof, steps
from tests import reference
from tests.trace.test_architectures import mask_of, masks

pytestmark = pytest.mark.tensorflow

CLASSES = {1: layers.ConvLSTM1D, 2: layers.ConvLSTM2D, 3: layers.ConvLSTM3D}
SHAPE = (5, 4, 3)
"""Of a frame; its first axes are used."""
BATCH, TIMESTEPS, CHANNELS = 3, 4, 2

Array = NDArray[Any]


@st.composite
def options(draw: st.DrawFn) -> dict[str, Any]:
    """The options of a ConvLSTM layer."""
    found: dict[str, Any] = {
        "filters": draw(st.integers(1, 3)),
        "kernel_size": draw(st.integers(1, 3)),
        "padding": draw(st.sampled_from(["valid", "same"])),
        "activation": draw(st.sampled_from(["tanh", "relu"])),
        "recurrent_activation": draw(st.sampled_from(["sigmoid", "hard_sigmoid"])),
        "use_bias": draw(st.booleans()),
        "go_backwards": draw(st.booleans()),
    }
    if draw(st.booleans()):
        found["strides"] = 2
    elif found["padding"] == "same":
        found["dilation_rate"] = draw(st.sampled_from([1, 2]))
    return found


def drawn(model: keras.Model, seed: int = 0) -> keras.Model:
    """The model with weights drawn at random, and not small."""
    random = np.random.default_rng(seed)
    model.set_weights([random.normal(0, 0.5, each.shape) for each in model.get_weights()])
    return model


def frames(rank: int = 2, batch: int = BATCH, seed: int = 0) -> Array:
    shape = (batch, TIMESTEPS, *SHAPE[:rank], CHANNELS)
    return np.random.default_rng(seed).normal(size=shape)


def recorded(model: keras.Model, inputs: Any) -> tuple[trace.Trace, list[Array], list[float]]:
    """The trace of a pass as the stage runs it, its outputs, and the residuals of its proof."""
    traces = []

    @tf.function(autograph=False)
    def passed(inputs: Any) -> Any:
        with trace.recording(model) as traced:
            outputs = model(inputs, training=False)
        traces.append(traced)
        signals = {name: each.signals for name, each in traced.layers.items()}
        return outputs, signals, steps.gathered(traced, tf.constant(BATCH))

    outputs, signals, gathered = passed(inputs)
    for name, each in traces[-1].layers.items():
        each.signals.update({k: np.asarray(v) for k, v in signals[name].items()})
    found = proof.proof(proof.calls_of(traces[-1]), gathered)
    residuals = [worst.value for kinds in found.values() for worst in kinds.values()]
    return traces[-1], [np.asarray(each) for each in tf.nest.flatten(outputs)], residuals


def agree(
    traced: trace.Trace, name: str, layer: Any, x: Array, valid: Any = None, initial: Any = None
) -> dict[str, Array]:
    """Hold every signal against the reference, which is returned."""
    valid = np.ones(x.shape[:2], bool) if valid is None else valid
    want = reference.layer(layer, x, valid, initial)
    assert set(traced.layers[name].signals) == set("hcifog")
    for signal, values in want.items():
        got = np.transpose(traced.layers[name].signals[signal], (1, 0, 2))
        there = ~np.isnan(values)
        np.testing.assert_allclose(got[there], values[there], 1e-5, 1e-6, err_msg=signal)
    return want


def alone(
    rank: int, kind: dict[str, Any], seed: int, dtype: str, *, first: bool
) -> tuple[keras.Model, Any]:
    """A model of one layer with a mask of its own as input, which returns its states too."""
    shape = (CHANNELS, *SHAPE[:rank]) if first else (*SHAPE[:rank], CHANNELS)
    x = keras.Input((TIMESTEPS, *shape), dtype=dtype)
    read = keras.Input((TIMESTEPS,), dtype="bool")
    form = f"channels_{'first' if first else 'last'}"
    layer = CLASSES[rank](**kind, data_format=form, return_state=True, dtype=dtype, name="maps")
    return drawn(keras.Model([x, read], layer(x, mask=read)), seed), layer


@pytest.mark.slow
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.integers(1, 3), options(), masks, st.integers(0, 2**16))
def test_every_map_of_a_convolutional_lstm_agrees_with_its_equations(
    rank: int, kind: dict[str, Any], mask_kind: str, seed: int
) -> None:
    values = frames(rank, seed=seed)
    mask = mask_of(mask_kind, BATCH, TIMESTEPS, seed)
    valid = np.ones((BATCH, TIMESTEPS), bool) if mask is None else mask
    model, layer = alone(rank, kind, seed, "float64", first=False)
    traced, outputs, residuals = recorded(model, [tf.constant(values), tf.constant(valid)])
    agree(traced, "maps", layer, values, valid)
    for a, b in zip(outputs, model([values, valid], training=False), strict=True):
        np.testing.assert_allclose(a, b, 1e-9, 1e-9)
    assert max(residuals) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("rank", CLASSES)
def test_units_are_numbered_by_row_column_and_filter(rank: int, first: bool) -> None:
    values = frames(rank).astype(np.float32)
    fed = np.moveaxis(values, -1, 2) if first else values
    everywhere = np.ones((BATCH, TIMESTEPS), bool)
    kind = {"filters": 3, "kernel_size": 2, "padding": "same"}
    model, layer = alone(rank, kind, 0, "float32", first=first)
    traced, (_, _, c), residuals = recorded(model, [fed, everywhere])
    agree(traced, "maps", layer, values)
    c = np.moveaxis(c, 1, -1) if first else c
    found = traced.layers["maps"].signals["c"][-1]
    np.testing.assert_allclose(found, c.reshape(BATCH, -1), 1e-5, 1e-6)
    place = tuple(size - 1 for size in SHAPE[:rank])
    unit = np.ravel_multi_index((*place, 1), (*SHAPE[:rank], 3))
    np.testing.assert_allclose(found[:, unit], [maps[place][1] for maps in c], 1e-5, 1e-6)
    assert max(residuals) < 1e-6


@pytest.mark.slow
def test_stacked_and_bidirectional_maps() -> None:
    values = frames().astype(np.float32)
    x = keras.Input(values.shape[1:])
    low = layers.ConvLSTM2D(2, 2, padding="same", return_sequences=True, name="low")
    both = layers.Bidirectional(layers.ConvLSTM2D(3, 2), name="both")
    y = layers.Dense(2)(layers.Flatten()(both(low(x))))
    model = drawn(keras.Model(x, y))
    traced, outputs, _ = recorded(model, values)
    np.testing.assert_allclose(outputs[0], model(values, training=False), 1e-5, 1e-5)
    h = agree(traced, "low", low, values)["h"].reshape(*values.shape[:-1], 2)
    agree(traced, "both.forward", both.forward_layer, h)
    agree(traced, "both.backward", both.backward_layer, h)


def test_a_decoder_of_maps_starts_from_the_encoders() -> None:
    values = frames().astype(np.float32)
    x = keras.Input(values.shape[1:])
    encoder = layers.ConvLSTM2D(2, 3, padding="same", return_state=True, name="encoder")
    decoder = layers.ConvLSTM2D(2, 3, padding="same", return_sequences=True, name="decoder")
    _, h, c = encoder(x)
    model = drawn(keras.Model(x, decoder(2 * x, initial_state=[h, c])))
    traced, _, _ = recorded(model, values)
    first = agree(traced, "encoder", encoder, values)
    initial = [first[name][:, -1] for name in "hc"]
    agree(traced, "decoder", decoder, 2 * values, initial=initial)


def test_an_lstm_over_what_a_convolution_sees_in_each_frame() -> None:
    values = frames().astype(np.float32)
    x = keras.Input(values.shape[1:])
    seen = layers.TimeDistributed(layers.Flatten())(
        layers.TimeDistributed(layers.Conv2D(2, 2, name="conv"))(x)
    )
    layer = layers.LSTM(4, name="lstm")
    model = drawn(keras.Model(x, layer(seen)))
    traced, _, _ = recorded(model, values)
    kernel, bias = (each.astype(np.float64) for each in model.layers[1].get_weights())
    maps = [
        [reference.correlated(frame, kernel, "valid", (1, 1), (1, 1)) + bias for frame in sequence]
        for sequence in values.astype(np.float64)
    ]
    agree(traced, "lstm", layer, np.reshape(maps, (BATCH, TIMESTEPS, -1)))
