"""Models whose layers mix the sequences of a batch are refused; others are let through."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from rnnscope import states
from rnnscope.errors import UserError
from rnnscope.extract.mixing import _kept
from tests.compose import composed
from tests.extract.test_extract import finished

pytestmark = pytest.mark.tensorflow

T, F = 7, 3
MIXING = {
    "mean": lambda x: x - ops.mean(x, axis=0),
    "first": lambda x: x - x[:1],
    "last": lambda x: x - x[-1:],
    "neighbour": lambda x: ops.roll(x, 1, axis=0),
    "largest": lambda x: x - ops.max(x, axis=0),
    "running sum": lambda x: ops.cumsum(x, axis=0),
    "third before": lambda x: x + ops.roll(x, 3, axis=0),
    "twelfth before": lambda x: x + ops.roll(x, 12, axis=0),
    "size of the batch": lambda x: x * ops.cast(ops.shape(x)[0], "float32"),
    "beside a large feature": lambda x: ops.concatenate(
        [x[..., :1] * 1e6, x[..., 1:] - ops.mean(x[..., 1:], axis=0)], axis=-1
    ),
}
"""What a layer may make of a batch [B, ...]."""
APART = {
    "mean over timesteps": lambda x: x - ops.mean(x, axis=1, keepdims=True),
    "nothing": lambda x: x,
}


@keras.saving.register_keras_serializable("tests.mixing")
class Computing(keras.layers.Layer):
    """Computes one of the above."""

    def __init__(self, how: str, **kwargs: Any):
        super().__init__(**kwargs)
        self.how = how

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "how": self.how}

    def call(self, x: Any) -> Any:
        return (MIXING | APART)[self.how](x)


@keras.saving.register_keras_serializable("tests.mixing")
class Drawing(keras.layers.Layer):
    """Adds noise, each time other."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.seeds = keras.random.SeedGenerator(1)

    def call(self, x: Any) -> Any:
        return x + keras.random.normal(ops.shape(x), seed=self.seeds)


@keras.saving.register_keras_serializable("tests.mixing")
class Counting(keras.layers.Layer):
    """Keeps count of what it has seen, and takes it for a time."""

    def build(self, shape: Any) -> None:
        self.seen = self.add_weight(name="seen", initializer="zeros", trainable=False)

    def call(self, x: Any) -> Any:
        before = ops.convert_to_tensor(self.seen)
        self.seen.assign_add(ops.cast(ops.shape(x)[0], "float32"))
        return x + before


def saved(folder: Path, how: str, where: str, batch: int | None = None) -> Path:
    """A model with such a layer in one of its places."""
    given = x = keras.Input((T, F), batch_size=batch)
    if where == "before":
        x = Computing(how)(x)
    initial = Computing(how)(keras.layers.Dense(4)(keras.layers.Flatten()(x)))
    if where == "states":
        x = keras.layers.LSTM(4, name="lstm")(x, initial_state=[initial, initial])
    else:
        x = keras.layers.LSTM(4, name="lstm")(x)
    if where == "after":
        x = Computing(how)(x[:, :, None])[:, :, 0]
    keras.Model(given, keras.layers.Dense(2)(x)).save(folder / "model.keras")
    return folder / "model.keras"


def run(folder: Path, model: Path, *options: str, count: int = 40, x: Any = None) -> Path:
    if x is None:
        x = np.random.default_rng(0).normal(size=(count, T, F))
    x = np.asarray(x, np.float32)
    np.savez(folder / "data.npz", x_test=x, y_test=np.arange(len(x)) % 2)
    given = ("data=files", f"data.path={folder / 'data.npz'}", "model=file", f"model.path={model}")
    module = "model.custom_objects=tests.extract.test_mixing"
    return finished(composed(folder, "stage=extract", *given, module, *options), "extract")


CASES = [
    *((how, "before", None) for how in MIXING),
    *(("mean", where, None) for where in ("states", "after")),
    *((how, "before", 2) for how in ("first", "last", "neighbour")),
]


