"""A trained model from a file: .keras, or .h5 of Keras 2 and 3."""

import json
import re
import shutil
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras

from rnnscope import data
from rnnscope.config import Data, Model, ModelFile, Tf1Checkpoint
from rnnscope.data import Dataset
from rnnscope.errors import UserError
from rnnscope.models import checkpoint, custom
from rnnscope.models.outputs import numbered
from rnnscope.models.times import roles

MODEL = "model.keras"
"""The file in which stage train saves its model."""


def of_run(model: Model, trained: Path | None, source: Data) -> tuple[keras.Model, Dataset]:
    """A run's model, which stage train made or the user's file holds, and the data it is for.

    Args:
        model: the options of group model.
        trained: the output of stage train; None if the model comes from a file.
        source: the options of the data.
    """
    if trained is None and isinstance(model, Tf1Checkpoint):  # it has one input, whatever its data
        dataset = data.load(source)
        loaded = checkpoint.load(model, padded=dataset.padded)
        return loaded, numbered(loaded, dataset)
    if trained is not None:
        loaded = load(trained / MODEL)
    elif isinstance(model, ModelFile):
        loaded = load(Path(model.path), model.custom_objects)
    else:
        raise TypeError(f"no loader for {type(model).__name__}")
    dataset = data.load(source, roles(loaded))
    return loaded, dataset if trained else numbered(loaded, dataset)


def load(path: Path, custom_objects: str | None = None) -> keras.Model:
    """A model saved by Keras as .keras or .h5; code inside it is not run (safe mode).

    Args:
        path: the file.
        custom_objects: the user's module with the model's custom classes and functions; those that
            it registers with Keras are found too.
    """
    _refuse_form(path)
    own = {} if custom_objects is None else custom.members(custom_objects)
    try:
        if path.suffix == ".keras":
            return keras.saving.load_model(path, own, compile=False, safe_mode=True)
        return _load_h5(path, own)
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())
        if missing := _MISSING.search(reason):
            here = "" if custom_objects is None else f" nor in {custom_objects}"
            raise UserError(
                f"model.path={path}: '{missing[1]}' is not Keras' own{here}: give the module that "
                "defines it, model.custom_objects=package.module"
            ) from error
        raise UserError(f"model.path={path}: Keras cannot load it ({reason[:300]})") from error


_MISSING = re.compile(
    r"(?:Could not locate (?:class|function)|Unknown (?:layer|object|\w* ?function):?) '([^']+)'"
)
"""Keras' messages for an unknown class or function: for .keras, then for .h5."""


def _refuse_form(path: Path) -> None:
    """Raise for file formats from which Keras 3 cannot restore layers."""
    again = "where it was made: model.save('x.keras'), or with Keras 2 model.save('x.h5')"
    if (path / "saved_model.pb").is_file():
        raise UserError(
            f"model.path={path}: a SavedModel, which Keras 3 cannot load as layers; save it again "
            f"{again}; its LSTM cells of TensorFlow 1 load from {path / 'variables' / 'variables'} "
            "with model=tf1_checkpoint"
        )
    if path.suffix not in (".keras", ".h5", ".hdf5"):
        raise UserError(f"model.path={path}: must be a .keras or .h5 file; save it {again}")
    if path.suffix == ".keras" and _of_keras_2(path):
        raise UserError(
            f"model.path={path}: a .keras file of Keras 2, which Keras 3 cannot load; save it "
            "again where it was made: model.save('x.h5')"
        )


def _of_keras_2(path: Path) -> bool:
    """Whether a .keras file was written by Keras 2, which has another layout."""
    try:
        with zipfile.ZipFile(path) as file:
            version: str = json.loads(file.read("metadata.json"))["keras_version"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return False  # loading it raises the more specific error
    return version.startswith("2.")


def _load_h5(path: Path, own: dict[str, Any]) -> keras.Model:
    """A model in the older .h5 format, of Keras 3, Keras 2 or tf_keras.

    Keras 2 wrote an option that Keras 3 does not know, and its hard_sigmoid is another function.
    """
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Do not pass an `input_shape`")
        copy = Path(shutil.copy(path, Path(folder) / "model.h5"))
        copy.chmod(0o600)
        with h5py.File(copy, "r+") as file:
            version = file.attrs.get("keras_version", b"2")
            old = not (version if isinstance(version, bytes) else version.encode()).startswith(b"3")
            if old and "model_config" in file.attrs:
                layers = json.loads(file.attrs["model_config"])
                file.attrs["model_config"] = json.dumps(_without_time_major(layers))
        model = keras.saving.load_model(copy, own, compile=False, safe_mode=True)
    if old:
        for layer in model._flatten_layers():
            for name in ("activation", "recurrent_activation"):
                if vars(layer).get(name) is keras.activations.hard_sigmoid:
                    setattr(layer, name, hard_sigmoid_of_keras_2)
    return model


def hard_sigmoid_of_keras_2(x: Any) -> Any:
    """Clip 0.2 x + 0.5 to [0, 1], as early LSTMs did by default; the slope in Keras 3 is 1/6."""
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)


def _without_time_major(config: Any) -> Any:
    """A model's config without time_major=False, since Keras 3 has batch-major layers only."""
    match config:
        case dict():
            kept = {k: v for k, v in config.items() if k != "time_major" or v}
            return {key: _without_time_major(value) for key, value in kept.items()}
        case list():
            return [_without_time_major(value) for value in config]
        case _:
            return config
