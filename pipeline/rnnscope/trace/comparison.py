"""Compare recorded signals with Keras' own loop on some sequences; keep the largest residuals."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rnnscope.data import Batch
from rnnscope.models.batches import fixed_batch
from rnnscope.trace import proof
from rnnscope.trace.loops import state_variables
from rnnscope.trace.recording import LayerTrace, Trace, recording, returning_everything

SEQUENCES, TIMESTEPS = 32, 10_000
"""At most this many per part are compared with Keras' own loop, which is slower than ours."""

Residuals = dict[str, dict[str, float]]
"""Layer -> kind -> largest absolute residual."""


def compared(model: keras.Model, inputs: Any) -> Any:
    """Residuals by layer between the recorded signals and Keras' own loop."""
    kept = [(variable, tf.identity(variable)) for variable in state_variables(model)]
    with recording(model) as traced:
        model(inputs, training=False)
    for variable, value in kept:
        variable.assign(value)
    with returning_everything(model) as stock:
        model(inputs, training=False)
    for variable, value in kept:
        variable.assign(value)
    return {
        name: proof.against_stock(_top(traced, name), handed, stock[name])
        for name, handed in traced.handed.items()
    }


def _top(traced: Trace, name: str) -> LayerTrace:
    """The trace of a layer's top cell."""
    cells = [key for key in traced.layers if key == name or key.startswith(f"{name}.cell")]
    return traced.layers[cells[-1]]


def sample(timesteps: int) -> int:
    """How many sequences of this length are compared per part."""
    return max(1, min(SEQUENCES, TIMESTEPS // timesteps))


def head(inputs: Any, batch: Batch, model: keras.Model) -> Any:
    """The first sequences of a batch, or all if the model's batch size is fixed."""
    if fixed_batch(model):
        return inputs
    count = sample(batch.x.shape[1])
    return tf.nest.map_structure(lambda values: values[:count], inputs)


def floats(residuals: Any) -> Residuals:
    """Residuals as Python floats, which waits for their computation."""
    return {
        layer: {kind: float(value) for kind, value in kinds.items()}
        for layer, kinds in residuals.items()
    }


def merge(into: Residuals, found: Residuals) -> None:
    """Add residuals to others, keeping the larger of each."""
    for layer, kinds in found.items():
        largest = into.setdefault(layer, {})
        for kind, value in kinds.items():
            # NaN counts as larger than any number.
            known = largest.get(kind, 0.0)
            largest[kind] = known if known > value or np.isnan(known) else value
