"""Record one part of the test split: its states on disk, its outcome, and its proof."""

import functools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from numpy.typing import NDArray

from rnnscope import models, states, trace
from rnnscope.config import Extract
from rnnscope.data import Batch, Dataset
from rnnscope.errors import UserError, listed
from rnnscope.extract import finite, judging, notes
from rnnscope.extract.notes import Note, Part
from rnnscope.extract.outcome import SCORED, outcomes
from rnnscope.extract.records import Columns, PartRecord
from rnnscope.extract.rows import rows_of
from rnnscope.models.batches import batches
from rnnscope.models.calls import masks_of
from rnnscope.models.feeding import ran
from rnnscope.models.scores import Scores, scores_of
from rnnscope.states import selection
from rnnscope.store import partials, sources
from rnnscope.store.contents import Content
from rnnscope.store.sources import Source
from rnnscope.trace import drawing, proof, steps
from rnnscope.trace.findings import sample

EXACT_IN_FLOAT16 = 2048
"""The largest whole number up to which float16 holds all of them."""


class Recorder:
    """A model made ready to record the test split into a folder."""

    def __init__(
        self,
        model: keras.Model,
        dataset: Dataset,
        options: Extract,
        folder: Path,
        workers: int = 1,
        read: tuple[Source, ...] = (),
    ):
        # Signals are encoded side by side, also while other parts are being computed.
        self.writers = ThreadPoolExecutor(workers)
        self.model, self.dataset, self.options, self.folder = model, dataset, options, folder
        self.read = read  # the user's files that the model and the data came from
        self.split = dataset.test
        self.scores = Scores(None)
        self.rows = rows_of(model, self.split)
        self.paths: dict[str, str] = {}
        self.backward: set[str] = set()  # layers that read backwards
        self.calls: dict[str, proof.Proved] = {}
        self.units: dict[tuple[str, str], list[int]] = {}
        batch = models.signature(model)
        graph = functools.partial(tf.function, autograph=False)
        self.recorded = graph(self._recorded, input_signature=[batch])
        count = tf.TensorSpec((), tf.int32)
        self.proved = graph(self._proved, input_signature=[batch, count])
        # Traced here, before any thread starts: tracing replaces a method of the layers meanwhile.
        with drawing.watched() as drawn:
            graphs = [each.get_concrete_function().graph for each in (self.recorded, self.proved)]
        self.streams = drawing.streams_of(model, drawn, graphs)
        self.layers = states.by_layer(self.units)
        self.places = states.folders(self.layers)

    def part(self, part: Part) -> Note:
        """Record one part, unless it is finished. Returns its rows, bytes, proof and scores.

        Scores are sums over its sequences.
        """
        if (known := notes.read(self.folder, part)) is not None:
            return known
        found = self._run(part)
        labels = np.concatenate(found.labels) if found.labels else None
        rows = 0
        writing = []
        for layer, columns in found.columns.items():
            labelled = not self.split.per_timestep or self.rows.labelled(layer, self.split)
            of_rows, backward = labels if labelled else None, layer in self.backward
            keys = selection.keys_of(part.start, columns.kept, of_rows, backward)
            rows = max(rows, len(keys.sequence))
            for signal in list(columns.signals):
                # No reference is kept here, so that its memory is freed as soon as it is written.
                values = columns.signals.pop(signal)
                writing.append(self.writers.submit(self._write, part, layer, signal, values, keys))
                del values
        files = dict(done.result() for done in writing)
        sequences = pd.concat(found.sequences)
        if self.split.ids is not None:
            sequences.insert(1, "id", self.split.ids[part.start : part.stop])
        if self.split.groups is not None:
            place = sequences.columns.get_loc("length")
            sequences.insert(place, "group", self.split.groups[part.start : part.stop])
        tables = {states.SEQUENCES: sequences}
        if found.steps:
            tables[states.STEPS] = pd.concat(found.steps)
        scores = {name: float(np.sum(sequences[name])) for name in SCORED if name in sequences}
        figures = {
            "rows": rows,
            "states_bytes": sum(content.bytes for content in files.values()),
            "proof": {
                layer: {kind: asdict(worst) for kind, worst in kinds.items()}
                for layer, kinds in found.proof.items()
            },
            "without_mask": sorted(found.unmasked),
            "mask_lost": found.lost,
            "scores": scores,
        }
        sources.check(self.read)
        partials.check(self.folder)
        return notes.write(self.folder, part, figures, files, tables)

    def _run(self, part: Part) -> PartRecord:
        """Run one part through the model."""
        found = PartRecord()
        first = part.start
        sequences, most = range(part.start, part.stop), self.options.batch_size
        for batch, size in batches(self.model, self.split, sequences, most):
            inputs = models.inputs(self.model, batch)
            if not found.proof:
                count = min(size, sample(batch.x.shape[1]))
                recorded, output, masks, gathered = ran(self.model, self.proved, inputs, count)
                found.proof = proof.proof(self.calls, gathered, first)
            else:
                recorded, output, masks = ran(self.model, self.recorded, inputs)
            told = {name: _array(each)[:size] for name, each in masks.items()}
            longest = np.zeros(size, np.int32)
            for layer, (signals, mask) in recorded.items():
                valid = self._valid(layer, signals, mask, batch, size, found)
                if mask is None and (maker := self.rows.lost(layer, valid.shape[1], batch, told)):
                    found.lost[layer] = maker
                longest = np.maximum(longest, valid.sum(axis=1, dtype=np.int32))
                kept = selection.timesteps_of(valid, self.options.timesteps, layer in self.backward)
                into = found.columns.setdefault(layer, Columns())
                into.kept.append(kept)
                for signal, values in signals.items():
                    rows = selection.chosen_rows(_array(values)[:, :size], kept)
                    units = self.units[layer, signal]
                    finite.refuse_states(layer, signal, rows, kept, units, first)
                    into.signals.setdefault(signal, []).append(rows)
            if first == part.start:  # of states that are not finite it would say less
                judging.check(found.proof, self.options.tolerance)
            if not longest.all():
                empty = first + int(longest.argmin())
                raise UserError(f"sequence {empty} of the test split: no timestep is left of it")
            if batch.y is not None and not self.split.numeric:
                found.labels.append(batch.y[:size])
            given = batch.cut(slice(size))
            sequences, steps = outcomes(
                _array(output)[:size], given, longest, first, self.scores.kind
            )
            found.sequences.append(sequences)
            if steps is not None:
                found.steps.append(steps)
            first += size
        return found

    def _valid(
        self,
        layer: str,
        signals: dict[str, Any],
        mask: Any,
        batch: Batch,
        size: int,
        found: PartRecord,
    ) -> NDArray[np.bool_]:
        """Which timesteps of a layer are rows [B, T], of the first B sequences of a batch."""
        _, sequences, timesteps = next(iter(signals.values())).shape
        if sequences != len(batch.x):
            raise UserError(
                f"layer '{layer}': runs on {sequences} sequences where the data has {len(batch.x)}"
            )
        own = None if mask is None else _array(mask)
        valid, unmasked = self.rows.valid(layer, timesteps, own, batch)
        if unmasked:
            found.unmasked.add(layer)
        return valid[:size]

    def _recorded(self, inputs: Any) -> tuple[Any, Any, Any]:
        """Of a batch: each layer's chosen signals [U, B, T] and mask; outputs; masks made."""
        with trace.recording(self.model) as traced, masks_of(self.model) as masks:
            outputs = self.model(inputs, training=False)
        return *self._kept(traced, outputs), masks

    def _proved(self, inputs: Any, count: Any) -> tuple[Any, Any, Any, Any]:
        """The same, and what the proof compares of its first ``count`` sequences."""
        with trace.recording(self.model) as traced, masks_of(self.model) as masks:
            outputs = self.model(inputs, training=False)
        self.calls = proof.calls_of(traced)
        return *self._kept(traced, outputs), masks, steps.gathered(traced, count)

    def _kept(self, traced: trace.Trace, outputs: Any) -> tuple[Any, Any]:
        """What is written of a pass."""
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
        scored = tf.nest.flatten(outputs)[self.scores.output]
        return chosen, tf.cast(scored, tf.float32)

    def _columns(self, layer: str, signal: str, values: Any) -> Any:
        """A signal [T, B, U] as columns of its chosen units [U', B, T], float32."""
        units = list(range(values.shape[2]))
        if self.options.units is not None:
            units = [unit for unit in self.options.units if unit < len(units)]
            values = tf.gather(values, units, axis=2)
        self.units[layer, signal] = units
        return tf.cast(tf.transpose(values, (2, 1, 0)), tf.float32)

    def _write(
        self,
        part: Part,
        layer: str,
        signal: str,
        values: list[NDArray[np.float32]],
        keys: states.RowKeys,
    ) -> tuple[str, Content]:
        """Write one signal of one part, given batch by batch [U, rows]; its name and content."""
        # Columns in one piece: the encoder is twice as slow over many short ones.
        stored: NDArray[Any] = np.concatenate(values, axis=1)
        values.clear()
        if self.options.dtype == "float16":
            largest = float(np.abs(stored).max(initial=0))
            if largest > EXACT_IN_FLOAT16:
                raise UserError(
                    f"extract.dtype=float16: signal {signal} of layer '{layer}' reaches "
                    f"{largest:,.0f}, past {EXACT_IN_FLOAT16:,}; must be float32"
                )
            stored = stored.astype(np.float16)
        file = states.part_file(self.folder, self.places[layer], signal, part.number)
        units = self.units[layer, signal]
        origin = states.Origin(part.artefact, layer, signal, part.start, part.stop)
        partials.check(self.folder)
        content = states.write_part(
            file, signal, stored, keys, self.options.compression, units, origin
        )
        return file.relative_to(self.folder).as_posix(), content


def _refuse_unknown(layers: dict[str, trace.LayerTrace], options: Extract) -> None:
    """Raise where none of the layers has any of the signals, or any of the units."""
    there = {signal: None for layer in layers.values() for signal in layer.signals}
    if options.signals and there.keys().isdisjoint(options.signals):
        selection.only("extract.signals", there, options.signals)
    units = {name: next(iter(each.signals.values())).shape[2] for name, each in layers.items()}
    if min(options.units or [0]) >= max(units.values()):
        counts = listed(f"{count} in {name}" for name, count in units.items())
        raise UserError(f"extract.units={options.units}: counted from 0, there are {counts}")


def _array(tensor: Any) -> NDArray[Any]:
    """A tensor's values, not copied."""
    return np.asarray(memoryview(tensor))
