"""Record a recurrent network's hidden state, cell state and gates at every timestep."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnscope.states import read_sequences, read_states
    from rnnscope.trace import recording

__all__ = ["read_sequences", "read_states", "recording"]

_HOMES = {
    "read_sequences": "rnnscope.states",
    "read_states": "rnnscope.states",
    "recording": "rnnscope.trace",
}
"""Public name -> its module, imported on first access: TensorFlow takes seconds to import."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rnnscope' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)
