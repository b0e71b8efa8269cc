"""The device that TensorFlow computes on, and what Keras computes in."""

import keras
import tensorflow as tf

from rnnscope.errors import UserError


def device() -> str:
    """The device that TensorFlow will compute on: the first GPU, or CPU.

    Raises:
        UserError: Keras is set to make networks in another precision than float32.
    """
    if keras.config.floatx() != "float32":
        raise UserError(
            f"keras.json sets floatx to {keras.config.floatx()}: networks would be trained in it, "
            "under the same keys; must be float32 there, or set KERAS_HOME to an empty folder"
        )
    gpus = tf.config.list_physical_devices("GPU")
    return gpus[0].name if gpus else "CPU"
