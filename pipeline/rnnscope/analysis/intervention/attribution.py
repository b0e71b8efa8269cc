"""Gradient × state of each unit and timestep: to first order, what the state is worth.

Integrated gradients (Sundararajan, Taly & Yan 2017) go further: along the straight path from the
mean state at a timestep to the state itself, all units of the layer together, the gradient is
averaged and multiplied by the state's distance from the mean. Over units they add up to the change
of the loss from the mean state to the state, up to the error of the average, the completeness
error.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rnnscope.analysis.intervention.gradients import Float, Gradients
from rnnscope.analysis.intervention.measuring import Here

Key = tuple[str, str]
"""Place and state."""


@dataclass
class Attributed:
    """The sums over sequences of one state of U units."""

    count: NDArray[np.int64]
    """Sequences that have each timestep [T]."""
    units: int
    """U."""
    sums: dict[str, Float] = field(default_factory=dict)
    """Name of a column -> sum over them [T, U]."""

    def add(self, name: str, values: Float, valid: NDArray[np.bool_]) -> None:
        """Add values [T, B, U] at valid timesteps [B, T]."""
        more = values.sum(axis=1, where=valid.T[:, :, np.newaxis])
        self.sums[name] = self.sums[name] + more if name in self.sums else more

    def add_at(self, timestep: int, name: str, values: Float) -> None:
        """Add values [B, U or 1] at one timestep."""
        shape = len(self.count), self.units
        self.sums.setdefault(name, np.zeros(shape))[timestep] += values.sum(axis=0)

    def mean(self, name: str) -> Float:
        """The mean over sequences [T, U]; NaN where there are none, or nothing was added."""
        found = np.full((len(self.count), self.units), np.nan)
        if name not in self.sums:
            return found
        count = self.count[:, np.newaxis]
        return np.divide(self.sums[name], count, out=found, where=count > 0)


def attribute(
    into: dict[Key, Attributed],
    gradients: Gradients,
    here: Here,
    key: Key,
    derived: Mapping[str, Mapping[str, Float]],
) -> None:
    """Add the attributions of a batch.

    Args:
        into: the sums so far.
        gradients: of the model.
        here: the batch.
        key: place and state.
        derived: measure -> state -> its gradient with respect to the state [T, B, U].
    """
    place, state = key
    values, valid = here.recorded.signals[place][state], here.recorded.valid[place]
    if key not in into:
        into[key] = Attributed(np.zeros(len(values), np.int64), values.shape[2])
    sums = into[key]
    sums.count = sums.count + valid.sum(axis=0)
    for of, by_state in derived.items():
        product = by_state[state] * values
        sums.add(of, product, valid)
        sums.add(f"{of}_absolute", np.abs(product), valid)
    for timestep, each, error in _integrated(gradients, here, key) if derived else ():
        there = valid[:, timestep]
        sums.add_at(timestep, "integrated", each[there])
        sums.add_at(timestep, "completeness_error", np.abs(error)[there, np.newaxis])


def _integrated(gradients: Gradients, here: Here, key: Key) -> Iterator[tuple[int, Float, Float]]:
    """Of each timestep the integrated gradients of the loss [B, U], and what they miss [B].

    The average along the path is taken at the midpoints of ``intervention.integrate`` equal pieces.
    """
    if not here.integrate:
        return
    place, state = key
    kept, levels = here.recorded.kept, here.levels[key]
    for timestep, values in enumerate(here.recorded.signals[place][state]):
        start = np.broadcast_to(levels.mean[timestep], values.shape)
        way = values.astype(np.float64) - start
        total = np.zeros(way.shape)
        for piece in range(here.integrate):
            at = start + (piece + 0.5) / here.integrate * way
            found, _ = gradients.at(here.given, kept, key, at, timestep)
            total += found / here.integrate
        _, first = gradients.at(here.given, kept, key, start, timestep)
        each = total * way
        yield timestep, each, each.sum(axis=1) - (here.recorded.made.loss - first)
