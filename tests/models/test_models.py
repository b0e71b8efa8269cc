"""Models as the config describes them, and as they come back from a file."""

import dataclasses
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from rnnscope import config, models
from rnnscope.data import Batch, Dataset, Split
from rnnscope.errors import UserError

pytestmark = pytest.mark.tensorflow

CLASSES = ("a", "b", "c")


def dataset(lengths: bool = False) -> Dataset:
    x = np.random.default_rng(0).normal(size=(3, 5, 2)).astype(np.float32)
    some = np.array([5, 2, 1], np.int32) if lengths else None
    return Dataset(Split(x, np.arange(3, dtype=np.int32), some), classes=CLASSES)


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [("lstm", 4 * (2 * 6 + 6 * 6 + 6)), ("gru", 3 * (2 * 6 + 6 * 6 + 2 * 6)), ("simple_rnn", 54)],
)
def test_each_kind_has_its_number_of_parameters(kind: str, parameters: int) -> None:
    model = models.build(config.Recurrent(kind, 6, 1, False, 0.0), dataset())
    assert model.count_params() == parameters + 6 * 3 + 3
    assert model.output_shape == (None, 3)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_layers_are_stacked_and_named(bidirectional: bool) -> None:
    model = models.build(config.Recurrent("gru", 4, 2, bidirectional, 0.1), dataset())
    assert [layer.name for layer in model.layers[1:]] == ["gru_1", "gru_2", "readout"]
    width = 8 if bidirectional else 4
    assert model.get_layer("gru_1").output.shape == (None, 5, width)
    assert model.get_layer("gru_2").output.shape == (None, width)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(
    ("y", "classes", "outputs"),
    [
        (np.zeros(3, np.int32), CLASSES, (None, 3)),
        (np.zeros((3, 5), np.int32), CLASSES, (None, 5, 3)),
        (np.zeros(3, np.float32), (), (None, 1)),
        (np.zeros((3, 5), np.float32), (), (None, 5, 1)),
    ],
)
def test_what_is_read_out_is_what_the_data_has(
    y: Any, classes: tuple[str, ...], outputs: tuple[int, ...], padded: bool, layers: int
) -> None:
    test = dataclasses.replace(dataset(padded).test, y=None)
    data = Dataset(test, dataclasses.replace(test, y=y), classes=classes)
    model = models.build(config.Recurrent("gru", 4, layers, False, 0.0), data)
    free = (None if padded and size == 5 else size for size in outputs)
    assert model.output_shape == tuple(free)
    batch = data.test.take(slice(None))
    assert model(models.inputs(model, batch)).shape == (3, *outputs[1:])


@pytest.mark.parametrize("bias", [1.0, -2.5])
def test_the_forget_bias_is_what_was_asked_for_in_every_layer(bias: float) -> None:
    model = models.build(config.Lstm("lstm", 3, 2, True, 0.0, bias), dataset())
    for name in ("lstm_1", "lstm_2"):
        both = model.get_layer(name)
        for layer in (both.forward_layer, both.backward_layer):
            want = np.repeat([0, bias, 0, 0], 3)
            np.testing.assert_array_equal(layer.cell.bias.numpy(), want)


def test_a_mask_is_an_input_only_where_lengths_differ() -> None:
    options = config.Lstm("lstm", 3, 1, False, 0.0, 1.0)
    assert len(models.build(options, dataset()).inputs) == 1
    assert len(models.build(options, dataset(lengths=True)).inputs) == 2


@pytest.mark.slow
@pytest.mark.parametrize("lengths", [False, True])
def test_a_saved_model_predicts_the_same(tmp_path: Path, lengths: bool) -> None:
    data = dataset(lengths)
    model = models.build(config.Lstm("lstm", 3, 2, True, 0.0, 1.0), data)
    model.save(tmp_path / "model.keras")
    again = models.load(tmp_path / "model.keras")
    batch = data.test.take(slice(None))
    np.testing.assert_array_equal(
        np.asarray(model(models.inputs(model, batch), training=False)),
        np.asarray(again(models.inputs(again, batch), training=False)),
    )
    assert models.sequence_shape(again) == models.sequence_shape(model)


