"""Which units are needed: the change when each is clamped, the largest first."""

import numpy as np
import pandas as pd

from rnnscope.errors import UserError, brief
from rnnscope.figures.drawing import Figure, styled
from rnnscope.figures.lines import Curve, curves
from rnnscope.figures.tables import of_layer

METHODS = {
    "h_zero": "h at 0",
    "h_mean": "h at mean",
    "c_zero": "c at 0",
    "c_mean": "c at mean",
}
"""How a method is called."""
CHANGES = ("loss_change", "accuracy_change", "output_change")


@styled
def ablation(
    ablation: pd.DataFrame, *, layer: str | None = None, change: str | None = None
) -> Figure:
    """The change with each unit clamped, by method, the largest first; a dot marks needed units.

    Needed are units whose loss rises with a q-value below 0.05. The changes of one network's units
    are ranked for each method by itself: the same rank need not be the same unit.

    >>> import pandas as pd, rnnscope
    >>> changes = pd.DataFrame({"layer": "lstm", "unit": [0, 1], "method": "h_zero",
    ...     "loss_change": [0.1, 0.4], "accuracy_change": [0.0, -0.1], "q_value": [0.2, 0.01]})
    >>> figure = rnnscope.figures.ablation(changes)  # ablation.parquet of stage ablation
    >>> figure.axes[0].lines[0].get_ydata().tolist()
    [0.4, 0.1]

    Args:
        ablation: ``ablation.parquet`` of stage ablation; its columns layer, unit, method, q_value
            and that of the change are used.
        layer: its name, where the table has several; the title has it too.
        change: loss_change, accuracy_change or output_change; by default the first, or the last
            where the table has no loss.

    Raises:
        rnnscope.errors.UserError: the table does not have these columns, no such layer or change.
    """
    from rnnscope.analysis.ablation.columns import NEEDED  # imports all of scipy.stats

    columns = ("unit", "method", "q_value", "loss_change")
    rows, shown = of_layer(ablation, "ablation", columns, layer)
    chosen = change or main_change(ablation)
    if chosen not in CHANGES or chosen not in rows or rows[chosen].isna().all():
        there = [name for name in CHANGES if name in rows and rows[name].notna().any()]
        raise UserError(f"ablation has no {brief(chosen)} here; give change= one of {there}")
    lines = []
    for method, of in rows.groupby(rows["method"].astype(str), sort=False):
        ranked = of.sort_values(chosen, ascending=chosen == "accuracy_change", ignore_index=True)
        place = pd.Series(np.arange(1, len(ranked) + 1))
        needed = ranked["q_value"] < NEEDED
        name = METHODS.get(str(method), str(method))
        lines.append(Curve(name, place, ranked[chosen], marked=needed))
    return curves(lines, _words(ablation, chosen), shown, x="unit, largest change first")


def main_change(table: pd.DataFrame) -> str:
    """What is ranked by: the loss, or the output where there is none."""
    return "loss_change" if table["loss_change"].notna().any() else "output_change"


def _words(table: pd.DataFrame, change: str) -> str:
    """The name of a change, with its unit."""
    if change != "loss_change":
        return {"accuracy_change": "change of the accuracy"}.get(change, "change of the output")
    classes = "accuracy_change" in table and table["accuracy_change"].notna().any()
    return "rise of the loss, nats" if classes else "rise of the squared error"
