"""Gradients of a model's loss, or of the correct class' score, with respect to its states."""

import functools
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from rnnscope import models
from rnnscope.analysis.ablation.rerun import Given
from rnnscope.analysis.intervention.changes import ADD, SET, Change
from rnnscope.analysis.intervention.holding import Kept, Span, holding
from rnnscope.analysis.intervention.losses import measures
from rnnscope.analysis.intervention.passes import Passes, graph, loose

Float = NDArray[np.float64]


class Gradients:
    """Backward passes of one model over batches of sequences."""

    def __init__(self, passes: Passes):
        """Of the model of these passes; graphs are traced as they are needed."""
        self.passes = passes
        self.graphs: dict[Any, Any] = {}

    def of_states(self, given: Given, kept: dict[str, Kept], key: tuple[str, str], of: str) -> Float:
        """The gradient of each sequence's loss or score [T, B, U], in input time.

        The total derivative, with all that follows from the state at that timestep and after it.

        Args:
            given: B sequences.
            kept: what was recorded of them.
            key: place and state.
            of: what is derived, of ``losses.MEASURES``.
        """
        place = self.passes.places[key[0]]
        timesteps = int(kept[place.name]["outputs"].shape[1])
        nothing = np.zeros((timesteps, len(given.batch.x), place.units))
        gradient, _ = self._run(given, kept, (*key, ADD, of, True), nothing, 0)
        return gradient

    def at(
        self,
        given: Given,
        kept: dict[str, Kept],
        key: tuple[str, str],
        of: str,
        values: Float,
        timestep: int,
    ) -> tuple[Float, Float]:
        """The same with the state of all units set at one timestep: gradient [B, U], measure [B].

        Args:
            given: B sequences.
            kept: what was recorded of them.
            key: place and state.
            of: what is derived, of ``losses.MEASURES``.
            values: what the state is set to [B, U].
            timestep: when.
        """
        place = self.passes.places[key[0]]
        last = int(kept[place.name]["outputs"].shape[1]) - 1
        ends = timestep == (0 if place.layer.go_backwards else last)
        whole = values[np.newaxis]
        gradient, measure = self._run(given, kept, (*key, SET, of, ends), whole, timestep)
        return gradient[0], measure

    def _run(
        self, given: Given, kept: dict[str, Kept], key: Any, values: Float, start: int
    ) -> tuple[Float, Float]:
        """The gradient with respect to values [W, B, U], and what is derived [B]."""
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
        name, state, way, of, ends = key
        y, valid, start, stop = rest
        place, scores = self.passes.places[name], self.passes.scores
        value = tf.cast(value, place.layer.compute_dtype)
        along = tf.ones(tf.shape(value)[1:], tf.bool)
        shift = tf.zeros((1, place.units), value.dtype)
        with tf.GradientTape() as tape:
            tape.watch(value)
            span = Span(start, stop, ends, value, shift)
            with holding(self.passes.model, place, Change(state, way, along), span, kept):
                outputs = tf.nest.flatten(self.passes.model(inputs, training=False))
            measure = measures(outputs[scores.output], y, valid, str(scores.kind), of)
        none = tf.UnconnectedGradients.ZERO
        found = tape.gradient(measure, value, unconnected_gradients=none)
        return tf.cast(found, tf.float64), tf.cast(measure, tf.float64)
