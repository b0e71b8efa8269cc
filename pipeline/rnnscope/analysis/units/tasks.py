"""How much units vary from sequence to sequence within each task, and which units do so alike.

A task is a value of an annotation, or a class. In networks that were trained on many tasks, task
variance tells which units serve which of them (Yang et al. 2019).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics import silhouette_score

from rnnscope import states
from rnnscope.analysis.statistics import covariance
from rnnscope.analysis.units import classes
from rnnscope.analysis.units.classes import ClassSums, class_sums
from rnnscope.states.listing import held
from rnnscope.store import parquet

Float = NDArray[np.float64]

MOST = 20
"""Most values of an annotation for each to count as a task."""
CLUSTERS = 12
"""Most clusters."""
LABEL = "label"
"""What is said to tell the tasks where they are the classes."""
NONE = -1
"""The cluster of a unit that is in none."""
ROWS = 65_536
"""Rows of annotations that are read at a time."""

EXACT = 2**53
"""Up to which every whole number is a float of its own."""


def values_of(folder: Path, names: list[str]) -> dict[str, NDArray[np.int64]]:
    """The values of each annotation that has from 2 to ``MOST``, whole numbers all, rising.

    Args:
        folder: an extract stage's output.
        names: of its annotations.
    """
    found: dict[str, NDArray[np.float64]] = {name: np.zeros(0) for name in names}
    batches = parquet.batches(held(folder, states.STEPS), ROWS, names) if names else ()
    for batch in batches:
        for name, known in list(found.items()):
            column = batch[name].to_numpy(zero_copy_only=False).astype(np.float64)
            values = np.union1d(known, column[np.isfinite(column)])
            whole = (values == np.round(values)) & (np.abs(values) <= EXACT)
            if len(values) > MOST or not whole.all():
                del found[name]
            else:
                found[name] = values
    return {name: each.astype(np.int64) for name, each in found.items() if len(each) > 1}


def sums(
    values: NDArray[np.floating],
    annotations: Float,
    timestep: NDArray[np.integer],
    tasks: list[NDArray[np.int64] | None],
    timesteps: int,
) -> list[ClassSums]:
    """The sums by task and timestep of values [U, R], for each annotation with tasks; they merge.

    Args:
        values: one unit per line.
        annotations: of the rows [A, R]; NaN where unknown.
        timestep: of the rows [R].
        tasks: of each annotation its values [V]; None where it has no tasks.
        timesteps: T, past every timestep that occurs.
    """
    found = []
    for line, each in zip(annotations, tasks, strict=True):
        if each is None:
            continue
        known = np.flatnonzero(np.isfinite(line))
        place = np.searchsorted(each, line[known]) * timesteps + timestep[known]
        found.append(class_sums(values[:, known], place, len(each) * timesteps))
    return found


def merge(a: list[ClassSums], b: list[ClassSums]) -> list[ClassSums]:
    """The sums of both sets of rows."""
    return [classes.merge(*both) for both in zip(a, b, strict=True)]


@dataclass(frozen=True)
class Tasks:
    """Task variances of U units in V tasks of one kind."""

    of: str
    """The annotation whose values they are, or ``LABEL``."""
    tasks: NDArray[np.int64]
    """Its values [V]."""
    sequences: NDArray[np.int64]
    """Sequences of each task at the timestep where most have it [V]."""
    variance: Float
    """[V, U]; NaN for a task of which no timestep has two sequences."""

    @property
    def relative(self) -> Float:
        """The variance as a share of the unit's largest [V, U]; NaN for one that never varies."""
        with np.errstate(invalid="ignore"):
            return self.variance / np.fmax.reduce(self.variance)


def variances(of: str, tasks: NDArray[np.int64], by_timestep: ClassSums) -> Tasks:
    """Task variances (Yang et al. 2019), from sums by task and timestep [V T].

    TV(A) = sum_t sum_j (x_jt - mean_j x_jt)^2 / sum_t (n_t - 1) over the rows of task A: the
    variance over sequences j at each timestep t, averaged over timesteps by their degrees of
    freedom. It is that of Yang et al., the mean over timesteps of the variance over trials, where
    all timesteps have equally many sequences.

    Args:
        of: what tells the tasks.
        tasks: its values [V].
        by_timestep: as ``sums`` gives them.
    """
    count = by_timestep.count.reshape(len(tasks), -1)
    rounding = covariance.rounding(by_timestep.count[:, np.newaxis], by_timestep.mean)
    m2 = np.where(by_timestep.m2 <= rounding, 0, by_timestep.m2)
    m2 = m2.reshape(*count.shape, -1).sum(axis=1)
    freedom = np.maximum(count - 1, 0).sum(axis=1)[:, np.newaxis]
    variance = np.where(freedom > 0, m2 / np.maximum(freedom, 1), np.nan)
    there = count.any(axis=1)
    return Tasks(of, tasks[there], count.max(axis=1)[there], variance[there])


def clusters(relative: Float, variance: Float, least: float) -> NDArray[np.int32]:
    """The cluster of each unit [U], from 0, the largest first, then by first unit; NONE for none.

    Ward's clusters (1963) of the relative task variances, as many, up to ``CLUSTERS``, as have the
    largest mean silhouette (Rousseeuw 1987). Yang et al. (2019) use k-means with the same rule;
    Ward's has the same criterion and no random start.

    Args:
        relative: of each task [V, U].
        variance: likewise; units whose sum is below ``least`` are in no cluster.
        least: see there.
    """
    found = np.full(relative.shape[1], NONE, np.int32)
    known = ~np.isnan(relative).all(axis=1)
    points = relative[known].T
    varying = np.flatnonzero((variance[known].sum(axis=0) >= least) & ~np.isnan(points).any(axis=1))
    points = points[varying]
    if len(np.unique(points, axis=0)) < 3:
        return found
    distances = pdist(points)
    square, tree = squareform(distances), hierarchy.linkage(points, "ward")
    cuts = [
        hierarchy.fcluster(tree, count, "maxclust")
        for count in range(2, min(CLUSTERS, len(points) - 1) + 1)
    ]
    best = max(cuts, key=lambda cut: _silhouette(square, cut))
    members = sorted(
        (np.flatnonzero(best == name) for name in np.unique(best)),
        key=lambda each: (-len(each), each[0]),
    )
    for number, each in enumerate(members):
        found[varying[each]] = number
    return found


def _silhouette(distances: Float, cut: NDArray[np.int32]) -> float:
    """The mean silhouette of some clusters [n] from distances [n, n]; -1 for a single one."""
    count = len(np.unique(cut))
    if not 1 < count < len(cut):
        return -1.0
    return float(silhouette_score(distances, cut, metric="precomputed"))
