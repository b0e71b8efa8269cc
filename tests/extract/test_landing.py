"""Where a model moves time, lengths do not tell the rows of what reads it then."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from rnnscope import states
from rnnscope.data import Split
from rnnscope.extract import landing
from rnnscope.extract.landing import displaced, landings
from tests import reference
from tests.extract.test_lengths import (
    Arrays,
    F,
    N,
    T,
    assert_recorded,
    cut,
    drawn,
    floats,
    padded,
    random,
    recorded,
    refused,
    tokens,
)

pytestmark = pytest.mark.tensorflow


@pytest.fixture(autouse=True)
def seeded() -> None:
    keras.utils.set_random_seed(0)


@keras.saving.register_keras_serializable("tests.landing")
class Turned(keras.layers.Layer):
    """A layer of a user's own that reverses time."""

    def call(self, x: Any) -> Any:
        """Reverse it."""
        return ops.take(x, ops.arange(ops.shape(x)[1] - 1, -1, -1), axis=1)


def shifted(x: Any) -> Any:
    """As a decoder that starts with nothing reads its targets: one timestep later."""
    return layers.ZeroPadding1D((1, 0))(x)[:, :-1]


def below(x: Any, **options: Any) -> Any:
    return layers.LSTM(4, return_sequences=True, name="below", **options)(x)


def behind(x: Any) -> Any:
    """Turned round between two recurrent layers."""
    both = layers.Bidirectional(layers.LSTM(3, return_sequences=True, name="below"))
    return ops.flip(both(x), axis=1)


