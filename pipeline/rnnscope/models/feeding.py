"""A model's inputs for a batch: which array goes to which input, in which rank and type."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from rnnscope.data import MASK, Batch
from rnnscope.errors import UserError


def inputs(model: keras.Model, batch: Batch) -> Any:
    """The model's inputs for a batch: one array, or a dict if the inputs have names.

    An input takes the data's array of its name; the one that remains takes x; ``mask`` beside other
    inputs is made from the lengths. An input of shape [B, T] takes tokens or a single feature, one
    of [B, T, F] takes a 2-D array as its single feature. Arrays are cast to the input's type.

    Raises:
        UserError: the model has an input for which the data has no array, or the data an array for
            which the model has no input; or a shape or type does not fit.
    """
    specs = _specs(model)
    given = _by_input(model, list(specs), batch)
    fitted = {name: _fitted(given[name], spec, model) for name, spec in specs.items()}
    return fitted if _by_name(model) else next(iter(fitted.values()))


def signature(model: keras.Model) -> Any:
    """The shapes and types of ``inputs`` with any batch size, as ``tf.function`` takes them."""
    specs = _specs(model)
    return specs if _by_name(model) else next(iter(specs.values()))


def sequence_shape(model: keras.Model) -> tuple[int | None, ...]:
    """The shape of one sequence for this model, (T, F) or (T,), with None for any size.

    Of several inputs it is that of the first one that is not a mask.
    """
    specs = _specs(model)
    first = next(spec for name, spec in specs.items() if name != MASK or len(specs) == 1)
    return tuple(first.shape[1:])


def _specs(model: keras.Model) -> dict[str, tf.TensorSpec]:
    """The model's inputs by name, with any batch size."""
    if not hasattr(model, "inputs"):
        return _specs_of_subclass(model)
    return {
        name: tf.TensorSpec((None, *each.shape[1:]), each.dtype, name)
        for name, each in named_inputs(model).items()
    }


def named_inputs(model: keras.Model) -> dict[str, Any]:
    """The symbolic inputs, by name, of a model that has a graph."""
    struct = getattr(model, "_inputs_struct", None)  # of a functional model: as it was made
    if isinstance(struct, dict) and all(isinstance(key, str) for key in struct):
        return dict(struct)
    return {each.name: each for each in model.inputs}


def _specs_of_subclass(model: keras.Model) -> dict[str, tf.TensorSpec]:
    """The inputs of a subclassed model, which knows only the shapes it was built for; T is free."""
    shapes = (model.get_build_config() or {}).get("input_shape")
    if not isinstance(shapes, dict):
        shapes = {"x": shapes}
    specs = {}
    for name, shape in shapes.items():
        if not shape or not all(size is None or isinstance(size, int) for size in shape):
            raise UserError(
                f"model '{model.name}' does not declare its inputs: they must be one array or a "
                "dict by name, and the model must have been called once before it was saved"
            )
        tokens = len(shape) == 2 and any(
            isinstance(layer, keras.layers.Embedding) for layer in model._flatten_layers()
        )
        dtype = "int32" if tokens else model.variable_dtype
        specs[name] = tf.TensorSpec((None, None, *shape[2:]), dtype, name)
    return specs


def _by_name(model: keras.Model) -> bool:
    """Whether the model takes its inputs as a dict, which Keras also accepts for a list."""
    if hasattr(model, "_inputs_struct"):
        return not isinstance(model._inputs_struct, keras.KerasTensor)
    if hasattr(model, "inputs"):
        return len(model.inputs) > 1
    return isinstance((model.get_build_config() or {}).get("input_shape"), dict)


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
    rank = spec.shape.rank
    if rank == 3 and values.ndim == 2:
        values = values[:, :, np.newaxis]
        if bytes_ and not whole:
            values = values / np.asarray(255, dtype)
    elif rank == 2 and values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if not spec.shape.is_compatible_with(values.shape):
        raise UserError(
            f"model '{model.name}' takes {tuple(spec.shape[1:])} for its input '{spec.name}'; "
            f"the data's is {values.shape[1:]}"
        )
    if whole and values.dtype.kind == "f" and (values != np.rint(values)).any():
        raise UserError(
            f"model '{model.name}' takes whole numbers ({dtype}) for its input '{spec.name}'; "
            "the data has fractions"
        )
    return values.astype(dtype, copy=False)
