"""Several inputs of lengths of their own: each layer's rows are those of what it reads.

What is right is computed sequence by sequence, each cut at its own length, in float64 and without
any padding; so an input that padding or foreign lengths have touched is found out.
"""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from numpy.typing import NDArray

from rnnscope import states
from rnnscope.errors import UserError
from tests import reference
from tests.compose import composed
from tests.data.test_arrays import npy
from tests.data.test_data import npz
from tests.extract.test_extract import finished, saved

pytestmark = pytest.mark.tensorflow

N, T, F, K = 9, 6, 3, 5
Arrays = dict[str, NDArray[Any]]
Sequences = list[NDArray[Any]]
"""Of each sequence what a layer reads, [length, F]."""


@pytest.fixture(autouse=True)
def seeded() -> None:
    keras.utils.set_random_seed(0)


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def drawn(seed: int, most: int = T) -> NDArray[np.int64]:
    """Lengths [N] from 1, of which one is the longest."""
    return np.append(random(seed).integers(1, most + 1, N - 1), most)


def tokens(lengths: NDArray[np.int64], seed: int, most: int = T) -> NDArray[np.int64]:
    """Whole numbers [N, T] from 1, padded with zeros on the right."""
    values = random(seed).integers(1, 20, (N, most))
    return np.where(np.arange(most) < lengths[:, np.newaxis], values, 0)


