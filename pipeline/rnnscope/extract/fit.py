"""Whether a model can be recorded on some sequences at all, told before anything is."""

import keras

from rnnscope import models, trace
from rnnscope.data import Split
from rnnscope.errors import UserError
from rnnscope.extract import mixing
from rnnscope.models import tokens
from rnnscope.trace.names import refuse_names


def refuse_misfit(model: keras.Model, split: Split, count: int) -> None:
    """Raise if the model does not fit the data, has no recurrent layer or odd names.

    Args:
        model: the model.
        split: the test split.
        count: how many of its sequences are recorded.

    Raises:
        UserError: with the layer, the input or the value.
    """
    refuse_names(model)
    if not trace.recurrent_layers(model):
        names = ", ".join(layer.name for layer in model.layers)
        raise UserError(f"model '{model.name}' has no recurrent layer; it has {names}")
    models.inputs(model, split.take(slice(0, 1)))
    tokens.refuse_strange(model, split, count)


def refuse_mixing(model: keras.Model, split: Split, batch_size: int) -> None:
    """Raise if sequences of a batch change one another, unless each is run alone."""
    if batch_size > 1:
        mixing.refuse(model, split)
