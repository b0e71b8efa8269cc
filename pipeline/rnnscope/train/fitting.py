"""Keras' own ``fit``, for exactly the steps, validations and early stop of a config."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from rnnscope.config import Config
from rnnscope.data import Dataset, Split
from rnnscope.errors import Failed, UserError, listed
from rnnscope.models.repeatable import CrossEntropy
from rnnscope.train.batches import Batches, streamed, whole
from rnnscope.train.checkpoints import Checkpoints
from rnnscope.train.validating import ValidTimesteps, over_timesteps
from rnnscope.train.watching import Diverged, LowestLoss, Watch

REDUCTION = "mean_with_sample_weight"
"""Of losses: the mean over what has a weight other than 0."""
_ROSE = 2.0
"""How many times the first loss the last one must be, to be no chance of the batches."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fitted:
    """What a training gave beside the weights."""

    history: pd.DataFrame
    """One row per validation, none for 0 steps."""
    seconds: list[float]
    """Of each row, since training started."""
    checkpoints: list[int]
    """The steps after which the model was kept."""


def fit(model: keras.Model, dataset: Dataset, config: Config, folder: Path) -> Fitted:
    """Fit in place, and keep the model after ``train.checkpoints`` in the folder.

    The loss is the cross-entropy in nats, of numeric targets the mean squared error, over all of
    them where there are several; where each timestep has its own labels or targets, a batch's
    loss is the mean over its valid timesteps.

    Raises:
        Diverged: with the history, at the step whose loss or weights are not finite.
        Failed: Keras ended before ``train.steps``, and not for ``train.patience``.
        UserError: no validation split for ``train.patience`` and ``train.restore_best``.
    """
    assert dataset.train is not None
    numeric = dataset.train.numeric
    stock = (
        keras.losses.MeanSquaredError(reduction=REDUCTION)
        if numeric
        else keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=REDUCTION)
    )
    optimizer = keras.optimizers.Adam(config.train.learning_rate, name="adam")
    history, seconds = pd.DataFrame({"step": pd.Series(dtype="int64")}), list[float]()
    _compile(model, optimizer, stock, numeric)
    wanted = config.train.checkpoints or ()
    keeping = Checkpoints(wanted, folder, model.get_compile_config())
    if config.train.steps > 0:
        loss = stock if numeric else CrossEntropy(reduction=REDUCTION)
        _compile(model, optimizer, loss, numeric, over_timesteps(dataset.val, numeric))
        history, seconds = _fit(model, dataset, dataset.train, config, keeping)
        _compile(model, optimizer, stock, numeric)  # saved with a loss that Keras can load
    else:
        keeping.set_model(model)
        keeping.on_train_begin()
    if missed := [step for step in wanted if step not in keeping.kept]:
        log.warning(
            f"training stopped early, at step {keeping.done:,}: it has no checkpoint of "
            f"{listed(missed)}"
        )
    return Fitted(history, seconds, keeping.kept)


def kept_row(history: pd.DataFrame, *, restore_best: bool) -> dict[str, Any]:
    """The row of the history at which the model had the weights that are kept."""
    if history.empty:
        return {}
    row = history["val_loss"].fillna(np.inf).argmin() if restore_best else -1
    return history.iloc[row].to_dict()


def _compile(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    loss: keras.Loss,
    numeric: bool,
    more: list[keras.Metric] | None = None,
) -> None:
    accuracy = [] if numeric else [keras.metrics.SparseCategoricalAccuracy("accuracy")]
    model.compile(optimizer, loss, weighted_metrics=[*accuracy, *(more or [])])


def _fit(
    model: keras.Model, dataset: Dataset, split: Split, config: Config, keeping: Checkpoints
) -> tuple[pd.DataFrame, list[float]]:
    """Fit a compiled model for at least one step."""
    train = config.train
    batches = Batches(model, split, train.batch_size, config.seed)
    if dataset.val is None and (train.patience or train.restore_best):
        raise UserError(
            "train.patience and train.restore_best need validation sequences: "
            "raise data.validation_fraction above 0"
        )
    watch = Watch(train.steps)
    callbacks: list[keras.callbacks.Callback] = [ValidTimesteps(), watch]
    callbacks += [keeping] if keeping.steps else []
    if dataset.val is not None:
        callbacks.append(
            LowestLoss(
                "val_loss",
                patience=train.patience or train.steps,
                restore_best_weights=train.restore_best,
            )
        )
    every = min(train.validate_every, train.steps)
    try:
        model.fit(
            streamed(model, batches),
            steps_per_epoch=every,
            epochs=-(-train.steps // every),
            validation_data=whole(model, dataset.val),
            callbacks=callbacks,
            shuffle=False,
            verbose=0,
        )
    except Diverged as end:
        end.history = pd.DataFrame(watch.rows)
        raise
    if watch.done != train.steps and not any(_stopped(each) for each in callbacks):
        raise Failed(
            f"Keras ended training after {watch.done:,} of {train.steps:,} steps, and not for "
            "train.patience; a setting of Keras must limit it, such as keras.config.set_max_epochs"
        )
    if watch.rows[-1]["loss"] > _ROSE * watch.first:
        log.warning(
            f"nothing was learnt: the loss rose from {watch.first:.3g} in the first step to "
            f"{watch.rows[-1]['loss']:.3g} at the end; try a lower train.learning_rate, which is "
            f"{train.learning_rate:g}"
        )
    return pd.DataFrame(watch.rows), watch.seconds


def _stopped(callback: keras.callbacks.Callback) -> bool:
    """Whether a callback ended training for ``train.patience``."""
    return isinstance(callback, LowestLoss) and callback.stopped_epoch > 0