def floats(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return random(seed).normal(size=shape).astype(np.float32)


def padded(lengths: NDArray[np.int64], padding: float = 0, seed: int = 0) -> NDArray[np.float32]:
    """Features [N, T, F], padded on the right."""
    x = floats(N, T, F, seed=seed)
    x[np.arange(T) >= lengths[:, np.newaxis]] = padding
    return x


def cut(values: NDArray[Any], lengths: NDArray[np.int64] | None = None) -> Sequences:
    return [each if lengths is None else each[: lengths[n]] for n, each in enumerate(values)]


def recorded(
    folder: Path, model: keras.Model, arrays: Arrays, *overrides: str, form: Any = npz
) -> Path:
    """The extract stage's output for a model from a file and arrays from a file or a folder."""
    config = composed(
        folder / "outputs",
        "stage=extract",
        "data=files",
        f"data.path={form(folder, arrays)}",
        "model=file",
        f"model.path={saved(folder, model)}",
        "extract.batch_size=4",
        "extract.part_rows=30",
        *overrides,
    )
    return finished(config, "extract")


def refused(folder: Path, model: keras.Model, arrays: Arrays, *overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        recorded(folder, model, arrays, *overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def final(layer: Any, read: Sequences) -> list[NDArray[Any]]:
    """The states h and c [N, U] of an LSTM after each sequence."""
    ends = []
    for x in read:
        found = reference.layer(layer, x[np.newaxis], np.ones((1, len(x)), bool), None)
        at = 0 if layer.go_backwards else -1
        ends.append([found[signal][0, at] for signal in "hc"])
    return [np.stack(each) for each in zip(*ends, strict=True)]


def assert_recorded(
    folder: Path, name: str, layer: Any, read: Sequences, initial: Any = None
) -> None:
    """A layer has the rows of its sequences and no others, with the values of each one alone."""
    for signal in states.layers(folder)[name]:
        frame = states.read_states(folder, signal, layer=name)
        np.testing.assert_array_equal(
            frame["sequence"], np.repeat(np.arange(N), [len(x) for x in read])
        )
        for number, x in enumerate(read):
            start = None if initial is None else [each[[number]] for each in initial]
            want = reference.layer(layer, x[np.newaxis], np.ones((1, len(x)), bool), start)
            rows = frame[frame["sequence"] == number]
            got = rows[[column for column in rows if column.startswith(f"{signal}_")]]
            np.testing.assert_array_equal(rows["timestep"], np.arange(len(x)))
            np.testing.assert_allclose(got, want[signal][0], rtol=0, atol=1e-5, err_msg=signal)


def labelled(folder: Path) -> set[str]:
    """The layers whose rows have labels."""
    return {
        name
        for name, signals in states.layers(folder).items()
        if "label" in states.read_states(folder, signals[0], layer=name)
    }


# beside an input without time


@pytest.mark.slow
@pytest.mark.parametrize("name", ["image", "zebra"])
@pytest.mark.parametrize("width", [T, 4 * T])
@pytest.mark.parametrize("masked", [True, False])
def test_an_input_without_time_is_not_touched_by_lengths(
    name: str, width: int, masked: bool, tmp_path: Path
) -> None:
    static, read = keras.Input((width,), name=name), keras.Input((T,), name="tokens")
    embedding, dense = layers.Embedding(20, 4, mask_zero=masked), layers.Dense(3)
    lstm = layers.LSTM(5, name="lm")
    joined = layers.Concatenate()([embedding(read), layers.RepeatVector(T)(dense(static))])
    model = keras.Model([static, read], layers.Dense(K, "softmax")(lstm(joined)))
    lengths = drawn(1)
    arrays: Arrays = {
        f"x_{name}_test": floats(N, width),
        "x_tokens_test": tokens(lengths, 2),
        "lengths_test": lengths,
    }
    folder = recorded(tmp_path, model, arrays)
    (table,), (kernel, bias) = embedding.get_weights(), dense.get_weights()
    beside = arrays[f"x_{name}_test"] @ kernel + bias
    x = np.concatenate(
        [table[arrays["x_tokens_test"]], np.repeat(beside[:, np.newaxis], T, axis=1)], axis=2
    )
    assert_recorded(folder, "lm", lstm, cut(x, lengths))


@pytest.mark.slow
@pytest.mark.parametrize("plain", ["tokens", "image"])
def test_the_plain_lengths_belong_to_what_is_read_whichever_input_is_the_plain_x(
    plain: str, tmp_path: Path
) -> None:
    image, read = keras.Input((T, 4, 1), name="image"), keras.Input((T,), name="tokens")
    dense = layers.Dense(5)
    start = dense(layers.Flatten()(image))
    embedding, gru = layers.Embedding(20, 4), layers.GRU(5, name="gru")
    model = keras.Model([image, read], gru(embedding(read), initial_state=start))
    lengths = drawn(1)
    arrays: Arrays = {"image": floats(N, T, 4, 1), "tokens": tokens(lengths, 2)}
    named = {f"x_{name}_test": values for name, values in arrays.items() if name != plain}
    folder = recorded(tmp_path, model, named | {"x_test": arrays[plain], "lengths_test": lengths})
    kernel, bias = dense.get_weights()
    initial = [arrays["image"].reshape(N, -1) @ kernel + bias]
    x = embedding.get_weights()[0][arrays["tokens"]]
    assert_recorded(folder, "gru", gru, cut(x, lengths), initial)


# encoder and decoder


class Translator:
    """An encoder whose states start a decoder, which gives a class for each of its timesteps."""

    def __init__(self, source: int | None, target: int | None, *, masked: bool):
        self.masked = masked
        read, written = keras.Input((source,), name="source"), keras.Input((target,), name="target")
        self.tables = [layers.Embedding(20, 4, mask_zero=masked) for _ in range(2)]
        self.encoder = layers.LSTM(5, return_state=True, name="enc")
        self.decoder = layers.LSTM(5, return_sequences=True, name="dec")
        _, h, c = self.encoder(self.tables[0](read))
        y = self.decoder(self.tables[1](written), initial_state=[h, c])
        self.model = keras.Model([read, written], layers.Dense(K, "softmax")(y))

    def check(self, folder: Path, source: Any, target: Any, of_source: Any, of_target: Any) -> None:
        """Hold a recording to each sequence alone; without a mask the encoder reads its padding."""
        read, written = (
            table.get_weights()[0][values]
            for table, values in zip(self.tables, (source, target), strict=True)
        )
        start = final(self.encoder, cut(read, of_source if self.masked else None))
        assert_recorded(folder, "enc", self.encoder, cut(read, of_source))
        assert_recorded(folder, "dec", self.decoder, cut(written, of_target), start)


@pytest.mark.slow
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("most", [T, T + 3])
@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("form", [npz, npy])
def test_encoder_and_decoder_have_the_lengths_of_what_they_read(
    masked: bool, most: int, fixed: bool, form: Any, tmp_path: Path
) -> None:
    net = Translator(most if fixed else None, T if fixed else None, masked=masked)
    of_source, of_target = drawn(1, most), drawn(2)
    source, target = tokens(of_source, 3, most), tokens(of_target, 4)
    y = random().integers(0, K, (N, T))
    arrays: Arrays = {
        "x_source_test": source,
        "lengths_source_test": of_source,
        "x_target_test": target,
        "lengths_target_test": of_target,
        "y_test": y,
    }
    folder = recorded(tmp_path, net.model, arrays, "data.labels=timestep", form=form)
    net.check(folder, source, target, of_source, of_target)
    assert labelled(folder) == {"dec"}
    frame = states.read_states(folder, "h", layer="dec")
    np.testing.assert_array_equal(frame["label"], y[np.arange(T) < of_target[:, np.newaxis]])
    steps = states.read_steps(folder)
    np.testing.assert_array_equal(steps["sequence"], np.repeat(np.arange(N), of_target))
    np.testing.assert_array_equal(steps["label"], frame["label"])


def test_targets_and_annotations_of_timesteps_are_of_the_decoder_alone(tmp_path: Path) -> None:
    net = Translator(T, T, masked=False)
    lengths = drawn(2)
    arrays: Arrays = {
        "x_source_test": tokens(drawn(1), 3),
        "x_target_test": tokens(lengths, 4),
        "y_test": floats(N, T),
        "depth_test": random(5).integers(0, 9, (N, T)),
        "lengths_target_test": lengths,
    }
    options = ("data.labels=timestep", "data.annotations=[depth]")
    folder = recorded(tmp_path, net.model, arrays, *options)
    names = ["target", "depth"]
    known = {}
    for layer in ("enc", "dec"):
        files = states.open_signal(folder, layer, "h").files
        parts = [states.read_part(file, units=[])[0] for file in files]
        found = [states.read_annotations(folder, rows, names, layer) for rows in parts]
        known[layer] = np.concatenate(found, axis=1)
    assert np.isnan(known["enc"]).all()
    valid = np.arange(T) < lengths[:, np.newaxis]
    want = np.stack([arrays["y_test"][valid], arrays["depth_test"][valid]])
    np.testing.assert_array_equal(known["dec"], want)


def test_the_plain_lengths_are_those_of_the_plain_x_and_the_other_input_has_all_timesteps(
    tmp_path: Path,
) -> None:
    net = Translator(T, T, masked=False)
    lengths = drawn(2)
    source, target = tokens(drawn(1), 3), tokens(lengths, 4)
    arrays: Arrays = {
        "x_source_test": source,
        "x_test": target,
        "y_test": random().integers(0, K, (N, T)),
        "lengths_test": lengths,
    }
    folder = recorded(tmp_path, net.model, arrays, "data.labels=timestep")
    net.check(folder, source, target, None, lengths)
    assert labelled(folder) == {"dec"}


def test_of_masked_inputs_the_masks_tell_the_rows_without_any_lengths(tmp_path: Path) -> None:
    net = Translator(None, None, masked=True)
    of_source, of_target = drawn(1, T + 2), drawn(2)
    source, target = tokens(of_source, 3, T + 2), tokens(of_target, 4)
    folder = recorded(tmp_path, net.model, {"x_source_test": source, "x_target_test": target})
    # Keras gives no mask to a layer that is called with initial states: it reads the padding.
    net.check(folder, source, target, of_source, None)


@pytest.mark.slow
def test_lengths_that_may_be_of_several_inputs_are_refused_by_a_line_that_can_be_followed(
    tmp_path: Path,
) -> None:
    net = Translator(T, T, masked=False)
    lengths = drawn(1)
    source, target = tokens(lengths, 3), tokens(lengths, 4)
    arrays: Arrays = {"x_source_test": source, "x_target_test": target}
    says = refused(tmp_path, net.model, arrays | {"lengths_test": lengths})
    assert says.endswith(
        "lengths_test may belong to x_source_test and x_target_test: "
        "give each its own, lengths_source_test and lengths_target_test"
    )
    own: Arrays = {"lengths_source_test": lengths, "lengths_target_test": lengths}
    folder = recorded(tmp_path, net.model, arrays | own)
    net.check(folder, source, target, lengths, lengths)


def test_classes_of_whole_sequences_stay_with_every_layer(tmp_path: Path) -> None:
    net = Translator(T, T, masked=True)
    arrays: Arrays = {"x_source_test": tokens(drawn(1), 3), "x_target_test": tokens(drawn(2), 4)}
    folder = recorded(tmp_path, net.model, arrays | {"y_test": np.arange(N) % K})
    assert labelled(folder) == {"enc", "dec"}


# two sequences


@pytest.mark.slow
def test_padding_with_nan_gives_each_input_its_own_lengths(tmp_path: Path) -> None:
    a, b = (keras.Input((T, F), name=name) for name in "ab")
    one, two = layers.LSTM(4, name="one"), layers.GRU(4, name="two")
    model = keras.Model([a, b], layers.Concatenate()([one(a), two(b)]))
    of_a, of_b = drawn(1), drawn(2)
    x = {"a": padded(of_a, np.nan, 3), "b": padded(of_b, np.nan, 4)}
    for form in (npz, npy):
        arrays: Arrays = {f"x_{name}_test": values for name, values in x.items()}
        folder = recorded(tmp_path, model, arrays, form=form)
        assert_recorded(folder, "one", one, cut(x["a"], of_a))
        assert_recorded(folder, "two", two, cut(x["b"], of_b))


def test_each_call_of_a_layer_has_the_rows_of_what_it_reads_then(tmp_path: Path) -> None:
    a, b = (keras.Input((T, F), name=name) for name in "ab")
    inner = keras.Input((T, F))
    gru = layers.GRU(4, name="gru")
    shared = keras.Model(inner, gru(inner), name="both")
    model = keras.Model([a, b], layers.Concatenate()([shared(b), shared(a)]))
    of_a, of_b = drawn(1), drawn(2)
    x = {"a": padded(of_a, seed=3), "b": padded(of_b, seed=4)}
    own: Arrays = {"lengths_a_test": of_a, "lengths_b_test": of_b}
    folder = recorded(tmp_path, model, {f"x_{name}_test": x[name] for name in x} | own)
    assert_recorded(folder, "both.gru", gru, cut(x["b"], of_b))
    assert_recorded(folder, "both.gru.call1", gru, cut(x["a"], of_a))


def side_by_side() -> tuple[keras.Model, Any]:
    a, b = (keras.Input((T, F), name=name) for name in "ab")
    both = layers.Bidirectional(layers.LSTM(4, return_sequences=True), name="both")
    return keras.Model([a, b], layers.Dense(K)(both(layers.Concatenate()([a, b])))), both


@pytest.mark.slow
@pytest.mark.parametrize("keys", [["lengths_test"], ["lengths_a_test", "lengths_b_test"]])
def test_what_is_read_side_by_side_has_the_same_lengths(keys: list[str], tmp_path: Path) -> None:
    model, both = side_by_side()
    lengths = drawn(1)
    x: Arrays = {"x_a_test": padded(lengths), "x_b_test": padded(lengths, seed=1)}
    arrays: Arrays = x | dict.fromkeys(keys, lengths) | {"y_test": random().integers(0, K, (N, T))}
    folder = recorded(tmp_path, model, arrays, "data.labels=timestep")
    read = np.concatenate(list(x.values()), axis=2)
    assert_recorded(folder, "both.forward", both.forward_layer, cut(read, lengths))
    assert labelled(folder) == {"both.forward", "both.backward"}


@pytest.mark.slow
def test_side_by_side_two_lengths_are_refused_unless_a_mask_tells(tmp_path: Path) -> None:
    model, _ = side_by_side()
    of_a, of_b = drawn(1), drawn(2)
    x: Arrays = {"x_a_test": padded(of_a), "x_b_test": padded(of_b)}
    own: Arrays = {"lengths_a_test": of_a, "lengths_b_test": of_b}
    says = refused(tmp_path, model, x | own)
    assert says.startswith(
        "layer 'both.forward': it reads several inputs, and lengths_a_test, lengths_b_test differ; "
        "give them the same lengths"
    )
    shorter = np.minimum(of_a, of_b)
    folder = recorded(tmp_path, model, x | dict.fromkeys(own, shorter))
    assert len(states.read_states(folder, "h", layer="both.forward")) == shorter.sum()


def one_after_the_other(*, masked: bool) -> tuple[keras.Model, Any, Any]:
    a, b = (keras.Input((T,), name=name) for name in "ab")
    table, lstm = layers.Embedding(20, 4, mask_zero=masked), layers.LSTM(4, name="lstm")
    joined = layers.Concatenate(axis=1)([table(a), table(b)])
    return keras.Model([a, b], layers.Dense(K)(lstm(joined))), table, lstm


@pytest.mark.slow
def test_one_after_the_other_a_mask_tells_the_rows(tmp_path: Path) -> None:
    of_a, of_b = drawn(1), drawn(2)
    x: Arrays = {"x_a_test": tokens(of_a, 3), "x_b_test": tokens(of_b, 4)}
    own: Arrays = {"lengths_a_test": of_a, "lengths_b_test": of_b}
    model, _, _ = one_after_the_other(masked=False)
    says = refused(tmp_path, model, x | own)
    assert "runs on 12 timesteps without a mask" in says
    assert says.endswith("or leave the lengths out: all timesteps are then rows")
    folder = recorded(tmp_path, model, x)
    assert len(states.read_states(folder, "h", layer="lstm")) == 2 * N * T

    model, table, lstm = one_after_the_other(masked=True)
    folder = recorded(tmp_path, model, x | own)
    frame = states.read_states(folder, "h", layer="lstm")
    joined = table.get_weights()[0][np.concatenate(list(x.values()), axis=1)]
    valid = np.concatenate([np.arange(T) < each[:, np.newaxis] for each in (of_a, of_b)], axis=1)
    want = reference.layer(lstm, joined, valid, None)["h"][valid]
    got = frame[[column for column in frame if column.startswith("h_")]]
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)


# layers whose timesteps are not those of an input


@pytest.mark.slow
def test_a_layer_that_reads_repeated_states_has_all_timesteps_and_the_labels(
    tmp_path: Path,
) -> None:
    x = keras.Input((T, F), name="x")
    encoder = layers.LSTM(4, name="enc")
    decoder = layers.LSTM(4, return_sequences=True, name="dec")
    model = keras.Model(x, layers.Dense(K)(decoder(layers.RepeatVector(T)(encoder(x)))))
    lengths = drawn(1)
    values = padded(lengths)
    folder = recorded(tmp_path, model, {"x_test": values, "lengths_test": lengths})
    assert_recorded(folder, "enc", encoder, cut(values, lengths))
    h = final(encoder, cut(values))[0]
    assert_recorded(folder, "dec", decoder, cut(np.repeat(h[:, np.newaxis], T, axis=1)))

    y = {"y_test": random().integers(0, K, (N, T))}
    assert labelled(recorded(tmp_path, model, {"x_test": values} | y, "data.labels=timestep")) == {
        "dec"
    }


def test_fewer_timesteps_than_the_input_has_are_refused_without_a_mask(tmp_path: Path) -> None:
    model = keras.Sequential(
        [
            keras.Input((T, F)),
            layers.Conv1D(4, 2, strides=2),
            layers.LSTM(4, name="lstm"),
        ]
    )
    lengths = drawn(1)
    arrays: Arrays = {"x_test": padded(lengths), "lengths_test": lengths}
    assert refused(tmp_path, model, arrays) == (
        "layer 'lstm': runs on 3 timesteps without a mask, the data's lengths are of 6; "
        "give the layer a mask, or leave the lengths out: all timesteps are then rows"
    )
    folder = recorded(tmp_path, model, {"x_test": arrays["x_test"]})
    assert len(states.read_states(folder, "h")) == 3 * N


def test_left_padding_is_told_by_the_mask(tmp_path: Path) -> None:
    read, static = keras.Input((T,), name="tokens"), keras.Input((T,), name="age")
    table, lstm = layers.Embedding(20, 4, mask_zero=True), layers.LSTM(4, name="lstm")
    model = keras.Model([read, static], layers.Concatenate()([lstm(table(read)), static]))
    values = tokens(drawn(1), 2)[:, ::-1]
    folder = recorded(tmp_path, model, {"x_tokens_test": values, "x_age_test": floats(N, T)})
    want = reference.layer(lstm, table.get_weights()[0][values], values > 0, None)["c"]
    got = states.read_states(folder, "c", as_array=True)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)


# without a graph


@keras.saving.register_keras_serializable("tests.lengths")
class Opaque(keras.Model):
    """A subclassed model of two inputs, whose graph is not known."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.one, self.two = layers.LSTM(4, name="one"), layers.LSTM(4, name="two")

    def call(self, inputs: Any) -> Any:
        """The final steps of both layers, side by side."""
        return keras.ops.concatenate([self.one(inputs["a"]), self.two(inputs["b"])], axis=1)

    def build(self, input_shape: Any) -> None:
        """Build both layers for their own inputs."""
        self.one.build(input_shape["a"])
        self.two.build(input_shape["b"])
        super().build(input_shape)


def opaque(of_b: int) -> Opaque:
    model = Opaque()
    model({"a": floats(N, T, F), "b": floats(N, of_b, F)})
    return model


def test_without_a_graph_different_timesteps_tell_the_inputs_apart(tmp_path: Path) -> None:
    of_a = drawn(1)
    model, x, other = opaque(T + 1), padded(of_a), floats(N, T + 1, F)
    arrays: Arrays = {"x_a_test": x, "lengths_a_test": of_a, "x_b_test": other}
    folder = recorded(tmp_path, model, arrays)
    assert_recorded(folder, "one", model.one, cut(x, of_a))
    assert_recorded(folder, "two", model.two, cut(other))


@pytest.mark.slow
def test_without_a_graph_equal_timesteps_of_different_lengths_are_refused(tmp_path: Path) -> None:
    of_a, of_b = drawn(1), drawn(2)
    model, x, other = opaque(T), padded(of_a), padded(of_b, seed=1)
    arrays: Arrays = {"x_a_test": x, "x_b_test": other}
    says = refused(tmp_path, model, arrays | {"lengths_a_test": of_a, "lengths_b_test": of_b})
    assert says.startswith(
        "layer 'one': it cannot be told which input it reads, and lengths_a_test, lengths_b_test "
        "differ; give them the same lengths"
    )
    folder = recorded(tmp_path, model, arrays | {"lengths_a_test": of_a, "lengths_b_test": of_a})
    assert_recorded(folder, "one", model.one, cut(x, of_a))
    folder = recorded(tmp_path, model, arrays)
    assert_recorded(folder, "two", model.two, cut(other))


# what is given


TWO: Arrays = {"x_source_test": np.ones((N, T), int), "x_target_test": np.ones((N, T), int)}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"lengths_more_test": np.ones(N, int)}, "lengths_more_test has no input: there is no x_"),
        ({"lengths_source_test": np.ones(4, int)}, "lengths_source_test has shape (4,)"),
        ({"lengths_source_test": np.full(N, 7)}, "lengths_source_test[0] is 7; a length is from 1"),
        ({"lengths_source_test": np.full(N, 1.5)}, "lengths_source_test[0] is 1.5; it must hold"),
        ({"lengths_source_test": np.full(N, np.nan)}, "lengths_source_test[0] is nan; it must"),
        ({"lengths_source_test": np.full(N, "1")}, "lengths_source_test has type <U1"),
        (
            {"lengths_test": np.full(N, 9)},
            "lengths_test reaches 9 timesteps; x_source_test has 6",
        ),
    ],
)
def test_lengths_that_do_not_fit_are_named(change: Arrays, says: str, tmp_path: Path) -> None:
    assert says in refused(tmp_path, Translator(T, T, masked=False).model, TWO | change)


def test_lengths_of_nothing_that_is_read_are_refused(tmp_path: Path) -> None:
    x = keras.Input((T,), name="x")
    y = layers.LSTM(4)(layers.RepeatVector(T)(layers.Dense(3)(x)))
    arrays: Arrays = {"x_test": floats(N, T), "lengths_test": drawn(1)}
    assert "lengths_test belongs to no input" in refused(tmp_path, keras.Model(x, y), arrays)


def test_a_missing_value_of_an_input_without_time_is_no_padding(tmp_path: Path) -> None:
    static, x = keras.Input((T,), name="static"), keras.Input((T, F), name="x")
    y = layers.Concatenate()([layers.LSTM(4)(x), static])
    arrays: Arrays = {"x_static_test": floats(N, T), "x_test": floats(N, T, F)}
    arrays["x_static_test"][3, -1] = np.nan
    says = refused(tmp_path, keras.Model([static, x], y), arrays)
    assert "x_static_test[3, 5] is not a finite number" in says
