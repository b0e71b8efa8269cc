"""The inputs of a subclassed model: Keras keeps only the shapes with which it was first called."""

import inspect
import re
import weakref
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from rnnscope.errors import UserError

Specs = dict[str, tf.TensorSpec]
_KNOWN: weakref.WeakKeyDictionary[keras.Model, Specs] = weakref.WeakKeyDictionary()
"""Found once per model: it takes the graph of a pass."""

Shapes = Any
"""Of one array, or of several in a list or a dict."""


def specs(model: keras.Model) -> Specs:
    """A subclassed model's inputs by name, with any batch size.

    One input is ``x``, those of a dict go by their keys, those of a tuple by their place: ``0``,
    ``1``. T is free if the model runs so, else as it was built. Inputs [B, T] are whole numbers
    where there is an embedding and no other input, or where the model runs on no floats; an
    embedding takes both.

    Raises:
        UserError: the shapes are not known, the model takes its inputs in another form or does not
            run on them, or one of its layers came without weights.
    """
    if model not in _KNOWN:
        unbuilt = [layer for layer in model._flatten_layers() if not layer.built]
        found, reason = _tried(model)
        if late := unbuilt if found is None else [each for each in unbuilt if each.weights]:
            raise UserError(
                f"model '{model.name}': layer '{late[0].name}' has no weights in the file, since "
                "it was not built when the model was loaded; call the model on data before it is "
                "saved, or give it a method build(input_shape) that builds the layer"
            )
        if found is None:
            raise UserError(
                f"model '{model.name}' does not run on inputs of the shapes it was built with, "
                f"{_kept(model)}: {reason}"
            )
        _KNOWN[model] = found
    return _KNOWN[model]


def packed(model: keras.Model, by_name: dict[str, Any]) -> Any:
    """Inputs by name, in the form in which the model's ``call`` takes them."""
    shapes = _kept(model)
    if isinstance(shapes, dict):
        return by_name
    return next(iter(by_name.values())) if _is_shape(shapes) else tuple(by_name.values())


def _candidates(model: keras.Model) -> Iterator[Specs]:
    """What the inputs may be, the likeliest first."""
    shapes, floats = _shapes(model), model.variable_dtype
    types = [floats, "int32"]
    embeds = any(isinstance(layer, keras.layers.Embedding) for layer in model._flatten_layers())
    if embeds and len(shapes) == 1:
        types.reverse()
    for free in (True, False):
        for flat in types:
            yield {
                name: tf.TensorSpec(
                    (None, None if free else shape[1], *shape[2:]),
                    flat if len(shape) == 2 else floats,
                    name,
                )
                for name, shape in shapes.items()
            }


def _tried(model: keras.Model) -> tuple[Specs | None, str]:
    """The first of the candidates for which the graph of a pass can be made, or why none is."""
    graph = tf.function(lambda named: model(packed(model, named), training=False), autograph=False)
    reasons = []
    for candidate in _candidates(model):
        try:
            graph.get_concrete_function(candidate)
        except (TypeError, ValueError, tf.errors.OpError) as error:
            reasons.append(" ".join(re.sub(r"\x1b\[\d+m", "", str(error)).split())[:300])
        else:
            return candidate, ""
    return None, reasons[0]


def _shapes(model: keras.Model) -> dict[str, Any]:
    """The shapes of the inputs by name."""
    _refuse_arguments(model)
    shapes = _kept(model)
    if _is_shape(shapes):
        return {"x": shapes}
    named = shapes if isinstance(shapes, dict) else dict(enumerate(shapes or ()))
    if not named or not all(map(_is_shape, named.values())):
        raise UserError(
            f"model '{model.name}' does not declare its inputs: they must be one array, a tuple of "
            "arrays or a dict by name, and the model must have been called once before it was saved"
        )
    return {str(name): shape for name, shape in named.items()}


def _kept(model: keras.Model) -> Shapes:
    """The shapes with which the model was built; None if it was not."""
    return (model.get_build_config() or {}).get("input_shape")


def _is_shape(shape: Any) -> bool:
    known = isinstance(shape, list | tuple) and len(shape) > 0
    return known and all(size is None or isinstance(size, int) for size in shape)


def _refuse_arguments(model: keras.Model) -> None:
    """Raise where ``call`` needs several arguments: Keras saves the shape of the first alone."""
    given = inspect.signature(model.call).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [each.name for each in given if each.kind in kinds and each.default is each.empty]
    needed = [name for name in needed if name not in ("training", "mask")]
    if len(needed) > 1:
        raise UserError(
            f"model '{model.name}' takes several arguments ({', '.join(needed)}), of which Keras "
            "saves the shape of the first alone and then loads no weights: let its call take one "
            "tuple or dict of them, call it once, and save it again"
        )
