"""Sums over the rows of a part, for some units; the sums of parts merge in any order."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnscope import states
from rnnscope.analysis.statistics import moments
from rnnscope.analysis.statistics.moments import Moments
from rnnscope.analysis.units import (
    autocorrelation,
    classes,
    covariates,
    final_step,
    tasks,
    tuning,
)
from rnnscope.analysis.units.autocorrelation import LagSums, Pairs
from rnnscope.analysis.units.classes import ClassSums
from rnnscope.analysis.units.covariates import CovariateSums
from rnnscope.analysis.units.final_step import FinalSums, Held
from rnnscope.analysis.units.sampling import Values

Part = tuple[states.RowKeys, Values]
"""Some whole sequences: the keys of R rows, and values with one unit per line [U, R]."""


FEW = 8
"""Units whose fluctuations are computed at a time, so that they stay in the processor's cache."""


@dataclass(frozen=True)
class Sums:
    """Sums over all rows of U units."""

    moments: Moments
    magnitude: NDArray[np.float64]
    """sum |x| [U]"""
    logarithm: NDArray[np.float64]
    """sum ln x of a forget gate [U], -inf where one is 0; 0 of other signals."""
    left: NDArray[np.int64]
    """Rows below the lower saturation cut [U]."""
    right: NDArray[np.int64]
    """Rows above the upper saturation cut [U]."""
    tuning: ClassSums
    """By class and timestep."""
    final_step: FinalSums
    covariates: CovariateSums
    """Of units and annotations."""
    tasks: list[ClassSums]
    """By task and timestep, for each annotation that tells tasks."""


def summarise(
    part: Part,
    annotations: NDArray[np.float64],
    groups: NDArray[np.integer],
    cuts: list[float],
    k: int,
    timesteps: int,
    told: list[NDArray[np.int64] | None],
    *,
    forget: bool,
) -> Sums:
    """The sums over one part.

    Args:
        part: whole sequences.
        annotations: of its rows [A, R].
        groups: of all sequences of the recording [N].
        cuts: values below the first are left-saturated, above the second right-saturated.
        k: number of classes; 1 without labels.
        timesteps: T, past every timestep that occurs.
        told: the tasks of each annotation [A]; None where it tells none.
        forget: whether the signal is a forget gate.
    """
    rows, values = part
    final = final_rows(part)
    return Sums(
        moments.moments(values),
        np.array([np.abs(line).sum(dtype=np.float64) for line in values]),
        _sum_of_logarithms(values) if forget else np.zeros(len(values)),
        (values < cuts[0]).sum(axis=1),
        (values > cuts[1]).sum(axis=1),
        tuning.tuning_sums(values, rows, k, timesteps),
        final_step.final_sums(final.values, final.labels, groups[final.sequences], k),
        covariates.covariate_sums(
            values, annotations, groups[rows.sequence], rows.timestep, timesteps
        ),
        tasks.sums(values, annotations, rows.timestep, told, timesteps),
    )


def merge(a: Sums, b: Sums) -> Sums:
    """The sums over both sets of rows."""
    return Sums(
        moments.merge(a.moments, b.moments),
        a.magnitude + b.magnitude,
        a.logarithm + b.logarithm,
        a.left + b.left,
        a.right + b.right,
        classes.merge(a.tuning, b.tuning),
        final_step.merge(a.final_step, b.final_step),
        covariates.merge(a.covariates, b.covariates),
        tasks.merge(a.tasks, b.tasks),
    )


def final_rows(part: Part) -> Held:
    """The final step of each sequence; of class 0 where there are no labels."""
    rows, values = part
    numbers = rows.sequence[rows.final]
    labels = np.zeros(len(numbers), np.int32) if rows.label is None else rows.label[rows.final]
    return Held(values[:, rows.final], labels, numbers)


def _sum_of_logarithms(values: Values) -> NDArray[np.float64]:
    """sum ln x of values [U, R] that are not below 0 [U]; NaN for a unit with one that is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.array([np.log(line, dtype=np.float64).sum() for line in values])


def lag_sums(
    part: Part, mean: NDArray[np.float64], lags: int, groups: NDArray[np.integer]
) -> LagSums:
    """Lag sums, up to ``lags``, of a part's fluctuations about the mean over sequences.

    Args:
        part: whole sequences.
        mean: of each unit at each timestep [U, T].
        lags: largest lag.
        groups: the group of the sequence of each row [R].
    """
    rows, values = part
    units, timesteps = mean.shape
    starts = np.flatnonzero(np.append(True, rows.sequence[1:] != rows.sequence[:-1]))
    order = np.argsort(groups[starts], kind="stable")  # sequences of a group side by side
    sequence = np.empty(len(order), np.intp)
    sequence[order] = np.arange(len(order))
    lengths = np.diff(np.append(starts, len(rows.sequence)))
    place = np.repeat(sequence, lengths) * timesteps + rows.timestep
    present = np.zeros((len(order), timesteps), bool)
    present.ravel()[place] = True
    pairs = Pairs(present, groups[starts][order], lags)
    found = []
    for start in range(0, units, FEW):
        few = slice(start, start + FEW)
        lines = np.zeros((len(mean[few]), present.size))
        lines[:, place] = values[few] - mean[few][:, rows.timestep]
        found.append(pairs.sums(lines.reshape(-1, *present.shape), mean[few]))
    return autocorrelation.joined(found)
