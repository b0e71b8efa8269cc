"""What is watched while a model is fitted: its history, its progress, and whether it diverges."""

import math
import time

import keras
import pandas as pd
import tensorflow as tf

from rnnscope.models.finite import all_finite, not_finite
from rnnscope.terminal import bar


class Diverged(Exception):  # noqa: N818
    """The loss or a weight is not finite any more."""

    def __init__(self, step: int, what: str):
        super().__init__(f"step {step}: {what}")
        self.step, self.what = step, what
        self.history = pd.DataFrame()
        """Up to this step, filled in by ``fit``."""


class Watch(keras.callbacks.Callback):
    """Keeps the history, shows progress, and stops after exactly ``steps`` batches.

    Raises:
        Diverged: after the step at which the loss or a weight is not finite.
    """

    def __init__(self, steps: int):
        super().__init__()
        self.steps, self.done = steps, 0
        self.first = math.nan
        """The loss of the first batch."""
        self.rows: list[dict[str, float]] = []
        self.seconds: list[float] = []
        """Of each row, since training started."""
        self.started = time.perf_counter()
        self.bar = bar(total=steps, unit="step", desc="train")

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Compile the test of the weights, of which each step has a call."""
        weights = [each.value for each in self.model.trainable_variables]
        self.sound = tf.function(lambda: all_finite(weights), autograph=False)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Count the batch, and stop if it was the last, or if training diverged."""
        self.done += 1
        self.bar.update()
        loss = float((logs or {}).get("loss", 0.0))
        if self.done == 1:
            self.first = loss
        if not math.isfinite(loss):
            self._diverged(f"the loss is {loss}", logs)
        if not self.sound():
            found = not_finite(self.model.trainable_variables)
            self._diverged(f"{', '.join(found)} is not finite", logs)
        if self.done == self.steps:
            self.model.stop_training = True

    def _diverged(self, what: str, logs: dict[str, float] | None) -> None:
        """End training with a last row of the history."""
        self._keep(logs)
        self.bar.close()
        raise Diverged(self.done, what)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Add a row to the history."""
        self._keep(logs)
        self.bar.set_postfix({name: f"{value:.3f}" for name, value in (logs or {}).items()})

    def _keep(self, logs: dict[str, float] | None) -> None:
        self.seconds.append(round(time.perf_counter() - self.started, 3))
        self.rows.append({"step": self.done, **(logs or {})})

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Close the progress bar."""
        self.bar.close()


class LowestLoss(keras.callbacks.EarlyStopping):
    """Keras' early stopping, for which a validation loss of NaN is the worst and not the best."""

    def get_monitor_value(self, logs: dict[str, float] | None) -> float:
        """The validation loss; infinite where it is NaN."""
        value = float((logs or {})[self.monitor])
        return math.inf if math.isnan(value) else value
