"""How units respond over time: means by class and timestep, and what the class explains of each."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope import states
from rnnscope.analysis.units.classes import ClassSums, anova, class_sums

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


def tuning(sums: ClassSums, units: list[int], timesteps: int, *, labelled: bool) -> pd.DataFrame:
    """One row per unit, class and timestep that occurs: count, mean and its standard error."""
    there = np.flatnonzero(sums.count)
    label, timestep = np.divmod(there, timesteps)
    count = sums.count[there]
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(sums.m2[there] / ((count - 1) * count)[:, np.newaxis])
    classes = pd.array(label if labelled else [pd.NA] * len(there), dtype="Int32")
    return pd.DataFrame(
        {
            "unit": np.repeat(np.array(units, np.int32), len(there)),
            "label": pd.concat([pd.Series(classes)] * len(units), ignore_index=True),
            "timestep": np.tile(timestep.astype(np.int32), len(units)),
            "count": np.tile(count, len(units)),
            "mean": sums.mean[there].T.ravel(),
            "standard_error": error.T.ravel(),
        }
    )


def by_timestep(sums: ClassSums, units: list[int], timesteps: int) -> pd.DataFrame:
    """One row per unit and timestep that occurs: count, and eta^2 of class; NaN without classes."""
    count = sums.count.reshape(-1, timesteps)
    mean, m2, magnitude = (
        each.reshape(*count.shape, -1) for each in (sums.mean, sums.m2, sums.magnitude)
    )
    there = np.flatnonzero(count.sum(axis=0))
    eta2 = [
        anova(ClassSums(count[:, t], mean[:, t], m2[:, t], magnitude[:, t])).eta2 for t in there
    ]
    return pd.DataFrame(
        {
            "unit": np.repeat(np.array(units, np.int32), len(there)),
            "timestep": np.tile(there.astype(np.int32), len(units)),
            "count": np.tile(count.sum(axis=0)[there], len(units)),
            "eta2": np.transpose(eta2).ravel(),
        }
    )
