"""The table of stage intervention: each column's value, meaning, and why it may be null."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import NDArray

from rnnscope.analysis.ablation.columns import ABLATION, CONFIDENCE, Reruns
from rnnscope.analysis.ablation.sums import SUMMED, Sums
from rnnscope.analysis.intervention.plan import METHODS, Row
from rnnscope.analysis.intervention.ratios import Ratio
from rnnscope.analysis.statistics.moments import Moments
from rnnscope.store.tables import LAYER, Column, Null, Table

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Changed:
    """R rows of the table, and what was found of each."""

    rows: Sequence[Row]
    sums: Sequence[Sums | None]
    """Over the sequences of each [R]; None where the model was not run."""
    ratios: Sequence[Ratio | None]
    """How far patches moved the output [R]."""
    estimate: Float
    """The first-order estimate of the mean change of the loss [R]; NaN where there is none."""
    count: NDArray[np.int64]
    """Sequences that each row is of [R]."""
    labelled: bool
    """Whether the data has labels or targets."""
    scored: bool
    """Whether the model's output is a score of them."""
    exact: bool
    """Whether the model was run."""

    @cached_property
    def reruns(self) -> Reruns:
        """The changes of scores, as stage ablation has them; NaN where the model was not run."""
        nothing = np.full(len(SUMMED), np.nan)
        each = [
            found or Sums(Moments(int(count), *[nothing] * 6), np.zeros((3, 0)))
            for found, count in zip(self.sums, self.count, strict=True)
        ]
        return Reruns([], each, self.labelled)

    @cached_property
    def recovery(self) -> Float:
        """The normalised recovery [R]; NaN where the whole way is not known to be above 0."""
        return np.where(self.further, self.of_ratios(lambda each: each.value, np.nan), np.nan)

    @cached_property
    def half_width(self) -> Float:
        """Half the 95 % interval of the recovery [R], its error times Student's (1908) t."""
        return np.asarray(self.of_ratios(lambda each: each.error, np.nan) * self._student)

    @cached_property
    def further(self) -> NDArray[np.bool_]:
        """Where donors' outputs are further towards their class than the sequences' own [R].

        The 95 % interval of the mean whole way is above 0; of a single sequence or source, which
        has no interval, the whole way is. Otherwise the sign of the recovery says nothing, and its
        interval, which takes the whole way as known to be above 0, does not hold.
        """
        signed = self.of_ratios(lambda each: each.signed, fill=False)
        error = np.nan_to_num(self.of_ratios(lambda each: each.way_error, np.nan))
        low = self.of_ratios(lambda each: each.way, np.nan) - np.where(signed, error, 0) * (
            self._student
        )
        return np.asarray(low > 0)

    @cached_property
    def _student(self) -> Float:
        counts = self.of_ratios(lambda each: each.independent, 2)
        return np.asarray(scipy.stats.t.ppf((1 + CONFIDENCE) / 2, np.maximum(counts - 1, 1)))

    def of_ratios(self, value: Callable[[Ratio], Any], fill: Any) -> NDArray[Any]:
        """A value of each ratio [R], or ``fill`` where there is none."""
        return np.array([fill if each is None else value(each) for each in self.ratios])


INEXACT = Null("intervention.exact=false: the model is not run", lambda found: not found.exact)


def _categories(value: Callable[[Row], str]) -> Callable[[Changed], Any]:
    """From rows to a text of each, as categories in the order in which they occur."""

    def values(found: Changed) -> "pd.Series[Any]":
        text = pd.Series([value(row) for row in found.rows], dtype=object)
        return text.astype(pd.CategoricalDtype(text.unique()))

    return values


def _numbers(value: Callable[[Row], Any], kind: str) -> Callable[[Changed], Any]:
    return lambda found: pd.array([value(row) for row in found.rows], dtype=kind)


def _through(value: Callable[[Any], Any]) -> Callable[[Changed], Any]:
    """A function of reruns, of what was changed."""
    return lambda found: value(found.reruns)


def _as_in_ablation(name: str, meaning: str = "", **other: Any) -> Column:
    """A column of the table of stage ablation, whose values are of the same kind here."""
    column = ABLATION.column(name)
    assert column is not None
    nulls = tuple(Null(null.why, _through(null.where)) for null in column.nulls)
    value = None if column.value is None else _through(column.value)
    meaning = meaning or column.meaning
    return replace(column, meaning=meaning, value=value, nulls=(INEXACT, *nulls), **other)


def _score(name: str, meaning: str, *, main: bool = False) -> tuple[Column, ...]:
    """A change of the model's score with its 95 % interval."""
    ends = (_as_in_ablation(f"{name}_{end}") for end in ("low", "high"))
    return _as_in_ablation(name, meaning, main=main), *ends


def _end(sign: int) -> Callable[[Changed], Any]:
    """An end of the interval of the recovery."""
    return lambda found: found.recovery + sign * found.half_width