MOVED = {
    "flipped": lambda x: ops.flip(x, axis=1),
    "sliced backwards": lambda x: x[:, ::-1],
    "rolled": lambda x: ops.roll(x, 1, axis=1),
    "rolled back": lambda x: ops.roll(x, -2, axis=1),
    "turned by a layer": lambda x: Turned()(x),
    "shifted": shifted,
    "turned, then a convolution both ways": lambda x: layers.Conv1D(3, 3, padding="same")(
        x[:, ::-1]
    ),
    "halves swapped": lambda x: layers.Concatenate(axis=1)([x[:, T // 2 :], x[:, : T // 2]]),
    "turned in a nested model": lambda x: keras.Sequential([keras.Input((T, F)), Turned()])(x),
    "beside itself turned": lambda x: layers.Concatenate()([x, ops.flip(x, axis=1)]),
    "turned, then a convolution": lambda x: layers.Conv1D(3, 3, padding="causal")(x[:, ::-1]),
    "embedded, then turned": lambda x: layers.Dense(4, "relu")(x)[:, ::-1],
    "read backwards below": lambda x: below(x, go_backwards=True),
    "turned behind a layer that reads both ways": behind,
    "turned beside a large feature": lambda x: layers.Concatenate()(
        [x[:, :, :1] * 1e7, x[:, ::-1, 1:]]
    ),
    "turned and spread": lambda x: (lambda y: y - ops.mean(y, axis=1, keepdims=True))(x[:, ::-1]),
}
KEPT = {
    "as it is": lambda x: x,
    "there and back": lambda x: ops.flip(ops.flip(x, axis=1), axis=1),
    "permuted there and back": lambda x: layers.Permute((2, 1))(layers.Permute((2, 1))(x)),
    "causal": lambda x: layers.Conv1D(3, 3, padding="causal", dilation_rate=2)(x),
    "same": lambda x: layers.Conv1D(3, 2, padding="same", activation="relu")(x),
    "same, without its middle": lambda x: layers.Conv1D(3, 2, padding="same", dilation_rate=2)(x),
    "causal by hand": lambda x: layers.Conv1D(3, 3)(layers.ZeroPadding1D((2, 0))(x)),
    "pooled": lambda x: layers.MaxPooling1D(3, strides=1, padding="same")(x),
    "one feature large": lambda x: layers.Concatenate()([x[:, :, :1] * 1e7, x]),
    "one feature small": lambda x: layers.Concatenate()([x[:, :, :1] * 1e-7, x]),
    "features turned": lambda x: x[:, :, ::-1],
    "stacked": lambda x: below(x),
    "both ways": lambda x: layers.Bidirectional(layers.GRU(3, return_sequences=True))(x),
    "self-attention": lambda x: layers.MultiHeadAttention(2, 3)(x, x),
    "normalised over time": lambda x: layers.LayerNormalization(axis=[1, 2])(x),
    "masked": layers.Masking(),
    "noise": lambda x: layers.GaussianNoise(1.0)(x),
}


def reader(way: Any, size: int | None = T, **options: Any) -> tuple[keras.Model, Any]:
    """A recurrent layer behind a way from the input."""
    layer = layers.LSTM(4, return_sequences=True, name="lstm", **options)
    x = keras.Input((size, F), name="x")
    model = keras.Model(x, layer(way(x)))
    for weight in model.trainable_weights:
        weight.assign(random(1).normal(size=weight.shape) * 0.5)
    return model, layer


SPLIT = Split(padded(drawn(1)), lengths=drawn(1).astype(np.int32))


@pytest.mark.parametrize("way", MOVED)
def test_time_that_is_moved_is_seen(way: str) -> None:
    model, _ = reader(MOVED[way])
    assert "lstm" in displaced(model, SPLIT, graph=True)


@pytest.mark.parametrize("way", KEPT)
def test_time_that_is_kept_is_not_suspected(way: str) -> None:
    model, _ = reader(KEPT[way])
    assert displaced(model, SPLIT, graph=True) == {}


def test_without_lengths_moved_timesteps_are_known_and_all_are_rows(tmp_path: Path) -> None:
    model, layer = reader(MOVED["flipped"])
    x = floats(N, T, F)
    full = Split(x, lengths=np.full(N, T, np.int32))
    for split in (Split(x), full):
        assert displaced(model, split, graph=True) == {"lstm": {None: (0, T - 1)}}
    assert_recorded(recorded(tmp_path, model, {"x_test": x}), "lstm", layer, cut(x[:, ::-1]))


def test_what_the_graph_shows_in_its_place_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def tried(*_: Any) -> Any:
        raise AssertionError("the model is run")

    monkeypatch.setattr(landing, "landings", tried)
    x = keras.Input((T, F))
    model = keras.Model(x, layers.LSTM(3)(layers.Dense(4)(x)))
    assert displaced(model, Split(floats(N, T, F)), graph=True) == {}


def test_moved_tokens_and_the_weights_of_a_model_stay_as_they_are() -> None:
    x = keras.Input((T,), name="tokens", batch_size=3)
    lstm = layers.GRU(4, stateful=True, name="gru")
    model = keras.Model(x, lstm(layers.Dropout(0.5)(layers.Embedding(20, 4)(x)[:, ::-1])))
    lstm.states[0].assign(np.ones((3, 4)))
    variables = [*model.variables, *lstm.states]
    before = [np.array(each) for each in variables]
    lengths = drawn(1)
    found = displaced(
        model, Split(tokens(lengths, 2), lengths=lengths.astype(np.int32)), graph=True
    )
    assert found == {"gru": {None: (0, T - 1)}}
    for each, known in zip(variables, before, strict=True):
        np.testing.assert_array_equal(np.array(each), known)


@pytest.mark.slow
def test_moved_time_is_refused_by_a_line_whose_remedies_work(tmp_path: Path) -> None:
    model, layer = reader(MOVED["flipped"])
    lengths = drawn(1)
    x = padded(lengths)
    arrays: Arrays = {"x_test": x, "lengths_test": lengths}
    says = refused(tmp_path, model, arrays)
    assert says.startswith(
        f"layer 'lstm': the model moves time on the way to it (timestep 0 of x_test is read at "
        f"{T - 1}), so lengths_test does not tell"
    )
    # each sequence reversed in the data
    turned = np.zeros_like(x)
    for n, length in enumerate(lengths):
        turned[n, :length] = x[n, :length][::-1]
    straight, same = reader(KEPT["as it is"])
    straight.set_weights(model.get_weights())
    folder = recorded(tmp_path, straight, {"x_test": turned, "lengths_test": lengths})
    assert_recorded(folder, "lstm", same, cut(turned, lengths))
    # a mask: rows are where the data is now
    read = keras.Input((T, F), name="x")
    mask = ops.flip(layers.Masking().compute_mask(read), axis=1)
    masked = keras.Model(read, layer(ops.flip(read, axis=1), mask=mask))
    folder = recorded(tmp_path, masked, arrays)
    valid = (np.arange(T) < lengths[:, np.newaxis])[:, ::-1]
    want = reference.layer(layer, x[:, ::-1], valid, None)["c"]
    got = states.read_states(folder, "c", as_array=True)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)
    # without lengths all timesteps are rows
    folder = recorded(tmp_path, model, {"x_test": x})
    assert_recorded(folder, "lstm", layer, cut(x[:, ::-1]))


# without a graph


@keras.saving.register_keras_serializable("tests.landing")
class Captioner(keras.Model):
    """A subclassed model: features of an image start a layer that reads words."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.start, self.lstm = layers.Dense(4), layers.GRU(4, name="lstm")

    def build(self, shape: Any) -> None:
        """Build both layers."""
        self.start.build(shape["image"])
        self.lstm.build(shape["words"])
        super().build(shape)

    def call(self, inputs: Any) -> Any:
        """The final states."""
        return self.lstm(inputs["words"], initial_state=self.start(inputs["image"]))


@pytest.mark.parametrize("width", [T, 3 * T])
def test_without_a_graph_lengths_of_an_input_without_time_are_refused(
    width: int, tmp_path: Path
) -> None:
    model = Captioner()
    model({"image": floats(N, width), "words": floats(N, T, F)})
    lengths = drawn(1)
    image = floats(N, width, seed=3)
    arrays: Arrays = {"x_image_test": image, "x_words_test": padded(lengths)}
    says = refused(
        tmp_path, model, arrays | {"lengths_image_test": lengths, "lengths_words_test": lengths}
    )
    assert "lengths_image_test: no recurrent layer reads the timesteps of 'image'" in says
    assert says.endswith("leave lengths_image_test out")
    split = Split(
        arrays["x_words_test"],
        lengths=lengths.astype(np.int32),
        others={"image": image},
        name="words",
    )
    assert displaced(model, split, graph=False) == {}
    assert landings(model, split, None)["lstm"].in_order
    assert not landings(model, split, "image")["lstm"].in_order