@pytest.mark.parametrize(("how", "where", "batch"), CASES)
def test_a_layer_that_mixes_sequences_is_refused(
    tmp_path: Path, how: str, where: str, batch: int | None
) -> None:
    model = saved(tmp_path, how, where, batch)
    what = "its output of a" if where == "after" else "what layer 'lstm' is given of a"
    with pytest.raises(UserError, match=rf"{what} sequence depends on the other sequences"):
        run(tmp_path, model)
    assert not list(tmp_path.rglob("part-*.parquet"))


def test_two_sequences_are_enough_to_see_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="depends on the other sequences"):
        run(tmp_path, saved(tmp_path, "mean", "before"), count=2)


def test_many_equal_sequences_hide_nothing(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = np.repeat(random.normal(size=(2, T, F)), (200, 1), axis=0)
    with pytest.raises(UserError, match="depends on the other sequences"):
        run(tmp_path, saved(tmp_path, "mean", "before"), x=x)


def test_run_one_by_one_they_are_refused_too(tmp_path: Path) -> None:
    """Stage ablation runs the model again, in batches of its own."""
    with pytest.raises(UserError, match="or save it for batches of 1"):
        run(tmp_path, saved(tmp_path, "mean", "before"), "extract.batch_size=1")


def test_saved_for_batches_of_one_sequences_cannot_mix(tmp_path: Path) -> None:
    folder = run(tmp_path, saved(tmp_path, "mean", "before", batch=1))
    cell = states.read_states(folder, "c", as_array=True)
    np.testing.assert_array_equal(cell[1:], cell[:-1])  # each is less its own mean


@keras.saving.register_keras_serializable("tests.mixing")
class Listing(keras.layers.Layer):
    """Keeps its count where Keras does not look."""

    def build(self, shape: Any) -> None:
        self.kept = {"seen": [tf.Variable(0.0, trainable=False)]}

    def call(self, x: Any) -> Any:
        (seen,) = self.kept["seen"]
        before = tf.identity(seen)
        seen.assign_add(1.0)
        return x + before


def test_a_variable_in_a_layers_list_is_watched_too(tmp_path: Path) -> None:
    given = keras.Input((T, F), batch_size=1)
    x = keras.layers.LSTM(4)(Listing()(given))
    keras.Model(given, keras.layers.Dense(2)(x)).save(tmp_path / "model.keras")
    with pytest.raises(UserError, match="a pass in inference changes its variable"):
        run(tmp_path, tmp_path / "model.keras")


@pytest.mark.parametrize("batch", [None, 1])
def test_a_layer_that_changes_a_variable_in_inference_is_refused(
    tmp_path: Path, batch: int | None
) -> None:
    given = keras.Input((T, F), batch_size=batch)
    x = keras.layers.LSTM(4)(Counting(name="counting")(given))
    keras.Model(given, keras.layers.Dense(2)(x)).save(tmp_path / "model.keras")
    with pytest.raises(
        UserError, match=r"a pass in inference changes its variable 'counting/seen'"
    ):
        run(tmp_path, tmp_path / "model.keras")


@pytest.mark.parametrize("size", [2, 3, 8, 12, 32])
def test_of_any_two_neighbours_in_a_ring_one_is_changed_alone(size: int) -> None:
    codes = list(_kept(size))
    for step in range(1, size):
        assert any((code & ~np.roll(code, step)).any() for code in codes)
    for changed in range(size):
        assert any(not code[changed] and code.any() for code in codes)


def test_stateful_models_are_recorded(tmp_path: Path) -> None:
    given = keras.Input((T, F), batch_size=4)
    x = keras.layers.LSTM(4, stateful=True)(given)
    keras.Model(given, keras.layers.Dense(2)(x)).save(tmp_path / "model.keras")
    run(tmp_path, tmp_path / "model.keras")


@pytest.mark.parametrize(("how", "batch"), [("mean over timesteps", None), ("nothing", 4)])
def test_a_layer_that_keeps_them_apart_is_not(tmp_path: Path, how: str, batch: int | None) -> None:
    run(tmp_path, saved(tmp_path, how, "before", batch))


def test_a_layer_that_draws_is_not(tmp_path: Path) -> None:
    given = keras.Input((T, F))
    x = keras.layers.LSTM(4)(Drawing()(given))
    keras.Model(given, keras.layers.Dense(2)(x)).save(tmp_path / "model.keras")
    run(tmp_path, tmp_path / "model.keras")