NO_RECOVERY = (
    INEXACT,
    Null(
        "the method is not patch, or outputs are not of whole sequences",
        lambda found: np.array([each is None for each in found.ratios], bool),
    ),
    Null(
        "the outputs of donors do not differ",
        lambda found: ~found.of_ratios(lambda each: each.differ, fill=True),
    ),
    Null(
        "the donors' outputs are not further towards their class",
        lambda found: ~found.further,
    ),
)
ALONE = Null(
    "a single sequence, or source of sequences",
    lambda found: found.of_ratios(lambda each: each.independent, 2) < 2,
)

INTERVENTION = Table(
    "intervention",
    "layer, state, target, method and window",
    (
        replace(LAYER, value=_categories(lambda row: row.layer)),
        Column(
            "state",
            "what is changed: `h`, `c`, or a gate or candidate as they are in the table of units",
            _categories(lambda row: row.state),
            main=True,
        ),
        Column(
            "target",
            "where it is changed: the number of a unit, several as `3+4+17`; `cluster 0` of "
            "redundant units, by its number in `correlation.parquet`; `direction 0` of the file "
            "of directions; `decoder label:3`, along the weights of the linear decoder of a class "
            "or of an annotation, and `pattern label:3`, along which the states vary with what it "
            "reads, both in `decoder_weights.parquet`",
            _categories(lambda row: row.target.name),
            main=True,
        ),
        Column(
            "unit",
            "number of the unit, from 0",
            _numbers(lambda row: row.target.unit, "Int32"),
            (Null("several units, or a direction"),),
        ),
        Column(
            "decoder_timestep",
            "of a decoder's direction, the timestep at which the decoder was fitted: of those that "
            "stage decoding has, the nearest to the window's middle",
            _numbers(lambda row: row.target.timestep, "Int32"),
            (Null("not the direction of a decoder"),),
        ),
        Column(
            "method",
            "to what it is changed: `zero`; `mean` of that timestep over the sequences; `freeze`, "
            "its value just before the window; `add`, some standard deviations more at every "
            "timestep of the window; `patch`, its value at the same timestep in a sequence of "
            "another class (any other, where there are no classes), the donor, and `patch_same`, "
            "the control, in another sequence of the same class",
            lambda found: pd.Categorical([row.method for row in found.rows], categories=METHODS),
            main=True,
        ),
        Column(
            "start",
            "first timestep of the window in which it is changed, in input time, from 0",
            _numbers(lambda row: row.window.start, "int32"),
            main=True,
        ),
        Column(
            "stop",
            "the timestep after the window's last",
            _numbers(lambda row: row.window.stop, "int32"),
            main=True,
        ),
        Column(
            "sequences",
            "test sequences that it is changed in: those that have a timestep of the window, and "
            "for patches a donor; recovery of patch_same is over those of them that have one of "
            "another class too",
            lambda found: found.count,
        ),
        _as_in_ablation(
            "loss",
            "mean loss over these sequences with the change: cross-entropy in nats, or squared "
            "error of numeric targets",
        ),
        _as_in_ablation(
            "accuracy",
            "share of these sequences, or mean share of their timesteps, classified correctly with "
            "the change",
        ),
        *_score(
            "loss_change",
            "mean change of the loss, in nats or, of numeric targets, squared error; positive "
            "where the loss rises; about 0 also where other units take over",
            main=True,
        ),
        _as_in_ablation("p_value"),
        _as_in_ablation(
            "q_value",
            "p_value adjusted over all targets and windows of the layer, state and method; read it "
            "beside loss_change",
        ),
        *_score(
            "accuracy_change",
            "change of the accuracy; negative where accuracy falls",
        ),
        _as_in_ablation(
            "output_change",
            "mean Euclidean distance between the model's outputs with and without the change",
        ),
        Column(
            "recovery",
            "of patches, how far they move the output to the donor's: 0 not at all, 1 all the "
            "way. Of classes it is of the difference of the scores of the donor's class and the "
            "sequence's own, of other outputs along the line from one to the other; the sum over "
            "sequences by the sum of the whole ways, null where the 95 % interval of their mean is "
            "not above 0. The control moves it towards the same donors' class",
            lambda found: found.recovery,
            NO_RECOVERY,
            "Zhang & Nanda 2024",
            main=True,
        ),
        *(
            Column(
                f"recovery_{end}",
                f"{word} end of the 95 % interval of recovery over sequences, or over their "
                "sources where data.groups tells them",
                _end(sign),
                (*NO_RECOVERY, ALONE),
                "Cochran 1977",
            )
            for end, word, sign in (("low", "lower", -1), ("high", "upper", 1))
        ),
        Column(
            "estimate",
            "first-order estimate of loss_change: the gradient of the loss with respect to the "
            "state, times the change of the state. Right for small changes; of large ones it "
            "misses that gates and outputs saturate",
            lambda found: found.estimate,
            (
                Null("the data has no labels", lambda found: not found.labelled),
                Null(
                    "the model's output is no score of the labels",
                    lambda found: not found.scored,
                ),
                Null("several timesteps, where changes do not add up"),
            ),
            "Nanda 2023",
        ),
    ),
)
