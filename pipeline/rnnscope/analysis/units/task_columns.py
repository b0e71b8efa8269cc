"""The table of task variances: its values, meanings and sources."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.analysis.units import tasks
from rnnscope.analysis.units.tasks import Tasks
from rnnscope.store.tables import LAYER, SIGNAL, Column, Null, Table

YANG = "Yang et al. 2019"


@dataclass(frozen=True)
class Varying:
    """The task variances of U units of one signal, in tasks of several kinds."""

    units: NDArray[np.int32]
    """The units' numbers [U]."""
    each: list[Tasks]
    """Of the kinds that occur."""

    def joined(self, values: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Values of each kind [V, U] in the order of the table's rows: unit, kind, task."""
        if not values:
            return np.zeros(0)
        return np.concatenate(values).T.ravel()

    def by_task(self, values: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Values of each kind [V] in the order of the table's rows."""
        return np.tile(np.concatenate(values), len(self.units)) if values else np.zeros(0)

    @property
    def of(self) -> "pd.api.extensions.ExtensionArray":
        """The kind of each row."""
        kinds = [each.of for each in self.each for _ in each.tasks]
        return pd.array(kinds * len(self.units), dtype="str")

    @property
    def count(self) -> int:
        """How many tasks there are of all kinds."""
        return sum(len(each.tasks) for each in self.each)


_FEW = Null(
    "no timestep with two sequences of the task",
    lambda v: v.joined([np.isnan(e.variance) for e in v.each]),
)

TASK_VARIANCE = Table(
    "task_variance",
    "layer, signal, unit and task",
    (
        LAYER,
        SIGNAL,
        Column(
            "unit",
            "number of the unit, from 0, as in the columns of the states",
            lambda v: np.repeat(v.units, v.count),
        ),
        Column(
            "task_of",
            f"what tells the task: the annotation, of 2 to {tasks.MOST} whole numbers, by its "
            f"name, or `{tasks.LABEL}`, the class of the sequence or timestep",
            lambda v: v.of,
        ),
        Column(
            "task",
            "the annotation's value, or the number of the class: rows with it belong to the task",
            lambda v: v.by_task([each.tasks for each in v.each]).astype(np.int64),
        ),
        Column(
            "sequences",
            "number of sequences in the task at the timestep at which most are",
            lambda v: v.by_task([each.sequences for each in v.each]).astype(np.int64),
            evidence=True,
        ),
        Column(
            "variance",
            "task variance: variance of the unit over the sequences in the task, at each timestep, "
            "mean over timesteps, in the signal's unit squared; timesteps count by their number of "
            "sequences less 1",
            lambda v: v.joined([each.variance for each in v.each]),
            nulls=(_FEW,),
            source=YANG,
        ),
        Column(
            "relative",
            "the variance as a share of the unit's largest over the tasks of this kind",
            lambda v: v.joined([each.relative for each in v.each]),
            nulls=(_FEW, Null("the unit varies in no task")),
            source=YANG,
        ),
        Column(
            "cluster",
            "number of the cluster of units with similar relative variances over the tasks of this "
            "kind, from 0, the largest first: Ward's clusters of the signal's units, as many, up "
            f"to {tasks.CLUSTERS}, as have the largest mean silhouette; clusters are found in "
            "noise too",
            nulls=(Null("the unit is dead, or the units are too few or too alike"),),
            source="Yang et al. 2019; Ward 1963; Rousseeuw 1987",
        ),
    ),
)


def clustered(frame: pd.DataFrame, least: float) -> pd.DataFrame:
    """The rows of one signal, all units in order, with their clusters.

    Args:
        frame: all other columns of the table.
        least: units whose variances sum to less are in no cluster.
    """
    found = np.full(len(frame), tasks.NONE, np.int32)
    for here in frame.groupby("task_of").indices.values():
        rows = frame.iloc[here]  # by unit, and of each by task
        units = len(rows["unit"].unique())
        relative, variance = (
            rows[name].to_numpy().reshape(units, -1).T for name in ("relative", "variance")
        )
        found[here] = np.repeat(tasks.clusters(relative, variance, least), len(rows) // units)
    cluster = pd.Series(found, frame.index, dtype="Int32")
    return frame.assign(cluster=cluster.where(found != tasks.NONE))
