"""How much of the units' variance lies between classes, at each timestep."""

from collections.abc import Sequence

import pandas as pd

from rnnscope.errors import UserError
from rnnscope.figures.drawing import DASHES, SERIES, Figure, styled
from rnnscope.figures.lines import Curve, curves
from rnnscope.figures.tables import by_signal, of_layer, wanted


@styled
def eta2_over_time(
    timesteps: pd.DataFrame,
    *,
    layer: str | None = None,
    signals: Sequence[str] | str | None = None,
) -> Figure:
    """η² by timestep: the median unit, a band of the middle 80 % of units, and the largest.

    η² is the share of a unit's variance across sequences at a timestep that lies between classes.
    Of a unit that tells nothing it is about (classes − 1) / (sequences − 1), not 0, and the largest
    of many units is larger by chance.

    >>> import pandas as pd, rnnscope
    >>> timesteps = pd.DataFrame({"layer": "lstm", "signal": "c", "unit": [0, 1, 0, 1],
    ...                           "timestep": [0, 0, 1, 1], "eta2": [0.1, 0.3, 0.5, 0.9]})
    >>> figure = rnnscope.figures.eta2_over_time(timesteps)  # timesteps.parquet of stage units
    >>> [line.get_ydata().tolist() for line in figure.axes[0].lines]
    [[0.2, 0.7], [0.3, 0.9]]

    Args:
        timesteps: ``timesteps.parquet`` of stage units; its columns layer, signal, unit, timestep
            and eta2 are used.
        layer: its name, where the table has several; the title has it too.
        signals: their letters; by default h and c, or the first where there are neither.

    Raises:
        rnnscope.errors.UserError: the table does not have these columns, no such layer or signal,
            or no η², as without classes.
    """
    rows, shown = of_layer(timesteps, "timesteps", ("signal", "timestep", "eta2"), layer)
    names = wanted(signals, rows)
    found = {
        signal: of.dropna(subset="eta2").groupby("timestep")["eta2"]
        for signal, of in by_signal(rows, names, "timesteps")
    }
    if not any(len(each) for each in found.values()):
        raise UserError("timesteps has no eta2 here: the manifest of stage units says why")
    lines, largest = [], []
    for signal, each in found.items():
        low, middle, high, most = (each.quantile(level) for level in (0.1, 0.5, 0.9, 1))
        at = pd.Series(middle.index)
        lines.append(Curve(signal, at, middle, low, high))
        largest.append(most)
    words = "η² of units: median, middle 80 %, and largest (thin)"
    figure = curves(lines, words, shown, limits=(0, 1))
    for place, most in enumerate(largest):
        figure.axes[0].plot(
            most.index,
            most,
            color=SERIES[place % len(SERIES)],
            linestyle=DASHES[place % len(DASHES)],
            marker="o" if len(most) == 1 else None,
            linewidth=0.6,
        )
    return figure
