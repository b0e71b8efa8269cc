"""Whose timesteps a layer reads, found from the graph whatever lies between it and the inputs."""

from typing import Any

import keras
import pytest
from keras import layers, ops

from rnnscope.models.times import Times, roles, times

pytestmark = pytest.mark.tensorflow

T, F = 12, 3


def read(*sequences: Any) -> Any:
    """A recurrent layer over each, and what they end in."""
    ends = [layers.GRU(2, name=f"rnn_{number}")(x) for number, x in enumerate(sequences)]
    return ends[0] if len(ends) == 1 else layers.Concatenate()(ends)


def of_layers(model: keras.Model, found: Times | None) -> list[tuple[str, bool]]:
    """Of each of the model's recurrent layers: the names of inputs, and whether that is clear."""
    assert found is not None
    calls = [found.layers[id(layer)][0] for layer in model.layers if isinstance(layer, layers.GRU)]
    return [("".join(sorted(time.inputs)), time.clear) for time in calls]


@keras.saving.register_keras_serializable("tests.times")
class Scaled(keras.layers.Layer):
    """A layer of a user's own, with a weight for each of exactly T timesteps."""

    def build(self, shape: Any) -> None:
        """Make the weight."""
        self.scale = self.add_weight(shape=(shape[1], 1))

    def call(self, x: Any) -> Any:
        """Scale each timestep."""
        return x * self.scale


class Declared(keras.layers.Layer):
    """A layer of a user's own that declares the shape it was first called with."""

    def call(self, x: Any) -> Any:
        """Double each value."""
        return 2 * x

    def compute_output_shape(self, shape: Any) -> Any:
        """What it is in the user's own network."""
        return (None, T, F)


WAYS = {
    "as it is": lambda x: x,
    "dense": lambda x: layers.Dense(4)(x),
    "normalised": lambda x: layers.LayerNormalization()(x),
    "masked": lambda x: layers.Masking()(x),
    "every second": lambda x: layers.Conv1D(4, 3, strides=2)(x),
    "pooled": lambda x: layers.MaxPooling1D(2)(x),
    "recurrent": lambda x: layers.Bidirectional(layers.LSTM(2, return_sequences=True))(x),
    "turned there and back": lambda x: layers.Permute((2, 1))(layers.Permute((2, 1))(x)),
    "added": lambda x: x + 2 * x,
    "cut": lambda x: x[:, 1:],
    "of its own": lambda x: Scaled()(x),
    "declared": lambda x: Declared()(x),
    "self-attention": lambda x: layers.MultiHeadAttention(2, 3)(x, x),
    "split": lambda x: ops.split(x, 3, axis=2)[1],
    "nested": lambda x: keras.Sequential([keras.Input((None, F)), layers.Dense(4)])(x),
    "features in another shape": lambda x: layers.Reshape((T, F, 1))(x),
}


FIXED = ("of its own", "features in another shape")
"""What takes exactly T timesteps."""


@pytest.mark.parametrize(
    ("way", "timesteps"),
    [(way, size) for way in WAYS for size in (T, None) if size or way not in FIXED],
)
def test_a_path_that_keeps_time_is_followed(way: str, timesteps: int | None) -> None:
    x = keras.Input((timesteps, F), name="x")
    y = WAYS[way](x)
    if len(y.shape) == 4:
        y = layers.TimeDistributed(layers.Flatten())(y)
    model = keras.Model(x, read(y))
    assert of_layers(model, times(model)) == [("x", True)]


ENDS = {
    "repeated": lambda x: layers.RepeatVector(T)(layers.LSTM(2)(x)),
    "averaged": lambda x: layers.RepeatVector(T)(layers.GlobalAveragePooling1D()(x)),
    "flattened": lambda x: layers.Reshape((T, 2))(layers.Dense(2 * T)(layers.Flatten()(x))),
    "turned": layers.Permute((2, 1)),
}


@pytest.mark.parametrize("way", ENDS)
def test_a_path_that_ends_time_leads_to_timesteps_of_no_input(way: str) -> None:
    x = keras.Input((T, F), name="x")
    model = keras.Model(x, read(ENDS[way](x)))
    assert of_layers(model, times(model)) == [("", True)]


