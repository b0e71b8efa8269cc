"""Whether every timestep of the input keeps its place on the way to the recurrent layers."""

from collections.abc import Iterator
from typing import Any

import keras

from rnnscope.models.axes import inner_graph

RECURRENT = (
    keras.layers.RNN,
    keras.layers.LSTM,
    keras.layers.GRU,
    keras.layers.SimpleRNN,
)
POINTWISE = {
    keras.layers.InputLayer,
    keras.layers.Activation,
    keras.layers.BatchNormalization,
    keras.layers.Dense,
    keras.layers.Dropout,
    keras.layers.Embedding,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.LayerNormalization,
    keras.layers.Masking,
    keras.layers.ReLU,
    keras.layers.SpatialDropout1D,
}
"""Layers that make each timestep of what they return from the same one of what they are given."""


def keeps_time(model: keras.Model) -> bool:
    """Whether a model's graph shows that timesteps keep their places; False where it does not tell.

    Looked at are kinds of layers alone: behind any but Keras' own that work timestep by timestep,
    it is not known.
    """
    graph = inner_graph(model)
    if graph is None:
        return False
    holders = [each for each in graph.operations if _holds_recurrent(each)]
    return all(_is_recurrent(each) and all(map(_kept, _inputs(each))) for each in holders)


def _kept(tensor: Any) -> bool:
    """Whether a tensor of the graph has the timesteps of an input in their places."""
    operation = tensor._keras_history.operation
    if type(operation) in RECURRENT:  # what it reads is looked at for itself
        return not (operation.go_backwards and operation.return_sequences)
    if type(operation) is keras.layers.Bidirectional:
        return True
    return type(operation) in POINTWISE and all(map(_kept, _inputs(operation)))


def _holds_recurrent(operation: Any) -> bool:
    layers = operation._flatten_layers() if isinstance(operation, keras.Layer) else []
    return any(isinstance(each, keras.layers.RNN) for each in layers)


def _is_recurrent(operation: Any) -> bool:
    return type(operation) in RECURRENT or type(operation) is keras.layers.Bidirectional


def _inputs(operation: Any) -> Iterator[Any]:
    """The tensors that an operation is given in all of its calls, but for masks and states."""
    for node in operation._inbound_nodes:
        given = keras.tree.flatten(node.arguments.args)
        yield from (each for each in given if isinstance(each, keras.KerasTensor))
