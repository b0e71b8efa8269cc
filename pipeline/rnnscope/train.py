"""Stage train: a new network, fitted by Keras' own ``fit``, seeded and repeatable."""

import itertools
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from rnnscope import data, models
from rnnscope.config import Config, Recurrent, Train
from rnnscope.data import Batch, Dataset, Split
from rnnscope.errors import UserError, listed
from rnnscope.models.repeatable import CrossEntropy, seeded
from rnnscope.store.inputs import Inputs
from rnnscope.store.stage import Figures
from rnnscope.store.tables import Column, Null, Table, by_column
from rnnscope.terminal import bar

log = logging.getLogger(__name__)

_DIVERGED = Null("it is not finite: training diverged")
_LOSS = (
    "cross-entropy in nats, or of numeric targets the squared error; where timesteps have their "
    "own labels or targets, over valid timesteps"
)

HISTORY = Table(
    "history",
    "validation during training, and one at its end",
    (
        Column("step", "number of batches so far"),
        Column("seconds", "seconds since training started"),
        Column(
            "accuracy",
            "share of correct predictions on the training batches since the row before; only where "
            "there are classes",
        ),
        Column(
            "loss",
            f"mean loss on the training batches since the row before: {_LOSS}",
            nulls=(_DIVERGED,),
        ),
        Column(
            "val_accuracy",
            "share of correct predictions on the validation split; only where there are classes "
            "and a validation split",
        ),
        Column(
            "val_loss",
            f"mean loss on the validation split, where there is one: {_LOSS}",
            nulls=(_DIVERGED,),
        ),
    ),
)
TABLES = (HISTORY,)

REDUCTION = "mean_with_sample_weight"
"""Of losses: the mean over what has a weight other than 0."""


