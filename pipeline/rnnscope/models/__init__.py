"""From config to Keras model: build one, or load the user's own; and how it takes its inputs."""

from rnnscope.models.building import build
from rnnscope.models.device import device
from rnnscope.models.feeding import MASK, inputs, sequence_shape, signature
from rnnscope.models.loading import MODEL, load, of_run

__all__ = [
    "MASK",
    "MODEL",
    "build",
    "device",
    "inputs",
    "load",
    "of_run",
    "sequence_shape",
    "signature",
]
