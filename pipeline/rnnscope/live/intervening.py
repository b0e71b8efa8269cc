"""A model's outputs and states with a state of some units changed for some timesteps."""

import operator
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from rnnscope import models
from rnnscope.analysis.intervention.changes import SET, Change, changeable
from rnnscope.analysis.intervention.changing import changing
from rnnscope.errors import UserError, listed
from rnnscope.extract import finite
from rnnscope.extract.warning import Noticed, noticed
from rnnscope.live.asked import Float, units_of, values_of, window_of
from rnnscope.live.options import as_list
from rnnscope.live.prepared import Prepared
from rnnscope.models.batches import batches
from rnnscope.models.calls import masks_of
from rnnscope.models.feeding import ran
from rnnscope.trace.places import Place, places
from rnnscope.trace.recording import recording_with


@dataclass(frozen=True)
class Intervened:
    """What a model does while a state is changed, of N sequences: ``intervene`` gives it.

    >>> import keras, numpy as np, rnnscope
    >>> model = keras.Sequential([keras.Input((None, 3)), keras.layers.GRU(4, name="gru")])
    >>> x = np.zeros((10, 20, 3), "float32")
    >>> found = rnnscope.intervene(model, x, layer="gru", state="h", unit=0, at=5, value=1.0)
    >>> found.outputs.shape, found.states["gru"]["z"].shape
    ((10, 4), (10, 20, 4))
    """

    outputs: Any
    """As the model gives them, [N, ...] each."""
    states: dict[str, dict[str, Float]]
    """Layer -> signal -> [N, T, U], NaN where a sequence has no row."""


def intervene(
    model: keras.Model,
    x: Any,
    *,
    layer: str,
    state: str,
    unit: int | list[int],
    at: int | slice,
    value: Any,
    lengths: Any = None,
    batch_size: int = 512,
) -> Intervened:
    """Run a model with a state, or a gate, of some units set to a value for some timesteps.

    What the cell computes from it follows, in that timestep and later: a changed c changes h, a
    changed gate c and h, and all that reads h in the layers above. What the layer reads before the
    first of these timesteps is unchanged. The model is as before afterwards, also after an
    exception.

    >>> import keras, numpy as np, rnnscope
    >>> model = keras.Sequential([keras.Input((None, 3)), keras.layers.LSTM(4, name="lstm")])
    >>> x = np.random.default_rng(0).normal(size=(10, 20, 3)).astype("float32")
    >>> without = rnnscope.intervene(
    ...     model, x, layer="lstm", state="c", unit=2, at=slice(12, 15), value=0.0
    ... )
    >>> without.outputs.shape, without.states["lstm"]["c"][0, 11:16, 2] == 0
    ((10, 4), array([False,  True,  True,  True, False]))

    Args:
        model: as ``rnnscope.record`` takes it.
        x: N sequences, as ``rnnscope.record`` takes them.
        layer: a recurrent layer with a cell of Keras' own, that is called once in a pass; a cell of
            a stack as ``name.cell0``.
        state: h, c, or a gate of it: i, f, o, g of LSTM, z, r, g of GRU.
        unit: which, from 0; one or a list.
        at: a timestep, from 0, or a slice of them, in input time.
        value: a number; or an array that broadcasts to [N, timesteps, units], of one unit to
            [N, timesteps], such as the same state of other sequences.
        lengths: as ``rnnscope.record`` takes them.
        batch_size: sequences per forward pass.

    Returns:
        The outputs, and h, c and every gate of every recurrent layer.

    Raises:
        rnnscope.errors.UserError: as ``rnnscope.record`` does; or the layer has no such state, unit
            or timestep.
    """
    prepared = Prepared(model, x, lengths=lengths, batch_size=batch_size)
    with prepared.open():
        prepared.refuse_broken()
        place = _place(model, layer, state)
        window = window_of(at, _timesteps(prepared, layer, place))
        units = units_of(as_list(unit), place.units, place.name)
        shape = len(prepared.dataset.test), len(window), len(units)
        values = values_of(value, shape, single=isinstance(unit, int | np.integer))
        found, about = _Intervention(prepared, place, state, units, window).run(values)
    prepared.warn(about)
    return found


