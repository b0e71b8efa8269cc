"""Tokens: which inputs go into an embedding as they are, and whether its vocabulary has them."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from rnnscope.data import Split
from rnnscope.errors import UserError
from rnnscope.models.batches import batches
from rnnscope.models.calls import followed
from rnnscope.models.feeding import named, signature
from rnnscope.models.moves import moved

SIZE = 1024
"""Sequences that are checked at a time."""


def embeddings(model: keras.Model) -> dict[str, keras.layers.Embedding]:
    """By input, the smallest of the embeddings that read its values as they are.

    They are found in the graph of a pass, so that a model's own code is followed too.
    """
    layers = [each for each in model._flatten_layers() if isinstance(each, keras.layers.Embedding)]
    if not layers:
        return {}
    given: list[tuple[Any, Any]] = []
    found: dict[str, keras.layers.Embedding] = {}

    def run(inputs: Any) -> Any:
        names = {id(tensor): name for name, tensor in _by_name(model, inputs).items()}
        with followed(layers, lambda layer, x: given.append((layer, x))):
            outputs = model(inputs, training=False)
        for layer, x in given:
            for name in _origins(x, names):
                known = found.get(name)
                if known is None or layer.input_dim < known.input_dim:
                    found[name] = layer
        return outputs

    tf.function(run, autograph=False).get_concrete_function(signature(model))
    return found


def refuse_strange(model: keras.Model, split: Split, count: int) -> None:
    """Raise where an input of the test split has tokens that its embedding lacks.

    Args:
        model: the model that is to be fed.
        split: the test split.
        count: how many of its sequences are recorded.

    Raises:
        UserError: with the array, how many there are, and where the first is.
    """
    for name, layer in embeddings(model).items():
        many, first = 0, None
        done = 0
        for batch, size in batches(model, split, range(count), SIZE):
            values = named(model, batch)[name][:size]
            bad = _fractions(values) | (values < 0) | (values >= layer.input_dim)
            if bad.any() and first is None:
                place = tuple(int(each) for each in np.argwhere(bad)[0])
                first = (done + place[0], *place[1:]), values[place].item()
            many += int(bad.sum())
            done += size
        if first is not None:
            plain = split.name is None and name not in split.others
            raise UserError(_said("" if plain else f"{name}_", layer, many, *first))


def _said(
    name: str, layer: keras.layers.Embedding, many: int, place: tuple[int, ...], value: float
) -> str:
    """That an array has values which are no tokens of a layer."""
    where = f"x_{name}test[{', '.join(map(str, place))}] is {value:g}"
    wanted = f"whole numbers from 0 to {layer.input_dim - 1}"
    others = f", and {many - 1:,} more values are none either" if many > 1 else ""
    hint = f"; of padding give lengths_{name}test" if value < 0 else ""
    return f"{where}: layer '{layer.name}' takes tokens, {wanted}{others}{hint}"


def _fractions(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype.kind != "f":
        return np.zeros(values.shape, bool)
    return np.asarray(values != np.rint(values))


def _by_name(model: keras.Model, inputs: Any) -> dict[str, Any]:
    """The tensors of a model's inputs in a pass."""
    if isinstance(inputs, dict):
        return dict(inputs)
    return dict(zip(_names(model), tf.nest.flatten(inputs), strict=True))


def _names(model: keras.Model) -> list[str]:
    return [each.name for each in tf.nest.flatten(signature(model))]


def _origins(tensor: Any, names: dict[int, str]) -> set[str]:
    """The inputs whose values a tensor holds, moved at most."""
    found, waiting, seen = set(), [tensor], set()
    while waiting:
        each = waiting.pop()
        if id(each) in names:
            found.add(names[id(each)])
        elif each is not None and id(each) not in seen:
            seen.add(id(each))
            if each.op.type != "StridedSlice":  # of which other values may go elsewhere
                waiting.extend(place for place, _ in moved(each, None))
    return found
