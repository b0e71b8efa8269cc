"""The number of dimensions of the states at each timestep, with its interval."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnscope.analysis.statistics import covariance, jackknife, spectrum
from rnnscope.analysis.statistics.covariance import Covariances

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Dimensions:
    """Of the covariance across sequences at each of T timesteps; NaN where no unit varies."""

    eigenvalues: Float
    """Up to a factor, rising [T, U]."""
    ratio: Float
    """The participation ratio, corrected for few sequences [T]."""
    low: Float
    """Of its 95 % interval [T], as the next; NaN below 40 sources of sequences."""
    high: Float
    naive: Float
    """The sample's own participation ratio [T]."""


def dimensions(
    timesteps: Iterable[Covariances], sources: NDArray[np.int64]
) -> tuple[Dimensions, Covariances]:
    """The dimensions at each timestep, with delete-a-group jackknife intervals.

    Args:
        timesteps: the covariances of each timestep's groups of sequences [T].
        sources: how many independent sources of sequences reach each timestep [T].

    Returns:
        The dimensions, and the covariances of all sequences, a group for each timestep.
    """
    whole, ratios = [], []
    for groups in timesteps:
        whole.append(covariance.pool(groups))
        ratios.append([_ratio(rest) for rest in covariance.without_each(groups)])
    every = covariance.join(whole)
    traces = spectrum.traces(every)
    ratio = spectrum.participation_ratio(every.count, *traces)
    low, high = jackknife.interval(ratio, np.array(ratios).T, sources)
    naive = spectrum.participation_ratio_naive(*traces)
    return Dimensions(spectrum.eigenvalues(every), ratio, low, high, naive), every


def _ratio(sums: Covariances) -> float:
    """The participation ratio of the only group."""
    return spectrum.participation_ratio(sums.count, *spectrum.traces(sums)).item()
