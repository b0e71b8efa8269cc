"""Names of layers under which a model cannot be run, or its layers not be told apart.

Keras takes nearly any text for a name. TensorFlow refuses some of them once the model runs in a
graph, as in ``predict``, with a message about scopes.
"""

import re
from typing import Any

import keras

from rnnscope.errors import UserError

SCOPE = re.compile(r"[A-Za-z0-9_.>-]*", re.ASCII)
"""What TensorFlow takes for a scope within another, and for the nodes in it."""
OUTERMOST = re.compile(r"([A-Za-z0-9.][A-Za-z0-9_.>-]*)?", re.ASCII)
OURS = re.compile(r"\.(call|cell)\d+$")
"""What the names of further calls and of cells end in."""


def refuse_names(model: keras.Model) -> None:
    """Raise for the first layer, or the model, that must be renamed.

    Raises:
        UserError: with its name, and how to rename it.
    """
    for layer in model._flatten_layers(include_self=False):
        at = f"layer {layer.name!r}: "
        how = f"rename the layer: model.get_layer({layer.name!r}).name = 'lstm', then save it"
        if SCOPE.fullmatch(layer.name) is None:
            raise UserError(f"{at}TensorFlow cannot run it under this name in a graph; {how}")
        if _recurrent(layer) and OURS.search(layer.name):
            raise UserError(f"{at}further calls of a layer and cells have such names; {how}")
    if OUTERMOST.fullmatch(model.name) is None:
        raise UserError(
            f"model {model.name!r}: TensorFlow cannot run it under this name in a graph; rename "
            "the model: model.name = 'mine', then save it"
        )


def _recurrent(layer: Any) -> bool:
    return isinstance(layer, keras.layers.RNN | keras.layers.Bidirectional | keras.Model)
