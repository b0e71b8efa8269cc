"""Principal components of a signal, and the classes' mean trajectories in them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.analysis.statistics.choosing import first_of_largest
from rnnscope.analysis.statistics.covariance import Covariances
from rnnscope.analysis.statistics.spectrum import NOTHING
from rnnscope.states import Signal

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Axes:
    """The k principal axes of largest variance; NaN for those along which nothing varies."""

    centre: Float
    """The mean [U]."""
    loading: Float
    """[k, U], each axis of length 1, its largest |loading| positive."""
    variance: Float
    """[k], ddof = 1."""
    share: Float
    """[k], of the variance of all U units."""


@dataclass(frozen=True)
class Trajectories:
    """The mean coordinates of R groups of rows, each of one class at one timestep."""

    label: "pd.arrays.IntegerArray"
    """The class [R]; null where rows have none."""
    timestep: NDArray[np.int32]
    """[R]"""
    sequences: NDArray[np.int64]
    """How many rows a group has [R]."""
    means: Float
    """Coordinates along k axes [k, R]; NaN for an axis along which nothing varies."""


def axes(sums: Covariances, k: int) -> Axes:
    """The first k principal axes (Pearson 1901) of one group of rows; U of them if k is larger."""
    (count,), (centre,), (m2,) = sums.count, sums.mean, sums.m2
    k = min(k, len(centre))
    if sums.constant.all():
        return Axes(centre, np.full((k, len(centre)), np.nan), *np.full((2, k), np.nan))
    values, vectors = np.linalg.eigh(m2)
    total = values.sum()
    largest, loading = values[::-1][:k], vectors.T[::-1][:k].copy()
    nothing = largest < NOTHING * total
    largest = np.where(nothing, 0, largest)
    loading[nothing] = np.nan
    first = first_of_largest(np.abs(loading))
    loading *= np.sign(loading[np.arange(k), first])[:, np.newaxis]
    return Axes(centre, loading, largest / (count - 1), largest / total)


def project(axes: Axes, values: NDArray[np.floating], here: NDArray[np.intp]) -> Float:
    """Coordinates [k, r] along the axes of some rows [r] of values [U, R]."""
    found = np.zeros((len(axes.loading), len(here)))
    for weights, centre, line in zip(axes.loading.T, axes.centre, values, strict=True):
        found += np.outer(weights, line[here] - centre)  # a line at a time, in float64
    return found


def trajectories(axes: Axes, signal: Signal, timesteps: NDArray[np.int32], k: int) -> Trajectories:
    """The mean coordinates along the axes of the rows of each class and timestep that occur.

    Args:
        axes: of the signal.
        signal: read part by part, in any order.
        timesteps: which [G], rising.
        k: number of classes; where rows have no label, all are of one class, null.
    """
    groups = len(timesteps)
    cells = max(k, 1) * groups
    count = np.zeros(cells, np.int64)
    total = np.zeros((len(axes.loading), cells))
    for rows, values in signal.read():
        here = np.flatnonzero(np.isin(rows.timestep, timesteps))
        cell = np.searchsorted(timesteps, rows.timestep[here])
        if rows.label is not None:
            cell += groups * rows.label[here]
        count += np.bincount(cell, minlength=cells)
        for line, coordinates in zip(total, project(axes, values, here), strict=True):
            line += np.bincount(cell, coordinates, cells)
    there = np.flatnonzero(count)
    label = pd.array(there // groups, "Int32")
    if not signal.labelled:
        label[:] = pd.NA
    return Trajectories(
        label, timesteps[there % groups], count[there], total[:, there] / count[there]
    )
