"""A model and sequences made ready to be recorded, any number of times."""

import contextlib
import threading
import warnings
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import tensorflow as tf

from rnnscope.config import Extract
from rnnscope.errors import UserError, listed
from rnnscope.extract import fit, mixing
from rnnscope.extract.notes import parts_of
from rnnscope.extract.recorder import Recorder
from rnnscope.extract.warning import Noticed, noticed
from rnnscope.live import before, given
from rnnscope.live.about import About
from rnnscope.live.filling import Filling
from rnnscope.live.held import Held
from rnnscope.live.options import as_list, chosen
from rnnscope.live.proving import Proving
from rnnscope.live.states import States
from rnnscope.live.wording import in_keywords, logged_as_warnings, outside, spoken
from rnnscope.models.batches import fixed_batch
from rnnscope.models.feeding import sequence_shapes
from rnnscope.models.finite import not_finite
from rnnscope.terminal import bar
from rnnscope.trace.equations import IN_ONE_THREAD
from rnnscope.trace.findings import Findings, sample

VALUES = "extract/default.yaml"
_ASKING = threading.Lock()
_TURNS: weakref.WeakKeyDictionary[keras.Model, Any] = weakref.WeakKeyDictionary()
PATIENCE = 2.0
"""Seconds of work that need no progress bar."""


class Prepared:
    """A model and sequences, checked and traced once; ``record`` gives the states as they are now.

    It takes what ``rnnscope.record`` takes. The weights may change between recordings.
    """

    def __init__(self, model: keras.Model, x: Any, **options: Any):
        _refuse_foreign(model)
        self.model = model
        told = {name: options.pop(name, None) for name in ("lengths", "labels", "annotations")}
        options["units"] = as_list(options.get("units"))
        self.options = chosen(Extract, VALUES, options)
        self.names: list[str] = []
        self.annotations: list[str] = []
        with self.open():
            self.names += sequence_shapes(model)
            self.names += [str(name) for name in x] if isinstance(x, Mapping) else []
            self.annotations += _names_in(told["annotations"])
            with logged_as_warnings(self.annotations):
                self.dataset = given.dataset_of(model, x, **told)
        self.trace()

    def trace(self) -> None:
        """Check the model as it is now, and trace its passes.

        Raises:
            UserError: as ``rnnscope.record`` does.
        """
        model, test = self.model, self.dataset.test
        with self.open() as kept:
            fit.refuse_misfit(model, test, len(test))
            self.recorder = Recorder(model, self.dataset, self.options, columns=False)
            # Known from its graphs before anything is run.
            self.written = [*self.recorder.drawn, *before.written(self.recorder.graphs)]
            kept.add(self.written)
            mixing.refuse(model, test)
            longest, _ = self.recorder.rows.most(test, len(test))
        fixed = fixed_batch(model)
        self.parts = parts_of(len(test), longest, self.options.part_rows, fixed)

    def record(self) -> States:
        """The states of the model with the weights that it has now.

        Raises:
            UserError: as ``rnnscope.record`` does.
        """
        count, recorder = len(self.recorder.split), self.recorder
        into = Filling(count, recorder.layout, self.options.timesteps)
        unmasked: set[str] = set()
        lost: dict[str, str] = {}
        with self.open() as kept:
            self.refuse_broken()
            kept.add(self.written)
            with (
                Proving(self.options.tolerance) as proving,
                recorder.from_zero(),
                _progress(count) as progress,
            ):
                for part in self.parts:
                    for batch in recorder.record(part.start, part.stop, into.take, proving.later):
                        into.add(batch)
                        unmasked |= batch.unmasked
                        lost |= batch.lost
                        progress.update(len(batch.sequences["sequence"]))
                findings = proving.findings()
            about = noticed(recorder, unmasked, lost)
        self.warn(about)
        return States(self._held(into, findings, about.unmasked))

    def warn(self, about: Noticed) -> None:
        """Warn of what was noticed, in the words of the user's call."""
        for line in about.warnings:
            said = spoken(line, self.names, self.annotations)
            warnings.warn(said, stacklevel=outside())

    @contextlib.contextmanager
    def open(self) -> Iterator[before.Kept]:
        """While open, the model may be run, also from within a ``tf.function``, by one thread."""
        with (
            _turn(self.model),
            tf.init_scope(),
            in_keywords(self.names, self.annotations),
            before.as_before(self.model) as kept,
        ):
            token = IN_ONE_THREAD.set(True)
            try:
                yield kept
            finally:
                IN_ONE_THREAD.reset(token)

    def refuse_broken(self) -> None:
        """Raise for a model from whose weights no number could be computed."""
        if found := not_finite(self.model.weights):
            raise UserError(
                f"model '{self.model.name}': {len(found)} of its {len(self.model.weights)} "
                f"variables hold NaN or an infinity ({listed(found)}): its training diverged"
            )

    def _held(self, into: Filling, findings: Findings, unmasked: list[str]) -> Held:
        recorder, test = self.recorder, self.recorder.split
        proved = sum(min(sample(test.timesteps), each.stop - each.start) for each in self.parts)
        return into.done(
            About(
                layout=recorder.layout,
                parts=tuple(self.parts),
                options=self.options,
                findings=findings,
                paths=dict(recorder.paths),
                classes=recorder.dataset.classes,
                labels=test.labels,
                annotations=tuple(test.steps),
                steps=test.per_timestep or bool(test.steps),
                other_time=tuple(recorder.of_other_time),
                unmasked=tuple(unmasked),
                draws=tuple(recorder.streams.layers),
                no_scores=recorder.scores.why_not or None,
                proved=proved,
            )
        )


def _turn(model: keras.Model) -> Any:
    """Held while a thread records a model: another that records it too waits for its turn."""
    with _ASKING:
        return _TURNS.setdefault(model, threading.RLock())


def _refuse_foreign(model: Any) -> None:
    """Raise for what is no model of Keras 3 on TensorFlow that has its weights."""
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    if not isinstance(model, keras.Model):
        raise UserError(f"model is a {kind}; must be a keras.Model, of Keras 3")
    if keras.backend.backend() != "tensorflow":
        raise UserError(
            f"Keras runs on {keras.backend.backend()} here; set the environment variable "
            "KERAS_BACKEND=tensorflow before Keras is imported"
        )
    if not model.built:
        raise UserError(
            f"model '{model.name}' has no weights yet: call it once on some of x, model(x[:1]), "
            "or give it a keras.Input"
        )


@contextlib.contextmanager
def _progress(count: int) -> Iterator[Any]:
    """A progress bar over sequences, in a notebook its own kind; none for short work."""
    with bar(total=count, desc="record", unit="sequence", delay=PATIENCE) as progress:
        yield progress


def _names_in(annotations: Any) -> list[str]:
    """The names of annotations; none in what is no dictionary or list, which is refused later."""
    if isinstance(annotations, str):
        return [annotations]
    return list(map(str, annotations)) if isinstance(annotations, Mapping | list | tuple) else []
