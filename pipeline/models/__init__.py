"""From config to Keras model: build one, or load the user's own."""

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
import tensorflow as tf

from pipeline import config, custom
from pipeline.data import Dataset
from pipeline.errors import UserError
from pipeline.models.feeding import MASK, inputs, sequence_shape, signature

__all__ = ["MASK", "build", "device", "inputs", "load", "sequence_shape", "signature"]

LAYERS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "simple_rnn": keras.layers.SimpleRNN}


def device() -> str:
    """What TensorFlow will compute on: the first GPU, or CPU."""
    gpus = tf.config.list_physical_devices("GPU")
    return gpus[0].name if gpus else "CPU"


def build(model: config.Recurrent, data: Dataset) -> keras.Model:
    """A stack of recurrent layers and a linear read-out from the last valid timestep.

    Inputs: x [B, T, F], and where sequences differ in length a second, mask [B, T] (bool). A mask
    of its own, rather than a padding value, cannot be mistaken for data. Output: logits [B, K],
    or of numeric targets one number [B, 1]; where each timestep has its own label or target, every
    timestep is read out, [B, T, K] or [B, T, 1].
    """
    labelled = data.labelled
    assert labelled is not None
    timesteps = None if data.padded else data.test.timesteps
    x = keras.Input((timesteps, data.test.features), name="x")
    mask = keras.Input((timesteps,), dtype="bool", name=MASK) if data.padded else None
    y = x
    for number in range(1, model.layers + 1):
        every = number < model.layers or labelled.per_timestep
        y = _layer(model, number, every=every)(y, mask=mask)
    outputs = 1 if labelled.numeric else len(data.classes)
    readout = keras.layers.Dense(outputs, name="readout")(y)
    built = keras.Model(x if mask is None else {"x": x, MASK: mask}, readout, name=model.name)
    if isinstance(model, config.Lstm):
        _set_forget_bias(built, model.forget_bias)
    return built


def load(path: Path, custom_objects: str | None = None) -> keras.Model:
    """A model saved by Keras as .keras or .h5; code inside it is not run (safe mode).

    Args:
        path: the file.
        custom_objects: the user's own module, whose classes and functions the model may be made
            of; what the module registers with Keras counts too.
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
"""How Keras says that it does not know a class or function: .keras, then .h5."""


def _refuse_form(path: Path) -> None:
    """Raise for the forms of a saved model that hold no layers Keras 3 can bring back."""
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
    """Whether a .keras file was written by Keras 2, which laid it out otherwise."""
    try:
        with zipfile.ZipFile(path) as file:
            version: str = json.loads(file.read("metadata.json"))["keras_version"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return False  # loading it will say more
    return version.startswith("2.")


def _load_h5(path: Path, own: dict[str, Any]) -> keras.Model:
    """A model in the older .h5 form, of Keras 3 or of Keras 2 and tf_keras.

    Keras 2 wrote an option that Keras 3 does not know, and by hard_sigmoid meant another function.
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
    """Clip 0.2 x + 0.5 to [0, 1]; Keras 3 has a slope of 1/6. Early LSTMs had it by default."""
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)


def _without_time_major(config: Any) -> Any:
    """A model's config without time_major=False: batch-major is all that Keras 3 has."""
    match config:
        case dict():
            kept = {k: v for k, v in config.items() if k != "time_major" or v}
            return {key: _without_time_major(value) for key, value in kept.items()}
        case list():
            return [_without_time_major(value) for value in config]
        case _:
            return config


def _layer(model: config.Recurrent, number: int, *, every: bool) -> keras.layers.Layer:
    """Recurrent layer ``number`` of the stack, from 1; returns every timestep, or the last."""
    name = model.name if model.layers == 1 else f"{model.name}_{number}"
    layer = LAYERS[model.name](
        model.units, dropout=model.dropout, return_sequences=every, name=name
    )
    return keras.layers.Bidirectional(layer, name=name) if model.bidirectional else layer


def _set_forget_bias(model: keras.Model, bias: float) -> None:
    """Set the forget gate's initial bias, the second quarter of i, f, g, o."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.LSTM):
            values = layer.cell.bias.numpy()
            values[layer.units : 2 * layer.units] = bias
            layer.cell.bias.assign(values)
