"""The validation loss where sequences of several lengths have labels or targets of timesteps.

Keras weights the batches of a validation by their sequences. Where these differ in length, that is
not the mean over timesteps, and it depends on the order of the sequences.
"""

from typing import Any

import keras

from rnnscope.data import Split

NAME = "over_timesteps"


def over_timesteps(val: Split | None, numeric: bool) -> list[keras.Metric]:
    """The loss as a metric, whose mean is over all valid timesteps, where Keras' own is another."""
    if val is None or not val.per_timestep or val.lengths is None:
        return []
    if numeric:
        return [keras.metrics.MeanSquaredError(NAME)]
    return [keras.metrics.SparseCategoricalCrossentropy(NAME, from_logits=True)]


class ValidTimesteps(keras.callbacks.Callback):
    """Puts that metric in the place of the validation loss, before other callbacks look at it."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Rename what the callbacks share."""
        if logs is not None and logs.pop(NAME, None) is not None:
            logs["val_loss"] = logs.pop(f"val_{NAME}")

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Leave the metric out."""
        if logs is not None:
            logs.pop(NAME, None)
