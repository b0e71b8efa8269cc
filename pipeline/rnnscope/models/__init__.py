"""Keras models, built from a config or loaded from the user's file, and how they take inputs."""

from rnnscope.models.building import build
from rnnscope.models.device import device
from rnnscope.models.feeding import inputs, sequence_shape, signature
from rnnscope.models.loading import MODEL, load, of_run, told

__all__ = [
    "MODEL",
    "build",
    "device",
    "inputs",
    "load",
    "of_run",
    "sequence_shape",
    "signature",
    "told",
]
