"""Record the test split in memory, batch by batch: its states, its outcome, and its proof."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from rnnscope import models, trace
from rnnscope.config import Extract
from rnnscope.data import Batch, Dataset
from rnnscope.errors import UserError, listed
from rnnscope.extract import finite, judging
from rnnscope.extract.outcome import outcomes
from rnnscope.extract.records import BatchRecord, LayerBatch, Layout, TableRows
from rnnscope.extract.rows import Rows, rows_of
from rnnscope.models.batches import batches
from rnnscope.models.calls import masks_of
from rnnscope.models.feeding import ran
from rnnscope.models.scores import Scores, scores_of
from rnnscope.states import selection
from rnnscope.trace import drawing, proof
from rnnscope.trace.findings import Findings, sample
from rnnscope.trace.loops import state_variables
from rnnscope.trace.steps import gathered

Take = Callable[[str, str, NDArray[Any], NDArray[np.bool_], int], NDArray[Any]]
"""What is kept of a signal: from its layer and name, its values [U, B, T] or [T, B, U], which of
them are rows [B, T], and the number of the first sequence, to the values that are kept. Of files
they are the R rows [U, R]."""

Later = Callable[[Callable[[], Findings]], None]
"""Takes a proof that is still to be made."""


class Recorder:
    """A model made ready to record the test split; it writes nothing.

    Args:
        model: the model.
        dataset: whose test split is recorded.
        options: what of it.
        columns: whether ``Take`` is given values [U, B, T], as files have them, or [T, B, U], as
            they are computed.
    """

    def __init__(
        self, model: keras.Model, dataset: Dataset, options: Extract, *, columns: bool = True
    ):
        self.columns = columns
        self.model, self.dataset, self.options = model, dataset, options
        self.split, self.scores = dataset.test, Scores(None)
        self.paths: dict[str, str] = {}
        self.backward: set[str] = set()  # layers that read backwards
        self.calls: dict[str, proof.Proved] = {}
        self.units: dict[tuple[str, str], list[int]] = {}
        if tf.config.functions_run_eagerly():
            raise UserError(
                "TensorFlow runs functions eagerly, so that none can be traced: call "
                "tf.config.run_functions_eagerly(False) before"
            )
        batch = models.signature(model)
        graph = functools.partial(tf.function, autograph=False)
        self.recorded = graph(self._recorded, input_signature=[batch])
        count = tf.TensorSpec((), tf.int32)
        self.proved = graph(self._proved, input_signature=[batch, count])
        # Traced here, before any thread starts: tracing replaces a method of the layers meanwhile.
        with drawing.watched() as drawn:
            self.graphs = [
                each.get_concrete_function().graph for each in (self.recorded, self.proved)
            ]
        self.streams = drawing.streams_of(model, drawn, self.graphs)
        self.drawn = list({id(each.generator): each.generator.state for each in drawn}.values())
        if not any(self.units.values()):
            raise UserError(
                f"extract.signals={options.signals}, extract.units={options.units}: "
                "nothing of that kind is in the model"
            )

    @functools.cached_property
    def rows(self) -> Rows:
        """Which timesteps are rows; to find it the model is run on a few sequences."""
        return rows_of(self.model, self.split)

    @property
    def layout(self) -> Layout:
        """What its records have in common."""
        layers = {layer for layer, _ in self.units}
        unlabelled = {
            layer
            for layer in layers
            if self.split.per_timestep and not self.rows.labelled(layer, self.split)
        }
        return Layout(dict(self.units), frozenset(self.backward & layers), frozenset(unlabelled))

    @property
    def of_other_time(self) -> list[str]:
        """Layers to whose timesteps labels and annotations of timesteps do not belong."""
        return [name for name in self.layout.layers if not self.rows.known(name, self.split)]

    @property
    def carried(self) -> list[Any]:
        """The variables that go from batch to batch: states of stateful layers, random streams.

        Where there are any, batches are taken in order, in one thread.
        """
        return [*state_variables(self.model), *self.streams.variables]

    @contextlib.contextmanager
    def from_zero(self) -> Iterator[None]:
        """While open, stateful layers go on from zero states; ``carried`` is as before then."""
        kept = [(each, each.numpy()) for each in self.carried]
        try:
            for variable in state_variables(self.model):
                variable.assign(variable * 0)
            yield
        finally:
            for variable, values in kept:
                variable.assign(values)

    def passed(self, inputs: Any) -> tuple[Any, Any, Any]:
        """A pass over inputs: each layer's signals [U, B, T] and mask; outputs; masks made."""
        recorded, outputs, masks = self.recorded(inputs)
        if not self.columns:
            recorded = {
                layer: ({name: tf.transpose(x, (2, 1, 0)) for name, x in signals.items()}, mask)
                for layer, (signals, mask) in recorded.items()
            }
        return recorded, outputs, masks

    def record(
        self, start: int, stop: int, take: Take | None = None, later: Later | None = None
    ) -> Iterator[BatchRecord]:
        """Record a part, start <= number < stop, batch by batch; its first sequences are proved.

        Args:
            start: the first sequence.
            stop: one past the last.
            take: keeps the values; by default they are given back as rows, which takes columns.
            later: takes the proof, to make and to judge it; by default both are done here.

        Raises:
            UserError: a state or an output that is not finite, a residual past the tolerance, or a
                sequence without timesteps.
        """
        first, sequences = start, range(start, stop)
        for batch, size in batches(self.model, self.split, sequences, self.options.batch_size):
            proves = first == start
            yield self._batch(batch, size, first, take or _rows, later, proves=proves)
            first += size

    def _batch(
        self,
        batch: Batch,
        size: int,
        first: int,
        take: Take,
        later: Later | None,
        *,
        proves: bool,
    ) -> BatchRecord:
        """Run one batch through the model, whose first ``size`` sequences count."""
        # A function would make tensors of arrays twice: once to find the graph, once to run it.
        inputs = tf.nest.map_structure(tf.convert_to_tensor, models.inputs(self.model, batch))
        found: Findings = {}
        if proves:
            count = min(size, sample(batch.x.shape[1]))
            recorded, output, masks, compared = ran(self.model, self.proved, inputs, count)
            prove = functools.partial(proof.proof, self.calls, compared, first)
        else:
            recorded, output, masks = ran(self.model, self.recorded, inputs)
        told = {name: _array(each)[:size] for name, each in masks.items()}
        longest, layers, unmasked, lost = np.zeros(size, np.int32), {}, set(), {}
        for layer, (signals, mask) in recorded.items():
            valid, without = self._valid(layer, signals, mask, batch)
            valid = valid[:size]
            if without:
                unmasked.add(layer)
            if mask is None and (maker := self.rows.lost(layer, valid.shape[1], batch, told)):
                lost[layer] = maker
            longest = np.maximum(longest, valid.sum(axis=1, dtype=np.int32))
            kept = selection.timesteps_of(valid, self.options.timesteps, layer in self.backward)
            layers[layer] = LayerBatch(kept, {})
            there = {name: _array(values)[:, :size] for name, values in signals.items()}
            in_time = {
                name: values.transpose(2, 1, 0) if self.columns else values
                for name, values in there.items()
            }
            known = self.paths[layer] == "fused" and finite.known_finite(
                in_time, kept, backwards=layer in self.backward
            )
            for signal, values in there.items():
                taken = take(layer, signal, values, kept, first)
                if not (known or finite.all_finite(taken)):
                    units = self.units[layer, signal]
                    finite.refuse_states(layer, signal, in_time[signal], kept, units, first)
                layers[layer].signals[signal] = taken
        if proves and later is not None:  # of states that are not finite it would say less
            later(prove)
        elif proves:
            judging.check(found := prove(), self.options.tolerance)
        if not longest.all():
            empty = first + int(longest.argmin())
            raise UserError(f"sequence {empty} of the test split: no timestep is left of it")
        given = batch.cut(slice(size))
        scored = _array(output)[:size]
        sequences, steps = outcomes(scored, given, longest, first, self.scores.kind)
        sequences = self._named(sequences, first)
        labels = None if self.split.numeric else given.y
        return BatchRecord(first, layers, labels, sequences, steps, found, unmasked, lost)

    def _named(self, sequences: TableRows, first: int) -> TableRows:
        """Rows of table sequences with their names and groups, where the data has them."""
        part = slice(first, first + len(sequences["sequence"]))
        named = {"sequence": sequences["sequence"]}
        if self.split.ids is not None:
            named["id"] = self.split.ids[part]
        if self.split.groups is not None:
            named["group"] = self.split.groups[part]
        return named | sequences

    def _valid(
        self, layer: str, signals: dict[str, Any], mask: Any, batch: Batch
    ) -> tuple[NDArray[np.bool_], bool]:
        """Which timesteps of a layer are rows [B, T]; whether lengths tell what no mask does."""
        shape = next(iter(signals.values())).shape
        sequences, timesteps = shape[1], shape[2 if self.columns else 0]
        if sequences != len(batch.x):
            raise UserError(
                f"layer '{layer}': runs on {sequences} sequences where the data has {len(batch.x)}"
            )
        own = None if mask is None else _array(mask)
        return self.rows.valid(layer, timesteps, own, batch)

    def _recorded(self, inputs: Any) -> tuple[Any, Any, Any]:
        """Of a batch: each layer's chosen signals and mask; outputs; masks made."""
        with trace.recording(self.model) as traced, masks_of(self.model) as masks:
            outputs = self.model(inputs, training=False)
        return *self._kept(traced, outputs), masks

    def _proved(self, inputs: Any, count: Any) -> tuple[Any, Any, Any, Any]:
        """The same, and what the proof compares of its first ``count`` sequences."""
        with trace.recording(self.model) as traced, masks_of(self.model) as masks:
            outputs = self.model(inputs, training=False)
        self.calls = proof.calls_of(traced)
        return *self._kept(traced, outputs), masks, gathered(traced, count)

    def _kept(self, traced: trace.Trace, outputs: Any) -> tuple[Any, Any]:
        """What is kept of a pass."""
        self.paths = {name: layer.path for name, layer in traced.layers.items()}
        self.backward = {name for name, layer in traced.layers.items() if layer.reading.backwards}
        chosen = {}
        layers = selection.only("extract.layers", traced.layers, self.options.layers)
        _refuse_unknown(layers, self.options)
        for name, layer in layers.items():
            signals = {
                signal: self._columns(name, signal, values)
                for signal, values in selection.picked(layer.signals, self.options.signals).items()
                if any(unit < values.shape[2] for unit in self.options.units or [0])
            }
            if signals:
                chosen[name] = (signals, layer.reading.mask)
        self.scores = scores_of(outputs, self.dataset)
        return chosen, tf.cast(tf.nest.flatten(outputs)[self.scores.output], tf.float32)

    def _columns(self, layer: str, signal: str, values: Any) -> Any:
        """A signal [T, B, U] as columns of its chosen units [U', B, T], or as it is; float32."""
        units = list(range(values.shape[2]))
        if self.options.units is not None:
            units = [unit for unit in self.options.units if unit < len(units)]
            values = tf.gather(values, units, axis=2)
        self.units[layer, signal] = units
        return tf.cast(tf.transpose(values, (2, 1, 0)) if self.columns else values, tf.float32)


def _refuse_unknown(layers: dict[str, trace.LayerTrace], options: Extract) -> None:
    """Raise where none of the layers has any of the signals, or any of the units."""
    there = {signal: None for layer in layers.values() for signal in layer.signals}
    if options.signals and there.keys().isdisjoint(options.signals):
        selection.only("extract.signals", there, options.signals)
    units = {name: next(iter(each.signals.values())).shape[2] for name, each in layers.items()}
    if min(options.units or [0]) >= max(units.values()):
        counts = listed(f"{count} in {name}" for name, count in units.items())
        raise UserError(f"extract.units={options.units}: counted from 0, there are {counts}")


def _rows(
    layer: str, signal: str, values: NDArray[Any], kept: NDArray[np.bool_], first: int
) -> NDArray[np.float32]:
    """The rows of a signal [U, B, T]."""
    return selection.chosen_rows(values, kept)


def _array(tensor: Any) -> NDArray[Any]:
    """A tensor's values, not copied."""
    return np.asarray(memoryview(tensor))
