"""Weights from a file into a model, layer by layer.

Keras 2 stored them in two layouts. In an .h5 each layer of the model has a group with its arrays:
those of all layers within it that are trained, then the others. In ``model.weights.h5``, also
within a .keras file, a path leads to each layer by its attributes, ``layers/lstm_1/cell/vars/0``.
Layers are matched by name, and in the order of the config where a file has other names.
"""

import itertools
import re
from typing import Any

import h5py
import keras
import numpy as np
from numpy.typing import NDArray

from rnnscope.errors import UserError
from rnnscope.models import cudnn, leaves
from rnnscope.models.keras2_json import Json
from rnnscope.models.leaves import Share

Array = NDArray[Any]

_OUTSIDE = (
    "the model has weights outside its layers, which are not loaded: rebuild it where it was made "
    "with these in a layer of your own, and save it again"
)
_KNOWN = {"kernel", "recurrent_kernel", "bias", "embeddings"}
_KNOWN |= {"gamma", "beta", "moving_mean", "moving_variance"}
"""Names of weights that Keras 2 and 3 share."""


def is_paths(file: h5py.Group) -> bool:
    """Whether weights are stored by paths of attributes, not by layers' names."""
    return any(name.startswith(_ROOTS) for name in file)


_ROOTS = ("layers", "_layer_checkpoint_dependencies")
"""Where a model's layers are in paths: from Keras 2.13 on, and in TensorFlow 2.12."""


def from_groups(model: keras.Model, config: Json, group: h5py.Group) -> None:
    """Set all weights of a model from an .h5 with a group for each layer.

    Args:
        model: the model that was made from ``config``.
        config: ``class_name`` and ``config`` in the file.
        group: the group with the attribute ``layer_names``.

    Raises:
        UserError: the weights are of another model.
    """
    top = group.get("top_level_model_weights")
    if top is not None and _names(top, "weight_names"):
        raise UserError(_OUTSIDE)
    stored = {name: group[name] for name in _names(group, "layer_names")}
    stored = {name: each for name, each in stored.items() if _names(each, "weight_names")}
    own = {}
    for _, layer, its in leaves.inner(model, config):
        if found := [share for share in leaves.in_group(layer, its) if share.weights]:
            own[layer.name] = found
    if len(stored) != len(own):
        raise UserError(
            f"it stores weights of {len(stored)} layers ({', '.join(stored)}), and the model has "
            f"{len(own)} with weights ({', '.join(own)})"
        )
    by_name = {name.replace("/", "_"): each for name, each in stored.items()}
    same = set(by_name) == set(own)
    for (name, found), each in zip(own.items(), stored.values(), strict=True):
        _set_group(name, found, by_name[name] if same else each, group)


def _set_group(name: str, found: list[Share], stored: h5py.Group, group: h5py.Group) -> None:
    """Set the weights of a model's layer from its group."""
    if _text(group.attrs.get("backend", "")) == "theano" and any(
        "conv" in type(x.layer).__name__.lower() for x in found
    ):
        raise UserError(
            f"layer '{name}' is a convolution that Theano computed, with kernels the other way "
            "round: load it with Keras 2.3 on TensorFlow, and save it again there"
        )
    names = _names(stored, "weight_names")
    arrays = [np.asarray(stored[each]) for each in names]
    if len(arrays) != (count := sum(len(share.weights) for share in found)):
        raise UserError(f"layer '{name}' has {count} weights, and the file has {len(arrays)} of it")
    for layer, weights in found:
        its, arrays = arrays[: len(weights)], arrays[len(weights) :]
        its_names, names = names[: len(weights)], names[len(weights) :]
        _refuse_order(name, weights, its_names)
        _set(name, layer, weights, its)


def _refuse_order(name: str, weights: list[Any], stored: list[str]) -> None:
    """Raise if the file's names say that its arrays are in another order."""
    for weight, path in zip(weights, stored, strict=True):
        last = re.sub(r"(_\d+)?(:\d+)?$", "", path.rpartition("/")[2])
        if last != weight.name and {last, weight.name} <= _KNOWN:
            raise UserError(
                f"layer '{name}' has {weight.name} where the file has {path}: its weights are "
                "stored in an order that is not known"
            )


def from_paths(model: keras.Model, config: Json, file: h5py.Group) -> None:
    """Set all weights of a model from a file with a path for each layer.

    Args:
        model: the model that was made from ``config``.
        config: ``class_name`` and ``config`` in the file.
        file: the content of a .weights.h5.

    Raises:
        UserError: the weights are of another model.
    """
    if len(file.get("vars", {})):
        raise UserError(_OUTSIDE)
    for layer, path in leaves.leaves(model, config):
        its = _variables(file, path)
        arrays = [np.asarray(its[str(number)]) for number in range(len(its))]
        if len(arrays) != len(layer.weights):
            raise UserError(
                f"layer '{layer.name}' has {len(layer.weights)} weights, and the file has "
                f"{len(arrays)} in {'/'.join(path)}"
            )
        _set(layer.name, layer, layer.weights, arrays)


def _variables(file: h5py.Group, path: tuple[str, ...]) -> Any:
    """The group of a layer's arrays; Keras 2 parted its path by backslashes on Windows."""
    for root in _ROOTS:
        parts = [root if part == _ROOTS[0] else part for part in path]
        for separator in ("/", "\\"):
            if (found := file.get(f"{separator.join(parts)}/vars")) is not None:
                return found
    return {}


def _set(name: str, layer: Any, weights: list[Any], arrays: list[Array]) -> None:
    """Set the weights of one layer or cell."""
    arrays = cudnn.converted(layer, arrays)
    for weight, array in zip(weights, arrays, strict=True):
        if tuple(weight.shape) != array.shape:
            raise UserError(
                f"layer '{name}' takes a {weight.name} {list(weight.shape)}, and the file has "
                f"{list(array.shape)}"
            )
        weight.assign(array)
    if hasattr(layer, "finalize_state"):
        layer.finalize_state()


def _names(group: h5py.Group, key: str) -> list[str]:
    """A list of names among a group's attributes; long ones are split into key0, key1, ..."""
    if key in group.attrs:
        return [_text(name) for name in group.attrs[key]]
    chunks = itertools.takewhile(
        lambda each: each in group.attrs, map(f"{key}{{}}".format, itertools.count())
    )
    return [_text(name) for each in chunks for name in group.attrs[each]]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
