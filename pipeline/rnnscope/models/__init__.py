"""Keras models, built from a config or loaded from the user's file, and how they take inputs."""

from rnnscope.models.building import build
from rnnscope.models.device import device
from rnnscope.models.feeding import MASK, inputs, sequence_shape, signature
from rnnscope.models.loading import MODEL, load, of_run
from rnnscope.models.outputs import numbered

__all__ = [
    "MASK",
    "MODEL",
    "build",
    "device",
    "inputs",
    "load",
    "numbered",
    "of_run",
    "sequence_shape",
    "signature",
]
