"""Settings of libraries that lie about: in files of the home, in variables of the environment.

A result follows from its config. What would change it besides is refused before a library reads it,
or made without effect; what changes no more than rounding is said in one line.
"""

from rnnscope.libraries.keras_setup import refuse_keras
from rnnscope.libraries.plain_matplotlib import without_matplotlib
from rnnscope.libraries.variables import blamed, blaming, prepare

__all__ = [
    "blamed",
    "blaming",
    "prepare",
    "refuse_keras",
    "without_matplotlib",
]
