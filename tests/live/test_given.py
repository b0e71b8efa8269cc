"""Sequences as people have them: each form gives the states of the same array."""

from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
import xarray as xr

import rnnscope
from rnnscope.errors import UserError

pytestmark = pytest.mark.tensorflow

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(12, 6, 2)).astype(np.float32)
LENGTHS = np.array([6, 3, 1, 6, 2, 5, 4, 6, 1, 2, 3, 6])
VALID = np.arange(6) < LENGTHS[:, np.newaxis]
Y = RANDOM.integers(0, 3, 12)
TIMES = pd.date_range("2020-01-01", periods=6)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    x = keras.Input((None, 2), name="series")
    h = keras.layers.SimpleRNN(3, name="rnn")(keras.layers.Masking()(x))
    return keras.Model(x, keras.layers.Dense(3, activation="softmax")(h))


@pytest.fixture(scope="module")
def whole(model: keras.Model) -> Any:
    """The states of X, all of it."""
    return rnnscope.record(model, X, labels=Y)["rnn"]["h"]


@pytest.fixture(scope="module")
def ragged(model: keras.Model) -> Any:
    """The states of X within its lengths."""
    return rnnscope.record(model, X, lengths=LENGTHS)["rnn"]["h"]


@pytest.mark.parametrize(
    "form",
    [
        lambda: tf.constant(X),
        lambda: X.astype(np.float64),
        lambda: {"series": X},
        lambda: [X],
        lambda: (tf.constant(X),),
        lambda: X.tolist(),
        lambda: list(X),
        lambda: tf.RaggedTensor.from_tensor(X),
        lambda: tf.data.Dataset.from_tensor_slices(X).batch(5),
        lambda: tf.data.Dataset.from_tensor_slices({"series": X}).batch(5),
        lambda: tf.data.Dataset.from_tensor_slices((X, Y, np.ones(12))).batch(5),
    ],
)
def test_every_form_of_whole_sequences(model: keras.Model, whole: Any, form: Any) -> None:
    np.testing.assert_array_equal(rnnscope.record(model, form())["rnn"]["h"], whole)


def cut() -> list[Any]:
    """The sequences, each of its own length."""
    return [x[:length] for x, length in zip(X, LENGTHS, strict=True)]


def cut_labels(less: int) -> list[Any]:
    """Labels of timesteps that end before the sequences do."""
    return [np.ones(max(1, length - less), int) for length in LENGTHS]


def table() -> pd.DataFrame:
    """The sequences as a long table, with labels and an annotation."""
    sequence, timestep = np.nonzero(VALID)
    known = {"sequence": sequence, "timestep": timestep, "label": Y[sequence], "depth": timestep}
    return pd.DataFrame(known | {"a": X[VALID][:, 0], "b": X[VALID][:, 1]})


@pytest.mark.parametrize(
    "form",
    [
        lambda: tf.RaggedTensor.from_tensor(X, LENGTHS),
        cut,
        lambda: np.array(cut(), dtype=object),
        lambda: np.where(VALID[..., np.newaxis], X, np.nan),
        lambda: tf.data.Dataset.from_tensor_slices(
            tf.RaggedTensor.from_tensor(X, LENGTHS)
        ).ragged_batch(5),
        lambda: table().drop(columns=["depth", "label"]).sample(frac=1, random_state=0),
        lambda: table().drop(columns=["depth"]).set_index(["sequence", "timestep"]),
    ],
)
def test_every_form_of_sequences_that_differ_in_length(
    model: keras.Model, ragged: Any, form: Any
) -> None:
    states = rnnscope.record(model, form())
    np.testing.assert_array_equal(np.isnan(states["rnn"]["h"][..., 0]), ~VALID)
    np.testing.assert_array_equal(states["rnn"]["h"], ragged)
    assert states.sequences["length"].tolist() == LENGTHS.tolist()


def test_sequences_without_any_of_the_timesteps_are_told(model: keras.Model) -> None:
    short = int((LENGTHS < 5).sum())
    line = f"timesteps=-2:: {short} of 12 sequences have none of these timesteps"
    with pytest.warns(UserWarning, match=line):
        states = rnnscope.record(model, X, lengths=LENGTHS, timesteps="-2:")
    assert set(states.frame("rnn", "h")["sequence"]) == set(np.flatnonzero(LENGTHS >= 5))


def test_named_axes_in_the_order_of_the_model_are_taken(model: keras.Model, whole: Any) -> None:
    for dims in (("sequence", "timestep", "feature"), ("trial", "time", "channel"), None):
        states = rnnscope.record(model, xr.DataArray(X, dims=dims))
        np.testing.assert_array_equal(states["rnn"]["h"], whole)


