"""Training is bit for bit the same with its states recorded, and they are those of its steps."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from keras.src.random.seed_generator import global_seed_generator

import rnnscope
from rnnscope.errors import UserError
from rnnscope.live.prepared import Prepared

pytestmark = pytest.mark.tensorflow

DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(24, 5, 3)).astype(np.float32)
Y = DRAW.integers(0, 2, 24)
SEEN = DRAW.normal(size=(8, 5, 3)).astype(np.float32)
"""What is recorded."""
KNOWN = DRAW.integers(0, 2, 8)
FEW = {"permutations": 0, "lags": 3}


def network(optimizer: Any = "adam", **compiled: Any) -> keras.Model:
    """A network that draws in training, also where Keras draws in inference and drops nothing."""
    keras.utils.set_random_seed(1)
    layers = [
        keras.layers.BatchNormalization(momentum=0.5),
        keras.layers.LSTM(4, dropout=0.3, recurrent_dropout=0.2, name="one"),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(2),
    ]
    model = keras.Sequential([keras.Input((5, 3)), *layers])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"], **compiled)
    return model


def stateful(**compiled: Any) -> keras.Model:
    keras.utils.set_random_seed(1)
    layers = [keras.layers.LSTM(4, stateful=True, name="one"), keras.layers.Dense(2)]
    model = keras.Sequential([keras.Input(batch_shape=(4, 5, 3)), *layers])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), **compiled)
    return model


class TwoOptimizers(keras.Model):
    """A model whose training has two optimizers of its own, and leaves alone the compiled one."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.dense = keras.layers.LSTM(4, name="one"), keras.layers.Dense(2)
        self.first, self.second = keras.optimizers.Adam(), keras.optimizers.SGD(0.1)
        self.add_drawn = keras.layers.Dropout(0.5)

    def call(self, x: Any, training: bool = False) -> Any:
        return self.dense(self.add_drawn(self.one(x), training=training))

    def train_step(self, data: Any) -> Any:
        x, y = data
        with tf.GradientTape(persistent=True) as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        for optimizer, layer in ((self.first, self.one), (self.second, self.dense)):
            weights = layer.trainable_weights
            optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return {"loss": loss}


def of_two_optimizers() -> keras.Model:
    keras.utils.set_random_seed(1)
    model = TwoOptimizers()
    model(X[:1])
    for optimizer, layer in ((model.first, model.one), (model.second, model.dense)):
        optimizer.build(layer.trainable_weights)
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def fit(model: keras.Model, *callbacks: Any, **options: Any) -> keras.callbacks.History:
    options = {"batch_size": 4, "epochs": 2, "verbose": 0} | options
    data = () if "x" in options else (X, Y)
    return model.fit(*data, callbacks=list(callbacks), **options)


Fit = Callable[..., list[Any]]


def once(**options: Any) -> Fit:
    return lambda model, *callbacks: [fit(model, *callbacks, **options)]


def twice(model: keras.Model, *callbacks: Any) -> list[Any]:
    return [fit(model, *callbacks), fit(model, *callbacks, epochs=3, initial_epoch=2)]


def unknown_length() -> tf.data.Dataset:
    """Seven batches, of which the data does not tell how many they are."""
    batches = tf.data.Dataset.from_tensor_slices((X, Y)).repeat().batch(4).take(7)
    return batches.filter(lambda *_: True)


CASES: dict[str, tuple[Callable[[], keras.Model], Fit, list[int]]] = {
    "weighted, validated": (
        network,
        once(class_weight={0: 1.0, 1: 3.0}, validation_data=(X[:5], Y[:5])),
        [0, 5, 10, 12],
    ),
    "several at once": (lambda: network(steps_per_execution=4), once(), [0, 6, 10, 12]),
    "several of unknown length": (
        lambda: network(steps_per_execution=4),
        once(x=unknown_length(), batch_size=None, shuffle=False),
        [0, 7, 11, 14],
    ),
    "two optimizers": (of_two_optimizers, once(), [0, 5, 10, 12]),
    "averages, without XLA": (
        lambda: network(
            keras.optimizers.AdamW(use_ema=True, ema_overwrite_frequency=4), jit_compile=False
        ),
        once(),
        [0, 5, 10, 12],
    ),
    "accumulated, from a later epoch": (
        lambda: network(keras.optimizers.RMSprop(gradient_accumulation_steps=3)),
        once(initial_epoch=1, epochs=3),
        [0, 5, 10, 12],
    ),
    "accumulated, several at once": (
        lambda: network(keras.optimizers.SGD(gradient_accumulation_steps=2), steps_per_execution=4),
        once(),
        [0, 6, 10, 12],
    ),
    "eager, with momentum": (
        lambda: network(keras.optimizers.SGD(0.1, momentum=0.9), run_eagerly=True),
        once(epochs=1),
        [0, 5, 6],
    ),
    "twice": (network, twice, [0, 5, 10, 12, 15, 18]),
    "stateful": (stateful, once(shuffle=False), [0, 5, 10, 12]),
}
"""Model, its training, and the steps that are recorded every 5."""
QUICK = ("weighted, validated", "several at once", "two optimizers")


