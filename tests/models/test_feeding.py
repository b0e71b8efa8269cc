"""Feeding: each input of a model gets the data's array of its name, in its own rank and type."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from rnnscope import config, models
from rnnscope.data import Batch, Dataset, Split
from rnnscope.errors import UserError

pytestmark = pytest.mark.tensorflow

B, T, F = 4, 5, 3


def floats(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def read_out(*inputs: Any, struct: Any = None) -> keras.Model:
    """A model of several inputs, each [B, T, F], all of them used."""
    ends = [keras.layers.LSTM(2)(each) for each in inputs]
    return keras.Model(struct or list(inputs), keras.layers.Concatenate()(ends))


def assert_accepted(model: keras.Model, batch: Batch) -> NDArray[Any]:
    """What is fed fits the signature, and Keras takes it every way that this project does."""
    fed = models.inputs(model, batch)
    signature = models.signature(model)
    tf.nest.assert_same_structure(fed, signature)
    for spec, values in zip(tf.nest.flatten(signature), tf.nest.flatten(fed), strict=True):
        assert spec.shape.is_compatible_with(values.shape)
        assert spec.dtype == values.dtype
    graph = tf.function(
        lambda x: model(x, training=False), input_signature=[signature], autograph=False
    )
    got: NDArray[Any] = graph(fed).numpy()
    np.testing.assert_allclose(model(fed, training=False), got, atol=1e-6)
    np.testing.assert_allclose(model.predict(fed, verbose=0), got, atol=1e-6)
    np.testing.assert_allclose(model.predict(_Once(fed), verbose=0), got, atol=1e-6)
    return got


class _Once(keras.utils.PyDataset):
    """One batch, as ``fit`` is fed."""

    def __init__(self, fed: Any):
        super().__init__()
        self.fed = fed

    def __len__(self) -> int:
        return 1

    def __getitem__(self, number: int) -> Any:
        return (self.fed,)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["list", "tuple", "dict"])
def test_several_inputs_go_by_name_in_whatever_order_the_model_has_them(kind: str) -> None:
    b, a = keras.Input((T, F), name="b"), keras.Input((2, 1), name="a")
    struct = {"list": [b, a], "tuple": (b, a), "dict": {"a": a, "b": b}}[kind]
    model = read_out(b, a, struct=struct)
    first, second = floats(B, T, F), floats(B, 2, 1)
    want = model({"b": first, "a": second}, training=False)
    for batch in (
        Batch(first, None, None, {"a": second}),
        Batch(second, None, None, {"b": first}),
        Batch(second, None, None, {"b": first}, name="a"),
    ):
        np.testing.assert_allclose(assert_accepted(model, batch), want, atol=1e-6)


def test_one_input_takes_x_whatever_its_name() -> None:
    x = keras.Input((T, F), name="anything")
    layer = keras.layers.LSTM(2)
    for struct in (x, [x], {"anything": x}):
        assert_accepted(keras.Model(struct, layer(x)), Batch(floats(B, T, F), None, None))
    assert_accepted(
        keras.Sequential([keras.Input((T, F)), layer]), Batch(floats(B, T, F), None, None)
    )


def test_a_mask_beside_several_inputs_is_made_from_the_lengths() -> None:
    x, mask = keras.Input((T, F), name="x"), keras.Input((T,), dtype="bool", name="mask")
    other = keras.Input((T, F), name="other")
    ends = [keras.layers.LSTM(2)(x, mask=mask), keras.layers.LSTM(2)(other)]
    model = keras.Model([mask, x, other], keras.layers.Concatenate()(ends))
    lengths = np.array([5, 1, 2, 3], np.int32)
    batch = Batch(floats(B, T, F), None, lengths, {"other": floats(B, T, F)})
    assert_accepted(model, batch)
    assert models.inputs(model, batch)["mask"].sum(axis=1).tolist() == lengths.tolist()
    assert models.sequence_shape(model) == (T, F)


def embedding(dtype: str) -> keras.Model:
    tokens = keras.Input((T,), dtype=dtype, name="tokens")
    y = keras.layers.Embedding(300, 4, mask_zero=True)(tokens)
    return keras.Model(tokens, keras.layers.LSTM(2)(y))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "int32", "int64"])
@pytest.mark.parametrize("kind", [np.int32, np.uint8])
def test_tokens_reach_an_embedding_as_they_are(dtype: str, kind: Any) -> None:
    tokens = np.array([[7, 255, 1, 0, 0]] * B)
    model = embedding(dtype)
    split = Split(tokens.astype(kind))
    got = assert_accepted(model, split.take(slice(None)))
    np.testing.assert_allclose(got, model(tokens, training=False), atol=1e-6)
    as_feature = Batch(tokens[..., np.newaxis].astype(np.float32), None, None)  # from a table
    np.testing.assert_allclose(got, assert_accepted(model, as_feature), atol=1e-6)
    assert models.sequence_shape(model) == (T,)


def test_a_feature_alone_fits_inputs_of_either_rank() -> None:
    flat, deep = keras.Input((T,), name="flat"), keras.Input((T, 1), name="deep")
    one = keras.Model(flat, keras.layers.LSTM(2)(keras.layers.Reshape((T, 1))(flat)))
    other = keras.Model(deep, one(deep[..., 0]))
    for values in (floats(B, T), np.arange(B * T, dtype=np.int32).reshape(B, T)):
        batch = Split(values).take(slice(None))
        np.testing.assert_allclose(
            assert_accepted(one, batch), assert_accepted(other, batch), atol=1e-6
        )


def test_bytes_are_pixels_only_where_the_model_takes_features() -> None:
    pixels = np.arange(B * T, dtype=np.uint8).reshape(B, T) * 10
    batch = Split(pixels).take(slice(None))
    built = models.build(
        config.Recurrent("gru", 2, 1, False, 0.0),
        Dataset(Split(pixels, np.zeros(B, np.int32)), classes=("a", "b")),
    )
    np.testing.assert_allclose(
        models.inputs(built, batch), pixels[..., np.newaxis] / 255, rtol=1e-6
    )
    np.testing.assert_array_equal(models.inputs(embedding("int32"), batch), pixels)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_inputs_are_as_exact_as_the_model(dtype: str) -> None:
    x = keras.Input((T, F), dtype=dtype)
    model = keras.Model(x, keras.layers.LSTM(2, dtype=dtype)(x))
    values = np.full((B, T, F), 1 / 3)
    fed = models.inputs(model, Split(values).take(slice(None)))
    assert fed.dtype == dtype
    np.testing.assert_array_equal(fed, values.astype(dtype))


@keras.saving.register_keras_serializable("tests")
class Own(keras.Model):
    """A subclassed model of one input, or of several by name."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.layer = keras.layers.LSTM(2)

    def call(self, x: Any) -> Any:
        if isinstance(x, dict):
            return self.layer(x["a"]) + self.layer(x["b"])
        return self.layer(x)