@pytest.mark.torch
def test_tensors_of_pytorch_are_taken_whatever_is_asked_of_them(
    model: keras.Model, whole: Any
) -> None:
    import torch

    x = torch.tensor(X)
    for form in (x, x.clone().requires_grad_(), [each.requires_grad_() for each in x.clone()]):
        np.testing.assert_array_equal(rnnscope.record(model, form)["rnn"]["h"], whole)
    with pytest.raises(UserError, match=r"^x is a tensor of PyTorch that is no plain array"):
        rnnscope.record(model, x.to_sparse())


def test_labels_come_from_pairs_and_tables(model: keras.Model) -> None:
    pairs = tf.data.Dataset.from_tensor_slices((X, Y)).batch(5)
    assert rnnscope.record(model, pairs).sequences["label"].tolist() == Y.tolist()
    other = rnnscope.record(model, pairs.map(lambda x, _: x), labels=2 - Y)
    assert other.sequences["label"].tolist() == (2 - Y).tolist()
    states = rnnscope.record(model, table(), annotations=["depth"])
    assert states.sequences["label"].tolist() == Y.tolist()
    assert states.steps is not None
    assert states.steps["depth"].tolist() == states.steps["timestep"].tolist()


@pytest.mark.parametrize(
    "labels",
    [
        lambda: tf.constant(Y),
        lambda: pd.Series(Y, index=range(100, 112)),
        lambda: Y.tolist(),
        lambda: np.eye(3)[Y],
        lambda: Y[:, np.newaxis],
    ],
)
def test_labels_in_every_form(model: keras.Model, labels: Any) -> None:
    states = rnnscope.record(model, X, labels=labels(), signals="h", units=0)
    assert states.sequences["label"].tolist() == Y.tolist()


def test_a_shuffled_dataset_keeps_sequences_and_labels_together(model: keras.Model) -> None:
    x = 1 + np.repeat(Y, 12).reshape(12, 6, 2).astype(np.float32)
    pairs = tf.data.Dataset.from_tensor_slices((x, Y)).shuffle(12).batch(5)
    states = rnnscope.record(model, pairs, units=0)
    first = pd.Series(states["rnn"]["h"][:, 0, 0]).groupby(states.sequences["label"])
    assert first.nunique().tolist() == [1] * 3


def test_bytes_are_not_scaled_as_pixels_of_files_are(model: keras.Model) -> None:
    x = RANDOM.integers(0, 4, (5, 6, 2)).astype(np.uint8)
    states = rnnscope.record(model, x)
    want = rnnscope.record(model, x.astype(np.float32))
    np.testing.assert_array_equal(states["rnn"]["h"], want["rnn"]["h"])


def two_inputs(form: str) -> keras.Model:
    """A model of two sequences of different timesteps."""
    a, b = keras.Input((6, 2), name="a"), keras.Input((4, 3), name="b")
    h = keras.layers.GRU(2, name="first")(a), keras.layers.GRU(2, name="second")(b)
    inputs = {"a": a, "b": b} if form == "dict" else [a, b]
    return keras.Model(inputs, keras.layers.Concatenate()(h))


