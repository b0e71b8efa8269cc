"""Which timesteps of which sequences are rows of a recurrent layer, and which have labels."""

import re
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from rnnscope import trace
from rnnscope.data import MASK, Batch, Split
from rnnscope.errors import UserError
from rnnscope.models.axes import Time
from rnnscope.models.times import Times, times

_CALL = re.compile(r"^(?P<layer>.*?)(\.call(?P<call>\d+))?(\.cell\d+)?$")
"""The name of a recorded layer: with the number of its call, and of the cell in its stack."""
Lengths = NDArray[np.int32] | None
"""Of B sequences; None where all have all timesteps."""


@dataclass(frozen=True)
class Rows:
    """The timesteps of a model's recurrent layers."""

    layers: dict[str, keras.layers.RNN]
    times: Times | None
    """None where the model has no graph."""

    def time(self, layer: str) -> Time | None:
        """The time of a recorded layer; None if the graph does not tell."""
        if self.times is None:
            return None
        found = _CALL.match(layer)
        assert found is not None
        name, call = (layer, 0) if layer in self.layers else (found["layer"], int(found["call"] or 0))
        calls = self.times.layers.get(id(self.layers.get(name)), [])
        if len(set(calls)) == 1:
            return calls[0]
        return calls[call] if call < len(calls) else None

    def lengths(self, layer: str, timesteps: int, batch: Batch, *, masked: bool) -> Lengths:
        """The lengths [B] of what a layer of this many timesteps reads; None where they are T.

        Args:
            layer: the recorded layer.
            timesteps: how many it runs on.
            batch: the sequences.
            masked: whether it has a mask of its own, which tells its rows where lengths do not.

        Raises:
            UserError: without a mask it is not known which timesteps are rows.
        """
        time = self.time(layer)
        every = [batch.name or "x", *batch.others]
        names = every if time is None else [n for n in every if n in time.inputs or n in ...]
        raise NotImplementedError
