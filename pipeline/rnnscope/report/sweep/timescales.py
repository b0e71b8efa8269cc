"""How units' timescales are distributed over the values of an option.

Units of all runs with a value are taken together. Those that never forget have an infinite
timescale: they are counted, and stand among the others in medians and quartiles. Those without a
timescale are counted too.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope.report.sweep.axes import Axis
from rnnscope.report.sweep.metrics import MEASURED, Units, number
from rnnscope.report.timescales import quartiles

COLUMNS = ("timescale", "forget_timescale")
DRAWN = 40_000
"""About so many units are drawn in all; each place has at least ``FEWEST`` of its own."""
FEWEST = 20

Float = NDArray[np.float64]


class Timescales:
    """Timescales of units, filled run by run: by column, layer and signal those of each run."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str, str], dict[int, Float]] = {}

    def add(self, number: int, units: Units) -> None:
        """Take those of one run."""
        for (layer, signal), columns in units.items():
            for name in COLUMNS:
                if name in columns and not np.isnan(columns[name]).all():
                    self.values.setdefault((name, layer, signal), {})[number] = columns[name]

    def series(self, axis: Axis) -> list[dict[str, Any]]:
        """Of each column, layer and signal the distribution at each place of the axis.

        Args:
            axis: with the place of each run.
        """
        places = axis.places
        most = max(FEWEST, DRAWN // max(1, len(places) * len(self.values)))
        order = sorted(self.values, key=lambda key: COLUMNS.index(key[0]))
        return [
            {
                "label": f"{name} of {signal} in {layer}",
                "help": MEASURED[name].meaning.replace("`", ""),
                "groups": [
                    _group(axis, place, self.values[name, layer, signal], most) for place in places
                ],
            }
            for name, layer, signal in order
        ]


def _group(
    axis: Axis, place: float | int | None, of: dict[int, Float], most: int
) -> dict[str, Any]:
    """One place's units: how many, their quartiles, and the finite timescales that are drawn."""
    runs = [run for run, value in enumerate(axis.of_runs) if value == place and run in of]
    every = np.concatenate([of[run] for run in runs]) if runs else np.empty(0)
    known = every[~np.isnan(every)]
    finite = np.sort(known[np.isfinite(known)])
    return {
        "place": place,
        "label": axis.label(place),
        "runs": len(runs),
        "units": len(every),
        "infinite": len(known) - len(finite),
        "none": len(every) - len(known),
        "quartiles": [number(each) for each in quartiles(known)],
        "points": [float(f"{each:.4g}") for each in thinned(finite, most)],
    }


def thinned(ordered: Float, most: int) -> Float:
    """At most so many of rising values, evenly spaced among them, the ends among them."""
    if len(ordered) <= most:
        return ordered
    chosen: Float = ordered[np.linspace(0, len(ordered) - 1, most).round().astype(int)]
    return chosen
