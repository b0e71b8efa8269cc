"""The verdict of the proof: one line for a residual past the tolerance."""

import math
import re

from rnnscope.errors import UserError
from rnnscope.trace.findings import Findings, Worst
from rnnscope.trace.proof import DRIFT

DEFAULT = 1e-5
"""What float32 needs: see conf/extract/default.yaml."""


def check(found: Findings, tolerance: float) -> None:
    """Raise for the worst residual that is past the tolerance.

    Raises:
        UserError: with its place, both values, and what to do.
    """
    for layer, kinds in found.items():
        for kind, each in kinds.items():
            if kind not in DRIFT and not each.value <= tolerance:
                raise UserError(_line(layer, kind, each, tolerance))


def judged(found: Findings) -> float:
    """The largest residual that is judged."""
    return max(
        each.value for kinds in found.values() for kind, each in kinds.items() if kind not in DRIFT
    )


def _line(layer: str, kind: str, each: Worst, tolerance: float) -> str:
    held_to = {
        "gates": "its equations in float64 give",
        "equations": "its equations in float64 give",
        "handed": "Keras would have had",
    }.get(kind, "one call of its cell gives")
    what = "the cell's own call gives" if kind == "equations" else "recorded is"
    return (
        f"layer '{layer}': residual {kind} is {each.value:.3g}, past "
        f"extract.tolerance={tolerance:g}: sequence {each.sequence}, timestep {each.timestep}, "
        f"{each.signal} of unit {each.unit}: {what} {each.recorded:.9g}, {held_to} "
        f"{each.expected:.9g}; {_remedy(kind, each)}"
    )


def _remedy(kind: str, each: Worst) -> str:
    if not all(map(math.isfinite, (each.recorded, each.expected, each.value))):
        return (
            "a state that is not a finite number cannot be analysed: look for such values in the "
            "input of this sequence and in the model's weights"
        )
    if re.fullmatch(r"step_s\d+", kind):
        return (
            "a cell must compute from its input and its states alone, the same at each call: not "
            "from what it counts or keeps by itself, nor from other sequences of the batch"
        )
    accepted = 10.0 ** math.ceil(math.log10(each.value))
    if each.value <= DEFAULT:
        return f"float32 rounds as much: extract.tolerance={DEFAULT:g} is the default"
    return (
        "what was recorded is not what the layer computes: nothing is kept; please report it with "
        f"the model; extract.tolerance={accepted:g} would accept it"
    )
