"""The tables of stage ablation: each column's value, meaning, and why it may be null."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import NDArray

from rnnscope.analysis.ablation.importance import FEWEST
from rnnscope.analysis.statistics.moments import Moments
from rnnscope.store.tables import LAYER, SIGNAL, Column, Null, Table

METHODS = ("h_zero", "h_mean", "c_zero", "c_mean")
CONFIDENCE = 0.95
SUMMED = ("loss", "accuracy", "loss_change", "accuracy_change", "output_change")
"""What is summed over sequences, in this order."""

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Clamped:
    """One unit clamped at one value: one row of the table."""

    layer: str
    unit: int
    method: str
    """Of METHODS: the state, and at what value."""
    value: float

    @property
    def state(self) -> str:
        """h or c."""
        return self.method[0]


@dataclass(frozen=True)
class Reruns:
    """R reruns of a model, each with one unit clamped."""

    clamped: Sequence[Clamped]
    """[R]"""
    moments: Sequence[Moments]
    """Of SUMMED, over the sequences of each rerun [R]."""
    labelled: bool
    """Whether the data has labels or targets."""

    @property
    def count(self) -> NDArray[np.int64]:
        """Sequences of each rerun [R]."""
        return np.array([each.count for each in self.moments], np.int64)

    @cached_property
    def mean(self) -> dict[str, Float]:
        """Means of SUMMED over sequences [R]."""
        return self._by_name("mean")

    @cached_property
    def half_width(self) -> dict[str, Float]:
        """Half the 95 % interval of each mean [R], t s/√n (Student 1908); NaN for one sequence.

        s is the standard deviation over the n sequences, and t the 97.5 % quantile at n - 1 degrees
        of freedom.
        """
        t = scipy.stats.t.ppf((1 + CONFIDENCE) / 2, np.maximum(self.count - 1, 1))
        return {name: t * s / np.sqrt(self.count) for name, s in self._by_name("std").items()}

    def _by_name(self, what: str) -> dict[str, Float]:
        found = np.array([getattr(each, what) for each in self.moments], np.float64)
        return dict(zip(SUMMED, found.reshape(-1, len(SUMMED)).T, strict=True))


def _categories(attribute: str) -> Callable[[Any], Any]:
    """From rows to one attribute of each, as categories in the order in which they occur."""

    def values(rows: Sequence[Any]) -> "pd.Series[Any]":
        text = pd.Series([getattr(row, attribute) for row in rows])
        return text.astype(pd.CategoricalDtype(text.unique()))

    return values


def _numbers(attribute: str, kind: type) -> Callable[[Any], Any]:
    """From rows to one attribute of each, as numbers."""
    return lambda rows: np.array([getattr(row, attribute) for row in rows], kind)


NO_LOSS = (
    Null("the data has no labels", lambda r: not r.labelled),
    Null("the model's output is no score of the labels", lambda r: np.isnan(r.mean["loss"])),
)
NO_ACCURACY = (*NO_LOSS, Null("the labels are numbers, not classes"))
ALONE = Null("a single sequence", lambda r: r.count == 1)


def _change(name: str, meaning: str, nulls: tuple[Null, ...], *, main: bool) -> tuple[Column, ...]:
    """A change of the model's score with its 95 % interval."""
    interval = f"95 % interval of {name} over sequences (paired), not corrected for multiple tests"
    undefined = (*nulls[:2], ALONE, *nulls[2:])
    return (
        Column(name, meaning, lambda r: r.mean[name], nulls, main=main),
        Column(
            f"{name}_low",
            f"lower end of the {interval}",
            lambda r: r.mean[name] - r.half_width[name],
            undefined,
            "Student 1908",
        ),
        Column(
            f"{name}_high",
            f"upper end of the {interval}",
            lambda r: r.mean[name] + r.half_width[name],
            undefined,
            "Student 1908",
        ),
    )


ABLATION = Table(
    "ablation",
    "layer, unit and method",
    (
        replace(LAYER, value=lambda r: _categories("layer")(r.clamped)),
        Column(
            "unit",
            "number of the unit that is clamped, from 0",
            lambda r: _numbers("unit", np.int32)(r.clamped),
            main=True,
        ),
        Column(
            "method",
            "which state of the unit is clamped at every timestep, and at what: `h_zero` and "
            "`c_zero` at 0, `h_mean` and `c_mean` at its mean over all timesteps",
            lambda r: pd.Categorical([each.method for each in r.clamped], categories=METHODS),
            main=True,
        ),
        Column(
            "value",
            "value that the state is clamped at",
            lambda r: _numbers("value", np.float64)(r.clamped),
        ),
        Column("sequences", "test sequences of the rerun", lambda r: r.count),
        Column(
            "loss",
            "mean loss over sequences with the unit clamped: cross-entropy in nats, or squared "
            "error of numeric targets",
            lambda r: r.mean["loss"],
            NO_LOSS,
        ),
        Column(
            "accuracy",
            "share of sequences, or mean share of their timesteps, classified correctly with the "
            "unit clamped",
            lambda r: r.mean["accuracy"],
            NO_ACCURACY,
        ),
        *_change(
            "loss_change",
            "mean change of the loss when the unit is clamped, in nats or, of numeric targets, "
            "squared error; positive where the loss rises",
            NO_LOSS,
            main=True,
        ),
        *_change(
            "accuracy_change",
            "change of the accuracy when the unit is clamped; negative where accuracy falls",
            NO_ACCURACY,
            main=False,
        ),
        Column(
            "output_change",
            "mean Euclidean distance between the model's outputs with and without the unit clamped",
            lambda r: r.mean["output_change"],
        ),
    ),
)

UNDEFINED = (
    Null(f"fewer than {FEWEST} units", lambda rows: _numbers("units", np.int32)(rows) < FEWEST),
    Null("the statistic or the change is the same for all units"),
)

IMPORTANCE = Table(
    "importance",
    "layer, method, signal and statistic",
    (
        replace(LAYER, value=_categories("layer")),
        Column(
            "method", "how units are clamped, as in the table of ablation", _categories("method")
        ),
        replace(SIGNAL, value=_categories("signal")),
        Column(
            "statistic",
            "column of the table of units that the change is correlated with",
            _categories("statistic"),
        ),
        Column(
            "change",
            "what clamping changes: `loss_change`, or `output_change` where there is no loss",
            _categories("change"),
        ),
        Column(
            "units",
            "units that have both the statistic and the change",
            _numbers("units", np.int32),
        ),
        Column(
            "spearman",
            "rank correlation over units between the statistic and the change; positive where "
            "units with a larger statistic cost more",
            _numbers("spearman", np.float64),
            UNDEFINED,
            "Spearman 1904",
        ),
        Column(
            "p_value",
            "two-sided p-value of the rank correlation, from the t-distribution",
            _numbers("p_value", np.float64),
            UNDEFINED,
            kind="p",
            beside="q_value",
        ),
        Column(
            "q_value",
            "p_value adjusted over all statistics of the layer, method and signal",
            nulls=UNDEFINED,
            source="Benjamini & Hochberg 1995",
            adjusts="p_value",
            kind="p",
        ),
    ),
)
