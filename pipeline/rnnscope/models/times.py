"""Which input's timesteps each recurrent layer of a model has, and which its output."""

import functools
import operator
import weakref
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import keras

from rnnscope.data import MASK, Roles
from rnnscope.models.axes import Axes, Time, follow, inner_graph
from rnnscope.models.calls import makes_mask
from rnnscope.models.feeding import named_inputs, sequence_shapes
from rnnscope.models.filling import mask_values


@dataclass
class Times:
    """What a model's graph tells of the timesteps in it."""

    layers: dict[int, list[Time]] = field(default_factory=dict)
    """By the id of a recurrent layer: the time of each call, in the order of calls."""
    masked: Time = field(default_factory=Time)
    """The time of those layers that are given the input ``mask`` as their mask."""
    masks: dict[str, frozenset[str]] = field(default_factory=dict)
    """By the name of a layer that makes a mask from padding: the inputs whose timesteps it has."""
    output: Time | None = None
    """The time of the first output that has timesteps; None if no output has."""


_KNOWN: weakref.WeakKeyDictionary[keras.Model, Times] = weakref.WeakKeyDictionary()


def times(model: keras.Model) -> Times | None:
    """The times of a model's recurrent layers and of its output; None if it has no graph."""
    graph = inner_graph(model)
    if graph is None:
        return None
    if model not in _KNOWN:
        names = {id(tensor): name for name, tensor in named_inputs(model).items()}
        given = [_of_input(names[id(tensor)], len(tensor.shape)) for tensor in graph.inputs]
        found = Times()
        outputs = follow(graph, given, functools.partial(_see, found))
        found.output = next((time for axes in outputs if (time := _end(axes, found))), None)
        _KNOWN[model] = found
    return _KNOWN[model]


def roles(model: keras.Model) -> Roles:
    """What the data must know of a model's inputs, as far as its graph tells.

    Raises:
        UserError: a model without a graph that does not tell its inputs either.
    """
    found, shapes = times(model), sequence_shapes(model)
    if found is None:
        return Roles(tuple(shapes), None, shapes=shapes)
    read = [time for calls in found.layers.values() for time in calls]
    beside = [time.inputs - {MASK} for time in read if time.clear]
    values = mask_values(model, named_inputs(model))
    masking = {name: values.get(name) for inputs in found.masks.values() for name in inputs}
    any_of = sorted({name for time in read for name in time.inputs} - {MASK})
    return Roles(
        tuple(shapes),
        _together(beside) or tuple(frozenset([name]) for name in any_of),
        frozenset() if found.output is None else found.output.inputs - {MASK},
        found.masked.inputs - {MASK},
        shapes,
        masking,
    )


def _of_input(name: str, rank: int) -> Axes:
    """The axes of an input: the second one may be timesteps."""
    return (None, Time(frozenset([name])), *[None] * (rank - 2)) if rank > 1 else (None,) * rank


def _end(axes: Axes, found: Times) -> Time | None:
    """The time of an output; of two axes only if a recurrent layer has it: else it is features."""
    time = axes[1] if len(axes) > 1 else None
    read = [each for calls in found.layers.values() for each in calls]
    if time is None or len(axes) > 2:
        return time
    return time if any(each.parts and each.parts <= time.parts for each in read) else None


def _see(found: Times, node: Any, tensors: list[Any], known: dict[int, Axes]) -> None:
    """Keep the time of the recurrent layers that are called at a node of the graph."""
    layer = node.operation
    if makes_mask(layer):
        made = found.masks.get(layer.name, frozenset())
        found.masks[layer.name] = made | _time(known[id(tensors[0])]).inputs
    inside = _recurrent(layer)
    if not inside:
        return
    sequences = tensors
    if isinstance(layer, keras.layers.RNN | keras.layers.Bidirectional):
        sequences = tensors[:1]
        mask = node.arguments.kwargs.get("mask")
        if mask is not None and MASK in _time(known.get(id(mask), ())).inputs:
            found.masked |= _time(known[id(tensors[0])])
    there = dict.fromkeys(_time(known[id(tensor)]) for tensor in sequences)
    own = [time for time in there if time.inputs or time.made] or [Time()]
    time = own[0] if len(own) == 1 else _unclear(own)
    for each in inside:
        found.layers.setdefault(id(each), []).append(time)


def _recurrent(layer: Any) -> list[keras.layers.RNN]:
    """The recurrent layers that a layer is or holds, without those inside of others."""
    if isinstance(layer, keras.layers.RNN):
        return [layer]
    if isinstance(layer, keras.layers.Bidirectional):
        return [layer.forward_layer, layer.backward_layer]
    children = getattr(layer, "_flatten_layers", None)  # a plain operation has none
    if children is None:
        return []
    inner = children(include_self=False, recursive=False)
    return [found for child in inner for found in _recurrent(child)]


def _time(axes: Axes) -> Time:
    """The time of a tensor's second axis."""
    return (axes[1] if len(axes) > 1 else None) or Time()


def _unclear(several: list[Time]) -> Time:
    """Any of several times: it is not known which."""
    joined = functools.reduce(operator.or_, several)
    return Time(joined.inputs, joined.made, False)


def _together(groups: Iterable[frozenset[str]]) -> tuple[frozenset[str], ...]:
    """Sets of inputs of which no two overlap: those that overlap are joined."""
    joined: list[frozenset[str]] = []
    for group in filter(None, groups):
        others = [each for each in joined if not each & group]
        overlapping = [each for each in joined if each & group]
        joined = [*others, group.union(*overlapping)]
    return tuple(joined)
