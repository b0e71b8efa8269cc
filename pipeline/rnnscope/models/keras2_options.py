"""The options of Keras' own layers, as Keras 2 wrote them, by their names and values in Keras 3.

Initialisers, regularisers and constraints are left out: only training reads them, and the weights
are in the file. The hard_sigmoid of Keras 2 has another slope than that of Keras 3.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import keras

from rnnscope.errors import UserError
from rnnscope.models.keras2_json import Json, function, is_object, name_of, short

HARD_SIGMOID = "hard_sigmoid_of_keras_2"
"""The name by which a config refers to ``hard_sigmoid_of_keras_2``."""
RENAMED = {
    "CuDNNLSTM": "LSTM",
    "CuDNNGRU": "GRU",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "ThresholdedReLU": "ReLU",
}
_TRAINING = re.compile(r"\w+_(initializer|regularizer|constraint)")
_LEFT_OUT = {
    *("batch_input_shape", "input_shape", "input_length", "implementation", "noise_shape"),
    *("trainable", "fused", "ragged", "sparse", "num_constants", "query_shape", "key_shape"),
    *("value_shape", "experimental_autocast", "momentum_schedule", "unit_forget_bias"),
}
"""Options that say nothing about what a loaded layer computes, or that are read elsewhere."""
_NEUTRAL = {"groups": 1}
"""Values of options that only some layers of Keras 3 have, and that change nothing."""


def hard_sigmoid_of_keras_2(x: Any) -> Any:
    """Clip 0.2 x + 0.5 to [0, 1], as early LSTMs did by default; the slope in Keras 3 is 1/6."""
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)


def modern(layer: Json, cls: type, own: Mapping[str, Any], inner: Callable[[Json], Json]) -> Json:
    """The options of one of Keras' own layers.

    Args:
        layer: ``class_name`` and ``config`` as Keras 2 wrote them.
        cls: the class in Keras 3.
        own: the user's own classes and functions by name.
        inner: rewrites a value in which there may be further layers.

    Raises:
        UserError: an option that Keras 3 does not have.
    """
    old, was = layer["config"], short(layer["class_name"])
    new = {"name": name_of(layer), "trainable": old.get("trainable", True)}
    if cls is keras.layers.InputLayer:
        if old.get("ragged"):
            raise UserError(
                f"input '{new['name']}' is ragged, which Keras 3 does not record: rebuild the "
                "model with padded sequences and Masking, and set_weights of the old one"
            )
        shape = old.get("batch_input_shape", old.get("batch_shape"))
        return {"name": new["name"], "batch_shape": shape, "dtype": old.get("dtype")}
    if old.get("time_major"):
        raise UserError(
            f"layer '{new['name']}' has time_major=True, which Keras 3 does not have: rebuild the "
            "model with time_major=False and set_weights of the old one"
        )
    accepted = _accepted(cls)
    for key, value in _renamed_options(was, old).items():
        if key in new or key in _LEFT_OUT or _TRAINING.fullmatch(key):
            continue
        if key == "dtype":
            new[key] = _dtype(value)
        elif key.endswith("activation") and value is not None:
            new[key] = _activation(value, own, inner)
        elif key in accepted:
            new[key] = inner(value)
        elif value not in (None, False, 0, [], {}, _NEUTRAL.get(key)):
            raise UserError(
                f"layer '{new['name']}' ({was}) has {key}={value}, an option that Keras 3 does not "
                f"have: rebuild the model without it and set_weights of the old one"
            )
    if "trainable" not in accepted:
        del new["trainable"]
    return new


def _renamed_options(was: str, old: Json) -> Json:
    """The options by their names in Keras 3, with those that were implicit in Keras 2."""
    new = {key: value for key, value in old.items() if key not in ("time_major", "causal")}
    match was:
        case "GRU" | "GRUCell":
            new.setdefault("reset_after", False)
        case "CuDNNGRU" | "CuDNNLSTM":
            new |= {"activation": "tanh", "recurrent_activation": "sigmoid"}
            new |= {"reset_after": True} if was == "CuDNNGRU" else {}
        case "LeakyReLU" if "alpha" in new:
            new["negative_slope"] = new.pop("alpha")
        case "ThresholdedReLU":
            new["threshold"] = new.pop("theta")
        case "SyncBatchNormalization":
            new["synchronized"] = True
    if isinstance(axis := new.get("axis"), list) and len(axis) == 1:
        new["axis"] = axis[0]
    return new


def _accepted(cls: type) -> set[str]:
    """The options that a class takes, its own and those that it hands on."""
    names: set[str] = set()
    for base in cls.__mro__:
        if "__init__" in vars(base):
            parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
            names |= {each.name for each in parameters}
            if not any(each.kind is each.VAR_KEYWORD for each in parameters):
                break
    return names


def _dtype(value: Json) -> str | None:
    """The name of a dtype or of a policy; None for the one that follows from the input."""
    name = value["config"]["name"] if isinstance(value, dict) else value
    return None if name in ("infer", "_infer") else name


def _activation(value: Json, own: Mapping[str, Any], inner: Callable[[Json], Json]) -> Json:
    """An activation: its name, or where to find a function that is not Keras' own."""
    if is_object(value) and isinstance(value["config"], dict):
        return inner(value)
    name = str(value["config"] if isinstance(value, dict) else value).removesuffix("_v2")
    if short(name) not in own:
        if name == "hard_sigmoid":
            name = HARD_SIGMOID
        elif name == "swish" or hasattr(keras.activations, name):
            return name
    return function(name)
