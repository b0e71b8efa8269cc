"""In the user's own process, a notebook or a script: a model and sequences become states."""

from rnnscope.live.callback import RecordStates
from rnnscope.live.measuring import measure
from rnnscope.live.opened import open_states
from rnnscope.live.prepared import Prepared
from rnnscope.live.recording import record
from rnnscope.live.states import States
from rnnscope.live.stepped import measure_steps, open_steps

__all__ = [
    "Prepared",
    "RecordStates",
    "States",
    "measure",
    "measure_steps",
    "open_states",
    "open_steps",
    "record",
]
