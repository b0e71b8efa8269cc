"""A model prepared for passes with a state changed: recordings, and passes with a change."""

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from rnnscope import models, trace
from rnnscope.analysis.ablation.rerun import Given, Made, scored
from rnnscope.analysis.intervention.changes import Change
from rnnscope.analysis.intervention.holding import Kept, Span, copied, holding
from rnnscope.data import Dataset
from rnnscope.errors import UserError
from rnnscope.extract.finite import NotFiniteError
from rnnscope.extract.rows import rows_of
from rnnscope.models.batches import fixed_batch
from rnnscope.models.scores import Scores, scores_of
from rnnscope.states import place_of
from rnnscope.trace import cells, drawing
from rnnscope.trace.loops import state_variables
from rnnscope.trace.places import Place
from rnnscope.trace.recording import LayerTrace, Trace

Array = NDArray[Any]
REMEDY = (
    "so far from its own values the model gives no numbers: leave that method out of "
    "intervention.methods or that state out of intervention.states, or add less by intervention.add"
)


@dataclass(frozen=True)
class Recorded:
    """What is recorded of B sequences."""

    made: Made
    """Outputs and scores."""
    signals: dict[str, dict[str, Array]]
    """Place -> state or gate -> [T, B, U] in input time."""
    before: dict[str, dict[str, Array]]
    """The same one timestep earlier in the order of reading, NaN where there is none; empty where
    nothing is frozen."""
    valid: dict[str, NDArray[np.bool_]]
    """Place -> which timesteps it reads [B, T]."""
    kept: dict[str, Kept]
    """Layer -> what passes with a change start from, tensors."""


@dataclass(frozen=True)
class Held:
    """What is done to K targets of a place in one pass."""

    place: str
    state: str
    way: str
    """How, as in ``changes``."""
    along: Array
    """Units [K, U], bool, or unit vectors [K, U]."""
    value: Array
    """What the state is set to at each timestep of the window [W, B or 1, U]."""
    shift: Array
    """What is added to that, for each target [K, U]."""
    start: int
    stop: int


