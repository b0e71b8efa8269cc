"""Loss and accuracy over training."""

import pandas as pd

from rnnscope.errors import UserError, brief, listed
from rnnscope.figures.drawing import DASHES, SERIES, SOFT, Figure, panel, styled
from rnnscope.figures.tables import checked


@styled
def training_curve(
    history: pd.DataFrame, quantity: str = "loss", *, label: str = "", step: int | None = None
) -> Figure:
    """One quantity over training, with its validation where there was one.

    >>> import pandas as pd, rnnscope
    >>> history = pd.DataFrame({"step": [10, 20], "loss": [2.0, 1.2], "val_loss": [1.9, 1.4]})
    >>> figure = rnnscope.figures.training_curve(history)  # history.parquet of stage train
    >>> [line.get_label() for line in figure.axes[0].lines]
    ['training', 'validation']

    Args:
        history: ``history.parquet`` of stage train: one row per validation. Its columns step,
            ``quantity`` and, if it is there, ``val_<quantity>``, are drawn.
        quantity: loss or accuracy.
        label: the title, with the unit; by default the quantity, of the loss without a unit: it is
            in nats for classes, and a squared error for numbers.
        step: the step of the recorded model, marked by a line; none by default.

    Raises:
        rnnscope.errors.UserError: the table does not have these columns, or no rows.
    """
    checked(history, "history", ("step",))
    there = [name for name in map(str, history) if name != "step" and name[:4] != "val_"]
    checked(history, "history", () if there else (quantity,))
    if quantity not in history:
        raise UserError(f"history has no {brief(quantity)}; give quantity= one of {listed(there)}")
    words = label or {"accuracy": "accuracy, share of sequences"}.get(quantity, quantity)
    figure, axes = panel(250, f"{words} over training steps")
    marker = "o" if len(history) == 1 else None
    drawn = ((quantity, "training"), (f"val_{quantity}", "validation"))
    for place, (column, name) in enumerate(drawn):
        if column in history:
            axes.plot(
                history["step"],
                history[column],
                color=SERIES[place],
                linestyle=DASHES[place],
                marker=marker,
                label=name,
            )
    if step is not None:
        axes.axvline(step, color=SOFT, linestyle=":", label=f"recorded, step {step:,}")
    axes.set_title(words)
    axes.set_xlabel("optimizer step")
    axes.legend(loc="best", handlelength=2.4)
    return figure
