"""Subclassed models, saved and loaded again: fed in the form that their ``call`` takes."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from rnnscope import models, trace
from rnnscope.data import Batch, Split
from rnnscope.errors import UserError
from tests.models.test_feeding import assert_accepted

pytestmark = pytest.mark.tensorflow

B, T, F = 4, 5, 3
NOT_BUILT = pytest.mark.filterwarnings("ignore:Model .* had a build config")
RANDOM = np.random.default_rng(0)
LONG, SHORT = (RANDOM.normal(size=(B, t, F)).astype(np.float32) for t in (T, 2))
TOKENS = RANDOM.integers(0, 9, (B, T)).astype(np.int32)
FIXED = RANDOM.normal(size=(B, 4)).astype(np.float32)


class Two(keras.Model):
    """Two layers of one name, over a tuple."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.one, self.other = layers.LSTM(2, name="lstm"), layers.LSTM(3, name="lstm")

    def call(self, inputs: Any) -> Any:
        long, short = inputs
        return keras.ops.concatenate([self.one(long), self.other(short)], axis=1)


class Named(Two):
    """The same, over a dict."""

    def call(self, inputs: Any) -> Any:
        return super().call((inputs["long"], inputs["short"]))


class Arguments(Two):
    """The same, over two arguments."""

    def call(self, long: Any, short: Any) -> Any:  # type: ignore[override]
        return super().call((long, short))


class Words(keras.Model):
    """Tokens, and attributes of the whole sequence."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.embedding, self.lstm = layers.Embedding(9, 4, mask_zero=True), layers.LSTM(2)
        self.known = layers.Dense(2)

    def call(self, inputs: Any) -> Any:
        tokens, known = inputs
        return self.lstm(self.embedding(tokens)) + self.known(known)


class Gathered(Words):
    """The same, with a step that takes whole numbers only."""

    def call(self, inputs: Any) -> Any:
        tokens, known = inputs
        even = tf.gather(tf.eye(2), tokens % 2)[..., :1]
        return self.lstm(self.embedding(tokens) + even) + self.known(tf.cast(known, "float32"))


class Unrolled(keras.Model):
    """One that runs at a single T."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.lstm = layers.LSTM(2, unroll=True)

    def call(self, inputs: Any) -> Any:
        return self.lstm(inputs)


class Lazy(keras.Model):
    """One that Keras cannot build from a shape alone, since its call wants whole numbers."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.lstm = layers.LSTM(2, name="late")

    def call(self, inputs: Any) -> Any:
        return self.lstm(tf.gather(tf.eye(9), inputs))


class Built(Lazy):
    """The same, mended as the error says."""

    def build(self, input_shape: Any) -> None:
        self.lstm.build((*input_shape, 9))


OWN = {own.__name__: own for own in (Two, Named, Arguments, Words, Unrolled, Lazy, Built)}


def again(model: keras.Model, folder: Path, *inputs: Any) -> tuple[keras.Model, NDArray[Any]]:
    """The model, called once, saved and loaded; and its outputs before."""
    outputs = np.asarray(model(*inputs))
    model.save(folder / "own.keras")
    return keras.saving.load_model(folder / "own.keras", OWN), outputs


@pytest.mark.slow
@pytest.mark.parametrize("form", [tuple, list])
def test_a_tuple_goes_by_place(form: Any, tmp_path: Path) -> None:
    model, want = again(Two(), tmp_path, form((LONG, SHORT)))
    for batch in (
        Batch(LONG, None, None, {"1": SHORT}),
        Batch(LONG, None, None, {"1": SHORT}, name="0"),
        Batch(SHORT, None, None, {"0": LONG}),
    ):
        np.testing.assert_allclose(assert_accepted(model, batch), want, atol=1e-6)
    with pytest.raises(UserError, match="add x_0_test"):
        models.inputs(model, Batch(LONG, None, None))
    assert list(trace.recurrent_layers(model)) == ["lstm", "lstm.2"]


def test_a_dict_goes_by_name(tmp_path: Path) -> None:
    model, want = again(Named(), tmp_path, {"long": LONG, "short": SHORT})
    batch = Batch(SHORT, None, None, {"long": LONG}, name="short")
    np.testing.assert_allclose(assert_accepted(model, batch), want, atol=1e-6)


@NOT_BUILT
def test_several_arguments_are_refused_with_what_works(tmp_path: Path) -> None:
    model, _ = again(Arguments(), tmp_path, LONG, SHORT)
    with pytest.raises(UserError, match=r"several arguments \(long, short\).* one tuple or dict"):
        models.signature(model)


def test_tokens_beside_numbers_that_are_none(tmp_path: Path) -> None:
    model, want = again(Words(), tmp_path, (TOKENS, FIXED))
    batch = Split(TOKENS, others={"1": FIXED}).take(slice(None))
    np.testing.assert_allclose(assert_accepted(model, batch), want, atol=1e-6)


def test_whole_numbers_where_the_model_runs_on_no_others() -> None:
    model, known = Gathered(), np.arange(4 * B, dtype=np.int32).reshape(B, 4)
    want = model((TOKENS, known))
    batch = Split(TOKENS, others={"1": known}).take(slice(None))
    np.testing.assert_allclose(assert_accepted(model, batch), want, atol=1e-6)


def test_t_is_free_unless_the_model_runs_at_one_t_only(tmp_path: Path) -> None:
    model, want = again(Unrolled(), tmp_path, LONG)
    np.testing.assert_allclose(assert_accepted(model, Batch(LONG, None, None)), want, atol=1e-6)
    assert models.sequence_shape(model) == (T, F)
    with pytest.raises(
        UserError, match=r"takes \(5, 3\) for its input 'x'; the data's is \(2, 3\)"
    ):
        models.inputs(model, Batch(SHORT, None, None))


@NOT_BUILT
def test_a_layer_that_came_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"'late' has no weights in the file.* build\(input_shape\)"
    ):
        models.signature(again(Lazy(), tmp_path, TOKENS)[0])
    model, want = again(Built(), tmp_path, TOKENS)
    np.testing.assert_allclose(model(TOKENS), want, atol=1e-6)


def test_a_model_that_does_not_run_is_refused_in_one_line() -> None:
    model = Two()
    model((LONG, SHORT))
    model.one.cell.kernel = model.one.cell.kernel[:2]
    with pytest.raises(UserError, match=r"does not run on inputs of the shapes") as caught:
        models.signature(model)
    assert "\n" not in str(caught.value)
