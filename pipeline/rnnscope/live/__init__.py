"""In the user's own process, a notebook or a script: a model and sequences become states."""

from rnnscope.live.measuring import measure
from rnnscope.live.opened import open_states
from rnnscope.live.prepared import Prepared
from rnnscope.live.recording import record
from rnnscope.live.states import States

__all__ = ["Prepared", "States", "measure", "open_states", "record"]
