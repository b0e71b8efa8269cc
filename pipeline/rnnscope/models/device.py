"""What TensorFlow computes on."""

import tensorflow as tf


def device() -> str:
    """What TensorFlow will compute on: the first GPU, or CPU."""
    gpus = tf.config.list_physical_devices("GPU")
    return gpus[0].name if gpus else "CPU"
