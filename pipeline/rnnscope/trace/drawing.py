"""Which random streams a pass draws from, and which layers draw.

What a forward pass draws is seen while it is traced: Keras' random functions take every seed from a
``SeedGenerator``. This finds generators wherever they are kept, also Keras' global one, and none
of those that inference leaves alone.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from rnnscope.errors import UserError
from rnnscope.libraries import replacing
from rnnscope.trace.loops import cells_of, recurrent_layers


@dataclass(frozen=True)
class Draw:
    """A seed that was drawn from a generator."""

    generator: keras.random.SeedGenerator
    scope: str
    """The name scope in which it was drawn: the names of the layers around, from the outside."""


@contextlib.contextmanager
def watched() -> Iterator[list[Draw]]:
    """While open, every seed that this thread draws is added to the list."""
    drawn: list[Draw] = []
    kept = replacing.as_it_is(keras.random.SeedGenerator, "next")

    def following(self: keras.random.SeedGenerator, *args: Any, **kwargs: Any) -> Any:
        drawn.append(Draw(self, tf.compat.v1.get_default_graph().get_name_scope()))
        return kept(self, *args, **kwargs)

    with seeds_from(following):
        yield drawn


@contextlib.contextmanager
def seeds_from(draw: Callable[..., Any]) -> Iterator[None]:
    """While open, this thread has the seeds of all of Keras' generators from a function.

    Args:
        draw: what stands for ``SeedGenerator.next``.
    """
    with replacing.replaced([(keras.random.SeedGenerator, "next", draw)]):
        yield


@dataclass(frozen=True)
class Streams:
    """The random streams that a model draws from in inference."""

    layers: list[str]
    """The layers that draw, by name."""
    variables: list[Any]
    """The states of their generators."""


def streams_of(model: keras.Model, drawn: Iterable[Draw], graphs: Iterable[Any]) -> Streams:
    """The streams of a model.

    Args:
        model: the model.
        drawn: what was drawn while a pass was traced.
        graphs: the graphs that this gave.

    Raises:
        UserError: a layer draws from TensorFlow's own generators, whose state cannot be set.
    """
    names = {layer.name for layer in model._flatten_layers()}
    for graph in graphs:
        if (node := next(_random_nodes(graph), None)) is not None:
            raise UserError(
                f"layer '{_layer(node.name, names)}': draws at random by tf.random ({node.op}), "
                "whose stream cannot be set; draw by keras.random with a keras.random."
                "SeedGenerator kept in the layer"
            )
    # A recurrent layer draws the dropout masks of its cells in inference too, where none is used.
    masks = {
        id(getattr(cell, "seed_generator", None))
        for layer in recurrent_layers(model).values()
        for cell in cells_of(layer)
    }
    found = [each for each in drawn if id(each.generator) not in masks]
    variables = {id(each.generator): each.generator.state for each in found}
    layers = dict.fromkeys(_layer(each.scope, names) for each in found)
    return Streams(list(layers), list(variables.values()))


_RANDOM = {
    "RandomStandardNormal",
    "RandomUniform",
    "RandomUniformInt",
    "TruncatedNormal",
    "ParameterizedTruncatedNormal",
    "RandomGamma",
    "RandomPoisson",
    "RandomPoissonV2",
    "RandomShuffle",
    "Multinomial",
    "RngReadAndSkip",
    "RngSkip",
    "StatefulRandomBinomial",
    "StatefulStandardNormal",
    "StatefulStandardNormalV2",
    "StatefulTruncatedNormal",
    "StatefulUniform",
    "StatefulUniformFullInt",
    "StatefulUniformInt",
}
"""TensorFlow's ops that keep a random state of their own."""


def _random_nodes(graph: Any) -> Iterator[Any]:
    """The nodes of a graph, and of the functions that it calls, that draw."""
    whole = graph.as_graph_def()
    for nodes in (whole.node, *(function.node_def for function in whole.library.function)):
        yield from (node for node in nodes if node.op in _RANDOM)


def _layer(scope: str, names: set[str]) -> str:
    """The innermost layer in a name scope, in which TensorFlow may have numbered it."""
    for part in reversed(scope.split("/")):
        for name in (part, part.rpartition("_")[0]):
            if name in names:
                return name
    return scope or "without a name"
