"""Which layers of a model are called in a pass, and what each is given."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import tensorflow as tf

from rnnscope.libraries import replacing


@contextlib.contextmanager
def followed(
    layers: Iterable[keras.Layer], see: Callable[[keras.Layer, Any], None]
) -> Iterator[None]:
    """While open, ``see(layer, x)`` is told of each call of the layers, x the first argument.

    The layers are unchanged afterwards.
    """
    given = {id(layer): layer for layer in layers}.values()
    with replacing.replaced(
        (layer, "call", _telling(layer, replacing.as_it_is(layer, "call"), see)) for layer in given
    ):
        yield


def _telling(
    layer: keras.Layer, call: Callable[..., Any], see: Callable[[keras.Layer, Any], None]
) -> Callable[..., Any]:
    def telling(x: Any, *args: Any, **kwargs: Any) -> Any:
        see(layer, x)
        return call(x, *args, **kwargs)

    return telling


def masking(model: keras.Model) -> list[keras.Layer]:
    """The layers of a model that make masks from padding."""
    return [layer for layer in model._flatten_layers() if makes_mask(layer)]


def makes_mask(layer: Any) -> bool:
    """Whether a layer makes a mask from padding."""
    embeds = isinstance(layer, keras.layers.Embedding) and layer.mask_zero
    return isinstance(layer, keras.layers.Masking) or embeds


@contextlib.contextmanager
def masks_of(model: keras.Model) -> Iterator[dict[str, Any]]:
    """While open, passes fill the masks [B, T] that its layers make from padding, by layer."""
    made: dict[str, Any] = {}
    home = tf.compat.v1.get_default_graph()

    def keep(layer: keras.Layer, x: Any) -> None:
        if tf.compat.v1.get_default_graph() is not home:
            return  # what is made in a loop of the model's own cannot be read outside of it
        mask = layer.compute_mask(x)
        if len(mask.shape) == 2:
            made[layer.name] = mask

    with followed(masking(model), keep):
        yield made
