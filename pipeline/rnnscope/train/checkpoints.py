"""The model as it is after certain steps of its training, each in a file beside the final one."""

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import keras

from rnnscope.models.loading import checkpoint_file
from rnnscope.models.saving import save


class Checkpoints(keras.callbacks.Callback):
    """Keeps the model after each of some steps, as a training of so many steps would leave it."""

    def __init__(self, steps: Collection[int], folder: Path, compiled: dict[str, Any]):
        """Prepare for one call of ``fit``.

        Args:
            steps: after which; 0 is before the first.
            folder: where the files go.
            compiled: what ``get_compile_config`` gives of the model compiled as it is saved in the
                end: the loss that it is trained with is none that Keras could load.
        """
        super().__init__()
        self.steps, self.folder, self.compiled = {*steps}, folder, compiled
        self.done = 0
        self.kept: list[int] = []

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Keep the untrained network."""
        self._keep()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Count the batch, and keep the model after it."""
        self.done += 1
        self._keep()

    def _keep(self) -> None:
        if self.done in self.steps:
            with _compiled_as(self.model, self.compiled):
                save(self.model, self.folder / checkpoint_file(self.done))
            self.kept.append(self.done)


@contextlib.contextmanager
def _compiled_as(model: keras.Model, compiled: dict[str, Any]) -> Iterator[None]:
    """While open, the model is saved as if it were compiled like this; its ``fit`` goes on."""
    object.__setattr__(model, "get_compile_config", lambda: compiled)  # unseen by Keras' tracking
    try:
        yield
    finally:
        object.__delattr__(model, "get_compile_config")