class Weights(keras.callbacks.Callback):
    """What a training goes through: all variables after each batch."""

    def __init__(self) -> None:
        super().__init__()
        self.after: list[list[Any]] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.after.append([np.array(each) for each in self.model.weights])


def everything(model: keras.Model, histories: list[Any]) -> list[Any]:
    """All that a training leaves: variables, losses, and the next numbers of every stream."""
    optimizers = [model.optimizer, *(getattr(model, each, None) for each in ("first", "second"))]
    variables = [*model.variables, *(v for each in optimizers if each for v in each.variables)]
    return [
        *(np.array(each) for each in variables),
        *(np.array(values) for each in histories for values in each.history.values()),
        *(each.epoch for each in histories),
        *(random.random(), np.random.random(), tf.random.uniform([3])),  # noqa: NPY002
        np.array(global_seed_generator().state),  # made only now, if nothing has drawn from it
    ]


@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # by Keras, of unknown lengths
@pytest.mark.parametrize(
    "name",
    [each if each in QUICK else pytest.param(each, marks=pytest.mark.slow) for each in CASES],
)
def test_training_is_the_same_bit_for_bit_and_its_steps_are_recorded(
    name: str, tmp_path: Path
) -> None:
    make, training, steps = CASES[name]
    seen = SEEN if name != "stateful" else X[:8]
    bare = make()
    expected = everything(bare, training(bare))
    model, weights = make(), Weights()
    states = rnnscope.RecordStates(seen, every=5, folder=tmp_path / "s", labels=KNOWN)
    found = everything(model, training(model, states, weights))
    assert len(found) == len(expected)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)
    assert list(states.folders) == steps
    opened = rnnscope.open_steps(tmp_path / "s")
    assert list(opened) == steps
    assert {path.name for path in (tmp_path / "s").iterdir()} == {f"step-{n:07d}" for n in steps}
    if model.steps_per_execution > 1:
        return
    recording = Prepared(model, seen, labels=KNOWN)
    for step in (steps[1], steps[-1]):
        for variable, value in zip(model.weights, weights.after[step - 1], strict=True):
            variable.assign(value)
        right = recording.record()
        for layer, signals in right.items():
            for signal, values in signals.items():
                np.testing.assert_array_equal(opened[step][layer][signal], values)
        pd.testing.assert_frame_equal(opened[step].sequences, right.sequences)


def test_statistics_against_the_step(tmp_path: Path) -> None:
    model = network()
    folder = tmp_path / "deep" / "s"
    asked: Any = {"labels": KNOWN, "signals": ["h", "c"], "layers": "one", "units": [0, 2]}
    fit(model, rnnscope.RecordStates(SEEN, 6, folder, **asked))
    table = rnnscope.measure_steps(folder, **FEW)
    assert list(table)[:4] == ["step", "layer", "signal", "unit"]
    assert table["step"].tolist() == [0] * 4 + [6] * 4 + [12] * 4
    last = rnnscope.record(model, SEEN, **asked)
    right = rnnscope.measure(last, **FEW)
    found = table[table["step"] == 12].drop(columns="step").reset_index(drop=True)
    pd.testing.assert_frame_equal(found, right, check_categorical=False)
    assert table.groupby("step")["mean"].first().nunique() == 3
    with pytest.raises(FileNotFoundError, match="no recordings by step, such as step-0000100"):
        rnnscope.open_steps(folder / "step-0000000")


