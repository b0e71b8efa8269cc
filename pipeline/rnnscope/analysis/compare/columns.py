"""The columns of tables compare and matching: their values, meanings, sources and nulls."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.analysis.compare.pairs import Pair
from rnnscope.store.tables import SIGNAL, Column, Null, Table


@dataclass(frozen=True)
class Compared:
    """R rows of a table, each of which belongs to a pair of signals."""

    runs: list[str]
    """The names of all runs, in order."""
    pairs: list[Pair]
    """All pairs [P]."""
    pair: NDArray[np.intp]
    """The place of each row's pair among them [R]."""
    found: pd.DataFrame
    """What was computed, by the names of columns [R]."""

    def key(self, of: Callable[[Pair], str], order: list[str] | None = None) -> pd.Categorical:
        """A name of each row's pair, with categories in the given order, or in that of pairs."""
        names = [of(pair) for pair in self.pairs]
        return pd.Categorical(names, categories=order or list(dict.fromkeys(names)))[self.pair]


def _found(name: str, meaning: str, nulls: tuple[Null, ...] = (), source: str = "") -> Column:
    return Column(name, meaning, lambda of: of.found[name], nulls, source)


_CONSTANT = Null(
    "no unit of one of them varies", lambda frame: frame["procrustes"].isna().to_numpy()
)

_KEYS = (
    Column("run_a", "name of one run", lambda of: of.key(lambda pair: pair.a[0], of.runs)),
    Column("run_b", "name of the other run", lambda of: of.key(lambda pair: pair.b[0], of.runs)),
    Column(
        "layer",
        "recurrent layer, by its name in the models; both names, joined by a slash, where they "
        "differ",
        lambda of: of.key(lambda pair: pair.layer),
        main=True,
    ),
    replace(SIGNAL, value=lambda of: of.key(lambda pair: pair.a[2])),
)

COMPARE = Table(
    "compare",
    "pair of runs, layer and signal",
    (
        *_KEYS,
        _found("rows", "number of rows, one per sequence and timestep, that both runs recorded"),
        _found(
            "cka",
            "linear centred kernel alignment of the two signals over all rows, debiased: 1 where "
            "they are equal up to rotation and scale, 0 on average where they are independent",
            (_CONSTANT, Null("fewer than 4 rows, or all but one of them equal")),
            "Kornblith et al. 2019; Nguyen, Raghu & Kornblith 2021",
        ),
        _found(
            "procrustes",
            "orthogonal Procrustes distance of the two signals, each centred and scaled to norm "
            "1: 0 where they are equal up to rotation and reflection, at most 2",
            (_CONSTANT,),
            "Schönemann 1966; Ding, Denain & Steinhardt 2021",
        ),
        _found(
            "svcca",
            "mean canonical correlation of the first principal components of both, as many as "
            "hold the share compare.variance of the variance",
            (_CONSTANT,),
            "Raghu et al. 2017",
        ),
        _found(
            "matched_correlation",
            "mean |Pearson r| of the units that are matched one to one",
            (_CONSTANT,),
            "Li et al. 2016",
        ),
    ),
)

MATCHING = Table(
    "matching",
    "pair of runs, layer, signal and matched pair of units",
    (
        *_KEYS,
        _found("unit_a", "unit of the first run, from 0"),
        _found(
            "unit_b",
            "unit of the second run that it is matched with: one to one, such that the sum of |r| "
            "is largest",
            source="Kuhn 1955; Li et al. 2016",
        ),
        _found("correlation", "Pearson's r between the two units over all rows"),
    ),
)

TABLES = (COMPARE, MATCHING)