def test_a_model_of_several_inputs() -> None:
    b = RANDOM.normal(size=(12, 4, 3)).astype(np.float32)
    with pytest.warns(UserWarning, match="^no mask of padding reaches first: it is read as zeros"):
        named = rnnscope.record(two_inputs("dict"), {"a": X, "b": b}, lengths={"a": LENGTHS})
    assert named["first"]["h"].shape == (12, 6, 2)
    np.testing.assert_array_equal(np.isnan(named["first"]["h"][..., 0]), ~VALID)
    assert not np.isnan(named["second"]["h"]).any()
    model = two_inputs("list")
    for form in ((X, b), [X, tf.constant(b)], {"b": b, "a": X}):
        states = rnnscope.record(model, form)
        assert states["second"]["z"].shape == (12, 4, 2)
    pairs = tf.data.Dataset.from_tensor_slices(((X, b), Y)).batch(5)
    with pytest.warns(UserWarning, match="^no accuracy and no loss: y has a class per sequence"):
        again = rnnscope.record(model, pairs)
    np.testing.assert_array_equal(again["second"]["h"], states["second"]["h"])
    with pytest.raises(UserError, match="has named inputs: give a dict of a, b"):
        rnnscope.record(two_inputs("dict"), [X, b])


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"x": X[:, :, :1]}, r"^x has \(6, 1\) for each sequence, the model takes \(None, 2\)"),
        ({"x": {"other": X}}, r"give x\['other'\] that name: x\['series'\]"),
        ({"x": [X, X]}, r"^x has \(12, 6, 2\) for each sequence, the model takes \(None, 2\)"),
        ({"x": np.full_like(X, np.inf)}, r"^x\[0, 0\] is not a finite number"),
        ({"x": "series.npy"}, "^x is a str; must be an array"),
        ({"x": np.ma.masked_array(X)}, "^x is a masked array: give the values"),
        ({"x": [np.ma.masked_array(each) for each in X]}, r"^x\[0\] is a masked array: give"),
        (
            {"x": X, "labels": pd.Categorical(list("bacb") * 3, ["b", "a", "c"])},
            "give labels.codes",
        ),
        ({"x": X, "labels": pd.Categorical(list("abab") * 3, list("abc"))}, "give labels.codes"),
        (
            {"x": X, "labels": pd.Series(list("bab") * 4).astype(pd.CategoricalDtype(["b", "a"]))},
            r"in the order 'b', 'a', and names are .* give labels\.cat\.codes",
        ),
        (
            {"x": table().assign(label=pd.Categorical(["b"] * len(table()), ["b", "a"]))},
            r"^x\['label'\] is categorical, in the order 'b', 'a'",
        ),
        ({"x": X, "labels": [np.ma.masked, *Y[1:]]}, r"^labels\[0\] is a masked array"),
        (
            {"x": xr.DataArray(X.swapaxes(0, 1), dims=("timestep", "sequence", "feature"))},
            r"dims timestep, sequence, .*x\.transpose\('sequence', 'timestep', 'feature'\)",
        ),
        (
            {"x": X, "labels": xr.DataArray(VALID.T * 1, dims=("Time", "trial"))},
            r"^labels has the dims Time, trial; .*labels\.transpose\('trial', 'Time'\)",
        ),
        (
            {"x": [pd.DataFrame(each).sample(frac=1, random_state=0) for each in X]},
            r"^x\[0\]: its index, \d, \d, \d, does not rise: .*in the order of the timesteps",
        ),
        (
            {"x": [pd.DataFrame(each, range(14, 8, -1)) for each in X]},
            r"^x\[0\]: its index, 14, 13, 12, does not rise",
        ),
        (
            {"x": [pd.DataFrame(each, np.arange(6)[::-1] / 10) for each in X]},
            r"^x\[0\]: its index, 0\.5, 0\.4, 0\.3, does not rise",
        ),
        *(
            (
                {"x": xr.DataArray(X.swapaxes(0, 1), dims=(name, "trial", "feature"))},
                r"give x\.transpose\('trial', ",
            )
            for name in ("frames", "bin", "time (s)", "time_ms")
        ),
        (
            {"x": xr.DataArray(X, dims=("trial", "when", "feature"))},
            r"^x has the dims trial, when, feature, none of which is called .*: give x\.values",
        ),
        *(
            (
                {"x": X, "annotations": {"a": pd.DataFrame(X[..., 0], columns=columns)}},
                r"^annotations\['a'\]: its columns are .*, not in order of time",
            )
            for columns in (
                [0.5, 0.4, 0.3, 0.2, 0.1, 0.0],
                ["0.5", "0.4", "0.3", "0.2", "0.1", "0.0"],
                [50, 40, 30, 20, 10, 0],
            )
        ),
        (
            {
                "x": X,
                "annotations": {
                    "a": pd.DataFrame(
                        X[..., 0], columns=pd.MultiIndex.from_product([["t"], range(6)[::-1]])
                    )
                },
            },
            r"^annotations\['a'\]: its columns have 2 levels: give .*to_numpy",
        ),
        (
            {"x": [pd.DataFrame(each, TIMES)[::-1] for each in X]},
            r"^x\[0\]: its index, 2020-01-06 .*, does not rise: give .*sort_index",
        ),
        (
            {"x": X, "annotations": {"a": pd.DataFrame(X[..., 0])[[5, 4, 3, 2, 1, 0]]}},
            r"^annotations\['a'\]: its columns are 5, 4, 3, 2, 1, 0, not in order of time",
        ),
        (
            {
                "x": X,
                "labels": pd.DataFrame(VALID * 1, columns=["t1", "t0", "t2", "t3", "t5", "t4"]),
            },
            r"^labels: its columns are t1, t0, .*, not in order of time",
        ),
        (
            {"x": X, "annotations": {"a": pd.DataFrame(X[..., 0], columns=TIMES[::-1])}},
            r"^annotations\['a'\]: its columns are 2020-01-06 .*, not in order of time",
        ),
        ({"x": X, "lengths": [7] * 12}, "^lengths reaches 7 timesteps; x has 6"),
        ({"x": X, "lengths": LENGTHS > 3}, "^lengths has type bool; it must hold whole numbers"),
        ({"x": X, "lengths": [6]}, r"^lengths has shape \(1,\); it must be \[12\]"),
        ({"x": tf.RaggedTensor.from_tensor(X), "lengths": LENGTHS}, "leave lengths out"),
        ({"x": X, "labels": Y[:5]}, r"^labels has shape \(5,\); it must be \[12\], as x"),
        ({"x": X, "labels": RANDOM.random((12, 6))}, r"labels\[\.\.\., None\]"),
        ({"x": X, "annotations": {"depth": X}}, r"^annotations\['depth'\] has shape"),
        ({"x": X, "annotations": ["depth"]}, "^annotations is a list"),
        ({"x": X, "annotations": {"x": VALID}}, r"annotations\['x'\] is reserved"),
        ({"x": X, "signals": ["q"]}, "^signals=.*must be a list.*or None"),
        ({"x": X, "signals": "z"}, "^signals: no 'z'; there is h"),
        ({"x": X, "layers": "lstm"}, "^layers: no 'lstm'; there is rnn"),
        ({"x": X, "units": 3}, r"^units=\[3\]: counted from 0, there are 3 in rnn"),
        ({"x": X, "timesteps": "first"}, "^timesteps=first: must be all, last, or a slice"),
        ({"x": X, "timesteps": "0:0"}, "^timesteps=0:0: none of the 6 timesteps of layer 'rnn'"),
        ({"x": X, "batch_size": 0}, "^batch_size=0: must be a whole number"),
        ({"x": X, "tolerance": 1e-12}, "past tolerance=1e-12"),
        ({"x": tf.data.Dataset.from_tensor_slices(X)}, r"single sequences: give x\.batch\(512\)"),
        ({"x": tf.data.Dataset.from_tensors(X).repeat()}, r"without an end: give x\.take"),
        ({"x": table(), "labels": Y}, "leave labels out"),
        ({"x": table().drop(columns="timestep")}, "^no column 'timestep'; it has"),
        ({"x": table().assign(split="train")}, "the table has a column split: choose"),
        ({"x": pd.concat([table(), table()[["label"]]], axis=1)}, "are named 'label'; rename one"),
        ({"x": np.zeros((0, 6, 2))}, r"^x has shape \(0, 6, 2\)"),
        ({"x": tf.ragged.constant([[[1.0, 2.0]], []], ragged_rank=1)}, r"x\[1\] has no timesteps"),
    ],
)
def test_what_does_not_fit_is_one_line_in_terms_of_keywords(
    model: keras.Model, options: dict[str, Any], line: str
) -> None:
    with pytest.raises(UserError, match=line) as raised:
        rnnscope.record(model, **options)
    said = str(raised.value)
    assert "\n" not in said
    for word in ("data.", "extract.", "_test", "null", "<input>", "test split"):
        assert word not in said.replace("tf.data.", "")


