"""One part of the test split through the model: its states on disk, its outcome, its proof."""

import functools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline import models, proof, selection, states, trace
from pipeline.config import Extract
from pipeline.data import Batch, Split
from pipeline.errors import UserError
from pipeline.outcome import kind_of_scores, outcome

PARTS = "_parts"
"""Where each finished part leaves a note, until the last is done."""
SAMPLE = 32
"""Sequences of each part that are compared with Keras' own loop, which is slower than ours."""
EXACT_IN_FLOAT16 = 2048
"""Up to here float16 holds every whole number."""

Residuals = dict[str, dict[str, float]]
"""Layer -> kind -> largest absolute residual."""


@dataclass(frozen=True)
class Part:
    """A run of consecutive sequences, start <= number < stop."""

    number: int
    start: int
    stop: int


@dataclass
class Columns:
    """The recorded values of one layer in one part, filled batch by batch."""

    signals: dict[str, list[NDArray[np.float32]]] = field(default_factory=dict)
    """Signal -> one array [U, rows] per batch."""
    kept: list[NDArray[np.bool_]] = field(default_factory=list)
    """Which timesteps of which sequences are rows, [B, T] per batch."""


class Recorder:
    """A model made ready to record a split into a folder."""

    def __init__(
        self, model: keras.Model, split: Split, options: Extract, folder: Path, workers: int = 1
    ):
        # Signals are encoded side by side, also while other parts are being computed.
        self.writers = ThreadPoolExecutor(workers)
        self.model, self.split, self.options, self.folder = model, split, options, folder
        graph = functools.partial(
            tf.function, input_signature=[models.signature(model)], autograph=False
        )
        self.kind = kind_of_scores(model)
        self.paths: dict[str, str] = {}
        self.unmasked: set[str] = set()
        self.units: dict[tuple[str, str], list[int]] = {}
        self.recorded = graph(self._recorded)
        self.compared = graph(functools.partial(_compared, model))
        # Traced here once, while no other thread looks: recording replaces a method for a moment.
        self.recorded.get_concrete_function()
        self.compared.get_concrete_function()

    def part(self, part: Part) -> dict[str, Any]:
        """Record one part, unless it is done. Returns its rows, bytes and residuals.

        The note of what was done is written last: a part without one starts anew.
        """
        note = self.folder / PARTS / f"{part.number:05d}.json"
        if note.is_file():
            known: dict[str, Any] = json.loads(note.read_text())
            return known
        columns, outputs, labels, lengths, residuals = self._run(part)
        rows = 0
        writing = []
        for layer, found in columns.items():
            keys = selection.keys_of(part.start, found.kept, labels)
            rows = max(rows, len(keys.sequence))
            for signal in list(found.signals):
                # Its own reference let go, a signal's memory is free as soon as it is written.
                values = found.signals.pop(signal)
                writing.append(self.writers.submit(self._write, part, layer, signal, values, keys))
                del values
        size = sum(done.result() for done in writing)
        table = outcome(outputs, labels, self.kind)
        table.insert(0, "length", lengths)
        table.insert(0, "sequence", np.arange(part.start, part.stop, dtype=np.int32))
        table.to_parquet(note.with_suffix(".parquet"), index=False)
        figures = {"rows": rows, "states_bytes": size, "residuals": residuals}
        unfinished = note.with_suffix(".new")
        unfinished.write_text(json.dumps(figures))
        unfinished.rename(note)
        return figures

    def _run(self, part: Part) -> Any:
        """Columns by layer, outputs [B, ...], labels, lengths [B] and residuals of one part."""
        columns: dict[str, Columns] = {}
        outputs: list[NDArray[Any]] = []
        labels: list[NDArray[np.int32]] = []
        lengths: list[NDArray[np.int32]] = []
        residuals: Residuals = {}
        for batch, size in self._batches(part):
            inputs = models.inputs(self.model, batch)
            if not residuals:
                residuals = _floats(self.compared(_head(inputs, batch, self.model)))
            recorded, output, found = self.recorded(inputs)
            merge(residuals, _floats(found))
            if batch.y is not None:
                labels.append(batch.y[:size])
            outputs.append(_array(output)[:size])
            longest = np.zeros(size, np.int32)
            for layer, (signals, mask) in recorded.items():
                valid = self._valid(layer, signals, mask, batch, size)
                longest = np.maximum(longest, valid.sum(axis=1, dtype=np.int32))
                kept = selection.timesteps_of(valid, self.options.timesteps)
                into = columns.setdefault(layer, Columns())
                into.kept.append(kept)
                for signal, values in signals.items():
                    into.signals.setdefault(signal, []).append(
                        selection.rows_of(_array(values)[:, :size], kept)
                    )
            if not longest.all():
                empty = part.start + sum(map(len, lengths)) + int(longest.argmin())
                raise UserError(f"sequence {empty} of the test split: no timestep is left of it")
            lengths.append(longest)
        y = np.concatenate(labels) if labels else None
        return columns, np.concatenate(outputs), y, np.concatenate(lengths), residuals

    def _batches(self, part: Part) -> Iterator[tuple[Batch, int]]:
        """The batches of a part, each with its number of sequences.

        A model of a fixed batch size gets its last batch filled up with the last sequence.
        """
        fixed = fixed_batch(self.model)
        step = fixed or self.options.batch_size
        for start in range(part.start, part.stop, step):
            stop = min(start + step, part.stop)
            index = np.minimum(np.arange(start, start + (fixed or stop - start)), stop - 1)
            whole = stop - start == len(index)
            yield self.split.take(slice(start, stop) if whole else index), stop - start

    def _valid(
        self, layer: str, signals: dict[str, Any], mask: Any, batch: Batch, size: int
    ) -> NDArray[np.bool_]:
        """Which timesteps of a layer are valid [B, T]: by its own mask and by the lengths."""
        _, sequences, timesteps = next(iter(signals.values())).shape
        if sequences != len(batch.x):
            raise UserError(
                f"layer '{layer}': runs on {sequences} sequences where the data has {len(batch.x)}"
            )
        valid = np.ones((size, timesteps), bool)
        if mask is not None:
            valid &= _array(mask)[:size]
        if batch.lengths is not None:
            if mask is None:
                self.unmasked.add(layer)
            if mask is None and timesteps != batch.x.shape[1]:
                raise UserError(
                    f"layer '{layer}': runs on {timesteps} timesteps without a mask, the data's "
                    f"lengths are of {batch.x.shape[1]}; give the layer a mask"
                )
            if timesteps == batch.x.shape[1]:
                valid &= np.arange(timesteps) < batch.lengths[:size, np.newaxis]
        return valid

    def _recorded(self, inputs: Any) -> tuple[Any, Any, Any]:
        """Of a batch: by layer the chosen signals [U, B, T] and the mask; outputs; residuals."""
        with trace.recording(self.model) as traced:
            outputs = self.model(inputs, training=False)
        self.paths = {name: layer.path for name, layer in traced.layers.items()}
        chosen = {}
        for name, layer in selection.only("layers", traced.layers, self.options.layers).items():
            signals = {
                signal: self._columns(name, signal, values)
                for signal, values in selection.picked(layer.signals, self.options.signals).items()
                if any(unit < values.shape[2] for unit in self.options.units or [0])
            }
            if signals:
                chosen[name] = (signals, layer.reading.mask)
        found = {name: proof.recurrence(layer) for name, layer in traced.layers.items()}
        # Of several outputs the first counts the sequences; none of them is taken for scores.
        return chosen, tf.cast(tf.nest.flatten(outputs)[0], tf.float32), found

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
        keys: states.Rows,
    ) -> int:
        """Write one signal of one part, given batch by batch [U, rows]; returns its bytes."""
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
        file = states.part_file(self.folder, layer, signal, part.number)
        units = self.units[layer, signal]
        return states.write_part(file, signal, stored, keys, self.options.compression, units)


