"""The columns of tables compare and matching: their values, meanings, sources and nulls."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.analysis.compare import dynamics, timestep
from rnnscope.analysis.compare.pairs import Pair
from rnnscope.analysis.compare.sums import PERMUTATIONS
from rnnscope.analysis.statistics import jackknife
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


def _measure(name: str, meaning: str, source: str, *nulls: Null) -> tuple[Column, ...]:
    """A measure with its null and its interval."""
    reasons = (_CONSTANT, *nulls)
    return (
        _found(name, meaning, reasons, source),
        replace(
            _found(
                f"{name}_null",
                f"mean of {name} when the sequences of one run are permuted, {PERMUTATIONS} "
                f"times: what unrelated networks of these sizes would have; {name} says nothing "
                "but as far as it differs from this",
                reasons,
            ),
            beside=name,
        ),
        replace(
            _found(
                f"{name}_low",
                f"lower bound of the 95 % interval of {name}, by leaving out each of "
                f"{jackknife.GROUPS} groups of sequences: how far it is known for these two "
                "networks, not how much others would differ",
                (*reasons, *_NO_INTERVAL),
                "Kott 2001",
            ),
            beside=name,
        ),
        replace(_found(f"{name}_high", "its upper bound", (*reasons, *_NO_INTERVAL)), beside=name),
    )


_CONSTANT = Null("no unit of one of them varies", lambda of: of.found["procrustes"].isna())
_NO_TIMESTEP = Null(
    f"no timestep with {timestep.FEWEST} sequences, of which {timestep.VARYING} vary",
    lambda of: of.found["timesteps"] == 0,
)
_NO_INTERVAL = (
    Null(jackknife.TOO_FEW, lambda of: of.found["sources"] < jackknife.FEWEST),
    Null("without one of the groups of sequences nothing varies"),
)


def _said(why: str, of: Compared) -> "pd.Series[bool]":
    """Which rows have no dynamical similarity for a reason."""
    return of.found["dsa_why"] == why


_NO_DSA = tuple(
    Null(why, partial(_said, why))
    for why in (dynamics.OFF, dynamics.LAST, dynamics.MISSING, dynamics.SHORT)
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
        _found("rows", "number of rows compared, one per sequence and timestep"),
        _found(
            "sequences",
            "number of sequences compared: all, or 10,000 drawn at random if there are more",
        ),
        _found(
            "timesteps",
            f"number of timesteps over which cka is averaged: those with {timestep.FEWEST} "
            f"sequences or more, of which in effect {timestep.VARYING} or more differ from their "
            "mean in either run, (Σ|x|²)²/Σ|x|⁴ of their distances |x|; the final step is one",
        ),
        *_measure(
            "cka",
            "linear centred kernel alignment of the two signals across sequences, debiased, at "
            "each timestep, and averaged: 1 where they are equal up to rotation and scale, 0 on "
            "average where they are independent, whatever drift over time they share",
            "Kornblith et al. 2019; Nguyen, Raghu & Kornblith 2021",
            _NO_TIMESTEP,
        ),
        *_measure(
            "procrustes",
            "orthogonal Procrustes distance of the two signals over all rows, each less the mean "
            "over sequences at its timestep and scaled to norm 1: 0 where they are equal up to "
            "rotation and reflection, at most 2",
            "Schönemann 1966; Ding, Denain & Steinhardt 2021",
        ),
        *_measure(
            "svcca",
            "mean canonical correlation of the first principal components of both, as many as "
            "hold the share compare.variance of the variance, over all rows less the mean over "
            "sequences at their timestep",
            "Raghu et al. 2017",
        ),
        *_measure(
            "matched_correlation",
            "mean |Pearson r| of the units that are matched one to one, over all rows less the "
            "mean over sequences at their timestep",
            "Li et al. 2016",
        ),
        _found(
            "dsa",
            "dynamical similarity, by eigenvalues: of each run's states a linear operator of rank "
            "compare.dsa_rank is fitted to how compare.dsa_delays timesteps in a row go on by one "
            "(dynamic mode decomposition on delay embeddings of principal components, of at most "
            f"{dynamics.SEQUENCES} sequences); root mean square distance, in the complex plane, of "
            "the eigenvalues of both operators, matched one to one, and not the angle between them "
            "at the best rotation. 0 where both decay and turn alike, whatever their basis; read "
            "it beside dsa_floor, and beside other pairs",
            _NO_DSA,
            "Ostrow et al. 2023; Redman et al. 2023",
        ),
        replace(
            _found(
                "dsa_floor",
                "the same distance between the operators of two halves of a run's sequences, every "
                "other one, and the mean of that over both runs: what remains where the dynamics "
                "are the same. Each operator is fitted to half as many sequences as those of dsa, "
                "so that it is on average larger than what remains of dsa",
                _NO_DSA,
            ),
            beside="dsa",
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
        _found(
            "correlation",
            "Pearson's r between the two units over all rows, after each timestep's mean over "
            "sequences is taken from both; of the best of many pairs, and so larger than 0 even "
            "where the networks are unrelated",
        ),
    ),
)

TABLES = (COMPARE, MATCHING)
