"""A captioning model: padding, masks and tokens, and what the log says of them."""

import logging
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from rnnscope import states, store
from tests.extract.test_lengths import (
    Arrays,
    F,
    K,
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

WORDS = 20


@pytest.fixture(autouse=True)
def seeded() -> None:
    keras.utils.set_random_seed(0)


class Captioner:
    """Features of an image are the first states of a layer that reads words."""

    def __init__(self, *, masked: bool = False, every: bool = True, mask_zero: bool = True):
        image, words = keras.Input((8,), name="image"), keras.Input((T,), name="caption")
        self.start = layers.Dense(4, name="start")
        self.table = layers.Embedding(WORDS, 3, mask_zero=mask_zero, name="table")
        self.lstm = layers.LSTM(4, return_sequences=every, name="decoder")
        mask: Any = None
        if masked:
            mask = self.table.compute_mask(words) if mask_zero else ops.not_equal(words, 0)
        state = self.start(image)
        y = self.lstm(self.table(words), initial_state=[state, state], mask=mask)
        self.model = keras.Model([image, words], layers.Dense(K, "softmax")(y))

    def check(self, folder: Path, arrays: Arrays, lengths: Any) -> None:
        kernel, bias = self.start.get_weights()
        state = arrays["x_image_test"] @ kernel + bias
        read = self.table.get_weights()[0][arrays["x_caption_test"].astype(int)]
        assert_recorded(folder, "decoder", self.lstm, cut(read, lengths), [state, state])


def captions(lengths: Any, *, every: bool = True) -> Arrays:
    y = random(4).integers(0, K, (N, T) if every else N)
    return {
        "x_image_test": floats(N, 8, seed=3),
        "x_caption_test": tokens(lengths, 2),
        "y_test": y,
    }


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    caplog.clear()
    return [each for each in found if "mask" in each]


def test_a_mask_that_does_not_reach_a_layer_is_told_and_both_remedies_work(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    net, lengths = Captioner(), drawn(1)
    arrays = captions(lengths)
    folder = recorded(tmp_path, net.model, arrays)
    net.check(folder, arrays, None)
    assert store.read_manifest(folder)["mask_lost"] == {"decoder": "table"}
    (says,) = warned(caplog)
    assert says.startswith("the mask of 'table' does not reach layer 'decoder'")
    assert "padding are rows there, with labels" in says
    assert (
        "give lengths_caption_test, or in the layer's call mask=table.compute_mask(caption)" in says
    )

    folder = recorded(tmp_path, net.model, arrays | {"lengths_caption_test": lengths})
    net.check(folder, arrays, lengths)
    assert warned(caplog) == []  # it is read forwards, and its outputs are of timesteps

    other = Captioner(masked=True)
    other.model.set_weights(net.model.get_weights())
    folder = recorded(tmp_path, other.model, arrays)
    other.check(folder, arrays, lengths)
    assert warned(caplog) == []


LOST: dict[str, Any] = {
    "a convolution": lambda x: layers.Conv1D(3, 3, padding="same")(x),
    "an operation": lambda x: ops.tanh(x),
}


@pytest.mark.filterwarnings("ignore:Layer 'conv1d:UserWarning")
@pytest.mark.parametrize("way", LOST)
def test_a_mask_is_lost_behind_layers_that_pass_none(
    way: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    x = keras.Input((T, F), name="x")
    y = layers.LSTM(4, name="lstm")(LOST[way](layers.Masking(name="masking")(x)))
    model = keras.Model(x, y)
    recorded(tmp_path, model, {"x_test": padded(drawn(1))})
    (says,) = warned(caplog)
    assert "the mask of 'masking' does not reach layer 'lstm'" in says
    assert "give lengths_test" in says
    recorded(tmp_path, model, {"x_test": floats(N, T, F)})  # no padding
    assert warned(caplog) == []


@pytest.mark.parametrize("mask_zero", [True, False])
def test_outputs_that_depend_on_padding_are_told_with_a_mask_that_avoids_it(
    mask_zero: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    net = Captioner(every=False, mask_zero=mask_zero)
    lengths = drawn(1)
    arrays = captions(lengths, every=False)
    folder = recorded(tmp_path, net.model, arrays | {"lengths_caption_test": lengths})
    net.check(folder, arrays, lengths)
    remedy = "table.compute_mask(caption)" if mask_zero else "keras.ops.not_equal(caption, 0)"
    assert warned(caplog) == [
        "no mask of padding reaches decoder: it is read as token 0, and the outputs depend on it; "
        f"mask={remedy} in the call of decoder avoids that"
    ]
    other = Captioner(every=False, mask_zero=mask_zero, masked=True)
    other.model.set_weights(net.model.get_weights())
    folder = recorded(tmp_path, other.model, arrays | {"lengths_caption_test": lengths})
    other.check(folder, arrays, lengths)
    assert warned(caplog) == []


READ: dict[str, Any] = {
    "backwards": (
        lambda x: layers.LSTM(4, name="lstm", go_backwards=True)(x),
        "the states of lstm and the outputs depend",
    ),
    "both ways": (
        lambda x: layers.Bidirectional(layers.LSTM(4, return_sequences=True), name="both")(x),
        "the states of both.backward and the outputs depend",
    ),
    "forwards": (lambda x: layers.LSTM(4, return_sequences=True)(x), None),
    "to its end": (lambda x: layers.LSTM(4, name="lstm")(x), "zeros, and the outputs depend"),
}


@pytest.mark.parametrize("way", READ)
def test_only_what_depends_on_padding_is_named(
    way: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    x = keras.Input((T, F), name="x")
    make, says = READ[way]
    model = keras.Model(x, layers.Dense(K)(make(x)))
    lengths = drawn(1)
    recorded(tmp_path, model, {"x_test": padded(lengths), "lengths_test": lengths})
    found = warned(caplog)
    assert len(found) == (says is not None)
    if says is not None:
        assert says in found[0]
        assert "mask=keras.ops.any(keras.ops.not_equal(x, 0), axis=-1)" in found[0]


# tokens


def with_token(value: float, kind: Any, at: tuple[int, int] = (3, 0)) -> Arrays:
    arrays = captions(drawn(1))
    words = arrays["x_caption_test"].astype(kind)
    words[at] = value
    return arrays | {"x_caption_test": words, "lengths_caption_test": drawn(1)}


@pytest.mark.parametrize(
    ("value", "kind", "says"),
    [
        (WORDS, int, "is 20: layer 'table' takes tokens, whole numbers from 0 to 19"),
        (WORDS, np.float32, "is 20: layer 'table' takes tokens, whole numbers from 0 to 19"),
        (-1, int, "is -1: layer 'table' takes tokens, whole numbers from 0 to 19; of padding give"),
        (1.5, float, "is 1.5: layer 'table' takes tokens, whole numbers from 0 to 19"),
    ],
)
def test_tokens_outside_the_vocabulary_are_refused(
    value: float, kind: Any, says: str, tmp_path: Path
) -> None:
    net = Captioner()
    found = refused(tmp_path, net.model, with_token(value, kind))
    assert found.startswith(f"x_caption_test[3, 0] {says}")
    last = int(drawn(1).argmin()), T - 1  # beyond the length it is padding
    arrays = with_token(value, kind, last)
    assert arrays["lengths_caption_test"][last[0]] < T
    folder = recorded(tmp_path, net.model, arrays)
    assert len(states.read_states(folder, "h")) == arrays["lengths_caption_test"].sum()


PATHS: dict[str, Any] = {
    "a column": ((T, 1), lambda x: layers.Embedding(WORDS, 3, name="table")(x[..., 0]), None),
    "reshaped": (
        (T, 1),
        lambda x: layers.Embedding(WORDS, 3, name="table")(layers.Reshape((T,))(x)),
        "x_test[2, 4, 0] is 20",
    ),
    "in a nested model": (
        (T,),
        lambda x: keras.Sequential([keras.Input((T,)), layers.Embedding(WORDS, 3, name="table")])(
            x
        ),
        "x_test[2, 4] is 20",
    ),
    "one more": ((T,), lambda x: layers.Embedding(WORDS + 1, 3)(ops.cast(x, "int32")), ""),
    "shifted by the model": ((T,), lambda x: layers.Embedding(WORDS, 3)(x - 1), ""),
}


@pytest.mark.parametrize("way", PATHS)
def test_tokens_are_found_on_their_way_to_the_embedding(way: str, tmp_path: Path) -> None:
    shape, make, says = PATHS[way]
    x = keras.Input(shape, name="x")
    model = keras.Model(x, layers.GRU(4)(make(x)))
    words = random(2).integers(1, WORDS, (N, T))
    words[2, 4] = WORDS
    if says == "":
        assert len(states.read_states(recorded(tmp_path, model, {"x_test": words}), "h")) == N * T
        return
    found = refused(tmp_path, model, {"x_test": words})
    assert found.startswith(says or "model 'functional")


@keras.saving.register_keras_serializable("tests.captions")
class Flat(keras.Model):
    """A subclassed model with a weight for each timestep."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.lstm, self.flat = layers.LSTM(4, return_sequences=True), layers.Flatten()
        self.out = layers.Dense(2)

    def call(self, x: Any) -> Any:
        """From all timesteps side by side."""
        return self.out(self.flat(self.lstm(x)))

    def build(self, shape: Any) -> None:
        """Build all layers."""
        self.lstm.build(shape)
        self.out.build((None, 4 * shape[1]))
        super().build(shape)


def test_another_number_of_timesteps_than_a_model_takes_is_one_line(tmp_path: Path) -> None:
    model = Flat()
    model(floats(N, T, F))
    says = refused(tmp_path, model, {"x_test": floats(N, T + 1, F)})
    assert str(T + 1) in says
