"""TensorFlow functions that a functional model of Keras 2 calls between its layers.

Keras 2 (TensorFlow 2.4 and later) saved ``tf.reduce_mean(y, axis=1)`` or ``y[:, -1]`` as a layer
TFOpLambda or SlicingOpLambda, with the public name of the function and its arguments. Here the same
function of TensorFlow is called, if it is one of those listed: they compute a tensor from tensors
and do nothing else.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from rnnscope.errors import UserError
from rnnscope.models.keras2_json import Json

NAME = "TensorFlowFunction"
"""The name by which a config refers to the layer."""

_MATH = (
    "abs acos acosh add add_n argmax argmin asin asinh atan atan2 atanh ceil cos cosh cumprod "
    "cumsum divide divide_no_nan equal erf exp expm1 floor floordiv floormod greater greater_equal "
    "is_finite is_inf is_nan l2_normalize less less_equal log log1p log_sigmoid log_softmax "
    "logical_and logical_not logical_or logical_xor maximum minimum mod multiply multiply_no_nan "
    "negative not_equal pow reciprocal reduce_all reduce_any reduce_euclidean_norm "
    "reduce_logsumexp reduce_max reduce_mean reduce_min reduce_prod reduce_std reduce_sum "
    "reduce_variance round rsqrt scalar_mul sigmoid sign sin sinh softmax softplus softsign sqrt "
    "square squared_difference subtract tan tanh top_k truediv unsorted_segment_sum xlogy"
)
_NN = (
    "bias_add elu gelu leaky_relu log_softmax moments relu relu6 selu sigmoid silu softmax "
    "softplus softsign swish tanh l2_normalize"
)
_ARRAYS = (
    "broadcast_to cast clip_by_value concat expand_dims eye fill gather gather_nd identity "
    "linalg.band_part linalg.diag linalg.diag_part linalg.matmul linalg.matvec linalg.norm "
    "linalg.trace one_hot ones ones_like pad range rank repeat reshape reverse reverse_sequence "
    "roll scatter_nd sequence_mask shape size slice sort split squeeze stack stop_gradient "
    "strided_slice tensordot tile transpose unstack where zeros zeros_like image.resize"
)
_FIRST_VERSION = (
    "cast concat expand_dims gather ones_like pad reduce_max reduce_mean reduce_sum shape size "
    "squeeze transpose where zeros_like norm argmax argmin"
)
_OPERATORS = "add eq getitem ne"
ALLOWED = frozenset(
    [f"math.{name}" for name in _MATH.split()]
    + [f"nn.{name}" for name in _NN.split()]
    + _ARRAYS.split()
    + [f"compat.v1.{name}" for name in _FIRST_VERSION.split()]
    + [f"__operators__.{name}" for name in _OPERATORS.split()]
)
"""Public names below tf."""


def checked(name: str, layer: str, way_out: str) -> str:
    """The name, if the function is one of those listed.

    Raises:
        UserError: it is not, or this version of TensorFlow does not have it.
    """
    if name in ALLOWED and _function(name) is not None:
        return name
    raise UserError(
        f"layer '{layer}' calls tf.{name}, which is not among the functions that are called from a "
        "file: rebuild the model with a layer of your own in its place and set_weights of the old "
        f"one, {way_out}"
    )


def template(nodes: list[Json], layer: str) -> tuple[Json, list[Json]]:
    """A call's arguments with a number for each tensor, and the call of these tensors alone.

    Args:
        nodes: the layer's calls in the form of Keras 3, ``args`` and ``kwargs``.
        layer: its name.

    Raises:
        UserError: no tensor is among them, or the calls differ; Keras 2 made a layer for each.
    """
    templates, calls = [], []
    for node in nodes:
        tensors: list[Json] = []
        templates.append(_numbered({"args": node["args"], "kwargs": node["kwargs"]}, tensors))
        calls.append({"args": [tensors], "kwargs": {}})
        if not tensors:
            raise UserError(
                f"layer '{layer}' calls a function that takes any number of tensors, and Keras 2 "
                "saves none of these and cannot load the file itself: rebuild the model with a "
                "layer of your own in its place, keras.layers.Dot or tf.matmul, and set_weights of "
                "the old one"
            )
        if templates[0] != templates[-1]:
            raise UserError(
                f"layer '{layer}' calls a function in several ways under one name: rebuild the "
                "model with a call for each and set_weights of the old one"
            )
    return templates[0], calls


def _numbered(value: Json, tensors: list[Json]) -> Json:
    """The value with {"tensor": number} for each tensor, which is appended to ``tensors``."""
    match value:
        case {"class_name": "__keras_tensor__"}:
            tensors.append(value)
            return {"tensor": len(tensors) - 1}
        case dict():
            return {key: _numbered(each, tensors) for key, each in value.items()}
        case list():
            return [_numbered(each, tensors) for each in value]
        case _:
            return value


def _filled(value: Json, tensors: list[Any]) -> Any:
    """The value with its tensors, slices and ellipses."""
    match value:
        case {"tensor": int(number)}:
            return tensors[number]
        case {"start": start, "stop": stop, "step": step}:
            return slice(*(_filled(each, tensors) for each in (start, stop, step)))
        case {"class_name": "__ellipsis__"}:
            return ...
        case dict():
            return {key: _filled(each, tensors) for key, each in value.items()}
        case list():
            return [_filled(each, tensors) for each in value]
        case _:
            return value


class TensorFlowFunction(keras.layers.Layer):
    """A layer that calls one function of TensorFlow; as in Keras 2, a mask ends here.

    Args:
        function: its public name below tf, one of ``ALLOWED``.
        arguments: ``args`` and ``kwargs``, with {"tensor": i} for the i-th tensor.
    """

    def __init__(self, function: str, arguments: Json, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.function = checked(function, str(self.name), "")
        self.arguments = arguments
        self.supports_masking = True

    def call(self, tensors: list[Any]) -> Any:
        """The function's value for these tensors."""
        filled = _filled(self.arguments, list(tensors))
        named = {key: value for key, value in filled["kwargs"].items() if key != "name"}
        call = _function(self.function)
        assert call is not None
        return call(*filled["args"], **named)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """None: what the function does to the timesteps is not known."""

    def get_config(self) -> dict[str, Any]:
        """What the layer is made from."""
        return {"name": self.name, "function": self.function, "arguments": self.arguments}


def _function(name: str) -> Callable[..., Any] | None:
    """A function of TensorFlow by its public name."""
    found: Any = tf
    for part in name.split("."):
        found = getattr(found, part, None)
    return found if callable(found) else None
