"""Which input's timesteps each axis of the tensors in a model's graph follows.

The graph is followed from the inputs on. Of each operation it is asked how the sizes of its outputs
change with the size of one axis of its inputs: an axis of an output follows every axis on which its
size depends. So an embedding keeps time and a flattening followed by a dense layer does not, and of
attention the result has the time of the query, whatever the operation is called.
"""

import functools
import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras

SIZES = (64, 16)
"""Sizes that are tried for an axis of any size; some operations take no short axis, some no long
one."""


@dataclass(frozen=True)
class Time:
    """Where an axis of timesteps comes from."""

    inputs: frozenset[str] = frozenset()
    """The model's inputs whose timesteps it has."""
    made: frozenset[int] = frozenset()
    """Operations that made new timesteps, such as a RepeatVector, as the ids of their nodes."""
    clear: bool = True
    """Whether the axis has exactly the timesteps of its inputs, as far as the graph tells; False
    where they were joined one after another, or reshaped."""

    @property
    def parts(self) -> frozenset[str | int]:
        """All that it consists of."""
        return frozenset[str | int](self.inputs) | self.made

    def __or__(self, other: "Time") -> "Time":
        both = self.clear and other.clear
        return Time(self.inputs | other.inputs, self.made | other.made, both)


Axes = tuple[Time | None, ...]
"""Of a tensor, the time that each axis follows; None for the batch and for features."""
Place = tuple[int, int]
"""An axis of an operation's inputs: id of the tensor, number of the axis."""
Changed = frozenset[Place]
"""Axes whose size is changed together."""
Seen = Callable[[Any, list[Any], dict[int, Axes]], None]
"""Is told of each call: its node, its input tensors, and the axes of all tensors so far."""


def inner_graph(layer: Any) -> Any | None:
    """The graph of a functional or sequential model; None if it has none, or computes otherwise."""
    graph = getattr(layer, "_functional", layer)  # of a Sequential
    runs_it = type(graph).call.__module__.startswith("keras.") if graph is not None else False
    return graph if runs_it and hasattr(graph, "_nodes_by_depth") else None


def follow(graph: Any, given: list[Axes], seen: Seen) -> list[Axes]:
    """The axes of a graph's outputs, from those of its inputs; in the order that Keras runs it."""
    known = {id(tensor): axes for tensor, axes in zip(graph.inputs, given, strict=True)}
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            tensors = node.input_tensors
            if node.is_input or any(id(tensor) not in known for tensor in tensors):
                continue
            inner = inner_graph(node.operation)
            if inner is not None and (passed := _passed(node, inner)) is not None:
                found = follow(inner, [known[id(tensor)] for tensor in passed], seen)
            else:
                seen(node, tensors, known)
                found = _through(node, known)
            known |= {id(made): axes for made, axes in zip(node.outputs, found, strict=True)}
    return [known[id(tensor)] for tensor in graph.outputs]


def _passed(node: Any, inner: Any) -> list[Any] | None:
    """What a call passes to each input of an inner graph; None if that is not plain to see."""
    struct = next(iter([*node.arguments.args, *node.arguments.kwargs.values()]))
    if isinstance(struct, dict) and not isinstance(inner._inputs_struct, dict):
        passed = [struct.get(each.name) for each in inner.inputs]
    else:
        passed = keras.tree.flatten(struct)
    same = {id(each) for each in passed} == {id(each) for each in node.input_tensors}
    return passed if same and len(passed) == len(inner.inputs) else None


def _through(node: Any, known: dict[int, Axes]) -> list[Axes]:
    """The axes of an operation's outputs, from those of its inputs."""
    tensors = list({id(tensor): tensor for tensor in node.input_tensors}.values())
    times = {
        (id(tensor), axis): time
        for tensor in tensors
        for axis, time in enumerate(known[id(tensor)])
        if time is not None
    }
    ways: dict[Place, list[tuple[Time, Changed]]] = {}
    lost: frozenset[str] = frozenset()
    for time in dict.fromkeys(times.values()):
        changed = frozenset(place for place in times if times[place] == time)
        reached = _reached(node, tensors, changed)
        if reached is None:
            changed = _alike(tensors, changed)
            reached = _reached(node, tensors, changed)
        if reached is None:
            reached = _of_same_size(node, tensors, changed)
            lost |= frozenset() if reached else time.inputs
        for place in reached:
            ways.setdefault(place, []).append((time, changed))
    made = Time(lost, frozenset([id(node)]), not lost)
    found = []
    for number, output in enumerate(node.outputs):
        axes = [_joined(ways.get((number, axis), [])) for axis in range(len(output.shape))]
        if len(axes) > 2 and axes[1] is None:
            axes[1] = made
        found.append(tuple(axes))
    return found


