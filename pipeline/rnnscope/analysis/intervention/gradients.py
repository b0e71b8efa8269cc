"""Gradients of a model's loss, and of the correct class' score, with respect to its states."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from rnnscope import models
from rnnscope.analysis.ablation.rerun import Given
from rnnscope.analysis.intervention.changes import ADD, SET, Change
from rnnscope.analysis.intervention.holding import Kept, Span, copied, holding
from rnnscope.analysis.intervention.losses import LOSS, measures
from rnnscope.analysis.intervention.passes import Passes, graph, loose

Float = NDArray[np.float64]


class Gradients:
    """Backward passes of one model over batches of sequences.

    Each is of R rows: a copy of the sequences for each measure, so that one pass derives all.
    """

    def __init__(self, passes: Passes):
        """Of the model of these passes; graphs are traced as they are needed."""
        self.passes = passes
        self.graphs: dict[Any, Any] = {}

    def of_states(
        self, given: Given, kept: dict[str, Kept], place: str, asked: Sequence[str]
    ) -> dict[str, dict[str, Float]]:
        """The gradient of each sequence's measures with respect to the states of a place.

        Measure -> state -> [T, B, U], in input time. It is the total derivative, with all that
        follows from the state at that timestep and after it, the other states being as they are.

        Args:
            given: B sequences.
            kept: what was recorded of them.
            place: the name of the cell.
            asked: what is derived, of ``losses.MEASURES``.
        """
        of, states = self.passes.places[place], tuple(self.passes.states[place])
        shape = int(kept[of.name]["outputs"].shape[1]), len(given.batch.x), len(states) * of.units
        key = place, states, ADD, tuple(asked), True
        gradient, _ = self._run(given, kept, key, np.zeros(shape), 0)
        return {
            measure: dict(zip(states, np.split(each, len(states), axis=2), strict=True))
            for measure, each in zip(asked, np.split(gradient, len(asked), axis=1), strict=True)
        }

    def at(
        self,
        given: Given,
        kept: dict[str, Kept],
        key: tuple[str, str],
        values: Float,
        timestep: int,
    ) -> tuple[Float, Float]:
        """The gradient of the loss with a state of all units set at one timestep [B, U]; the loss.

        Args:
            given: B sequences.
            kept: what was recorded of them.
            key: place and state.
            values: what the state is set to [B, U].
            timestep: when.
        """
        name, state = key
        place = self.passes.places[name]
        last = int(kept[place.name]["outputs"].shape[1]) - 1
        ends = timestep == (0 if place.layer.go_backwards else last)
        whole = name, (state,), SET, (LOSS,), ends
        gradient, loss = self._run(given, kept, whole, values[np.newaxis], timestep)
        return gradient[0], loss

    def _run(
        self, given: Given, kept: dict[str, Kept], key: Any, values: Float, start: int
    ) -> tuple[Float, Float]:
        """The gradient with respect to values [W, R, S U], and what is derived [R]."""
        batch, known = given.batch, self.passes.kept_of(key[0], kept)
        y, valid, value = map(tf.constant, (batch.y, batch.valid, values))
        if key not in self.graphs:
            numbers = tf.TensorSpec((), tf.int32)
            free = (tf.TensorSpec((None, *each.shape[1:]), each.dtype) for each in (y, valid))
            taken = [models.signature(self.passes.model), *loose([known, value]), *free]
            run = functools.partial(self._derived, key)
            self.graphs[key] = graph(run, [*taken, numbers, numbers])
        ends = tf.constant(start), tf.constant(start + len(values))
        found = self.graphs[key](given.inputs, known, value, y, valid, *ends)
        gradient, measure = map(np.asarray, found)
        return gradient, measure

    def _derived(self, key: Any, inputs: Any, kept: Any, value: Any, *rest: Any) -> Any:
        name, states, way, asked, ends = key
        y, valid, start, stop = rest
        place, scores = self.passes.places[name], self.passes.scores
        value = tf.tile(tf.cast(value, place.layer.compute_dtype), (1, len(asked), 1))
        inputs = tf.nest.map_structure(lambda x: copied(x, tf.constant(len(asked))), inputs)
        along = tf.ones((tf.shape(value)[1], place.units), tf.bool)
        with tf.GradientTape() as tape:
            tape.watch(value)
            change, span = Change(states, way, along), Span(start, stop, ends, value, None)
            with holding(self.passes.model, place, change, span, kept):
                outputs = tf.nest.flatten(self.passes.model(inputs, training=False))
            parts = tf.split(outputs[scores.output], len(asked))
            each = [
                measures(part, y, valid, str(scores.kind), of)
                for part, of in zip(parts, asked, strict=True)
            ]
            measure = tf.concat(each, axis=0)
        none = tf.UnconnectedGradients.ZERO
        found = tape.gradient(measure, value, unconnected_gradients=none)
        return tf.cast(found, tf.float64), tf.cast(measure, tf.float64)
