"""Every signal of a Keras model's recurrent layers, recorded in any forward pass."""

from rnnscope.trace.loops import recurrent_layers
from rnnscope.trace.recording import LayerTrace, Trace, recording

__all__ = ["LayerTrace", "Trace", "recording", "recurrent_layers"]