def test_recordings_of_two_trainings_are_never_mixed(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    first = rnnscope.RecordStates(SEEN, folder=folder)
    fit(network(), first, epochs=1)
    assert list(rnnscope.open_steps(folder)) == [0, 6]
    other = network()
    before = other.get_weights()
    with pytest.raises(UserError, match="give another folder, or overwrite=True"):
        fit(other, rnnscope.RecordStates(SEEN, folder=folder))
    with pytest.raises(UserError, match="a RecordStates of its own, with another folder"):
        fit(other, first)
    np.testing.assert_equal(other.get_weights(), before)
    with pytest.raises(UserError, match="the model takes"):  # nothing is removed for nothing
        fit(other, rnnscope.RecordStates(SEEN[..., :2], folder=folder, overwrite=True))
    assert list(rnnscope.open_steps(folder)) == [0, 6]
    fit(other, rnnscope.RecordStates(SEEN, every=4, folder=folder, overwrite=True), epochs=1)
    assert list(rnnscope.open_steps(folder)) == [0, 4, 6]
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match=r"holds 'mine\.txt', which is no recording"):
        fit(other, rnnscope.RecordStates(SEEN, folder=folder, overwrite=True))
    with pytest.raises(UserError, match="is a file"):
        fit(other, rnnscope.RecordStates(SEEN, folder=folder / "mine.txt"))
    assert (folder / "mine.txt").read_text() == "mine"


def test_recordings_that_were_moved_by_hand_are_not_taken_for_others(tmp_path: Path) -> None:
    one, other = (rnnscope.RecordStates(SEEN, 3, tmp_path / each) for each in ("one", "other"))
    for each in (one, other):
        fit(network(), each, epochs=1)
    shutil.copytree(other.folders[6], one.folder / "step-0000009")
    with pytest.raises(UserError, match=r"step-0000009: was recorded as step-0000006; give it"):
        rnnscope.open_steps(one.folder)
    shutil.rmtree(one.folder / "step-0000009")
    shutil.rmtree(one.folders[6])
    shutil.copytree(other.folders[6], one.folders[6])
    with pytest.raises(UserError, match=r"step-0000006: is of another training than step-0000000"):
        rnnscope.measure_steps(one.folder)
    shutil.rmtree(one.folders[6])
    assert list(rnnscope.open_steps(one.folder)) == [0, 3]
    part = Path("one", "h", "part-00000.parquet")
    shutil.copy(one.folders[3] / part, one.folders[0] / part)
    with pytest.raises(UserError, match="part-00000"):
        rnnscope.measure_steps(one.folder)


def test_a_model_that_is_set_otherwise_between_fits_is_recorded_as_it_is(tmp_path: Path) -> None:
    model = network()
    states = rnnscope.RecordStates(SEEN, 100, tmp_path / "s")
    fit(model, states, epochs=1)
    model.get_layer("one").go_backwards = True
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    fit(model, states, epochs=1)
    last = rnnscope.open_steps(tmp_path / "s")[states.step]
    right = rnnscope.record(model, SEEN)
    np.testing.assert_array_equal(last["one"]["c"], right["one"]["c"])
    model.get_layer("one").go_backwards = False
    assert np.abs(last["one"]["c"] - rnnscope.record(model, SEEN)["one"]["c"]).max() > 0.01


def test_what_a_model_reads_from_python_is_recorded_as_it_is_where_it_runs_eagerly(
    tmp_path: Path,
) -> None:
    model = network(run_eagerly=True)
    scaled, gain = model.layers[0].call, [1.0]
    object.__setattr__(model.layers[0], "call", lambda x, **more: gain[0] * scaled(x, **more))
    follow = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: gain.append(gain.pop() + 1)
    )
    states = rnnscope.RecordStates(SEEN, 3, tmp_path / "s")
    model.fit(X, Y, batch_size=4, epochs=1, verbose=0, callbacks=[follow, states])
    assert gain == [7.0]
    last = rnnscope.open_steps(tmp_path / "s")[6]
    np.testing.assert_array_equal(last["one"]["c"], rnnscope.record(model, SEEN)["one"]["c"])


def test_a_dataset_is_read_once_and_what_is_given_stays_as_it_was(tmp_path: Path) -> None:
    """A dataset that is shuffled anew each time would give other sequences at other steps."""

    class Tensor:  # as PyTorch's
        def __init__(self, values: Any):
            self.values = values

        def clone(self) -> Any:
            return Tensor(self.values.copy())

        def __array__(self, *_: Any, **__: Any) -> Any:
            return self.values

    held = SEEN.copy()
    third = rnnscope.RecordStates(Tensor(held), 2, tmp_path / "third")
    held[:] = 0
    np.testing.assert_array_equal(third.x, SEEN)
    shuffled = tf.data.Dataset.from_tensor_slices((SEEN, KNOWN)).shuffle(8).batch(4)
    model, known = network(run_eagerly=True), KNOWN.copy()
    first = rnnscope.RecordStates(shuffled, 6, tmp_path / "first")
    second = rnnscope.RecordStates(SEEN, 6, tmp_path / "second", labels=known)
    known[:] = 1 - known
    model.fit(X, Y, batch_size=4, verbose=0, callbacks=[first, second])
    model.get_layer("one").trainable = False
    model.fit(X, Y, batch_size=4, verbose=0, callbacks=[first, second])
    for each in (first, second):
        labels = [
            one.sequences["label"].tolist() for one in rnnscope.open_steps(each.folder).values()
        ]
        assert len(labels) == 3
        assert all(one == labels[0] for one in labels)
    assert labels[0] == KNOWN.tolist()


