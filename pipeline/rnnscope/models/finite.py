"""Whether numbers of a model are finite."""

from collections.abc import Iterable
from typing import Any

import tensorflow as tf


def all_finite(values: Iterable[Any]) -> tf.Tensor:
    """Whether all tensors hold finite numbers only, as one truth value."""
    return tf.reduce_all([tf.reduce_all(tf.math.is_finite(each)) for each in values])


def not_finite(variables: Iterable[Any]) -> list[str]:
    """The paths of Keras variables that hold NaN or an infinity."""
    floats = [each for each in variables if tf.as_dtype(each.dtype).is_floating]
    return [each.path for each in floats if not bool(all_finite([each.value]))]
