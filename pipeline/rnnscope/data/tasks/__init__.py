"""Tasks whose solution is known, in generated sequences, and the characters of a text."""

from rnnscope.data.tasks.anbn import load_anbn
from rnnscope.data.tasks.ar1 import load_ar1
from rnnscope.data.tasks.delay import load_delay
from rnnscope.data.tasks.dyck import load_dyck
from rnnscope.data.tasks.flipflop import load_flipflop
from rnnscope.data.tasks.lagged import load_lagged
from rnnscope.data.tasks.text import load_text

__all__ = [
    "load_anbn",
    "load_ar1",
    "load_delay",
    "load_dyck",
    "load_flipflop",
    "load_lagged",
    "load_text",
]
