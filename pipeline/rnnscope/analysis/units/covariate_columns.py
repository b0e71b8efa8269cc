"""The columns of the unit table about annotations of single timesteps."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from rnnscope.analysis.units.class_columns import ADJUSTED, FEW_GROUPS, HOCHBERG, bounds
from rnnscope.store.tables import Column, Null

UNANNOTATED = Null("no annotations of timesteps", lambda m: not m.annotations)
CORRELATED = (UNANNOTATED, Null("the unit or the annotations are constant"))
BOUNDED = (
    UNANNOTATED,
    Null("the unit or the annotations are constant", lambda m: np.isnan(m.best_covariate.r)),
    FEW_GROUPS,
    Null("without one of the groups of sequences it does not exist"),
)


def _found(value: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A value that exists where there are annotations."""
    return lambda m: value(m) if m.annotations else m.null


def _bound(m: Any, name: str) -> Any:
    return getattr(m.best_covariate, name.rpartition("_")[2]) if m.annotations else m.null


COVARIATE_COLUMNS = (
    Column(
        "best_covariate",
        "annotation of single timesteps that the unit correlates with most. Some annotation is the "
        "best of any unit: read it beside best_correlation_q",
        lambda m: pd.array(
            [m.annotations[n] if n >= 0 else None for n in m.best_covariate.place]
            if m.annotations
            else [None] * len(m.null),
            dtype="str",
        ),
        nulls=CORRELATED,
        main=True,
        beside="best_correlation",
    ),
    Column(
        "best_correlation",
        "Pearson correlation with that annotation over all rows. Timesteps of a sequence are not "
        "independent, and whatever drifts correlates with whatever else does: read it beside "
        "best_correlation_within and best_correlation_q",
        _found(lambda m: m.best_covariate.r),
        nulls=CORRELATED,
        main=True,
    ),
    *bounds("best_correlation", _bound, BOUNDED),
    Column(
        "best_correlation_within",
        "the same correlation after each timestep's mean over sequences is taken from both: "
        "without what all sequences share",
        _found(lambda m: m.best_covariate.within),
        nulls=(*CORRELATED[:1], Null("constant across sequences at each timestep")),
        main=True,
        beside="best_correlation",
    ),
    Column(
        "best_correlation_p",
        "share of 1,000 pairings of states with the annotations of other sequences whose largest "
        "|r| over annotations is as large, the data counted as one of them; from at most 2,000 "
        "sequences, at the timesteps that both have",
        _found(lambda m: m.covariate_p),
        nulls=(
            *CORRELATED[:1],
            Null("a single sequence", lambda m: m.final.sequences < 2),
            Null("the unit or the annotations are constant"),
        ),
        source="Dalvi et al. 2019",
        kind="p",
        beside="best_correlation_q",
    ),
    Column(
        "best_correlation_q",
        f"best_correlation_p {ADJUSTED}",
        nulls=(
            *CORRELATED[:1],
            Null("a single sequence", lambda m: m.final.sequences < 2),
            Null("the unit or the annotations are constant"),
        ),
        source=HOCHBERG,
        adjusts="best_correlation_p",
        kind="p",
        main=True,
    ),
)