def test_what_a_layer_reads_from_python_may_change_between_fits(tmp_path: Path) -> None:
    gain = [1.0]
    scaled = keras.layers.Lambda(lambda x: gain[0] * x)
    model = keras.Sequential([keras.Input((5, 3)), scaled, keras.layers.LSTM(2, name="one")])
    states = rnnscope.RecordStates(SEEN, 100, tmp_path / "s")
    for value in (1.0, 5.0):
        gain[0] = value
        model.compile("sgd", "mse")
        model.fit(X, np.zeros((24, 2)), batch_size=8, verbose=0, callbacks=[states])
    last = rnnscope.open_steps(tmp_path / "s")[6]["one"]["h"]
    np.testing.assert_array_equal(last, rnnscope.record(model, SEEN)["one"]["h"])


def test_a_layer_whose_config_cannot_be_had_is_no_obstacle(tmp_path: Path) -> None:
    class Odd(keras.layers.Layer):
        def get_config(self) -> Any:
            raise AttributeError("none")

        def call(self, x: Any) -> Any:
            return x

    model = keras.Sequential([keras.Input((5, 3)), Odd(), keras.layers.LSTM(2, name="one")])
    model.compile("sgd", "mse")
    states = rnnscope.RecordStates(SEEN, 100, tmp_path / "s")
    for _ in range(2):
        model.fit(X, np.zeros((24, 2)), batch_size=8, verbose=0, callbacks=[states])
    assert list(rnnscope.open_steps(tmp_path / "s")) == [0, 3, 6]


def test_recordings_that_somebody_wrote_under_such_names_are_opened(tmp_path: Path) -> None:
    states = rnnscope.record(network(), SEEN)
    for step, key in ((0, "digits-lstm64-0"), (1, "0123abcd"), (2, "")):
        states.write(tmp_path / f"step-{step:07d}", artefact=key)
    assert list(rnnscope.open_steps(tmp_path)) == [0, 1, 2]


def test_sequences_are_those_that_were_given_whatever_becomes_of_the_array(tmp_path: Path) -> None:
    forms: list[Any] = [lambda x: x, lambda x: {"seen": x}, list]
    for number, form in enumerate(forms):
        given, model = SEEN.copy(), network()
        if number == 1:
            x = keras.Input((5, 3), name="seen")
            model = keras.Model({"seen": x}, keras.layers.LSTM(2, name="one")(x))
            model.compile("sgd", "mse")
        states = rnnscope.RecordStates(form(given), 100, tmp_path / f"{number}")
        given[:] = 0
        data = {"seen": X} if number == 1 else X
        model.fit(data, np.zeros((24, 2)) if number == 1 else Y, verbose=0, callbacks=[states])
        last = rnnscope.open_steps(states.folder)[states.step]
        right = rnnscope.record(model, {"seen": SEEN} if number == 1 else SEEN)
        np.testing.assert_array_equal(last["one"]["h"], right["one"]["h"])


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_only_has_the_name_of_a_recording_is_not_removed(tmp_path: Path, kind: str) -> None:
    """Others keep their checkpoints under such names."""
    place = tmp_path / "states" / "step-0000100"
    place.parent.mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "sequences.parquet").write_text("mine")
    if kind == "folder":
        (tmp_path / "mine").rename(place)
    elif kind == "file":
        place.write_text("mine")
    else:
        place.symlink_to(tmp_path / "mine")
    before = sorted(tmp_path.rglob("*"))
    recording = rnnscope.RecordStates(SEEN, folder=place.parent, overwrite=True)
    with pytest.raises(UserError, match="holds 'step-0000100', which is no recording"):
        fit(network(), recording)
    assert sorted(tmp_path.rglob("*")) == before


