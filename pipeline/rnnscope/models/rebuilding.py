"""A model of Keras 2 made anew from its config, with its weights set; weights with an architecture.

Keras 3 itself loads few files of Keras 2. Nothing is written: neither a copy nor the user's file.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import keras

from rnnscope.errors import UserError
from rnnscope.models import (
    archive,
    budget,
    hdf5,
    keras2,
    keras2_layers,
    keras2_options,
    screening,
    stored,
    tf_functions,
)
from rnnscope.models.keras2_json import Json, decoded

_OURS = {
    keras2_options.HARD_SIGMOID: keras2_options.hard_sigmoid_of_keras_2,
    keras2_layers.NAME: keras2_layers.LayerAsInKeras2,
    tf_functions.NAME: tf_functions.TensorFlowFunction,
}
"""What stands in for functions and layers that only Keras 2 has."""


def of_h5(file: h5py.File, own: Mapping[str, Any]) -> keras.Model:
    """The model in an .h5 that Keras 2 wrote.

    Args:
        file: with the attribute ``model_config``.
        own: the user's own classes and functions by name.

    Raises:
        UserError: a layer that Keras 3 does not have, or weights that do not fit.
    """
    _refuse_keras_1(file)
    numbers = hdf5.checked(file)
    config = decoded(described(file))
    model = _built(config, own, numbers)
    stored.from_groups(model, config, file["model_weights"])
    return model


def of_zip(path: Path, config: Json, own: Mapping[str, Any]) -> keras.Model:
    """The model in a .keras file that Keras 2 wrote (TensorFlow 2.12 to 2.15, tf_keras).

    Args:
        path: the file.
        config: its config.json.
        own: the user's own classes and functions by name.
    """
    with zipfile.ZipFile(path) as file:
        weights = io.BytesIO(file.read(archive.WEIGHTS))
    config = decoded(config)
    with h5py.File(weights, "r") as file:
        model = _built(config, own, hdf5.checked(file))
        stored.from_paths(model, config, file)
    return model


def described(file: h5py.File) -> Json:
    """The config of the model in an .h5, of a plausible size.

    Raises:
        UserError: it is none.
    """
    text = file.attrs["model_config"]
    if not isinstance(text, str | bytes) or len(text) > archive.MOST_TEXT:
        raise UserError("its model_config is not the text of a model")
    config = archive.read_json(text, "its model_config")
    screening.refuse(config, None)
    return config


def of_weights(
    path: Path, file: h5py.File, own: Mapping[str, Any], architecture: Path | None
) -> keras.Model:
    """The model that an architecture describes, with the weights in a file.

    Args:
        path: the file of weights.
        file: the same, open.
        own: the user's own classes and functions by name.
        architecture: a file with the text of ``model.to_json()``, of Keras 2 or 3.

    Raises:
        UserError: no weights, no architecture, or they do not fit each other.
    """
    paths = stored.is_paths(file)
    if not paths and "layer_names" not in file.attrs and "layer_names0" not in file.attrs:
        raise UserError("an HDF5 file without a Keras model or weights")
    _refuse_keras_1(file)
    if architecture is None:
        raise UserError(
            "it holds weights alone, and not the layers that they are for: save the whole model "
            "where it was made, model.save('x.keras') or with Keras 2 model.save('x.h5'), or give "
            "a file with the text of its model.to_json(), model.architecture=x.json"
        )
    config = _architecture(architecture)
    modern = "keras_version" not in config
    made, numbers = _deserialised if modern else _built, hdf5.checked(file)
    model = made(config, own, numbers)
    if not paths:
        stored.from_groups(model, config, file)
    elif modern and path.name.endswith(".weights.h5"):
        model.load_weights(path)
    elif modern:
        raise UserError("name it *.weights.h5, as Keras 3 does, from which it loads its weights")
    else:
        stored.from_paths(model, config, file)
    return model


def _architecture(path: Path) -> Json:
    """The content of a file with the text of ``model.to_json()``."""
    try:
        if path.stat().st_size > archive.MOST_TEXT:
            raise ValueError(f"above {archive.MOST_TEXT:,} bytes")
        config = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(config, str):  # json.dump(model.to_json(), file)
            config = json.loads(config)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"model.architecture={path} cannot be read as JSON ({error})") from error
    if not isinstance(config, dict) or not {"class_name", "config"} <= set(config):
        raise UserError(
            f"model.architecture={path} is not the text of model.to_json(), which has class_name "
            "and config"
        )
    screening.refuse(config, None)
    return decoded(config)


def _refuse_keras_1(file: h5py.File) -> None:
    """Raise for what is described and stored in another way than since Keras 2.0."""
    if version(file).startswith("1."):
        raise UserError(
            f"written by Keras {version(file)}, which stored layers and weights in another way: "
            "load it with Keras 2.0 to 2.3, and save it again there, model.save('x.h5')"
        )


def version(file: h5py.File) -> str:
    """The version of Keras that wrote an .h5; of Keras 2 where it does not say."""
    value = file.attrs.get("keras_version", "2")
    return value.decode() if isinstance(value, bytes) else str(value)


def _built(config: Json, own: Mapping[str, Any], numbers: int) -> keras.Model:
    """The model of a config of Keras 2, its weights not yet set; its file holds so many numbers.

    What the user's module itself imports from Keras stays Keras' own.
    """
    mine = {
        name: each
        for name, each in own.items()
        if each.__module__.partition(".")[0] not in ("keras", "tf_keras", "tensorflow")
    }
    return _deserialised(keras2.model(config, mine), mine, numbers)


def _deserialised(config: Json, own: Mapping[str, Any], numbers: int) -> keras.Model:
    """The model of a config of Keras 3, whose file holds so many numbers."""
    known = {key: value for key, value in config.items() if key != "compile_config"}
    named = {**_OURS, **own}
    screening.refuse(known, named)
    with budget.at_most(numbers):
        made = keras.saving.deserialize_keras_object(known, named, safe_mode=True)
    return whole_model(made)


def whole_model(made: Any) -> keras.Model:
    """What was made from a file, if it is a model.

    Raises:
        UserError: it is something else.
    """
    if not isinstance(made, keras.Model):
        raise UserError(f"it holds a {type(made).__name__}, and not a model")
    return made
