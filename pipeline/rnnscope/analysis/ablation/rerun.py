"""A model prepared for many passes over the same sequences, intact or with a unit clamped."""

import dataclasses
import functools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from rnnscope import models, trace
from rnnscope.analysis.ablation.clamping import clamping
from rnnscope.data import Batch, Dataset, Split
from rnnscope.extract.outcome import outcomes
from rnnscope.extract.rows import rows_of
from rnnscope.models.batches import batches
from rnnscope.models.scores import Scores, scores_of
from rnnscope.states import place_of
from rnnscope.terminal import bar
from rnnscope.trace import drawing
from rnnscope.trace.loops import state_variables
from rnnscope.trace.places import Place

Float = NDArray[np.float64]
Means = dict[str, dict[str, Float]]
"""Place -> state, h or c -> mean of each unit [U]."""


@dataclass(frozen=True)
class Given:
    """B sequences, ready to be passed to the model any number of times."""

    inputs: Any
    """As the model takes them; padded with the last sequence to a fixed batch size, if any."""
    batch: Batch
    """The sequences themselves."""
    numbers: NDArray[np.integer]
    """Their numbers in the test split [B]."""


@dataclass(frozen=True)
class Made:
    """The model's outputs and scores for B sequences."""

    outputs: list[NDArray[np.float32]]
    """Each [B, ...]."""
    loss: Float
    """Cross-entropy in nats, or squared error of numeric targets [B]; where timesteps have labels,
    the mean over them. NaN where there are no labels or no scores."""
    accuracy: Float
    """1 where the predicted class is correct, else 0 [B]; where timesteps have labels, the mean."""

    def distance(self, other: "Made", valid: NDArray[np.bool_]) -> Float:
        """Euclidean distance between the outputs of each sequence [B], without padding."""
        squares = np.zeros(len(valid))
        for a, b in zip(self.outputs, other.outputs, strict=True):
            difference = a.astype(np.float64) - b
            if a.ndim > 2 and a.shape[1] == valid.shape[1]:
                difference[~valid] = 0
            squares += (difference**2).reshape(len(valid), -1).sum(axis=1)
        return np.sqrt(squares)