def test_steps_count_on_from_those_that_the_optimizer_has_taken(tmp_path: Path) -> None:
    model = network()
    fit(model, epochs=1)
    states = rnnscope.RecordStates(SEEN, every=4, folder=tmp_path / "s")
    fit(model, states, epochs=1)
    assert list(states.folders) == [6, 8, 12]
    model.set_weights([2 * each for each in model.get_weights()])
    with pytest.warns(UserWarning, match="the weights are not those recorded at step 12"):
        fit(model, states, epochs=1)
    assert list(states.folders) == [6, 8, 12, 16, 18]


def test_weights_that_are_swapped_at_the_end_of_an_epoch_are_not_those_of_a_step(
    tmp_path: Path,
) -> None:
    model, weights = network(keras.optimizers.SGD(0.1, use_ema=True)), Weights()
    states = rnnscope.RecordStates(SEEN, every=1000, folder=tmp_path / "s")
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    fit(model, swap, states, weights, epochs=1)
    for variable, value in zip(model.weights, weights.after[-1], strict=True):
        variable.assign(value)
    right = rnnscope.record(model, SEEN)["one"]["c"]
    np.testing.assert_array_equal(rnnscope.open_steps(tmp_path / "s")[6]["one"]["c"], right)


@pytest.mark.parametrize("behind", [False, True])
def test_the_last_step_is_recorded_before_the_best_weights_take_its_place(
    behind: bool, tmp_path: Path
) -> None:
    model, weights = network(keras.optimizers.SGD(5.0)), Weights()
    states = rnnscope.RecordStates(SEEN, every=1000, folder=tmp_path / "s")
    stop = keras.callbacks.EarlyStopping("loss", patience=1, restore_best_weights=True)
    fit(model, weights, *((states, stop) if behind else (stop, states)), epochs=20)
    first, last = states.folders
    assert (first, last) == (0, len(weights.after))
    assert last < 120
    assert not np.array_equal(model.get_weights()[0], weights.after[-1][0])
    for variable, value in zip(model.weights, weights.after[-1], strict=True):
        variable.assign(value)
    right = rnnscope.record(model, SEEN)["one"]["c"]
    np.testing.assert_array_equal(rnnscope.open_steps(tmp_path / "s")[last]["one"]["c"], right)


def test_where_averages_took_the_place_of_the_weights_nothing_is_recorded(tmp_path: Path) -> None:
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.stop_training = epoch == 1

    model = network(keras.optimizers.SGD(0.1, use_ema=True))
    states = rnnscope.RecordStates(SEEN, every=5, folder=tmp_path / "s")
    with pytest.warns(UserWarning, match="step 12 is not recorded: the optimizer has put averages"):
        fit(model, states, Stop(), epochs=9)
    assert list(states.folders) == [0, 5, 10]


@pytest.mark.parametrize("every", [0, -1, 1.5, True, "5"])
def test_every_is_a_number_of_steps(every: Any) -> None:
    with pytest.raises(UserError, match=rf"every={every}: must be a whole number of steps"):
        rnnscope.RecordStates(SEEN, every=every)


def test_an_option_that_record_does_not_have_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="got an unexpected keyword argument 'signal'"):
        rnnscope.RecordStates(SEEN, signal="h")


def test_a_subclassed_model_and_one_of_two_inputs(tmp_path: Path) -> None:
    class Subclassed(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.dense = keras.layers.LSTM(4, name="one"), keras.layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.dense(self.one(x))

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = Subclassed()
    model.compile("adam", loss)
    states = rnnscope.RecordStates(SEEN, folder=tmp_path / "a", labels=KNOWN)
    with pytest.raises(UserError, match=r"no weights yet: call it once on some of x, model\(x"):
        fit(model, states, epochs=1)
    model(SEEN[:1])
    fit(model, states, epochs=1)
    a, b = keras.Input((5, 3), name="a"), keras.Input((5, 3), name="b")
    read = [keras.layers.LSTM(2, name=name)(x) for name, x in (("one", a), ("two", b))]
    pair = keras.Model([a, b], keras.layers.Dense(2)(keras.layers.concatenate(read)))
    pair.compile("adam", loss)
    seen = {"a": SEEN, "b": 2 * SEEN}
    recording = rnnscope.RecordStates(seen, folder=tmp_path / "b")
    pair.fit({"a": X, "b": X}, Y, callbacks=[recording], verbose=0)
    for folder, made, x in (("a", model, SEEN), ("b", pair, seen)):
        step, last = list(rnnscope.open_steps(tmp_path / folder).items())[-1]
        assert step in (1, 6)
        right = rnnscope.record(made, x)
        for layer in right:
            np.testing.assert_array_equal(last[layer]["c"], right[layer]["c"])
