"""Principal components of a signal, and the classes' mean trajectories in them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope import states
from rnnscope.analysis.statistics.covariance import Covariances
from rnnscope.analysis.statistics.spectrum import NOTHING

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


def axes(sums: Covariances, k: int) -> Axes:
    """The first k principal axes (Pearson 1901) of one group; U of them where k is larger."""
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
    size = np.abs(loading)
    # Of loadings that rounding alone tells apart the first counts, or their sign would be chance.
    first = (size >= (1 - 1e-6) * size.max(axis=1, keepdims=True)).argmax(axis=1)
    loading *= np.sign(loading[np.arange(k), first])[:, np.newaxis]
    return Axes(centre, loading, largest / (count - 1), largest / total)


def project(axes: Axes, values: NDArray[np.floating], here: NDArray[np.intp]) -> Float:
    """Coordinates [k, r] along the axes of some rows [r] of values [U, R]."""
    found = np.zeros((len(axes.loading), len(here)))
    for weights, centre, line in zip(axes.loading.T, axes.centre, values, strict=True):
        found += np.outer(weights, line[here] - centre)  # a line at a time, in float64
    return found


def table(axes: Axes, units: NDArray[np.int32]) -> pd.DataFrame:
    """One row per component, from 1, and unit [U], with the component's variance beside each."""
    k, u = axes.loading.shape
    return pd.DataFrame(
        {
            "component": np.repeat(np.arange(1, k + 1, dtype=np.int32), u),
            "unit": np.tile(units, k),
            "loading": axes.loading.ravel(),
            "variance": np.repeat(axes.variance, u),
            "variance_share": np.repeat(axes.share, u),
        }
    )


def trajectories(
    axes: Axes, files: Iterable[Path], timesteps: NDArray[np.int32], k: int
) -> pd.DataFrame:
    """One row per class and timestep: the mean coordinates of its rows, and their number.

    Args:
        axes: of the signal.
        files: its parts, in any order.
        timesteps: which [G], rising.
        k: number of classes; where rows have no label, all are of one class, null.
    """
    groups, labelled = len(timesteps), False
    cells = max(k, 1) * groups
    count = np.zeros(cells, np.int64)
    total = np.zeros((len(axes.loading), cells))
    for file in files:
        rows, values = states.read_part(file)
        here = np.flatnonzero(np.isin(rows.timestep, timesteps))
        cell = np.searchsorted(timesteps, rows.timestep[here])
        if rows.label is not None:
            labelled = True
            cell += groups * rows.label[here]
        count += np.bincount(cell, minlength=cells)
        for line, coordinates in zip(total, project(axes, values, here), strict=True):
            line += np.bincount(cell, coordinates, cells)
    there = np.flatnonzero(count)
    label = pd.array(there // groups, "Int32")
    if not labelled:
        label[:] = pd.NA
    frame = pd.DataFrame(
        {
            "label": label,
            "timestep": timesteps[there % groups],
            "sequences": count[there],
        }
    )
    means = total[:, there] / count[there]
    return frame.assign(**{f"component_{n}": line for n, line in enumerate(means, 1)})
