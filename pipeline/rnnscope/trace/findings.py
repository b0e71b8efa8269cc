"""What the proof found: the worst of each kind of residual, and where it is."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

SEQUENCES, TIMESTEPS = 32, 10_000
"""At most this many per part are proved: float64 and Keras' own loop are slower than ours."""


@dataclass(frozen=True)
class Worst:
    """The worst residual of a kind, with its place and both values."""

    value: float
    """The residual, relative as ``proof`` says."""
    signal: str
    sequence: int
    timestep: int
    """In input time."""
    unit: int
    recorded: float
    expected: float

    def place(self) -> dict[str, Any]:
        """All but the residual itself, for the manifest."""
        return {key: value for key, value in asdict(self).items() if key != "value"}


Findings = dict[str, dict[str, Worst]]
"""Layer -> kind of residual -> its worst."""


def sample(timesteps: int) -> int:
    """How many sequences of this length are proved per part."""
    return max(1, min(SEQUENCES, TIMESTEPS // timesteps))


def worst(found: Iterable[Worst]) -> Worst:
    """The one with the largest residual; NaN counts as larger than any number."""
    return max(found, key=lambda each: np.inf if np.isnan(each.value) else each.value)


def merge(into: Findings, found: Findings) -> None:
    """Add findings to others, keeping the worse of each."""
    for layer, kinds in found.items():
        known = into.setdefault(layer, {})
        for kind, each in kinds.items():
            known[kind] = worst([known[kind], each]) if kind in known else each
