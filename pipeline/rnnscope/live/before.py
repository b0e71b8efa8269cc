"""A model as it was before: what a pass changes in it is put back, also after an exception."""

import contextlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras.src.backend.common import global_state

from rnnscope.trace.loops import state_variables


class Kept:
    """Variables with their values."""

    def __init__(self) -> None:
        self.values: dict[int, tuple[Any, Any]] = {}

    def add(self, variables: list[Any]) -> None:
        """Keep the values that variables have now, unless they are kept already."""
        for each in variables:
            if id(each) not in self.values:
                self.values[id(each)] = each, np.array(each)

    def restore(self) -> None:
        """Give each its value back."""
        for variable, value in self.values.values():
            variable.assign(value)


@contextlib.contextmanager
def as_before(model: keras.Model) -> Iterator[Kept]:
    """While open, passes may change a model; then its variables and losses are as before.

    These are the states of stateful layers, of random streams, counters and averages; and Keras'
    counts of the names that it has given. Weights are added by whoever finds that a pass writes
    to them.
    """
    kept = Kept()
    kept.add([*model.non_trainable_variables, *state_variables(model)])
    names = global_state.get_global_attribute("object_name_uids", defaultdict(int), True)
    counts = dict(names)
    losses = [(each._losses, list(each._losses)) for each in _with_losses(model)]
    try:
        yield kept
    finally:
        kept.restore()
        names.clear()
        names.update(counts)
        for now, before in losses:
            now[:] = before


def _with_losses(model: keras.Model) -> list[Any]:
    """The layers that keep the losses of their last call."""
    return [each for each in model._flatten_layers() if hasattr(each, "_losses")]


def written(graphs: list[Any]) -> list[Any]:
    """The variables of graphs some of whose operations write to variables; else none."""
    found = []
    for graph in graphs:
        whole = graph.as_graph_def()
        nodes = [*whole.node, *(node for each in whole.library.function for node in each.node_def)]
        if any(_writes(node.op) for node in nodes):
            found += graph.variables
    return found


def _writes(op: str) -> bool:
    """Whether an operation changes a variable, or may: its resource is read by others by name."""
    return op.startswith("Assign") or (op.startswith("Resource") and "Gather" not in op)
