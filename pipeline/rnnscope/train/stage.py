"""Stage train: its run, its table, and what it says of training that diverges."""

import logging
from pathlib import Path

import numpy as np

from rnnscope import data, models, store
from rnnscope.config import Config, Recurrent
from rnnscope.data import Dataset
from rnnscope.errors import Failed, UserError, listed
from rnnscope.models.repeatable import seeded
from rnnscope.models.saving import save
from rnnscope.store.inputs import Inputs
from rnnscope.store.stage import Figures
from rnnscope.store.tables import Column, Null, Table, by_column, table_file
from rnnscope.terminal import short_path
from rnnscope.train import curves
from rnnscope.train.fitting import fit, kept_row
from rnnscope.train.watching import Diverged

log = logging.getLogger(__name__)

_NOT_FINITE = Null("it is not finite")
_LOSS = (
    "cross-entropy in nats, or of numeric targets the squared error, of several their mean; where "
    "timesteps have their own labels or targets, over valid timesteps"
)

HISTORY = Table(
    "history",
    "validation during training, and one at its end",
    (
        Column("step", "number of batches so far"),
        Column(
            "accuracy",
            "share of correct predictions on the training batches since the row before; only where "
            "there are classes",
        ),
        Column(
            "loss",
            f"mean loss on the training batches since the row before: {_LOSS}",
            nulls=(_NOT_FINITE,),
        ),
        Column(
            "val_accuracy",
            "share of correct predictions on the validation split; only where there are classes "
            "and a validation split",
        ),
        Column(
            "val_loss",
            f"mean loss on the validation split, where there is one: {_LOSS}",
            nulls=(_NOT_FINITE,),
        ),
    ),
)
TABLES = (HISTORY,)

_USUAL_RATE = 1e-3
"""Adam's learning rate in Keras and in the paper that proposes it."""
_LARGE = 100.0
"""Size of inputs or targets from which a network is hard to train."""


def run(config: Config, inputs: Inputs, folder: Path) -> Figures:
    """Train a model into ``folder``: the model, its history, TensorBoard's curves, checkpoints.

    The same config gives the same bytes on a CPU, and no global state stays changed.

    Args:
        config: the run's config.
        inputs: none.
        folder: where to write.

    Raises:
        Failed: training diverged.
        UserError: data without labelled training sequences, or without those for validation that
            ``train.patience`` and ``train.restore_best`` need.
    """
    dataset = data.load(config.data).as_trained()
    if dataset.train is None or dataset.train.y is None:
        raise UserError(
            f"data={config.data.name} has no labelled training sequences (x_train and y_train, "
            "split=train, data.test_path or data.test_fraction): "
            "train elsewhere and give model=file, or add them; in a wide table without names "
            "data.label_column=first or last may say where labels are"
        )
    if missing := data.never_trained(dataset):
        log.warning(f"no training sequence has class {listed(missing)}: it is never trained")
    assert isinstance(config.model, Recurrent)
    with seeded(config.seed):
        model = models.build(config.model, dataset)
        try:
            fitted = fit(model, dataset, config, folder)
        except Diverged as end:
            raise Failed(_said(end, config, dataset, _kept(end, config, folder))) from end
    save(model, folder / models.MODEL)
    history = fitted.history
    HISTORY.write(history, folder)
    curves.write(history, folder)
    last = kept_row(history, restore_best=config.train.restore_best)
    return {
        "rows": len(history),
        "null": {HISTORY.name: by_column(HISTORY.nulls(history, history))},
        "history_seconds": fitted.seconds,
        **({} if config.train.checkpoints is None else {"checkpoints": fitted.checkpoints}),
        "headline": {
            "steps": int(history["step"].max()) if len(history) else 0,
            "parameters": model.count_params(),
            **{name: float(last[name]) for name in ("loss", "val_accuracy") if name in last},
        },
    }


def _kept(end: Diverged, config: Config, folder: Path) -> Path:
    """Where the history of training that diverged is now: among the logs."""
    place = store.logs(Path(config.root)) / "diverged" / folder.stem.removeprefix(".")
    place.mkdir(parents=True, exist_ok=True)
    HISTORY.write(end.history, place)
    return table_file(place, HISTORY.name)


def _said(end: Diverged, config: Config, dataset: Dataset, history: Path) -> str:
    """What happened, and what may help."""
    rate = config.train.learning_rate
    ways = [f"train.learning_rate={_USUAL_RATE if rate > _USUAL_RATE else rate / 10:.2g}"]
    assert dataset.train is not None
    some = dataset.train.take(slice(512))
    for what, values in (("inputs", some.x), ("targets", some.y)):
        if values is None or values.dtype.kind != "f" or not values.size:
            continue
        if (size := float(np.nanmax(np.abs(values)))) > _LARGE:
            ways.append(f"{what} of about 1, they reach {size:.2g}")
    return (
        f"training diverged at step {end.step:,} of {config.train.steps:,}: {end.what}, with "
        f"train.learning_rate={rate:g}; try {', or '.join(ways)}; the history up to this step is "
        f"in {short_path(history)}"
    )
