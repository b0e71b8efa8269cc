"""Which timesteps of which sequences are rows of a recurrent layer, and which have labels."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import keras
import numpy as np
from numpy.typing import NDArray

from rnnscope import trace
from rnnscope.data import MASK, Batch, Split
from rnnscope.errors import UserError
from rnnscope.extract.landing import displaced
from rnnscope.models.axes import Time
from rnnscope.models.times import Times, times

_RECORDED = re.compile(r"(.*?)(?:\.call(\d+))?(?:\.cell\d+)?")
"""The name of a recorded layer: the layer's own, the number of its call, the cell in its stack."""
ALL = "or leave the lengths out: all timesteps are then rows"


@dataclass(frozen=True)
class Rows:
    """The timesteps that a model's recurrent layers read, as far as its graph tells."""

    layers: dict[str, keras.layers.RNN]
    times: Times | None
    """None where the model has no graph."""
    displaced: Mapping[str, Mapping[str | None, tuple[int, int]]] = field(default_factory=dict)
    """By call of a layer: inputs with lengths, labels or annotations whose timesteps it has
    elsewhere, each with one of them and where that is read."""

    def valid(
        self, layer: str, timesteps: int, mask: NDArray[np.bool_] | None, batch: Batch
    ) -> tuple[NDArray[np.bool_], bool]:
        """Which timesteps of a layer are rows [B, T], and whether lengths end before its mask does.

        They are those of its own mask and of the lengths of what it reads, where these are known.

        Args:
            layer: the name of the recorded layer.
            timesteps: T of the layer.
            mask: its own mask [B, T], or None.
            batch: the sequences.

        Raises:
            UserError: without a mask it cannot be known which timesteps are rows.
        """
        valid = np.ones((len(batch.x), timesteps), bool) if mask is None else mask
        lengths = self._lengths(layer, timesteps, batch, masked=mask is not None)
        if lengths is None:
            return valid, False
        within = np.arange(timesteps) < lengths[:, np.newaxis]
        return valid & within, bool((valid & ~within).any())

    def known(self, layer: str, split: Split) -> bool:
        """Whether labels and annotations of single timesteps belong to a layer's timesteps.

        Labels and targets are those of the timesteps that reach the model's output, annotations
        those of the main input, as are labels where the model has no output of timesteps.
        """
        if None in self._moved(layer):
            return False
        time = self._time(layer)
        if time is None:
            return all(each.shape[1] != split.timesteps for each in split.others.values())
        end = None if self.times is None else self.times.output
        parts = time.parts - {MASK}
        reaches = bool(parts) and end is not None and parts <= end.parts
        if split.per_timestep and end is not None:
            return reaches
        return None in _names(time, split) or (
            reaches and end is not None and None in _names(end, split)
        )

    def labelled(self, layer: str, split: Split) -> bool:
        """Whether each of a layer's rows has a label of its timestep: none is padding there."""
        time = self._time(layer)
        read = {None} if time is None else _names(time, split)
        own = [split.other_lengths.get(name) if name else split.lengths for name in read]
        lengths = [each for each in own if each is not None]
        covered = split.lengths is None or bool(lengths)
        same = all(_same(each, split.lengths) for each in lengths)
        return covered and same and self.known(layer, split)

    def reads(self, layer: str) -> set[str]:
        """The model's inputs whose timesteps a layer has, as far as its graph tells."""
        time = self._time(layer)
        return set() if time is None else set(time.inputs - {MASK})

    def lost(
        self, layer: str, timesteps: int, batch: Batch, masks: dict[str, NDArray[np.bool_]]
    ) -> str | None:
        """The layer of whose mask a recurrent layer reads the padding, though nothing tells it.

        Args:
            layer: the name of a recorded layer that has no mask.
            timesteps: T of the layer.
            batch: the sequences.
            masks: which timesteps are valid [B, T], by the name of the layer that says so.
        """
        if self._lengths(layer, timesteps, batch, masked=False) is not None:
            return None
        read = self.reads(layer)
        for name, mask in masks.items():
            of = None if self.times is None else self.times.masks.get(name, frozenset())
            if mask.shape[1] == timesteps and not mask.all() and (of is None or of & read):
                return name
        return None

    def most(self, split: Split, count: int) -> tuple[int, int]:
        """The most timesteps of any layer's input, and the most rows of ``count`` sequences."""
        read: set[str | None] = {None}
        for calls in (self.times.layers if self.times else {}).values():
            read.update(name for time in calls for name in _names(time, split))
        steps, rows = [], []
        for name in read:
            values, lengths = split.x, split.lengths
            if name is not None:
                values, lengths = split.others[name], split.other_lengths.get(name)
            steps.append(int(values.shape[1]))
            rows.append(count * steps[-1] if lengths is None else int(lengths[:count].sum()))
        return max(steps), max(rows)

    def _time(self, layer: str) -> Time | None:
        """The time of a recorded layer; None if the graph does not tell."""
        found = _RECORDED.fullmatch(layer)
        if self.times is None or found is None:
            return None
        name, number = (layer, None) if layer in self.layers else found.groups()
        calls = self.times.layers.get(id(self.layers.get(name)), [])
        if len(set(calls)) == 1:
            return calls[0]
        call = int(number or 0)
        return calls[call] if call < len(calls) else None

    def _call(self, layer: str) -> str:
        """The name of the call that a recorded layer belongs to: of a stack's cell the stack's."""
        return layer if layer in self.layers else re.sub(r"\.cell\d+$", "", layer)

    def _moved(self, layer: str) -> set[str | None]:
        """The inputs whose timesteps a recorded layer has elsewhere."""
        return set(self.displaced.get(self._call(layer), {}))

    def _elsewhere(self, layer: str, name: str | None, batch: Batch) -> str:
        """Why the lengths of an input do not tell the rows of a layer, and what to do."""
        first, place = self.displaced[self._call(layer)][name]
        array, key = _key(name, batch, "x"), _key(name, batch)
        return (
            f"layer '{layer}': the model moves time on the way to it (timestep {first} of {array} "
            f"is read at {place}), so {key} does not tell which of its timesteps are padding: "
            f"put {array} itself in that order, each sequence within its length, with a model that "
            f"moves none; or reverse by go_backwards=True; or give the layer a mask; {ALL}"
        )

    def _lengths(
        self, layer: str, timesteps: int, batch: Batch, *, masked: bool
    ) -> NDArray[np.int32] | None:
        """The lengths [B] of what a layer reads; None where it has none, or a mask must tell."""
        time = self._time(layer)
        read = {None, *batch.others} if time is None else _names(time, batch)
        lengths = {name: batch.lengths_of(name) for name in read}
        if all(each is None for each in lengths.values()):
            return None
        clear = time is not None and time.clear
        fitting = {name for name in read if batch.timesteps_of(name) == timesteps}
        if not fitting or (clear and fitting != read):
            if masked:
                return None
            there = ", ".join(str(batch.timesteps_of(n)) for n in read if lengths[n] is not None)
            raise UserError(
                f"layer '{layer}': runs on {timesteps} timesteps without a mask, the data's "
                f"lengths are of {there}; give the layer a mask, {ALL}"
            )
        if moved := self._moved(layer) & {name for name in fitting if lengths[name] is not None}:
            if masked:
                return None
            raise UserError(self._elsewhere(layer, min(moved, key=str), batch))
        # Beside padding of one input, another that is not padded has no timestep of its own either.
        known = [lengths[name] for name in fitting if not clear or lengths[name] is not None]
        if all(_same(each, known[0]) for each in known):
            return known[0]
        if masked:
            return None
        names = ", ".join(sorted(_key(name, batch) for name in fitting))
        why = "it reads several inputs" if clear else "it cannot be told which input it reads"
        raise UserError(
            f"layer '{layer}': {why}, and {names} differ; give them the same lengths, "
            f"or the layer a mask, {ALL}"
        )


def rows_of(model: keras.Model, split: Split) -> Rows:
    """The timesteps that a model's recurrent layers read of a test split.

    Raises:
        UserError: lengths of an input that has no timesteps.
    """
    known = times(model)
    found = displaced(model, split, graph=known is not None)
    return Rows(trace.recurrent_layers(model), known, found)


def _names(time: Time, data: Batch | Split) -> set[str | None]:
    """The inputs of a time; None stands for the main one, whose name the data may not know."""
    return {name if name in data.others else None for name in time.inputs - {MASK}}


def _same(one: NDArray[np.int32] | None, other: NDArray[np.int32] | None) -> bool:
    if one is None or other is None:
        return one is other
    return bool(np.array_equal(one, other))


def _key(name: str | None, batch: Batch, kind: str = "lengths") -> str:
    """The name of the array of an input's lengths, or of the input."""
    name = name or batch.name
    return f"{kind}_test" if name is None else f"{kind}_{name}_test"
