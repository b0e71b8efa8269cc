"""Layers of Keras 3 that do in a model of Keras 2 what they did there: masks, and two sizes.

Keras 3 differs in what it masks. A merge of masked inputs is masked where all of them are (in Keras
2 where any is, and an input without mask does not count); Multiply, Maximum and Minimum change
values by the masks of their inputs; a recurrent layer does not see the mask of its sequences if it
is given initial states; TimeDistributed passes on a mask of inner timesteps; a mask goes through
Normalization, Rescaling and Identity, where it ended. And it finds masks when the graph is built,
by operations that join the graph: their names collide with those of layers (``concatenate``), and
the masks of a model within a model are missing among them. Keras 2 found every mask when the model
ran, and so do the layers here.

Sources: ``compute_mask`` and ``supports_masking`` in tf_keras 2.21 and Keras 3.15.
"""

import functools
import types
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from rnnscope.errors import UserError
from rnnscope.models.keras2_json import Json, other_object

NAME = "LayerAsInKeras2"
"""The name by which a config refers to a layer that does as in Keras 2."""

Mask = Any
"""[B, T, ...] of bool, or None; a list of these for several inputs or outputs."""
Rule = Callable[[Any, Any, Mask], Mask]
"""The mask of a layer's output, from the layer, its inputs and their masks."""


def wrapped(layer: Json) -> Json:
    """The config of a layer of Keras 3, so that it is made to do as in Keras 2."""
    if layer["class_name"] == "InputLayer":
        return layer
    return other_object(NAME, {"name": layer["config"].get("name"), "layer": layer})


class LayerAsInKeras2:
    """Makes a layer from its config; the layer is one of Keras 3, and not wrapped."""

    @classmethod
    def from_config(cls, config: Json) -> keras.Layer:
        """The layer, with what is found in this module in place of some of its methods."""
        made, mask = config["layer"], None
        if made["class_name"] == "Lambda":  # Keras 3 saves a mask, and does not restore it
            mask = made["config"].get("mask")
            made = made | {"config": {k: v for k, v in made["config"].items() if k != "mask"}}
        layer = keras.saving.deserialize_keras_object(made)
        if mask is not None:
            layer.mask = keras.saving.deserialize_keras_object(mask)
            layer.supports_masking = True
        if isinstance(layer, _VALUES_BY_MASK):
            layer.call = functools.partial(_without_masks, layer.call)
        if isinstance(layer, keras.layers.MultiHeadAttention):
            layer.call = functools.partial(_with_copies, layer.call)
        if isinstance(layer, keras.layers.RNN | keras.layers.Bidirectional):
            layer.call = functools.partial(_with_mask, layer.call)
        if isinstance(layer, keras.layers.Bidirectional):
            layer.compute_output_shape = types.MethodType(_shape_of_both_ways, layer)
        layer.compute_mask = functools.partial(_when_it_runs, layer, _rule(layer))
        layer.supports_masking = True  # also where a mask ends: Keras 3 would warn of it
        return layer


_END = (keras.layers.Normalization, keras.layers.Rescaling, keras.layers.Identity)
"""Layers where a mask ended in Keras 2."""
_VALUES_BY_MASK = (
    *(keras.layers.Multiply, keras.layers.Maximum, keras.layers.Minimum),
    keras.layers.Identity,  # the same tensor, so that its mask would stay
)
"""Layers whose output in Keras 3 depends on the masks that their inputs carry."""
_ELEMENTWISE = (
    *(keras.layers.Add, keras.layers.Subtract, keras.layers.Multiply, keras.layers.Average),
    *(keras.layers.Maximum, keras.layers.Minimum),
)


def _when_it_runs(layer: Any, rule: Rule, inputs: Any, mask: Mask = None) -> Mask:
    """The output's mask; None while the graph is built, from tensors without values."""
    if any(isinstance(each, keras.KerasTensor) for each in keras.tree.flatten(inputs)):
        inner = getattr(layer, "layer", None)
        if isinstance(inner, keras.Model) and len(inner.output_shape) > 2 and _masks(inner):
            _refuse_recurrent(inner)
        return None
    return rule(layer, inputs, mask)


def _rule(layer: Any) -> Rule:
    """How Keras 2 found the mask of a layer's output."""
    if isinstance(layer, keras.layers.Concatenate):
        return _of_concatenated
    if isinstance(layer, _ELEMENTWISE):
        return _of_all
    if isinstance(layer, keras.layers.TimeDistributed):
        return _of_outer_timesteps
    if isinstance(layer, _END) or not layer.supports_masking:
        return _ended
    return functools.partial(_of_keras_3, layer.compute_mask)


def _ended(_: Any, inputs: Any, mask: Mask) -> None:
    """None."""


def _of_keras_3(compute_mask: Callable[..., Mask], _: Any, inputs: Any, mask: Mask) -> Mask:
    return compute_mask(inputs, mask)


def _without_masks(call: Callable[[Any], Any], inputs: Any) -> Any:
    """A layer's call on tensors that carry no masks."""
    return call(keras.tree.map_structure(tf.identity, inputs))


