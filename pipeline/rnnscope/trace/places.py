"""The recurrent cells of a model, and which of their states can be clamped."""

from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from rnnscope.trace import cells, loops

KNOWN = ("h", "c")
"""The states whose role in a cell's equations is known."""


@dataclass(frozen=True)
class Place:
    """A cell in a model."""

    name: str
    """The layer's name."""
    layer: keras.layers.RNN
    number: int
    """The cell's place among those of the layer."""
    cell: Any
    """The Keras cell."""
    states: tuple[str, ...]
    """Which of h and c can be clamped; none for a cell of unknown kind."""

    @property
    def units(self) -> int:
        """U; only of a cell of known kind."""
        return cells.units(self.cell)

    @property
    def c_is_private(self) -> bool:
        """Whether c acts only through h, which is 0 where c is: then c at 0 is h at 0."""
        silent = self.cell.activation in (keras.activations.tanh, keras.activations.relu)
        return silent and not self.layer.return_state


def places(model: keras.Model) -> dict[str, Place]:
    """The model's recurrent cells by name, those of stacked cells as ``name.cell0``, ..."""
    found = {}
    for name, layer in loops.recurrent_layers(model).items():
        for number, cell in enumerate(loops.cells_of(layer)):
            count = len(tf.nest.flatten(cell.state_size))
            states = tuple(state for state in cells.states_of(cell, count) if state in KNOWN)
            here = f"{name}.cell{number}" if loops.stacked(layer) else name
            found[here] = Place(name, layer, number, cell, states)
    return found
