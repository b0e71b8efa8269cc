"""The layers with weights within a layer, and the order in which Keras 2 stored their weights."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras

from rnnscope.models.keras2_json import Json, inner_layers, is_model, name_of, short

_PROJECTIONS = ("_query_dense", "_key_dense", "_value_dense", "_output_dense")
"""The layers within MultiHeadAttention, in the order of their weights."""


class Leaf(NamedTuple):
    """A layer or cell with weights of its own, and the attributes that lead to it."""

    layer: Any
    path: tuple[str, ...]


def leaves(layer: Any, config: Json, path: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """The layers with weights in a layer, in the order in which Keras 2 stored them.

    Args:
        layer: the layer, cell or model.
        config: its ``class_name`` and ``config`` in the file.
        path: the attributes that lead to it.
    """
    parts = list(inner(layer, config))
    for part, each, its in parts:
        yield from leaves(each, its, (*path, *part))
    if not parts and layer.weights:
        yield Leaf(layer, path)


def inner(layer: Any, config: Json) -> Iterator[tuple[tuple[str, ...], Any, Json]]:
    """The layers directly within a layer: their attribute, the layer, its config."""
    options = config["config"]
    if is_model(config):
        named = {each.name: each for each in layer.layers}
        configs = [each for each in inner_layers(options) if name_of(each) in named]
        for number, each in zip(_numbered(configs), configs, strict=True):
            yield ("layers", number), named[name_of(each)], each
    elif isinstance(layer, keras.layers.Bidirectional):
        yield ("forward_layer",), layer.forward_layer, options["layer"]
        backward = options.get("backward_layer") or options["layer"]
        yield ("backward_layer",), layer.backward_layer, backward
    elif isinstance(layer, keras.layers.Wrapper):
        yield ("layer",), layer.layer, options["layer"]
    elif isinstance(layer, keras.layers.RNN):
        yield ("cell",), layer.cell, options.get("cell") or config
    elif isinstance(layer, keras.layers.StackedRNNCells):
        numbers = _numbered(options["cells"])
        for number, each, its in zip(numbers, layer.cells, options["cells"], strict=True):
            yield ("cells", number), each, its
    elif isinstance(layer, keras.layers.MultiHeadAttention):
        for name in _PROJECTIONS:
            yield (name,), getattr(layer, name), {"class_name": "EinsumDense", "config": {}}


def _numbered(configs: list[Json]) -> list[str]:
    """The names of a list's layers in a path: lstm, lstm_1, dense."""
    seen: Counter[str] = Counter()
    names = []
    for each in configs:
        name = _snake_case(short(each["class_name"]))
        names.append(f"{name}_{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return names


def _snake_case(name: str) -> str:
    """The name of a class as Keras 2 wrote it in paths."""
    apart = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    apart = re.sub(r"([a-z])([A-Z])", r"\1_\2", apart).lower()
    return f"private{apart}" if apart.startswith("_") else apart


class Share(NamedTuple):
    """Weights of one layer or cell that stand together in a group."""

    layer: Any
    weights: list[Any]


def in_group(layer: Any, config: Json) -> list[Share]:
    """The weights of a layer in the order of its group in an .h5: those that were trained first.

    Which were trained is in the config. A wrapper or model that was frozen when it was made, with
    ``trainable=False``, trained nothing of what is within, though its layers say otherwise.
    """
    trained, fixed = _shares(layer, config)
    return trained + fixed


def _shares(layer: Any, config: Json) -> tuple[list[Share], list[Share]]:
    """What of a layer's weights was trained and what was not, each in Keras 2's order.

    Source: ``trainable_weights`` and ``non_trainable_weights`` of Layer and Model in tf_keras.
    """
    options = config["config"]
    learns = options.get("trainable", True) if isinstance(options, dict) else True
    parts = [_shares(each, its) for _, each, its in inner(layer, config)]
    if not parts:
        trained, fixed = _own(layer)
        return ([trained], [fixed]) if learns else ([], [trained, fixed])
    first = [share for trained, _ in parts for share in trained]
    last = [share for _, fixed in parts for share in fixed]
    if learns:
        return first, last
    if is_model(config):
        return [], first + last
    return [], [share for trained, fixed in parts for share in trained + fixed]


def _own(layer: Any) -> tuple[Share, Share]:
    """The weights of a layer without layers known here: those that training changes, and others."""
    trained = {
        id(weight)
        for each in layer._flatten_layers()
        if each is layer or each.trainable
        for weight in each._trainable_variables
    }
    changing = [each for each in layer.weights if id(each) in trained]
    others = [each for each in layer.weights if id(each) not in trained]
    return Share(layer, changing), Share(layer, others)
