"""Any pass of a Keras model, with every signal of its recurrent layers."""

from rnnscope.trace.loops import recurrent_layers
from rnnscope.trace.recording import LayerTrace, Trace, recording, returning_everything

__all__ = ["LayerTrace", "Trace", "recording", "recurrent_layers", "returning_everything"]
