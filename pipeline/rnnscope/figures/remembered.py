"""How well earlier inputs are read out of the states, by how long ago they came in."""

from collections.abc import Sequence

import pandas as pd

from rnnscope.errors import UserError, listed
from rnnscope.figures.drawing import Figure, styled
from rnnscope.figures.lines import Curve, curves
from rnnscope.figures.tables import by_signal, of_layer, signals_of


@styled
def memory(
    memory: pd.DataFrame,
    *,
    layer: str | None = None,
    signals: Sequence[str] | str | None = None,
    feature: int | None = None,
) -> Figure:
    """R² of the network's input at each lag, read out of the states, mean over features.

    The dotted line is what the input of the same timestep tells of earlier ones, without memory.

    >>> import pandas as pd, rnnscope
    >>> r2 = pd.DataFrame({"layer": "lstm", "signal": "c", "feature": 0, "lag": [0, 1, 2],
    ...     "r2": [1.0, 0.6, 0.1], "r2_low": [1.0, 0.5, 0.0], "r2_high": [1.0, 0.7, 0.2],
    ...     "from_input": [1.0, 0.0, 0.0]})
    >>> figure = rnnscope.figures.memory(r2)  # memory.parquet of stage decoding
    >>> [line.get_label() for line in figure.axes[0].lines]
    ['c', 'input alone']

    Args:
        memory: ``memory.parquet`` of stage decoding; its columns layer, signal, feature, lag, r2,
            r2_low, r2_high and from_input are used.
        layer: its name, where the table has several; the title has it too.
        signals: their letters; by default all, also those read together, such as h+c.
        feature: of the input; by default all, without intervals where there are several.

    Raises:
        rnnscope.errors.UserError: the table does not have these columns, no such layer, signal or
            feature, or no R².
    """
    columns = ["signal", "feature", "lag", "r2", "r2_low", "r2_high", "from_input"]
    rows, shown = of_layer(memory, "memory", columns, layer)
    there = sorted(rows["feature"].unique().tolist())
    if feature is not None and feature not in there:
        raise UserError(f"memory has no feature {feature}; it has {listed(map(str, there))}")
    rows = rows[rows["feature"] == feature] if feature is not None else rows
    rows = rows.dropna(subset="r2")
    if not len(rows):
        raise UserError("memory has no R² here: the input does not vary")
    single = len(rows["feature"].unique()) == 1
    names = [signals] if isinstance(signals, str) else list(signals or signals_of(rows))
    lines = []
    for signal, of in by_signal(rows, names, "memory"):
        mean = of.groupby("lag")[["r2", "r2_low", "r2_high", "from_input"]].mean().reset_index()
        ends = (mean["r2_low"], mean["r2_high"].clip(upper=1)) if single else (None, None)
        lines.append(Curve(signal, mean["lag"], mean["r2"], *ends))
    lines.append(Curve("input alone", mean["lag"], mean["from_input"], soft=True))
    which = f"feature {rows['feature'].iloc[0]}" if single else "features, mean,"
    return curves(lines, f"R² of the input's {which} by lag", shown, x="lag, timesteps")
