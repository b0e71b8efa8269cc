"""What stands in the padding of a model's inputs: the value that the model masks."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from rnnscope.models.axes import inner_graph


def mask_values(model: keras.Model, inputs: Mapping[str, Any]) -> dict[str, float]:
    """The value by which padding is known, for each input that goes straight into one Masking.

    The data's padding is zeros. A model that masks another value would read them as timesteps.

    Args:
        model: any.
        inputs: its symbolic inputs, by name.
    """
    graph = inner_graph(model)
    if graph is None:
        return {}
    names = {id(tensor): name for name, tensor in inputs.items()}
    found: dict[str, set[float]] = {}
    for nodes in graph._nodes_by_depth.values():
        for node in nodes:
            given = node.input_tensors
            if isinstance(node.operation, keras.layers.Masking) and id(given[0]) in names:
                name = names[id(given[0])]
                found.setdefault(name, set()).add(float(node.operation.mask_value))
    return {name: values.pop() for name, values in found.items() if len(values) == 1}


def filled(
    values: NDArray[Any], lengths: NDArray[np.integer] | None, value: float | None
) -> NDArray[Any]:
    """Values [B, T, ...] with another one beyond the lengths [B]; as they are where it is 0."""
    if lengths is None or not value:
        return values
    padding = np.arange(values.shape[1]) >= np.asarray(lengths)[:, np.newaxis]
    made = values.copy()
    made[padding] = value
    return made
