"""A new network from its config."""

import keras

from rnnscope import config
from rnnscope.data import MASK, Dataset
from rnnscope.errors import UserError

LAYERS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "simple_rnn": keras.layers.SimpleRNN}


def build(model: config.Recurrent, data: Dataset) -> keras.Model:
    """A stack of recurrent layers and a linear readout from the final step.

    Inputs: x [B, T, F], and if sequences differ in length a second one, mask [B, T] (bool). Unlike
    a padding value, a mask cannot be mistaken for data. Output: logits [B, K], or for numeric
    targets one number [B, 1]; if each timestep has its own label or targets, the readout is from
    every timestep, [B, T, K], or [B, T, D] for D numbers.
    """
    labelled = data.labelled
    assert labelled is not None
    if len(data.test.x.shape) > 3:
        shape = list(data.test.x.shape[2:])
        raise UserError(
            f"model={model.name} takes features, the data has {shape} at each timestep: reshape it "
            f"to [sequences, timesteps, {data.test.features}], or give your own model, model=file"
        )
    timesteps = None if data.padded else data.test.timesteps
    x = keras.Input((timesteps, data.test.features), name="x")
    mask = keras.Input((timesteps,), dtype="bool", name=MASK) if data.padded else None
    y = x
    for number in range(1, model.layers + 1):
        every = number < model.layers or labelled.per_timestep
        y = _layer(model, number, every=every)(y, mask=mask)
    outputs = labelled.targets or len(data.classes)
    readout = keras.layers.Dense(outputs, name="readout")(y)
    built = keras.Model(x if mask is None else {"x": x, MASK: mask}, readout, name=model.name)
    if isinstance(model, config.Lstm):
        _set_forget_bias(built, model.forget_bias)
    return built


def _layer(model: config.Recurrent, number: int, *, every: bool) -> keras.layers.Layer:
    """Recurrent layer ``number`` of the stack, from 1; returns every timestep, or the final one."""
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