def test_padding_does_not_change_a_prediction() -> None:
    data = dataset(lengths=True)
    model = models.build(config.Lstm("lstm", 3, 2, True, 0.0, 1.0), data)
    padded = data.test.take(slice(None))
    whole = np.asarray(model(models.inputs(model, padded), training=False))
    for number, length in enumerate((5, 2, 1)):
        alone = Batch(padded.x[[number], :length], None, None)
        one = np.asarray(model(models.inputs(model, alone), training=False))
        np.testing.assert_allclose(one[0], whole[number], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", ["keras", "h5"])
def test_code_in_a_model_file_is_not_run(tmp_path: Path, form: str) -> None:
    x = keras.Input((5, 2))
    model = keras.Model(x, keras.layers.Lambda(lambda y: y + 1)(x))
    keras.saving.save_model(model, tmp_path / f"lambda.{form}")
    said = complaint(tmp_path / f"lambda.{form}")
    assert "it has a Lambda layer, and Python code in a file is not run" in said


OWN = """
import keras

@keras.saving.register_keras_serializable("mine")
class Registered(keras.layers.Layer):
    def call(self, x):
        return 2 * x

class Plain(keras.layers.Layer):
    def call(self, x):
        return 3 * x

def steep(x):
    return keras.ops.tanh(4 * x)
"""
WRITE_OWN = """
import sys, keras, {module}
for name in ("Registered", "Plain", "steep"):
    x = keras.Input((5, 2))
    own = getattr({module}, name)
    lstm = keras.layers.LSTM(3, activation=own if name == "steep" else "tanh")
    model = keras.Model(x, lstm(x if name == "steep" else own()(x)))
    for form in ("keras", "h5"):
        model.save(f"{{name}}.{{form}}")
    model.export(f"{{name}}", verbose=False)
"""


def python(code: str, folder: Path, **environment: str) -> None:
    """Run code in a process of its own, in a folder that it can import from."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "CUDA_VISIBLE_DEVICES": "", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models made of a user's own classes and functions, and the module that defines them."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own_layers.py").write_text(OWN)
    python(WRITE_OWN.format(module="own_layers"), folder)
    return folder


def complaint(path: Path, custom_objects: str | None = None) -> str:
    with pytest.raises(UserError) as caught:
        models.load(path, custom_objects)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def beside(own: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's own module as the working folder."""
    monkeypatch.chdir(own)
    monkeypatch.setattr("sys.path", sys.path.copy())
    return own


@pytest.mark.process
@pytest.mark.parametrize("form", ["keras", "h5"])
@pytest.mark.parametrize("name", ["Registered", "Plain", "steep"])
def test_what_a_model_is_made_of_is_only_imported_when_named(
    beside: Path, name: str, form: str
) -> None:
    known = dict(keras.saving.get_custom_objects())
    try:
        said = complaint(beside / f"{name}.{form}")
        assert f"{name}' is not Keras' own" in said
        assert "model.custom_objects=package.module" in said
        assert "own_layers" not in sys.modules
        model = models.load(beside / f"{name}.{form}", "own_layers")
        assert model.output_shape == (None, 3)
    finally:
        sys.modules.pop("own_layers", None)
        keras.saving.get_custom_objects().clear()
        keras.saving.get_custom_objects().update(known)


@pytest.mark.process
def test_a_module_that_does_not_define_it_is_named(beside: Path) -> None:
    (beside / "other_layers.py").write_text("")
    assert "'Plain' is not Keras' own nor in other_layers:" in complaint(
        beside / "Plain.keras", "other_layers"
    )


@pytest.mark.process
def test_a_module_that_needs_what_is_not_installed_says_so(beside: Path) -> None:
    (beside / "needy_layers.py").write_text("import no_such_package")
    said = complaint(beside / "Plain.keras", "needy_layers")
    assert "model.custom_objects=needy_layers: cannot be imported" in said
    assert "no_such_package" in said


@pytest.mark.slow
@pytest.mark.parametrize("lengths", [False, True])
def test_a_model_saved_as_h5_predicts_the_same(tmp_path: Path, lengths: bool) -> None:
    data = dataset(lengths)
    model = models.build(config.Lstm("lstm", 3, 2, True, 0.0, 1.0), data)
    keras.saving.save_model(model, tmp_path / "model.h5")
    before = (tmp_path / "model.h5").read_bytes()
    again = models.load(tmp_path / "model.h5")
    batch = data.test.take(slice(None))
    np.testing.assert_array_equal(
        np.asarray(model(models.inputs(model, batch), training=False)),
        np.asarray(again(models.inputs(again, batch), training=False)),
    )
    assert (tmp_path / "model.h5").read_bytes() == before


@pytest.mark.process
def test_a_saved_model_is_refused_with_what_to_do(own: Path) -> None:
    said = complaint(own / "Plain")
    assert "a SavedModel, which Keras 3 cannot load as layers" in said
    assert "model.save('x.keras')" in said
    assert "model.save('x.h5')" in said


@pytest.mark.parametrize("name", ["mine.pt", "mine"])
def test_another_form_is_refused_with_what_to_do(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert "must be a .keras or .h5 file" in complaint(tmp_path / name)


@pytest.mark.parametrize(("name", "layer"), [("slice", "GetItem"), ("mean", "Mean"), ("dot", "it")])
def test_what_keras_3_does_not_restore_from_h5_is_to_be_saved_as_keras(
    tmp_path: Path, name: str, layer: str
) -> None:
    """Its own operations and Attention, and not as if they were the user's."""
    x = keras.Input((5, 2))
    y = keras.layers.LSTM(3, return_sequences=True)(x)
    made = {"slice": y[:, -1], "mean": keras.ops.mean(y, axis=1)}
    model = keras.Model(x, made.get(name, keras.layers.Attention()([y, y])))
    keras.saving.save_model(model, tmp_path / "mine.h5")
    assert f"Keras 3 does not restore {layer} from its .h5" in complaint(tmp_path / "mine.h5")
    model.save(tmp_path / "mine.keras")
    assert models.load(tmp_path / "mine.keras").output_shape == model.output_shape


@pytest.mark.process
def test_a_module_that_a_file_names_is_not_imported(beside: Path, tmp_path: Path) -> None:
    """A file may say which module its classes are from; only the user's word counts."""
    harmful = tmp_path / "harmful.keras"
    with zipfile.ZipFile(beside / "Plain.keras") as old, zipfile.ZipFile(harmful, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                content = json.dumps(_from_module(json.loads(content), "trap")).encode()
            new.writestr(name, content)
    (beside / "trap.py").write_text("raise AssertionError")
    assert "'Plain' is not Keras' own" in complaint(harmful)
    assert "trap" not in sys.modules


def _from_module(settings: Any, module: str) -> Any:
    """A model's config in which its own classes come from a module."""
    match settings:
        case dict():
            own = settings.get("module", "keras").partition(".")[0] != "keras"
            return {
                key: module if own and key == "module" else _from_module(value, module)
                for key, value in settings.items()
            }
        case list():
            return [_from_module(value, module) for value in settings]
        case _:
            return settings
