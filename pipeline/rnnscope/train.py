"""Stage train: a new network, fitted by Keras' own ``fit``, seeded and repeatable."""

import itertools
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
from rnnscope.errors import UserError
from rnnscope.store.stage import Figures, Inputs
from rnnscope.store.tables import table_file
from rnnscope.terminal import bar


def run(config: Config, inputs: Inputs, folder: Path) -> Figures:
    """Train a model into ``folder``: the model, its history, and TensorBoard's logs."""
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(config.seed)
    dataset = data.load(config.data)
    if dataset.train is None or dataset.train.y is None:
        raise UserError(
            f"data={config.data.name} has no labelled training sequences (x_train and y_train, "
            "or split=train): train elsewhere and give model=file, or add them"
        )
    assert isinstance(config.model, Recurrent)
    model = models.build(config.model, dataset)
    history = fit(model, dataset, config, folder / "tensorboard")
    model.save(folder / models.MODEL)
    history.to_parquet(table_file(folder, "history"), index=False)
    kept: dict[str, Any] = _of_kept_weights(history, config.train)
    return {
        "rows": len(history),
        "headline": {
            "steps": int(history["step"].max()) if len(history) else 0,
            "parameters": model.count_params(),
            **{name: float(kept[name]) for name in ("loss", "val_accuracy") if name in kept},
        },
    }


def _of_kept_weights(history: pd.DataFrame, train: Train) -> dict[str, Any]:
    """The row of the history at which the weights were those that are kept."""
    if history.empty:
        return {}
    row = history["val_loss"].idxmin() if train.restore_best else history.index[-1]
    return history.loc[row].to_dict()


def fit(model: keras.Model, dataset: Dataset, config: Config, logs: Path) -> pd.DataFrame:
    """Fit in place. Returns the history, one row per validation.

    Columns: step (batches so far), seconds (since the start), loss and for classes accuracy (means
    over the batches since the row before), val_loss and val_accuracy where there is a validation
    split. The loss is the cross-entropy in nats, of numeric targets the mean squared error; where
    each timestep has its own label or target, a batch's loss is the mean over its valid timesteps.
    """
    train = config.train
    assert dataset.train is not None
    reduction = "mean_with_sample_weight"
    accuracy = [keras.metrics.SparseCategoricalAccuracy("accuracy")]
    if dataset.train.numeric:
        loss, accuracy = keras.losses.MeanSquaredError(reduction=reduction), []
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction)
    model.compile(keras.optimizers.Adam(train.learning_rate), loss, weighted_metrics=accuracy)
    if train.steps == 0:
        return pd.DataFrame({"step": pd.Series(dtype="int64")})
    batches = Batches(model, dataset.train, train.batch_size, config.seed)
    recorder = Recorder(train.steps)
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
    """Endless batches; each pass over the data has an order of its own, drawn from the seed."""

    def __init__(self, model: keras.Model, split: Split, size: int, seed: int):
        self.model, self.split, self.size, self.seed = model, split, min(size, len(split)), seed
        self.per_pass = len(split) // self.size
        self.order = (-1, np.arange(0))

    def __getitem__(self, number: int) -> tuple[Any, ...]:
        """Batch ``number`` from the start of training, as ``examples`` gives it."""
        turn, place = divmod(number, self.per_pass)
        if turn != self.order[0]:
            self.order = turn, np.random.default_rng((self.seed, turn)).permutation(len(self.split))
        chosen = self.order[1][place * self.size : (place + 1) * self.size]
        return examples(self.model, self.split.take(chosen))


def examples(model: keras.Model, batch: Batch) -> tuple[Any, ...]:
    """A batch as ``fit`` takes it: inputs, what is to be learnt, and weights where some is padding.

    That is classes [B] or [B, T], or numbers [B, 1] or [B, T, 1], as the model gives them. Weights
    [B, T] are 0 for padding.
    """
    assert batch.y is not None
    y = batch.y[..., np.newaxis] if batch.y.dtype.kind == "f" else batch.y
    padded = batch.y.ndim == 2 and batch.lengths is not None
    weights = (batch.valid.astype(np.float32),) if padded else ()
    return models.inputs(model, batch), y, *weights


class Recorder(keras.callbacks.Callback):
    """Keep the history, show progress, and stop after exactly ``steps`` batches."""

    def __init__(self, steps: int):
        super().__init__()
        self.steps, self.done = steps, 0
        self.rows: list[dict[str, float]] = []
        self.started = time.perf_counter()
        self.bar = bar(total=steps, unit="step", desc="train")

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Count, and end the last round early."""
        self.done += 1
        self.bar.update()
        if self.done == self.steps:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Add a row."""
        seconds = round(time.perf_counter() - self.started, 3)
        self.rows.append({"step": self.done, "seconds": seconds, **(logs or {})})
        self.bar.set_postfix({name: f"{value:.3f}" for name, value in (logs or {}).items()})

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Close the progress bar."""
        self.bar.close()


def streamed(model: keras.Model, batches: Batches) -> tf.data.Dataset:
    """The batches as TensorFlow takes them, endless."""
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
    """Without the thread that tunes a stream: who lets go of it waits for that, up to a minute."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return stream.with_options(options)


def _whole(model: keras.Model, split: Split | None) -> Any:
    """A split as ``fit`` takes its validation data."""
    if split is None:
        return None
    values = examples(model, split.take(slice(None)))
    return _untuned(tf.data.Dataset.from_tensor_slices(values).batch(512))
