"""The table of attributions: each column's value, meaning, and why it may be null."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from rnnscope.store.tables import LAYER, Column, Null, Table


@dataclass(frozen=True)
class Attributions:
    """What every unit of every state is worth at every timestep, to first order."""

    states: Mapping[tuple[str, str], Any]
    """Place and state -> ``attribution.Attributed``."""
    labelled: bool
    """Whether the data has labels or targets."""
    scored: bool
    """Whether the model's output is a score of them."""
    integrated: bool
    """Whether gradients were integrated."""

    def each(self, values: Callable[[tuple[str, str], Any], Any]) -> Any:
        """Values [T, U] of every state, one after the other, where sequences have the timestep."""
        found = []
        for key, sums in self.states.items():
            whole = np.broadcast_to(values(key, sums), (len(sums.count), sums.units))
            found.append(whole[sums.count > 0].ravel())
        return np.concatenate(found)


def _category(place: int) -> Callable[[Attributions], Any]:
    """The layer or the state, as categories."""

    def values(found: Attributions) -> Any:
        text = pd.Series(found.each(lambda key, _: np.array(key[place], object)), dtype=object)
        return text.astype(pd.CategoricalDtype(text.unique()))

    return values


def _mean(name: str) -> Callable[[Attributions], Any]:
    return lambda found: found.each(lambda _, sums: sums.mean(name))


NO_LOSS = (
    Null("the data has no labels", lambda found: not found.labelled),
    Null("the model's output is no score of the labels", lambda found: not found.scored),
)
NO_CLASS = (*NO_LOSS, Null("the labels are numbers, not classes"))
NOT_INTEGRATED = (*NO_LOSS, Null("intervention.integrate=0", lambda found: not found.integrated))

ATTRIBUTION = Table(
    "attribution",
    "layer, state, timestep and unit",
    (
        replace(LAYER, value=_category(0)),
        Column("state", "`h`, `c`, or a gate or candidate", _category(1), main=True),
        Column(
            "timestep",
            "timestep of the state, in input time, from 0",
            lambda found: found.each(
                lambda _, sums: np.arange(len(sums.count), dtype=np.int32)[:, np.newaxis]
            ),
            main=True,
        ),
        Column(
            "unit",
            "number of the unit, from 0",
            lambda found: found.each(lambda _, sums: np.arange(sums.units, dtype=np.int32)),
            main=True,
        ),
        Column(
            "sequences",
            "test sequences that have the timestep",
            lambda found: found.each(lambda _, sums: sums.count[:, np.newaxis]),
        ),
        Column(
            "loss",
            "mean over them of gradient x state: the derivative of the sequence's loss with "
            "respect to the state, times the state; to first order what the loss falls by at 0",
            _mean("loss"),
            NO_LOSS,
            "Ancona et al. 2018",
            main=True,
        ),
        Column(
            "loss_absolute",
            "mean absolute gradient x state of the loss",
            _mean("loss_absolute"),
            NO_LOSS,
            main=True,
        ),
        Column(
            "score",
            "the same of the score of the correct class: its logit, or of a model of probabilities "
            "their logarithm",
            _mean("score"),
            NO_CLASS,
        ),
        Column(
            "score_absolute",
            "mean absolute gradient x state of that score",
            _mean("score_absolute"),
            NO_CLASS,
        ),
        Column(
            "integrated",
            "mean integrated gradient of the loss, along the path from the mean state at the "
            "timestep to the state, of all units of the layer together",
            _mean("integrated"),
            NOT_INTEGRATED,
            "Sundararajan, Taly & Yan 2017",
        ),
        Column(
            "completeness_error",
            "mean absolute difference between the sum of the integrated gradients over units and "
            "the change of the loss along the path; the same for all units; smaller with a larger "
            "intervention.integrate",
            _mean("completeness_error"),
            NOT_INTEGRATED,
            "Sundararajan, Taly & Yan 2017",
            evidence=True,
        ),
    ),
)