def _joined(ways: list[tuple[Time, Changed]]) -> Time | None:
    """The time of an axis, from each on which its size depends and what was changed for it.

    Where two of them change the size each by itself, they follow one another.
    """
    if not ways:
        return None
    time = functools.reduce(operator.or_, (time for time, _ in ways))
    return time if len({changed for _, changed in ways}) == 1 else replace(time, clear=False)


def _alike(tensors: list[Any], changed: Changed) -> Changed:
    """Also the axes of the same number and size in the other inputs, which may have to agree."""
    sizes = {id(tensor): tensor.shape for tensor in tensors}
    there = {(axis, sizes[of][axis]) for of, axis in changed}
    return frozenset(
        (id(tensor), axis)
        for tensor in tensors
        for axis, size in enumerate(tensor.shape)
        if axis > 0 and (axis, size) in there
    )


def _of_same_size(node: Any, tensors: list[Any], changed: Changed) -> set[Place]:
    """The axes of the outputs that have the number and size of those that cannot be changed."""
    there = {(axis, tensor.shape[axis]) for tensor in tensors for axis in _axes(tensor, changed)}
    return {
        (number, axis)
        for number, output in enumerate(node.outputs)
        for axis, size in enumerate(output.shape)
        if axis > 0 and size != 1 and (axis, size) in there
    }


def _reached(node: Any, tensors: list[Any], changed: Changed) -> set[Place] | None:
    """The axes of the outputs whose size changes with some axes; None if these cannot change."""
    for free in SIZES:
        base = _sizes(node, tensors, changed, free, lambda size: size)
        for change in (lambda size: 2 * size, lambda size: max(size // 2, 1)):
            other = _sizes(node, tensors, changed, free, change)
            if base is not None and other is not None and len(base) == len(other):
                return {
                    (number, axis)
                    for number, (before, after) in enumerate(zip(base, other, strict=True))
                    for axis, pair in enumerate(zip(before, after, strict=False))
                    if axis > 0 and pair[0] != pair[1]
                }
    return None


def _sizes(
    node: Any, tensors: list[Any], changed: Changed, free: int, change: Callable[[int], int]
) -> list[tuple[int | None, ...]] | None:
    """The shapes of an operation's outputs with some axes of another size; None if it refuses."""
    stand_ins = {}
    for tensor in tensors:
        shape = [tensor.shape[0], *(free if size is None else size for size in tensor.shape[1:])]
        for axis in _axes(tensor, changed):
            shape[axis] = change(shape[axis])
        stand_ins[id(tensor)] = keras.KerasTensor(tuple(shape), tensor.dtype)
    args, kwargs = node.arguments.fill_in(stand_ins)
    try:
        _refuse_uneven(node.operation, [each.shape for each in stand_ins.values()])
        found = _spec(node.operation)(*args, **kwargs)
    except Exception:  # of the user's own layers too: they raise anything
        return None
    return [tuple(each.shape) for each in keras.tree.flatten(found)]


def _spec(operation: Any) -> Callable[..., Any]:
    """What gives an operation's outputs; of a user's own layer its call, not what it declares."""
    if isinstance(operation, keras.Layer) and not type(operation).__module__.startswith("keras."):
        return functools.partial(keras.Operation.compute_output_spec, operation)
    spec: Callable[..., Any] = operation.compute_output_spec
    return spec


def _refuse_uneven(operation: Any, shapes: list[tuple[int | None, ...]]) -> None:
    """Raise for a concatenation of unequal shapes; the layer finds out only when it runs."""
    if isinstance(operation, keras.layers.Concatenate):
        at = operation.axis % len(shapes[0])
        if len({shape[:at] + shape[at + 1 :] for shape in shapes}) > 1:
            raise ValueError("unequal shapes")


def _axes(tensor: Any, changed: Changed) -> list[int]:
    """The axes of one tensor that change."""
    return [axis for of, axis in changed if of == id(tensor)]