def test_a_subclassed_model_is_fed_as_it_was_built(tmp_path: Any) -> None:
    values = floats(B, T, F)
    for x, batch in (
        (values, Batch(values, None, None)),
        ({"a": values, "b": values}, Batch(values, None, None, {"b": values})),
    ):
        model = Own()
        with pytest.raises(UserError, match="does not declare its inputs"):
            models.signature(model)
        model(x)
        model.save(tmp_path / "own.keras")
        again = keras.saving.load_model(tmp_path / "own.keras")
        np.testing.assert_allclose(assert_accepted(again, batch), model(x), atol=1e-6)
        assert models.sequence_shape(again) == (None, F)


def two() -> keras.Model:
    return read_out(keras.Input((T, F), name="x"), keras.Input((T, F), name="foo"))


@pytest.mark.parametrize(
    ("batch", "says"),
    [
        (
            Batch(floats(B, T, F), None, None),
            "has an input 'foo', for which the data has no array: it has x; add x_foo_test",
        ),
        (
            Batch(floats(B, T, F), None, None, name="foo"),
            "has an input 'x', for which the data has no array: it has x_foo; add x_x_test",
        ),
        (
            Batch(floats(B, T, F), None, None, dict.fromkeys(["foo", "bar"], floats(B, T, F))),
            r"the data has an input 'bar', which model .* its inputs are x, foo; name the array",
        ),
        (
            Batch(floats(B, T, F), None, None, {"foo": floats(B, T, 2)}),
            r"takes \(5, 3\) for its input 'foo'; the data's is \(5, 2\)",
        ),
    ],
)
def test_a_misfit_is_one_line(batch: Batch, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        models.inputs(two(), batch)
    assert "\n" not in str(caught.value)


def test_fractions_are_no_tokens() -> None:
    with pytest.raises(UserError, match=r"takes whole numbers \(int32\) for its input 'tokens'"):
        models.inputs(embedding("int32"), Batch(np.full((B, T), 0.5, np.float32), None, None))
