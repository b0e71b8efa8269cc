"""The tables of stage ablation: each column's value, meaning, and why it may be null."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import NDArray

from rnnscope.analysis.ablation import sums
from rnnscope.analysis.ablation.importance import EXACT, FEWEST
from rnnscope.analysis.ablation.sums import CHANGES, SUMMED, Sums
from rnnscope.store.tables import LAYER, SIGNAL, Column, Null, Table

METHODS = ("h_zero", "h_mean", "c_zero", "c_mean")
CONFIDENCE = 0.95
NEEDED = 0.05
"""A unit is needed by a method where its q-value is below."""

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
    sums: Sequence[Sums]
    """Over the sequences of each rerun [R]."""
    labelled: bool
    """Whether the data has labels or targets."""

    @property
    def count(self) -> NDArray[np.int64]:
        """Sequences of each rerun [R]."""
        return np.array([each.moments.count for each in self.sums], np.int64)

    @cached_property
    def independent(self) -> NDArray[np.int64]:
        """How many sequences or, where several share one, sources each mean is over [R]."""
        return np.array([each.independent for each in self.sums], np.int64)

    @cached_property
    def mean(self) -> dict[str, Float]:
        """Means of SUMMED over sequences [R]."""
        return _by_name(SUMMED, [each.moments.mean for each in self.sums])

    @cached_property
    def error(self) -> dict[str, Float]:
        """Standard errors of the mean changes [R]; NaN of a single sequence or source."""
        return _by_name(SUMMED[CHANGES], [each.error for each in self.sums])

    @cached_property
    def half_width(self) -> dict[str, Float]:
        """Half the 95 % interval of each mean change [R], its error times Student's (1908) t.

        t is the 97.5 % quantile at as many degrees of freedom as there are independent sequences or
        sources, less 1.
        """
        t = scipy.stats.t.ppf((1 + CONFIDENCE) / 2, np.maximum(self.independent - 1, 1))
        return {name: t * error for name, error in self.error.items()}


def _by_name(names: Sequence[str], values: list[Float]) -> dict[str, Float]:
    """One array [R] per name, from one array per rerun [names]."""
    found = np.array(values, np.float64).reshape(-1, len(names))
    return dict(zip(names, found.T, strict=True))


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
ALONE = Null("a single sequence, or source of sequences", lambda r: r.independent == 1)


def _change(name: str, meaning: str, nulls: tuple[Null, ...], *, main: bool) -> tuple[Column, ...]:
    """A change of the model's score with its 95 % interval."""
    interval = (
        f"95 % interval of {name} over sequences (paired), or over their sources where data.groups "
        "tells them; of one unit, not corrected for many"
    )
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
            "`c_zero` at 0, `h_mean` and `c_mean` at its mean over all timesteps. Where c acts "
            "only through h = o·tanh c, c at 0 is h at 0 by algebra: the row is that of `h_zero`, "
            "and the manifest's `same_as` says so",
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
            "squared error; positive where the loss rises; about 0 also for a unit whose part "
            "other units can take over",
            NO_LOSS,
            main=True,
        ),
        Column(
            "p_value",
            "one-sided p-value of the paired t-test over sequences, or over their sources, that "
            "the loss rises; 1 where no sequence's loss changes",
            lambda r: sums.rises(r.mean["loss_change"], r.error["loss_change"], r.independent),
            (*NO_LOSS, ALONE),
            "Student 1908",
            kind="p",
            beside="q_value",
        ),
        Column(
            "q_value",
            "p_value adjusted over all units of the layer and method; below 0.05 the unit is "
            "needed, by however little: read it beside loss_change",
            nulls=(*NO_LOSS, ALONE),
            source="Benjamini & Hochberg 1995",
            adjusts="p_value",
            kind="p",
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
            "method",
            "how units are clamped, as in the table of ablation, each clamp once",
            _categories("method"),
        ),
        replace(SIGNAL, value=_categories("signal")),
        Column(
            "statistic",
            "column of the table of units that the change is correlated with: numbers that "
            "describe the unit; p-values, ends of intervals and fits are left out",
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
            "units with a larger statistic cost more; infinite values rank highest. The largest of "
            "many is large by luck: read it beside q_value",
            _numbers("spearman", np.float64),
            UNDEFINED,
            "Spearman 1904",
        ),
        Column(
            "p_value",
            "two-sided p-value of the rank correlation over units: of up to "
            f"{EXACT} units the exact share of all orders of them with as large a |ρ|, of more "
            "from the t-distribution, and never below 2 / units!; units of one network are not "
            "independent, so that it says nothing of other networks",
            _numbers("p_value", np.float64),
            UNDEFINED,
            kind="p",
            beside="q_value",
        ),
        Column(
            "q_value",
            "p_value adjusted over all rows of the table",
            nulls=UNDEFINED,
            source="Benjamini & Hochberg 1995",
            adjusts="p_value",
            kind="p",
        ),
    ),
)
