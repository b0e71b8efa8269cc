"""How units respond over time: means by class and timestep, and the effect of class at each."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope import states
from rnnscope.analysis.units.anova import effect
from rnnscope.analysis.units.classes import ClassSums, class_sums

Float = NDArray[np.float64]


def tuning_sums(
    values: NDArray[np.floating], rows: states.RowKeys, k: int, timesteps: int
) -> ClassSums:
    """The sums of values [U, R] by class and timestep, as K T classes in that order; they merge.

    Without labels K is 1.
    """
    group = rows.timestep.astype(np.int64)
    if rows.label is not None:
        group += rows.label.astype(np.int64) * timesteps
    return class_sums(values, group, k * timesteps)


def mean_over_time(sums: ClassSums, timesteps: int) -> Float:
    """Mean of x over sequences at each timestep [U, T]; 0 where there is no row."""
    count = sums.count.reshape(-1, timesteps)
    total = (count[:, :, np.newaxis] * sums.mean.reshape(*count.shape, -1)).sum(axis=0)
    mean: Float = (total / np.maximum(count.sum(axis=0), 1)[:, np.newaxis]).T
    return mean


@dataclass(frozen=True)
class Responses:
    """The responses of U units, in G pairs of class and timestep and at S timesteps that occur."""

    sums: ClassSums
    """As ``tuning_sums`` returns them."""
    units: NDArray[np.int32]
    """The units' numbers [U]."""
    timesteps: int
    """T, past every timestep that occurs."""
    labelled: bool
    """Whether there are classes; else all rows count as class 0."""

    @cached_property
    def pairs(self) -> NDArray[np.intp]:
        """Which classes and timesteps occur, as class times T plus timestep [G]."""
        return np.flatnonzero(self.sums.count)

    @cached_property
    def steps(self) -> NDArray[np.intp]:
        """Which timesteps occur [S]."""
        return np.flatnonzero(self.count.sum(axis=0))

    @property
    def count(self) -> NDArray[np.int64]:
        """Sequences of each class at each timestep [K, T]."""
        return self.sums.count.reshape(-1, self.timesteps)

    @property
    def mean(self) -> Float:
        """Mean by pair [U, G]."""
        return self.sums.mean[self.pairs].T

    @property
    def standard_error(self) -> Float:
        """Standard error of the mean by pair, ddof = 1 [U, G]; NaN for a single sequence."""
        count = self.sums.count[self.pairs]
        with np.errstate(divide="ignore", invalid="ignore"):
            error: Float = np.sqrt(self.sums.m2[self.pairs] / ((count - 1) * count)[:, np.newaxis])
        return error.T

    @cached_property
    def eta2(self) -> Float:
        """Share of the variance across sequences that lies between classes, by timestep [U, S]."""
        places = np.arange(len(self.count)) * self.timesteps
        return np.transpose([effect(self.sums.only(places + t)).eta2 for t in self.steps])

    @property
    def occurring(self) -> int:
        """How many classes occur at any timestep."""
        return int(self.count.any(axis=1).sum())

    @property
    def reached(self) -> NDArray[np.bool_]:
        """Which timesteps at least two sequences per class reach, whatever their classes [S]."""
        reached: NDArray[np.bool_] = self.sequences >= 2 * self.occurring
        return reached

    @cached_property
    def peak(self) -> tuple[Float, NDArray[np.intp]]:
        """The largest eta2 over these timesteps, NaN if there is none, and its timestep [U]."""
        known = np.where(self.reached, np.nan_to_num(self.eta2, nan=-1), -1)
        place = known.argmax(axis=1)
        largest = known.max(axis=1)
        return np.where(largest >= 0, largest, np.nan), self.steps[place]

    @property
    def sequences(self) -> NDArray[np.int64]:
        """How many sequences reach each timestep [S]."""
        return self.count.sum(axis=0)[self.steps]

    @property
    def classes(self) -> NDArray[np.int64]:
        """How many classes occur at each timestep [S]."""
        return (self.count > 0).sum(axis=0)[self.steps]

    def each_unit(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values of pairs [G] or timesteps [S], once for each unit, as they stand in the rows."""
        return np.tile(values, len(self.units))