class Rerun:
    """Passes of one model. As a context manager it restores the states of a stateful model."""

    def __init__(self, model: keras.Model, held: Mapping[tuple[str, str], Place], dataset: Dataset):
        """Trace the graph of the intact model; ``prepare`` traces the others.

        Args:
            model: any that ``trace.recording`` takes.
            held: the cells whose units will be clamped, by the name of the place and the state.
            dataset: what is passed; its test split's y decides what is scored.
        """
        self.model, self.held, self.dataset = model, held, dataset
        self.scores = Scores(None)
        self.rows = rows_of(model, dataset.test)
        batch = models.signature(model)
        graph = functools.partial(tf.function, autograph=False)
        self.whole = graph(self._whole, input_signature=[batch])
        with drawing.watched() as drawn:
            traced = self.whole.get_concrete_function().graph
        signature = [batch, tf.TensorSpec((), tf.int32), tf.TensorSpec((), tf.float64)]
        self.clamped = {}
        for (name, state), place in held.items():
            held_there = functools.partial(self._clamped, place, state)
            self.clamped[name, state] = graph(held_there, input_signature=signature)
        carried = state_variables(model)
        streams = drawing.streams_of(model, drawn, [traced]).variables
        self.variables = [*carried, *streams]
        """The variables in which a stateful model keeps its states between batches, and random
        streams, so that all passes draw alike; where there are any, passes must run one at a
        time."""
        self.before = [variable.numpy() for variable in self.variables]
        self.start = [np.zeros_like(value) for value in self.before[: len(carried)]]
        self.start += self.before[len(carried) :]
        self.reached: dict[Any, list[NDArray[Any]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._set(self.before)

    def prepare(self) -> None:
        """Trace every graph once, before several threads run them."""
        with bar(total=len(self.clamped), desc="ablation, graphs", unit="graph") as progress:
            for graph in self.clamped.values():
                graph.get_concrete_function()
                progress.update()

    def means(self, batches: Iterable[Given]) -> Means:
        """The means of the states that may be clamped, over the valid rows of all sequences.

        All calls of a layer are averaged together. Cells that are never called are left out.
        """
        totals: dict[tuple[str, str], Any] = defaultdict(float)
        counts: dict[tuple[str, str], int] = defaultdict(int)
        for given in batches:
            _, layers = self._run("means", self.whole, given)
            for recorded, (signals, mask) in layers.items():
                for state, values in signals.items():
                    key = place_of(recorded), state
                    x = np.asarray(values)[:, : len(given.batch.x)]
                    own = None if mask is None else np.asarray(mask)[: len(given.batch.x)]
                    rows, _ = self.rows.valid(recorded, len(x), own, given.batch)
                    where = rows.T[:, :, np.newaxis]
                    totals[key] += x.sum(axis=(0, 1), where=where, dtype=np.float64)
                    counts[key] += int(rows.sum())
        means: Means = defaultdict(dict)
        for (name, state), total in totals.items():
            means[name][state] = total / max(counts[name, state], 1)
        return means

    def made(self, given: Given) -> Made:
        """The results of the intact model for some sequences."""
        outputs, _ = self._run("whole", self.whole, given)
        return self._made(outputs, given)

    def made_without(self, given: Given, place: str, state: str, unit: int, value: float) -> Made:
        """The results of the model with h or c of one unit clamped at a value."""
        key = place, state, unit, value
        scalars = np.int32(unit), np.float64(value)
        found = self._run(key, self.clamped[place, state], given, *scalars)
        return self._made(found, given)

    def _run(self, key: Any, graph: Any, given: Given, *scalars: Any) -> Any:
        """One pass; a stateful model continues from its last pass with the same key."""
        self._set(self.reached.get(key) or self.start)
        found = graph(given.inputs, *map(tf.constant, scalars))
        if self.variables:
            self.reached[key] = [variable.numpy() for variable in self.variables]
        return found

    def _set(self, values: list[NDArray[Any]]) -> None:
        for variable, value in zip(self.variables, values, strict=True):
            variable.assign(value)

    def _whole(self, inputs: Any) -> tuple[list[Any], dict[str, Any]]:
        """Outputs; and by recorded name the states that may be clamped [T, B, U], and the mask."""
        with trace.recording(self.model) as traced:
            outputs = self.model(inputs, training=False)
        self.scores = scores_of(outputs, self.dataset)
        states = {}
        for name, layer in traced.layers.items():
            signals = {
                state: tf.cast(values, tf.float32)
                for state, values in layer.signals.items()
                if (place_of(name), state) in self.held
            }
            states[name] = signals, layer.reading.mask
        return _floats(outputs), states

    def _clamped(self, place: Place, state: str, inputs: Any, unit: Any, value: Any) -> list[Any]:
        with clamping(self.model, place, state, unit, value):
            return _floats(self.model(inputs, training=False))

    def _made(self, outputs: list[Any], given: Given) -> Made:
        arrays = [np.asarray(values)[: len(given.batch.x)] for values in outputs]
        return scored(arrays, given.batch, self.scores, given.numbers)


def scored(
    outputs: list[NDArray[np.float32]], batch: Batch, scores: Scores, numbers: NDArray[np.integer]
) -> Made:
    """The scores of a model's outputs, [B, ...] each, for the sequences of a batch.

    Args:
        outputs: all of them.
        batch: the sequences.
        scores: which output is scored.
        numbers: of the sequences in the test split [B].

    Raises:
        NotFiniteError: an output that is scored is not a finite number.
    """
    lengths = batch.valid.sum(axis=1, dtype=np.int32)
    table, _ = outcomes(outputs[scores.output], batch, lengths, numbers, scores.kind)
    loss, accuracy = (
        table[name].astype(np.float64) if name in table else np.full(len(lengths), np.nan)
        for name in ("loss", "correct")
    )
    return Made(outputs, loss, accuracy)


def given_batches(model: keras.Model, split: Split, count: int, batch_size: int) -> Iterator[Given]:
    """The first ``count`` sequences in batches, of the model's own size where that is fixed."""
    first = 0
    for batch, size in batches(model, split, range(count), batch_size):
        inputs = tf.nest.map_structure(tf.constant, models.inputs(model, batch))
        numbers = np.arange(first, first + size)
        yield Given(inputs, dataclasses.replace(batch.cut(slice(size)), steps={}), numbers)
        first += size


def _floats(outputs: Any) -> list[Any]:
    return [tf.cast(values, tf.float32) for values in tf.nest.flatten(outputs)]
