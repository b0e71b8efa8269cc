"""Record a recurrent network's hidden state, cell state and gates at every timestep."""

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any


def _without_working_folder() -> None:
    """Take the working folder off the path if this package runs as ``python -m rnnscope``.

    Python puts it first, so that a ``random.py`` or ``hydra_plugins/`` that lies beside the user's
    data would run in place of the libraries'. The console command and PYTHONPATH are as they were.
    """
    module = f"{sys.argv[0]} {' '.join(sys.orig_argv)}"  # "-m" until the module is found
    if not module.startswith("-m ") or f"m {__name__}" not in module or sys.flags.safe_path:
        return
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    if sys.path and os.path.realpath(sys.path[0]) != os.path.realpath(home):
        del sys.path[0]


_without_working_folder()

if TYPE_CHECKING:
    from rnnscope import figures
    from rnnscope.live.callback import RecordStates
    from rnnscope.live.intervening import Intervened, intervene
    from rnnscope.live.matching import match
    from rnnscope.live.measuring import measure
    from rnnscope.live.opened import open_states
    from rnnscope.live.recording import record
    from rnnscope.live.states import States
    from rnnscope.live.stepped import measure_steps, open_steps
    from rnnscope.states import read_sequences, read_states
    from rnnscope.trace import recording

__all__ = [
    "Intervened",
    "RecordStates",
    "States",
    "figures",
    "intervene",
    "match",
    "measure",
    "measure_steps",
    "open_states",
    "open_steps",
    "read_sequences",
    "read_states",
    "record",
    "recording",
]

_HOMES = {
    "figures": "rnnscope.figures",
    "RecordStates": "rnnscope.live.callback",
    "Intervened": "rnnscope.live.intervening",
    "States": "rnnscope.live.states",
    "intervene": "rnnscope.live.intervening",
    "match": "rnnscope.live.matching",
    "measure": "rnnscope.live.measuring",
    "measure_steps": "rnnscope.live.stepped",
    "open_states": "rnnscope.live.opened",
    "open_steps": "rnnscope.live.stepped",
    "read_sequences": "rnnscope.states",
    "read_states": "rnnscope.states",
    "record": "rnnscope.live.recording",
    "recording": "rnnscope.trace",
}
"""Public name -> its module, or itself one, imported on first access: TensorFlow takes seconds."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("rnnscope")
    if name not in _HOMES:
        raise AttributeError(f"module 'rnnscope' has no attribute '{name}'")
    module = importlib.import_module(_HOMES[name])
    return module if module.__name__ == f"{__name__}.{name}" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