def test_a_reshape_across_timesteps_is_not_clear() -> None:
    x = keras.Input((T, F), name="x")
    y = layers.Reshape((T // 2, 2 * F))(x)
    again = layers.Reshape((T, F))(layers.Flatten()(x))
    model = keras.Model(x, read(y, again))
    assert of_layers(model, times(model)) == [("x", False), ("x", False)]


@pytest.mark.parametrize("sizes", [(T, T), (None, None), (T, T + 1)])
def test_attention_has_the_time_of_its_query(sizes: Any) -> None:
    a, b = (keras.Input((size, F), name=name) for size, name in zip(sizes, "ab", strict=True))
    scores = layers.Activation("softmax")(layers.Dot(axes=[2, 2])([b, a]))
    model = keras.Model(
        [a, b],
        read(
            layers.Attention()([b, a]),
            layers.AdditiveAttention()([b, a]),
            layers.MultiHeadAttention(2, 3)(b, a),
            layers.Concatenate()([b, layers.Dot(axes=[2, 1])([scores, a])]),
            layers.Dot(axes=1)([layers.Softmax(axis=1)(layers.Dot(axes=[2, 2])([a, b])), a]),
        ),
    )
    assert of_layers(model, times(model)) == [("b", True)] * 5


@pytest.mark.parametrize("size", [T, None])
def test_of_two_sequences_both_are_read_and_only_side_by_side_is_clear(size: int | None) -> None:
    a, b = (keras.Input((size, F), name=name) for name in "ab")
    beside = [
        layers.Concatenate()([a, b]),
        layers.Add()([a, b]),
        a * b,
        ops.concatenate([b, a], -1),
    ]
    after = [layers.Concatenate(axis=1)([a, b]), ops.concatenate([b, a], 1)]
    model = keras.Model([a, b], read(*beside, *after))
    assert of_layers(model, times(model)) == [("ab", True)] * 4 + [("ab", False)] * 2
    found = roles(model)
    assert found is not None
    assert found.timed == (frozenset("ab"),)


def test_inputs_are_side_by_side_only_where_that_is_clear() -> None:
    a, b = (keras.Input((T, F), name=name) for name in "ab")
    found = roles(keras.Model([a, b], read(layers.Concatenate(axis=1)([a, b]))))
    assert found is not None
    assert found.timed == (frozenset("a"), frozenset("b"))


@keras.saving.register_keras_serializable("tests.times")
class Reader(keras.layers.Layer):
    """A layer of a user's own that holds a recurrent one, and reads one of its inputs."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.inner = layers.GRU(2, return_sequences=True)

    def call(self, x: Any, other: Any = None) -> Any:
        """Read the first."""
        return self.inner(x)


def test_of_a_layer_inside_another_any_sequence_may_be_read() -> None:
    a, b = (keras.Input((T, F), name=name) for name in "ab")
    alone, both = Reader(), Reader()
    found = times(keras.Model([a, b], layers.Add()([alone(a), both(b, a)])))
    assert found is not None
    (one,), (two,) = (found.layers[id(each.inner)] for each in (alone, both))
    assert (one.inputs, one.clear) == (frozenset("a"), True)
    assert (two.inputs, two.clear) == (frozenset("ab"), False)


def test_a_static_input_has_no_time_however_it_is_joined() -> None:
    static, x = keras.Input((T,), name="static"), keras.Input((T, F), name="x")
    repeated = layers.RepeatVector(T)(static)
    model = keras.Model(
        [static, x],
        read(
            layers.Concatenate()([x, repeated]),
            layers.Concatenate(axis=1)([layers.Reshape((1, F))(layers.Dense(F)(static)), x]),
        ),
    )
    assert of_layers(model, times(model)) == [("x", True), ("x", False)]
    found = roles(model)
    assert found is not None
    assert found.timed == (frozenset("x"),)


def test_each_call_of_a_layer_has_its_own_time_also_within_a_nested_model() -> None:
    a, b = (keras.Input((T, F), name=name) for name in "ab")
    inner = keras.Input((T, F))
    shared = keras.Model(inner, layers.GRU(2, name="gru")(inner))
    model = keras.Model([a, b], layers.Concatenate()([shared(b), shared(a)]))
    found = times(model)
    assert found is not None
    (calls,) = found.layers.values()
    order = [node.arguments.args[0].name for node in shared._inbound_nodes]
    assert [set(time.inputs) for time in calls] == [set(name) for name in order]


def test_the_output_has_the_time_of_the_decoder_and_a_mask_that_of_what_it_masks() -> None:
    a, b = (keras.Input((T, F), name=name) for name in "ab")
    mask = keras.Input((T,), dtype="bool", name="mask")
    _, h, c = layers.LSTM(2, return_state=True)(a, mask=mask)
    y = layers.LSTM(2, return_sequences=True)(b, initial_state=[h, c])
    found = roles(keras.Model([a, b, mask], layers.Dense(2)(y)))
    assert found is not None
    assert (found.output, found.masked) == (frozenset("b"), frozenset("a"))


def test_an_output_of_features_is_not_taken_for_one_of_timesteps() -> None:
    static, x = keras.Input((T,), name="static"), keras.Input((T, F), name="x")
    last, every = layers.GRU(2)(x), layers.Dense(1)(layers.GRU(2, return_sequences=True)(x))
    found = [
        roles(keras.Model([static, x], outputs))
        for outputs in (layers.Concatenate()([last, static]), layers.Reshape((T,))(every))
    ]
    assert [each and each.output for each in found] == [frozenset(), frozenset("x")]


def test_a_model_that_computes_otherwise_than_its_graph_tells_nothing() -> None:
    class Own(keras.Model):
        def call(self, x: Any) -> Any:
            return super().call(x[:, ::-1])

    x = keras.Input((T, F))
    assert times(Own(x, layers.GRU(2)(x))) is None
    assert times(keras.Sequential([layers.GRU(2)])) is None
    assert times(keras.Model(x, layers.GRU(2)(x))) is not None