def test_a_table_in_another_order_than_that_of_its_names_is_warned_of(model: keras.Model) -> None:
    frame = table()
    names = frame["sequence"].map(lambda number: f"s{number}")
    with pytest.warns(UserWarning, match=r"another order than .* states\.sequences\['id'\]"):
        states = rnnscope.record(model, frame.assign(sequence=names), annotations="depth")
    assert list(states.sequences["id"]) == sorted(set(names))


@pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict")
@pytest.mark.parametrize("form", [lambda a, b: {"u": a, "v": [b]}, lambda a, b: [a, [b]]])
def test_inputs_within_inputs_are_refused(form: Any) -> None:
    a, b = (keras.Input((6, 2), name=name) for name in "pq")
    both = keras.ops.concatenate([a, b], axis=-1)
    model = keras.Model(form(a, b), keras.layers.LSTM(2, name="lstm")(both))
    with pytest.raises(UserError, match="its inputs lie in one another; make it with a dict"):
        rnnscope.record(model, {"p": X, "q": X})


@pytest.mark.parametrize(
    ("labels", "line"),
    [
        (["bad", "good"] * 6, "classes bad, good are taken as the model's outputs, in order"),
        ([1, 2] * 6, "are taken as the model's 2 outputs, in rising order"),
    ],
)
def test_how_classes_are_taken_for_outputs_is_said(labels: list[Any], line: str) -> None:
    layers = [keras.Input((6, 2)), keras.layers.LSTM(2, name="lstm")]
    model = keras.Sequential([*layers, keras.layers.Dense(2, activation="softmax")])
    with pytest.warns(UserWarning, match=line):
        rnnscope.record(model, X, labels=labels)
    rnnscope.record(model, X, labels=[0, 1] * 6)  # goes without saying
    rnnscope.record(model, X, labels=pd.Categorical([0, 1] * 6, [0, 1]))


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"x": X, "labels": cut_labels(1)}, "^labels differ in length, and not as the sequences"),
        ({"x": X, "lengths": LENGTHS, "labels": cut_labels(1)}, "^labels differ in length"),
        (
            {"x": cut(), "annotations": {"a": cut_labels(1)}},
            r"^annotations\['a'\] differ in length",
        ),
        (
            {"x": tf.data.Dataset.from_tensor_slices((X, Y)).batch(4), "labels": Y},
            r"^labels: x is a dataset of pairs \(x, y\), whose y are its labels: leave labels out",
        ),
    ],
)
def test_labels_that_are_not_those_of_the_sequences_are_refused(
    model: keras.Model, options: dict[str, Any], line: str
) -> None:
    with pytest.raises(UserError, match=line):
        rnnscope.record(model, **options)