class Passes:
    """Passes of one model over batches of sequences."""

    def __init__(
        self,
        model: keras.Model,
        places: Mapping[str, Place],
        states: Mapping[str, Sequence[str]],
        dataset: Dataset,
        *,
        freezes: bool = True,
    ):
        """Trace the graph that records.

        Args:
            model: any that ``trace.recording`` takes, without a memory of its own.
            places: the cells whose states will be changed, by name.
            states: which of each one's states and gates, by the name of the place.
            dataset: what is passed; its test split's y decides what is scored.
            freezes: whether states one timestep earlier are recorded too.

        Raises:
            UserError: a model that takes a fixed number of sequences, carries states from batch to
                batch, or draws at random.
        """
        self.model, self.places, self.dataset = model, places, dataset
        self.states, self.freezes = states, freezes
        self.scores = Scores(None)
        self.calls: list[str] = []
        self.rows = rows_of(model, dataset.test)
        if fixed := fixed_batch(model):
            raise UserError(
                f"stage=intervention: the model takes exactly {fixed} sequences at a time; save it "
                "with inputs of any batch size"
            )
        if state_variables(model):
            raise UserError(
                "stage=intervention: the model is stateful, and carries its states from batch to "
                "batch; save it with stateful=False"
            )
        self.whole = graph(self._whole, [models.signature(model)])
        with drawing.watched() as drawn:
            traced = self.whole.get_concrete_function().graph
        if drawing.streams_of(model, drawn, [traced]).variables:
            raise UserError(
                "stage=intervention: the model draws at random in inference, so that what a change "
                "does cannot be told from what was drawn"
            )
        self.graphs: dict[Any, Any] = {}

    def once(self, place: Place) -> bool:
        """Whether the layer of a place is called in a pass, and only once."""
        return Counter(map(place_of, self.calls))[place.name] == 1

    def recorded(self, given: Given) -> Recorded:
        """The intact model's outputs and states for some sequences."""
        outputs, found, kept = self.whole(given.inputs)
        arrays = [np.asarray(each) for each in outputs]
        made = scored(arrays, given.batch, self.scores, given.numbers)
        signals: dict[str, dict[str, Array]] = {}
        before: dict[str, dict[str, Array]] = {}
        valid = {}
        for name, (now, earlier, mask) in found.items():
            signals[name] = {state: np.asarray(values) for state, values in now.items()}
            before[name] = {state: np.asarray(values) for state, values in earlier.items()}
            timesteps = len(next(iter(signals[name].values())))
            own = None if mask is None else np.asarray(mask)
            valid[name], _ = self.rows.valid(name, timesteps, own, given.batch)
        return Recorded(made, signals, before, valid, kept)

    def changed(self, given: Given, kept: dict[str, Kept], held: Held) -> Made:
        """The results with a change, K times those of the B sequences [K B].

        Raises:
            UserError: an output that is scored is not a finite number.
        """
        layer = self.places[held.place].layer
        known = self.kept_of(held.place, kept)
        timesteps = int(known[self.places[held.place].name]["outputs"].shape[1])
        ends = held.start == 0 if layer.go_backwards else held.stop == timesteps
        key = held.place, held.state, held.way, held.along.dtype.str, ends
        outputs = self._graph_of(key, known, held)(
            given.inputs,
            known,
            tf.constant(held.along),
            tf.constant(held.value, tf.float64),
            tf.constant(held.shift, tf.float64),
            tf.constant(held.start),
            tf.constant(held.stop),
        )
        # Scores need no inputs, of which each pass would copy many.
        batch = replace(given.batch, x=given.batch.valid, others={}, other_lengths={})
        index = np.tile(np.arange(len(batch.x)), len(held.along))
        arrays = [np.asarray(each) for each in outputs]
        try:
            return scored(arrays, batch.cut(index), self.scores, given.numbers[index])
        except NotFiniteError as error:
            raise UserError(
                f"{error.what}, with {held.state} of layer '{held.place}' changed at timesteps "
                f"{held.start}:{held.stop}; {REMEDY}"
            ) from error

    def _graph_of(self, key: Any, known: dict[str, Kept], held: Held) -> Any:
        """The graph of passes of one kind."""
        if key not in self.graphs:
            numbers = tf.TensorSpec((), tf.int32)
            units = tf.TensorSpec((None, held.along.shape[1]), tf.float64)
            along = tf.TensorSpec(units.shape, tf.as_dtype(held.along.dtype))
            value = tf.TensorSpec((None, None, held.along.shape[1]), tf.float64)
            taken = [models.signature(self.model), loose(known), along, value, units]
            made = graph(functools.partial(self._changed, key), [*taken, numbers, numbers])
            self.graphs[key] = made
        return self.graphs[key]

    def kept_of(self, place: str, kept: dict[str, Kept]) -> dict[str, Kept]:
        """What was recorded of the place's layer and of those that are called before it."""
        name = self.places[place].name
        earlier = self.calls[: self.calls.index(name)]
        return {each: kept[each] for each in (*earlier, name) if each in kept}

    def _whole(self, inputs: Any) -> Any:
        """Outputs; by place its signals, these one timestep earlier, and its mask; and Kept."""
        with trace.recording(self.model) as traced:
            outputs = self.model(inputs, training=False)
        self.scores, self.calls = scores_of(outputs, self.dataset), list(traced.calls)
        found = {}
        for name in (name for name, place in self.places.items() if self.once(place)):
            layer = traced.layers[name]
            signals = {state: floating(layer.signals[state]) for state in self.states[name]}
            asked = self.states[name] if self.freezes else ()
            before = {state: _before(layer, state) for state in asked}
            found[name] = signals, before, layer.reading.mask
        return [floating(each) for each in tf.nest.flatten(outputs)], found, self._to_keep(traced)

    def _to_keep(self, traced: Trace) -> dict[str, Kept]:
        """What passes with a change start from, of the layers of Keras' own cells called once."""
        times = Counter(map(place_of, self.calls))
        found = {}
        for name, call in traced.calls.items():
            if times[name] != 1 or not all(map(_known, call.cells.values())):
                continue
            outputs, *final = call.handed
            states = [
                tf.concat([initial[tf.newaxis], each.reading.pack(each.signals[state])], axis=0)
                for each in call.cells.values()
                for state, initial in each.initial.items()
            ]
            found[name] = {
                "sequences": call.sequences,
                "outputs": outputs,
                "final": final,
                "states": states,
            }
        return found

    def _changed(self, key: Any, inputs: Any, kept: Any, along: Any, *rest: Any) -> list[Any]:
        name, state, way, _, ends = key
        value, shift, start, stop = rest
        dtype, copies = self.places[name].layer.compute_dtype, tf.shape(shift)[0]
        count = tf.shape(tf.nest.flatten(inputs)[0])[0]
        inputs = tf.nest.map_structure(lambda x: copied(x, copies), inputs)
        change = Change((state,), way, tf.repeat(along, count, axis=0))
        span = Span(start, stop, ends, tf.cast(value, dtype), tf.cast(shift, dtype))
        with holding(self.model, self.places[name], change, span, kept):
            outputs = self.model(inputs, training=False)
        return [floating(each) for each in tf.nest.flatten(outputs)]


def graph(function: Any, signature: Sequence[Any]) -> Any:
    """A graph of a function, for arguments of these types."""
    return tf.function(function, autograph=False, input_signature=signature)


def _known(layer: LayerTrace) -> bool:
    """Whether a cell is one of Keras' own."""
    return cells.stock_kind(layer.cell) is not None


def _before(layer: LayerTrace, signal: str) -> Any:
    """A signal one timestep earlier [T, B, U]: before the first the initial state, of gates NaN."""
    values = layer.signals[signal]
    initial = layer.initial.get(signal)
    if initial is None:
        initial = tf.fill(tf.shape(values)[1:], values.dtype.as_numpy_dtype(np.nan))
    return floating(layer.reading.previous(values, initial))


def floating(values: Any) -> Any:
    """In at least single precision."""
    return values if values.dtype == tf.float64 else tf.cast(values, tf.float32)


def loose(kept: Any) -> Any:
    """The types of what is kept, for any number of sequences and timesteps."""
    return tf.nest.map_structure(
        lambda x: tf.TensorSpec((*(None,) * (len(x.shape) - 1), x.shape[-1]), x.dtype), kept
    )
