"""The last valid timestep of a layer's outputs, within a Keras model."""

from typing import Any

import keras


def last(y: Any, mask: Any) -> Any:
    """Y [B, T, U] at the last valid timestep [B, U]; without a mask, at the last one."""
    if mask is None:
        return y[:, -1]
    valid = keras.ops.cast(mask, y.dtype)
    ends = valid - keras.ops.pad(valid[:, 1:], [[0, 0], [0, 1]])
    return keras.ops.sum(y * ends[:, :, None], axis=1)