def test_annotations_that_float32_hardly_tells_apart_are_warned_of(model: keras.Model) -> None:
    times = 1.7e9 + np.arange(72.0).reshape(12, 6)
    with pytest.warns(UserWarning, match=r"^annotations\['time'\] is from 1700000000 to"):
        rnnscope.record(model, X, annotations={"time": times})
    with pytest.warns(UserWarning, match=r"^column 'depth' is from 1700000000 to"):
        rnnscope.record(
            model, table().assign(depth=lambda t: 1.7e9 + t["depth"]), annotations="depth"
        )


def test_what_is_logged_of_data_is_a_warning_here(model: keras.Model) -> None:
    with pytest.warns(UserWarning, match="^x: feature 0 is from 1000000"):
        rnnscope.record(model, 1e8 + np.arange(X.size).reshape(X.shape).astype(np.float64))
    with pytest.raises(UserError, match="put numbers there, such as a pandas") as raised:
        rnnscope.record(model, np.where(np.arange(6)[:, None] == 2, np.nan, X))
    assert "missing=" not in str(raised.value)


def test_functions_that_run_eagerly_are_refused(model: keras.Model) -> None:
    tf.config.run_functions_eagerly(True)
    try:
        with pytest.raises(UserError, match=r"run_functions_eagerly\(False\) before"):
            rnnscope.record(model, X)
    finally:
        tf.config.run_functions_eagerly(False)
    assert set(rnnscope.record(model, X)) == {"rnn"}


def test_what_is_no_model_or_has_no_weights_is_refused() -> None:
    with pytest.raises(UserError, match=r"^model is a builtins\.str; must be a keras\.Model"):
        rnnscope.record("lstm.keras", X)
    unbuilt = keras.Sequential([keras.layers.LSTM(2)])
    with pytest.raises(UserError, match=r"has no weights yet: call it once"):
        rnnscope.record(unbuilt, X)
    assert not unbuilt.built
    unbuilt(X[:1])
    assert set(rnnscope.record(unbuilt, X)) == {unbuilt.layers[0].name}


def test_symbolic_tensors_are_refused_and_values_are_recorded_inside_a_function(
    model: keras.Model, whole: Any
) -> None:
    found = []

    @tf.function(autograph=False)
    def traced(x: Any) -> Any:
        found.append(rnnscope.record(model, X)["rnn"]["h"])
        with pytest.raises(UserError, match=r"x is a symbolic tensor.*recording"):
            rnnscope.record(model, x)
        return x

    traced(tf.constant(X))
    np.testing.assert_array_equal(found[0], whole)


def test_inputs_without_names_are_taken_in_their_order() -> None:
    start = RANDOM.normal(size=(12, 3)).astype(np.float32)
    x, initial = keras.Input(X.shape[1:]), keras.Input((3,))
    h = keras.layers.GRU(3, name="gru")(x, initial_state=initial)
    for order, given in (([x, initial], [X, start]), ([initial, x], [start, X])):
        model = keras.Model(order, h)
        found = rnnscope.record(model, given)["gru"]["h"][:, -1]
        np.testing.assert_allclose(found, model(given), atol=1e-6)
