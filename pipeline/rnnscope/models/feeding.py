"""A model's inputs for a batch: which array goes to which input, in which rank and type."""

import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from rnnscope.data import MASK, Batch
from rnnscope.data.inputs import Shape, as_wanted
from rnnscope.errors import UserError
from rnnscope.models import subclassed
from rnnscope.models.filling import filled, mask_values


def inputs(model: keras.Model, batch: Batch) -> Any:
    """The model's inputs for a batch: one array, a dict if the inputs have names, or a tuple.

    An input takes the data's array of its name; the one that remains takes x; ``mask`` beside other
    inputs is made from the lengths. An input of shape [B, T] takes tokens or a single feature. An
    array that lacks the last axis of its input is taken for that axis' single feature: [B, T] for
    [B, T, 1], gray frames [B, T, H, W] for [B, T, H, W, 1]. Arrays are cast to the input's type.

    Raises:
        UserError: the model has an input for which the data has no array, or the data an array for
            which the model has no input; or a shape or type does not fit.
    """
    return _packed(model, named(model, batch))


def named(model: keras.Model, batch: Batch) -> dict[str, NDArray[Any]]:
    """What ``inputs`` gives, by the names of the model's inputs."""
    specs = _specs(model)
    given = _by_input(model, list(specs), batch)
    masked = mask_values(model, named_inputs(model)) if hasattr(model, "inputs") else {}
    return {
        name: filled(
            _fitted(given[name], spec, model),
            batch.lengths_of(name if name in batch.others else None),
            masked.get(name),
        )
        for name, spec in specs.items()
    }


def ran(model: keras.Model, call: Callable[..., Any], fed: Any, *more: Any) -> Any:
    """What a pass of a model gives, ``call(fed, *more)``, for what ``inputs`` gives.

    Raises:
        UserError: an operation of the model does not take the values or their shape.
    """
    try:
        return call(fed, *more)
    except (tf.errors.InvalidArgumentError, ValueError) as error:  # in a graph, and without one
        shapes = ", ".join(str(each.shape) for each in tf.nest.flatten(fed))
        reason = re.sub(r"\x1b\[\d+m|\{\{.*?\}\}", "", str(error)).split("[[")[0]
        raise UserError(
            f"model '{model.name}' does not run on inputs of shape {shapes}: "
            f"{' '.join(reason.split())[:300]}"
        ) from error


def signature(model: keras.Model) -> Any:
    """The shapes and types of ``inputs`` with any batch size, as ``tf.function`` takes them."""
    return _packed(model, _specs(model))


def sequence_shape(model: keras.Model) -> Shape:
    """The shape of one sequence for this model, (T, F) or (T,), with None for any size.

    Of several inputs it is that of the first one that is not a mask.
    """
    shapes = sequence_shapes(model)
    return next(shape for name, shape in shapes.items() if name != MASK or len(shapes) == 1)


def sequence_shapes(model: keras.Model) -> dict[str, Shape]:
    """The shape of one sequence of each of the model's inputs, with None for any size."""
    return {name: tuple(spec.shape[1:]) for name, spec in _specs(model).items()}


def types(model: keras.Model) -> dict[str, str]:
    """The type of each of the model's inputs, such as float32."""
    return {name: str(tf.as_dtype(spec.dtype).name) for name, spec in _specs(model).items()}


def _specs(model: keras.Model) -> dict[str, tf.TensorSpec]:
    """The model's inputs by name, with any batch size."""
    if not hasattr(model, "inputs"):
        return subclassed.specs(model)
    return {
        name: tf.TensorSpec((None, *each.shape[1:]), each.dtype, name)
        for name, each in named_inputs(model).items()
    }


def named_inputs(model: keras.Model) -> dict[str, Any]:
    """The symbolic inputs, by name, of a model that has a graph.

    Raises:
        UserError: inputs within inputs.
    """
    struct = getattr(model, "_inputs_struct", None)  # of a functional model: as it was made
    each = list(struct.values()) if isinstance(struct, dict) else struct
    if isinstance(each, list | tuple) and any(tf.nest.is_nested(one) for one in each):
        raise UserError(
            f"model '{model.name}': its inputs lie in one another; make it with a dict of them by "
            "name, keras.Model({'a': a, 'b': b}, outputs)"
        )
    if isinstance(struct, dict) and all(isinstance(key, str) for key in struct):
        return dict(struct)
    return {each.name: each for each in model.inputs}


def _packed(model: keras.Model, by_name: dict[str, Any]) -> Any:
    """Inputs in the form that the model takes: a dict, which Keras also accepts for a list."""
    struct = getattr(model, "_inputs_struct", None)
    if isinstance(struct, list | tuple) and any(
        each.name != each._keras_history.operation.name for each in struct
    ):  # those made without a name, for which Keras would know the keys of a dict by another
        return [by_name[each.name] for each in struct]
    if hasattr(model, "_inputs_struct"):
        single = isinstance(model._inputs_struct, keras.KerasTensor)
    elif hasattr(model, "inputs"):
        single = len(model.inputs) == 1
    else:
        return subclassed.packed(model, by_name)
    return next(iter(by_name.values())) if single else by_name


def _by_input(model: keras.Model, names: list[str], batch: Batch) -> dict[str, NDArray[Any]]:
    """The batch's arrays by the names of the model's inputs."""
    given = dict(batch.others)
    if MASK in names and len(names) > 1 and MASK not in given:
        timesteps = batch.x.shape[1]
        lengths = np.full(len(batch.x), timesteps) if batch.lengths is None else batch.lengths
        given[MASK] = np.arange(timesteps) < lengths[:, np.newaxis]
    left = [name for name in names if name not in given]
    given[batch.name or ("x" if len(left) != 1 else left[0])] = batch.x
    arrays = ["x" if batch.name is None else f"x_{batch.name}", *(f"x_{n}" for n in batch.others)]
    if missing := [name for name in names if name not in given]:
        raise UserError(
            f"model '{model.name}' has an input '{missing[0]}', for which the data has no array: "
            f"it has {', '.join(arrays)}; add x_{missing[0]}_test, and likewise for each split"
        )
    if unknown := [name for name in given if name not in names]:
        raise UserError(
            f"the data has an input '{unknown[0]}', which model '{model.name}' does not have: "
            f"its inputs are {', '.join(names)}; name the array x_<input>_test, or leave it out"
        )
    return given


def _fitted(values: NDArray[Any], spec: tf.TensorSpec, model: keras.Model) -> NDArray[Any]:
    """An array [B, ...] in the rank and type of the model's input."""
    dtype = np.dtype(tf.as_dtype(spec.dtype).as_numpy_dtype)
    whole = dtype.kind in "iu"
    bytes_ = values.dtype == np.uint8
    shape = as_wanted(values.shape[1:], tuple(spec.shape[1:]))
    if shape is None:
        raise UserError(
            f"model '{model.name}' takes {tuple(spec.shape[1:])} for its input '{spec.name}'; "
            f"the data's is {values.shape[1:]}"
        )
    if len(shape) > values.ndim - 1 and bytes_ and not whole:
        values = values / np.asarray(255, dtype)
    values = values.reshape(len(values), *shape)
    if whole and values.dtype.kind == "f" and (values != np.rint(values)).any():
        raise UserError(
            f"model '{model.name}' takes whole numbers ({dtype}) for its input '{spec.name}'; "
            "the data has fractions"
        )
    return values.astype(dtype, copy=False)