class _Intervention:
    """The passes of a model with one change."""

    def __init__(
        self,
        prepared: Prepared,
        place: Place,
        state: str,
        units: list[int],
        window: range,
    ):
        self.prepared, self.place, self.units, self.window = prepared, place, units, window
        self.along = np.isin(np.arange(place.units), units)
        self.state = state
        signature = models.signature(prepared.model)
        values = tf.TensorSpec((None, len(window), len(units)), tf.float32)
        self.passed = tf.function(
            self._passed, autograph=False, input_signature=[signature, values]
        )
        # Traced by a call, TensorFlow would warn of it in a loop over timesteps or units.
        self.passed.get_concrete_function()

    def run(self, values: Float) -> tuple[Intervened, Noticed]:
        """Outputs and states of all sequences, with values [N, W, units] that are set.

        And what is to be known of them: padding that is read as rows, say.
        """
        prepared, first = self.prepared, 0
        model, split, rows = prepared.model, prepared.dataset.test, prepared.recorder.rows
        outputs: list[Any] = []
        unmasked, lost = set[str](), dict[str, str]()
        found: dict[str, dict[str, list[Float]]] = defaultdict(lambda: defaultdict(list))
        everything = range(len(split))
        with prepared.recorder.from_zero():
            for batch, size in batches(model, split, everything, prepared.options.batch_size):
                # A model of a fixed batch size is given the last sequence again, as is its value.
                place = np.minimum(np.arange(first, first + len(batch.x)), len(split) - 1)
                fed = models.inputs(model, batch)
                out, layers, masks = ran(model, self.passed, fed, tf.constant(values[place]))
                told = {name: each.numpy()[:size] for name, each in masks.items()}
                outputs.append(tf.nest.map_structure(operator.itemgetter(slice(size)), out))
                for name, (signals, mask) in layers.items():
                    own = None if mask is None else mask.numpy()
                    timesteps = next(iter(signals.values())).shape[0]
                    valid, without = rows.valid(name, timesteps, own, batch)
                    valid = valid[:size]
                    unmasked |= {name} if without else set()
                    if own is None and (maker := rows.lost(name, timesteps, batch, told)):
                        lost[name] = maker
                    for signal, each in signals.items():
                        given = each.numpy()[:, :size]
                        found[name][signal].append(_rows(name, signal, given, valid, first))
                first += size
        joined = tf.nest.map_structure(lambda *each: np.concatenate(each), *outputs)  # to NumPy
        states = {
            name: {signal: np.concatenate(each) for signal, each in signals.items()}
            for name, signals in found.items()
        }
        return Intervened(joined, states), noticed(prepared.recorder, unmasked, lost)

    def _passed(self, inputs: Any, values: Any) -> tuple[Any, dict[str, Any], Any]:
        """Outputs; of each layer the signals [T, B, U] and the mask; and the masks made."""
        change = Change((self.state,), SET, tf.constant(self.along)[tf.newaxis])
        computed = changing(self.place, change, self.units, self.window, values)
        model = self.prepared.model
        with (
            recording_with(model, {self.place.name: computed}) as traced,
            masks_of(model) as masks,
        ):
            outputs = model(inputs, training=False)
        layers = {
            name: (
                {signal: tf.cast(each, tf.float32) for signal, each in layer.signals.items()},
                layer.reading.mask,
            )
            for name, layer in traced.layers.items()
        }
        return outputs, layers, masks


def _rows(layer: str, signal: str, values: Float, valid: NDArray[np.bool_], first: int) -> Float:
    """A signal [T, B, U] as [B, T, U], NaN where there is no row; refused if a row is not finite.

    Args:
        layer: its name.
        signal: its letter.
        values: of the batch.
        valid: which timesteps are rows [B, T].
        first: number of its first sequence.
    """
    whole = values.swapaxes(0, 1)
    if not finite.all_finite(whole[valid]):
        finite.refuse_states(layer, signal, values, valid, list(range(values.shape[2])), first)
    return np.where(valid[..., np.newaxis], whole, np.float32(np.nan))


def _place(model: keras.Model, layer: str, state: str) -> Place:
    """The cell of a layer, if it has a state that can be set."""
    there = places(model)
    if not isinstance(layer, str) or layer not in there:
        raise UserError(f"layer={layer!r}: no recurrent layer; there are: {listed(list(there))}")
    place = there[layer]
    states = changeable(place.cell)
    if not states:
        kind = type(place.cell).__name__
        raise UserError(f"layer={layer!r}: its {kind} is no LSTM, GRU or simple RNN of Keras' own")
    if state not in states:
        raise UserError(f"state={state!r}: layer '{layer}' has {', '.join(states)}")
    return place


def _timesteps(prepared: Prepared, layer: str, place: Place) -> int:
    """T of a layer; it is found by a pass of one sequence."""
    model, recorder = prepared.model, prepared.recorder
    with recorder.from_zero():
        batch, _ = next(batches(model, prepared.dataset.test, range(1), 1))
        recorded, _, _ = ran(model, recorder.passed, models.inputs(model, batch))
    if any(name.startswith(f"{place.name}.call") for name in recorded):
        raise UserError(
            f"layer={layer!r}: is called more than once in a pass; in which is not told"
        )
    if layer not in recorded:
        raise UserError(f"layer={layer!r}: is not called in a pass of the model")
    signals, _ = recorded[layer]
    return int(next(iter(signals.values())).shape[2])
