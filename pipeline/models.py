"""From config to Keras model: build one, or load the user's own."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline import config
from pipeline.data import Batch, Dataset
from pipeline.errors import UserError

MASK = "mask"
"""Name of the input by which our own models are told which timesteps are valid."""

LAYERS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "simple_rnn": keras.layers.SimpleRNN}


def device() -> str:
    """What TensorFlow will compute on: the first GPU, or CPU."""
    gpus = tf.config.list_physical_devices("GPU")
    return gpus[0].name if gpus else "CPU"


def build(model: config.Recurrent, data: Dataset) -> keras.Model:
    """A stack of recurrent layers and a linear read-out from the last valid timestep.

    Inputs: x [B, T, F], and where sequences differ in length a second, mask [B, T] (bool). A mask
    of its own, rather than a padding value, cannot be mistaken for data. Output: logits
    [B, K].
    """
    timesteps = None if data.padded else data.test.timesteps
    x = keras.Input((timesteps, data.test.features), name="x")
    mask = keras.Input((timesteps,), dtype="bool", name=MASK) if data.padded else None
    y = x
    for number in range(1, model.layers + 1):
        y = _layer(model, number)(y, mask=mask)
    logits = keras.layers.Dense(len(data.classes), name="readout")(y)
    built = keras.Model(x if mask is None else {"x": x, MASK: mask}, logits, name=model.name)
    if isinstance(model, config.Lstm):
        _set_forget_bias(built, model.forget_bias)
    return built


def load(path: Path) -> keras.Model:
    """A model saved by Keras; code inside it is not run (safe mode)."""
    if path.suffix != ".keras":
        raise UserError(f"model.path={path}: not a .keras file")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"model.path={path}: Keras cannot load it ({' '.join(str(error).split())[:300]})"
        ) from error


def inputs(model: keras.Model, batch: Batch) -> Any:
    """What ``model`` takes for a batch: x, or where it asks for a mask a dict of both."""
    if not _masked(model):
        return batch.x
    timesteps = batch.x.shape[1]
    lengths = np.full(len(batch.x), timesteps) if batch.lengths is None else batch.lengths
    return {"x": batch.x, MASK: np.arange(timesteps) < lengths[:, np.newaxis]}


def signature(model: keras.Model) -> Any:
    """The shapes and types of ``inputs`` with any batch size, as ``tf.function`` takes them."""
    specs = {each.name: tf.TensorSpec((None, *each.shape[1:]), each.dtype) for each in model.inputs}
    return specs if _masked(model) else next(iter(specs.values()))


def sequence_shape(model: keras.Model) -> tuple[int | None, ...]:
    """The shape of one sequence as the model takes it, usually (T, F); None where any fits."""
    return tuple(next(each for each in model.inputs if each.name != MASK).shape[1:])


def _masked(model: keras.Model) -> bool:
    return MASK in [each.name for each in model.inputs]


def _layer(model: config.Recurrent, number: int) -> keras.layers.Layer:
    """Recurrent layer ``number`` of the stack, from 1; all but the last return every timestep."""
    name = model.name if model.layers == 1 else f"{model.name}_{number}"
    layer = LAYERS[model.name](
        model.units, dropout=model.dropout, return_sequences=number < model.layers, name=name
    )
    return keras.layers.Bidirectional(layer, name=name) if model.bidirectional else layer


def _set_forget_bias(model: keras.Model, bias: float) -> None:
    """Set the forget gate's initial bias, the second quarter of i, f, g, o."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.LSTM):
            values = layer.cell.bias.numpy()
            values[layer.units : 2 * layer.units] = bias
            layer.cell.bias.assign(values)