def _with_mask(call: Callable[..., Any], sequences: Any, *args: Any, **kwargs: Any) -> Any:
    """A recurrent layer's call with the mask that its sequences carry."""
    if kwargs.get("mask") is None:
        kwargs["mask"] = getattr(sequences, "_keras_mask", None)
    return call(sequences, *args, **kwargs)


def _with_copies(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """A layer's call on copies of its tensors: MultiHeadAttention takes the masks off its inputs.

    Other layers that read the same tensors are to see them.
    """
    args, kwargs = keras.tree.map_structure(_copy, (args, kwargs))
    return call(*args, **kwargs)


def _copy(value: Any) -> Any:
    """A tensor's copy with the same mask; any other value itself."""
    if not tf.is_tensor(value):
        return value
    copied = tf.identity(value)
    copied._keras_mask = getattr(value, "_keras_mask", None)
    return copied


def _of_all(_: Any, inputs: Any, masks: Mask) -> Mask:
    """Whether a timestep [B, T] is unmasked in all inputs that have a mask."""
    given = [each for each in masks or [] if each is not None]
    return functools.reduce(tf.logical_and, given) if given else None


def _of_concatenated(layer: Any, inputs: Any, masks: Mask) -> Mask:
    """The masks [B, T] joined along the layer's axis as the inputs are; along features all of them.

    An input without mask counts as unmasked.
    """
    if not masks or all(each is None for each in masks):
        return None
    rank = len(inputs[0].shape)
    axis = layer.axis % rank
    pairs = list(zip(inputs, masks, strict=True))
    known = [len(each.shape) for each in masks if each is not None]
    if axis >= max(known) and rank > max(known):
        return _of_all(layer, inputs, masks)
    if rank == max(known):  # of what has no features, such as tokens: one truth per sequence
        return tf.reduce_all(tf.concat([_mask(x, m) for x, m in pairs], axis), -1)
    return tf.concat([_mask(x[..., 0] if m is None else x, m) for x, m in pairs], axis)


def _mask(x: Any, mask: Mask) -> Any:
    """The mask, or True in the shape of x."""
    return tf.ones_like(x, dtype=bool) if mask is None else mask


def _of_outer_timesteps(layer: Any, x: Any, mask: Mask) -> Mask:
    """The mask [B, S, ...] of what a layer does with each outer timestep of x [B, S, T, ...].

    It is that of the inner layer; where this has none, a timestep is unmasked if anything in it is.
    """
    found = _of_each(layer.layer, x, mask)
    if found is None and mask is not None:
        return tf.reduce_any(mask, axis=list(range(2, len(mask.shape))))
    return found


def _of_each(inner: Any, x: Any, mask: Mask) -> Mask:
    """The mask of the inner layer's output, with the outer timesteps apart; None if it has none."""
    within = None if mask is None else _flat(mask)
    if isinstance(inner, keras.Model):
        found = _of_model(inner, _flat(x), within)
    else:
        found = _rule(inner)(inner, _flat(x), within)
    if found is None:
        return None
    outer = tf.shape(x)[:2]
    return tf.reshape(found, tf.concat([outer, tf.shape(found)[1:]], axis=0))


def _of_model(model: keras.Model, x: Any, mask: Mask) -> Mask:
    """The mask of a model's output, which is found by running it; of one vector there is none."""
    if len(model.output_shape) < 3 or (mask is None and not _masks(model)):
        return None
    _refuse_recurrent(model)  # a second pass would be recorded as well
    return getattr(model(x, mask=mask), "_keras_mask", None)


def _masks(model: keras.Model) -> bool:
    """Whether a model has a layer that makes a mask."""
    return any(
        isinstance(each, keras.layers.Masking) or getattr(each, "mask_zero", False)
        for each in model._flatten_layers()
    )


def _refuse_recurrent(model: keras.Model) -> None:
    """Raise for a model within a TimeDistributed whose mask cannot be found."""
    if any(isinstance(each, keras.layers.RNN) for each in model._flatten_layers()):
        raise UserError(
            f"model '{model.name}' in a TimeDistributed has recurrent layers and returns masked "
            "timesteps, and Keras 3 loses this mask: rebuild it with a TimeDistributed around each "
            "of its layers, and set_weights of the old one"
        )


def _flat(x: Any) -> Any:
    """[B S, ...] from [B, S, ...]."""
    return tf.reshape(x, tf.concat([[-1], tf.shape(x)[2:]], axis=0))


def _shape_of_both_ways(layer: Any, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
    """The shape of a Bidirectional layer's outputs; Keras 3 takes both directions for one size."""
    both = (layer.forward_layer, layer.backward_layer)
    shapes = [each.compute_output_shape(sequences_shape) for each in both]
    states: list[Any] = []
    if layer.return_state:
        states = [state for _, *its in shapes for state in its]
        shapes = [first for first, *_ in shapes]
    if layer.merge_mode is None:
        return (*shapes, *states)
    merged = tuple(shapes[0])
    if layer.merge_mode == "concat":
        merged = (*merged[:-1], shapes[0][-1] + shapes[1][-1])
    return (merged, *states) if states else merged