def fixed_batch(model: keras.Model) -> int | None:
    """The batch size that a model insists on; None where any fits."""
    inputs = getattr(model, "inputs", None) or []  # a subclassed model has none
    return next((int(each.shape[0]) for each in inputs if each.shape[0]), None)


def stateful(model: keras.Model) -> list[Any]:
    """The variables in which a model keeps its states from one batch to the next."""
    return [
        variable
        for layer in trace.recurrent_layers(model).values()
        if layer.stateful
        for variable in tf.nest.flatten(layer.states)
    ]


def merge(into: Residuals, found: Residuals) -> None:
    """Keep the larger of two sets of residuals."""
    for layer, kinds in found.items():
        largest = into.setdefault(layer, {})
        for kind, value in kinds.items():
            # A NaN must win: it is a residual too, and the worst.
            known = largest.get(kind, 0.0)
            largest[kind] = known if known > value or np.isnan(known) else value


def _compared(model: keras.Model, inputs: Any) -> Any:
    """Residuals by layer between the recorded signals and Keras' own loop."""
    kept = [(variable, tf.identity(variable)) for variable in stateful(model)]
    with trace.recording(model) as traced:
        model(inputs, training=False)
    for variable, value in kept:
        variable.assign(value)
    with trace.returning_everything(model) as stock:
        model(inputs, training=False)
    for variable, value in kept:
        variable.assign(value)
    return {
        name: proof.against_stock(_top(traced, name), handed, stock[name])
        for name, handed in traced.handed.items()
    }


def _top(traced: trace.Trace, name: str) -> trace.LayerTrace:
    """The trace of a layer's uppermost cell."""
    cells = [key for key in traced.layers if key == name or key.startswith(f"{name}.cell")]
    return traced.layers[cells[-1]]


def _head(inputs: Any, batch: Batch, model: keras.Model) -> Any:
    """The first sequences of a batch, or all where the batch size is fixed."""
    if fixed_batch(model):
        return inputs
    return tf.nest.map_structure(lambda values: values[:SAMPLE], inputs)


def _floats(residuals: Any) -> Residuals:
    return {
        layer: {kind: float(value) for kind, value in kinds.items()}
        for layer, kinds in residuals.items()
    }


def _array(tensor: Any) -> NDArray[Any]:
    """A tensor's values, not copied."""
    return np.asarray(memoryview(tensor))