def run(config: Config, inputs: Inputs, folder: Path) -> Figures:
    """Train a model into ``folder``: the model, its history, and TensorBoard's logs.

    The same config gives the same weights, bit for bit on a CPU, and no global state stays changed.

    Args:
        config: the run's config.
        inputs: none.
        folder: where to write.

    Raises:
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
        history = fit(model, dataset, config, folder / "tensorboard")
    model.save(folder / models.MODEL)
    HISTORY.write(history, folder)
    kept: dict[str, Any] = _of_kept_weights(history, config.train)
    return {
        "rows": len(history),
        "null": {HISTORY.name: by_column(HISTORY.nulls(history, history))},
        "headline": {
            "steps": int(history["step"].max()) if len(history) else 0,
            "parameters": model.count_params(),
            **{name: float(kept[name]) for name in ("loss", "val_accuracy") if name in kept},
        },
    }


def _of_kept_weights(history: pd.DataFrame, train: Train) -> dict[str, Any]:
    """The row of the history at which the model had the weights that are kept."""
    if history.empty:
        return {}
    row = history["val_loss"].idxmin() if train.restore_best else history.index[-1]
    return history.loc[row].to_dict()


def fit(model: keras.Model, dataset: Dataset, config: Config, logs: Path) -> pd.DataFrame:
    """Fit in place; returns the history, one row per validation, none for 0 steps.

    The loss is the cross-entropy in nats, of numeric targets the mean squared error; where each
    timestep has its own label or target, a batch's loss is the mean over its valid timesteps.
    """
    assert dataset.train is not None
    numeric = dataset.train.numeric
    stock = (
        keras.losses.MeanSquaredError(reduction=REDUCTION)
        if numeric
        else keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=REDUCTION)
    )
    optimizer = keras.optimizers.Adam(config.train.learning_rate)
    history = pd.DataFrame({"step": pd.Series(dtype="int64")})
    _compile(model, optimizer, stock if numeric else CrossEntropy(reduction=REDUCTION), numeric)
    if config.train.steps > 0:
        history = _fit(model, dataset, dataset.train, config, logs)
    _compile(model, optimizer, stock, numeric)  # saved with a loss that Keras can load
    return history


def _compile(
    model: keras.Model, optimizer: keras.optimizers.Optimizer, loss: keras.Loss, numeric: bool
) -> None:
    accuracy = [] if numeric else [keras.metrics.SparseCategoricalAccuracy("accuracy")]
    model.compile(optimizer, loss, weighted_metrics=accuracy)


def _fit(
    model: keras.Model, dataset: Dataset, split: Split, config: Config, logs: Path
) -> pd.DataFrame:
    """Fit a compiled model for at least one step; returns the history."""
    train = config.train
    batches = Batches(model, split, train.batch_size, config.seed)
    recorder = HistoryRecorder(train.steps)
    callbacks = [recorder, keras.callbacks.TensorBoard(str(logs), write_graph=False)]
    if dataset.val is not None:
        callbacks.append(
            keras.callbacks.EarlyStopping(
                "val_loss",
                patience=train.patience or train.steps,
                restore_best_weights=train.restore_best,
            )
        )
    elif train.patience or train.restore_best:
        raise UserError(
            "train.patience and train.restore_best need validation sequences: "
            "raise data.validation_fraction above 0"
        )
    every = min(train.validate_every, train.steps)
    model.fit(
        streamed(model, batches),
        steps_per_epoch=every,
        epochs=-(-train.steps // every),
        validation_data=_whole(model, dataset.val),
        callbacks=callbacks,
        shuffle=False,
        verbose=0,
    )
    return pd.DataFrame(recorder.rows)


class Batches:
    """Endless batches; the order of each pass over the data is drawn from the seed."""

    def __init__(self, model: keras.Model, split: Split, size: int, seed: int):
        self.model, self.split, self.size, self.seed = model, split, min(size, len(split)), seed
        self.per_pass = len(split) // self.size
        self.order = (-1, np.arange(0))

    def __getitem__(self, number: int) -> tuple[Any, ...]:
        """Batch number ``number`` of the training, from 0, as ``examples`` gives it."""
        turn, place = divmod(number, self.per_pass)
        if turn != self.order[0]:
            self.order = turn, np.random.default_rng((self.seed, turn)).permutation(len(self.split))
        chosen = self.order[1][place * self.size : (place + 1) * self.size]
        return examples(self.model, self.split.take(chosen))


def examples(model: keras.Model, batch: Batch) -> tuple[Any, ...]:
    """A batch as ``fit`` takes it: inputs, labels or targets, and weights where there is padding.

    Labels are classes [B] or [B, T], targets numbers [B, 1] or [B, T, 1], as the model's outputs.
    Weights [B, T] are 0 for padding.
    """
    assert batch.y is not None
    y = batch.y[..., np.newaxis] if batch.y.dtype.kind == "f" else batch.y
    padded = batch.y.ndim == 2 and batch.lengths is not None
    weights = (batch.valid.astype(np.float32),) if padded else ()
    return models.inputs(model, batch), y, *weights


class HistoryRecorder(keras.callbacks.Callback):
    """Keeps the history, shows progress, and stops after exactly ``steps`` batches."""

    def __init__(self, steps: int):
        super().__init__()
        self.steps, self.done = steps, 0
        self.rows: list[dict[str, float]] = []
        self.started = time.perf_counter()
        self.bar = bar(total=steps, unit="step", desc="train")

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Count the batch, and stop if it was the last."""
        self.done += 1
        self.bar.update()
        if self.done == self.steps:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Add a row to the history."""
        seconds = round(time.perf_counter() - self.started, 3)
        self.rows.append({"step": self.done, "seconds": seconds, **(logs or {})})
        self.bar.set_postfix({name: f"{value:.3f}" for name, value in (logs or {}).items()})

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Close the progress bar."""
        self.bar.close()


def streamed(model: keras.Model, batches: Batches) -> tf.data.Dataset:
    """The batches as an endless tf.data stream."""
    first = batches[0]
    free = models.sequence_shape(model)[0] is None
    timesteps = batches.split.timesteps

    def spec(values: Any) -> tf.TensorSpec:
        """Any number of sequences, and any length where the model takes any."""
        shape = [None if free and n == timesteps else n for n in values.shape[1:2]]
        return tf.TensorSpec([None, *shape, *values.shape[2:]], values.dtype)

    def endless() -> Iterator[tuple[Any, ...]]:
        return (batches[number] for number in itertools.count())

    signature = (models.signature(model), *map(spec, first[1:]))
    stream = tf.data.Dataset.from_generator(endless, output_signature=signature)
    return _untuned(stream.prefetch(2))


def _untuned(stream: tf.data.Dataset) -> tf.data.Dataset:
    """The stream without its tuning thread, for which its release waits up to a minute."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return stream.with_options(options)


def _whole(model: keras.Model, split: Split | None) -> Any:
    """A split as ``fit`` takes its validation data."""
    if split is None:
        return None
    values = examples(model, split.take(slice(None)))
    return _untuned(tf.data.Dataset.from_tensor_slices(values).batch(512))
