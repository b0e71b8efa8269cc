"""The states of a model on its way through ``fit``: one recording every so many steps."""

import hashlib
import inspect
import uuid
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np

from rnnscope.errors import UserError
from rnnscope.live import stepped
from rnnscope.live.arrays import copied
from rnnscope.live.prepared import Prepared
from rnnscope.live.recording import record


class RecordStates(keras.callbacks.Callback):
    """Records states through training: before the first step, every so many steps, after the last.

    Weights, optimizer, random streams and losses are bit for bit those of a training without it.
    Each recording is a folder named for its step, ``states/step-0000100``, which ``open_states``
    and ``read_states`` take; ``open_steps`` opens them all, and ``measure_steps`` gives unit
    statistics against the step.

    >>> import keras, numpy as np, rnnscope, tempfile
    >>> layers = [keras.layers.LSTM(4, name="lstm"), keras.layers.Dense(2, activation="softmax")]
    >>> model = keras.Sequential([keras.Input((20, 3)), *layers])
    >>> model.compile("adam", "sparse_categorical_crossentropy")
    >>> x = np.random.default_rng(0).normal(size=(64, 20, 3)).astype("float32")
    >>> y = (x[:, 0, 0] > 0).astype(int)
    >>> folder = tempfile.mkdtemp()
    >>> recording = rnnscope.RecordStates(x, every=2, folder=folder, labels=y)
    >>> _ = model.fit(x, y, batch_size=16, callbacks=[recording], verbose=0)
    >>> units = rnnscope.measure_steps(folder, permutations=0)
    >>> units.groupby("step")["eta2"].count()
    step
    0    24
    2    24
    4    24
    Name: eta2, dtype: int64

    A step is a batch that the model was trained on. Steps count on from those that its optimizer
    has taken, and from one call of ``fit`` to the next. Weights are those after the step, not what
    a callback or an average puts in their place in the end. With ``steps_per_execution`` a
    recording is made at the first step at or after each multiple of ``every`` at which Keras calls
    back, and named for it.
    """

    def __init__(
        self,
        x: Any,
        every: int = 100,
        folder: Path | str = "states",
        *,
        overwrite: bool = False,
        **options: Any,
    ):
        """Prepare for one or several calls of ``fit`` of one model.

        Args:
            x: the sequences to record, N, in any form that ``record`` takes; not what the model is
                trained on, unless it is given here too.
            every: steps from one recording to the next.
            folder: where the recordings go. It must be new or empty.
            overwrite: whether recordings of an earlier training in that folder are removed when
                training starts.
            **options: what ``record`` takes besides: labels, signals, layers, units, timesteps,
                lengths, annotations, batch_size, tolerance.

        Raises:
            TypeError: an option that ``record`` does not have.
            rnnscope.errors.UserError: here or when training starts, in one line: an option or x
                that does not fit, or a folder that is not empty. Later it ends the training: a
                weight or a state is not finite, or a residual of the proof past the tolerance.
        """
        super().__init__()
        inspect.signature(record).bind(None, x, **options)
        if isinstance(every, bool) or not isinstance(every, int | np.integer) or every < 1:
            given = every if isinstance(every, int | float | str) else type(every).__name__
            raise UserError(
                f"every={given}: must be a whole number of steps, at least 1 (labels are labels=)"
            )
        self.x, self.every, self.folder = copied(x), int(every), Path(folder).absolute()
        self.overwrite, self.options = overwrite, {n: copied(each) for n, each in options.items()}
        self.folders: dict[int, Path] = {}
        """Of the recordings made so far, by step."""
        self.step = 0
        """Steps so far."""
        self._prepared: Prepared | None = None
        self._training = uuid.uuid4().hex
        self._before = 0  # batches that the optimizer had counted when this training started
        self._start = 0
        self._epoch = 0  # the step at which this epoch started
        self._last_epoch = False
        self._weights = b""

    def on_train_begin(self, logs: Any = None) -> None:
        """Check everything, and record the states before the first step."""
        if self._prepared is None:
            stepped.refuse_folder(self.folder, overwrite=self.overwrite)
            self._prepare()
            stepped.clear(self.folder)
        elif self._prepared.model is not self.model:
            raise UserError(
                f"folder={self.folder}: holds the states of model '{self._prepared.model.name}'; "
                f"give model '{self.model.name}' a RecordStates of its own, with another folder"
            )
        else:  # what its layers read from Python may have changed between fits
            self._prepare()
        self._before = _counted(self.model)
        self.step = self._start = self._epoch = max(self.step, self._before)
        if self.step in self.folders and self._digest() != self._weights:
            warnings.warn(
                f"the weights are not those recorded at step {self.step}: something changed them "
                "between two calls of fit; what is recorded from here on starts from them",
                stacklevel=2,
            )
        self._record()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Note where Keras' count of batches starts again."""
        self._epoch = self.step
        self._last_epoch = epoch + 1 == self.params.get("epochs")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Record the states if a multiple of ``every``, or the last step, was reached."""
        before, self.step = self.step, self._now(batch)
        batches = self.params.get("steps")  # of an epoch, where that is known
        last = self._last_epoch and batches is not None and batch + 1 >= batches
        if last or self.step // self.every > before // self.every:
            self._record()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Record the states after the last step, where only the end of the data tells it."""
        if self._last_epoch or self.model.stop_training:
            self._record()

    def on_train_end(self, logs: Any = None) -> None:
        """Record them where a callback behind this one ended the training."""
        if self.step in self.folders:
            return
        if getattr(self.model.optimizer, "use_ema", False):
            warnings.warn(
                f"step {self.step} is not recorded: the optimizer has put averages in place of its "
                "weights; put RecordStates behind the callback that stops training",
                stacklevel=2,
            )
            return
        self._record()

    def _now(self, batch: int) -> int:
        """The step after a batch, of which Keras gives the number in this epoch, from 0.

        Where several are run at once and the data ends between, only the optimizer knows how many.
        """
        taken = _counted(self.model) - self._before
        if self.model.steps_per_execution > 1 and taken > 0:
            return self._start + taken
        return self._epoch + batch + 1

    def _prepare(self) -> None:
        if self._prepared is None:
            self._prepared = Prepared(self.model, self.x, **self.options)
        else:
            self._prepared.trace()

    def _record(self) -> None:
        if self.step in self.folders:
            return
        if self.model.run_eagerly:  # what a graph was traced with may have changed
            self._prepare()
        assert self._prepared is not None
        place = self.folder / stepped.name(self.step)
        artefact = stepped.artefact(self._training, self.step)
        self.folders[self.step] = self._prepared.record().write(place, artefact=artefact)
        self._weights = self._digest()

    def _digest(self) -> bytes:
        """Of the model's weights."""
        digest = hashlib.blake2b()
        for each in self.model.weights:
            digest.update(np.ascontiguousarray(each).tobytes())
        return digest.digest()


def _counted(model: keras.Model) -> int:
    """How many batches a model's optimizer has been given; 0 where it has none.

    Its public count is of changes to the weights, of which there may be one for several batches.
    """
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    return 0 if optimizer is None else int(optimizer._iterations)
