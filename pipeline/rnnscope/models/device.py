"""The device that TensorFlow computes on."""

import tensorflow as tf


def device() -> str:
    """The device that TensorFlow will compute on: the first GPU, or CPU."""
    gpus = tf.config.list_physical_devices("GPU")
    return gpus[0].name if gpus else "CPU"
