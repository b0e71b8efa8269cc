"""The columns of the unit table about the class, at the final step of each sequence."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from rnnscope.analysis.statistics.jackknife import FEWEST, GROUPS, TOO_FEW
from rnnscope.analysis.units import classes
from rnnscope.store.tables import Column, Null

UNLABELLED = Null("no class labels", lambda m: not m.labelled)
CLASSES = (UNLABELLED, Null("a single class occurs", lambda m: not m.comparable))
FEW = Null("as many classes as sequences", lambda m: m.final.classes == m.final.sequences)
CONSTANT = Null("constant at the final step", lambda m: m.final.min == m.final.max)
SILENT = Null("0 at the final step", lambda m: (m.final.min == 0) & (m.final.max == 0))
EFFECT = (*CLASSES, FEW, CONSTANT)
FEW_GROUPS = Null(TOO_FEW, lambda m: m.sequences < FEWEST)
BOUNDED = (
    *EFFECT,
    FEW_GROUPS,
    Null("without one of the groups of sequences it does not exist"),
)
TESTED = (
    *CLASSES,
    Null("fewer than two classes of two sequences", lambda m: (m.by_class.count > 1).sum() < 2),
    CONSTANT,
    Null("the values of a class are all equal"),
)
PREFERRING = (*CLASSES, CONSTANT, Null("no class of two sequences against two others"))
INFORMED = (*CLASSES, FEW)
SHUFFLED = (*CLASSES, Null("units.permutations=0", lambda m: not m.options.permutations))
FINAL = "at each sequence's final step"
ADJUSTED = "adjusted over all units of the layer and signal"
HOCHBERG = "Benjamini & Hochberg 1995"


def bounds(
    name: str, value: Callable[[Any, str], Any], nulls: tuple[Null, ...]
) -> tuple[Column, ...]:
    """The columns of an interval, given how to find either of them by its name."""

    def column(side: str, word: str) -> Column:
        return Column(
            f"{name}_{side}",
            f"{word} bound of the 95 % interval of {name}, by leaving out each of {GROUPS} groups "
            "of sequences in turn; may lie outside the range of the statistic itself"
            + ("; eta2 is biased upwards, so that this is no test of 0" if name == "eta2" else ""),
            lambda m: value(m, f"{name}_{side}"),
            nulls=nulls,
            source="Kott 2001",
        )

    return column("low", "lower"), column("high", "upper")


def _effect(m: Any, name: str) -> Any:
    return m.effect[name]


CLASS_COLUMNS = (
    Column(
        "selectivity",
        f"(largest class mean of |x| − mean of the other class means) / their sum, {FINAL}, 0 to "
        "1; blind to a unit that is positive for some classes and negative for others, and to all "
        "classes but one (Gale et al. 2019): read it beside eta2",
        lambda m: classes.selectivity(m.by_class),
        nulls=(*CLASSES, SILENT),
        source="Morcos et al. 2018",
        main=True,
        beside="eta2",
    ),
    Column(
        "preferred_class",
        f"class that lies farthest from all others {FINAL}, by |dprime|; the unit may be high or "
        "low for it, as the sign of dprime says. Some class is the farthest of any unit: read it "
        "beside eta2",
        lambda m: pd.array(
            [label if label >= 0 else pd.NA for label in m.preferred[0]]
            if m.comparable
            else [pd.NA] * len(m.null),
            dtype="Int32",
        ),
        nulls=PREFERRING,
        kind="class",
        main=True,
        beside="eta2",
    ),
    Column(
        "eta2",
        f"share of the variance across sequences that lies between classes, {FINAL}, 0 to 1; the "
        "effect size of a one-way analysis of variance. Of a unit that tells nothing it is about "
        "(classes − 1) / (sequences − 1), not 0: see omega2",
        lambda m: m.effect["eta2"],
        nulls=EFFECT,
        source="Fisher 1925",
        main=True,
    ),
    *bounds("eta2", _effect, BOUNDED),
    Column(
        "omega2",
        f"eta2 corrected for its bias in small samples, {FINAL}; about 0, and as often below, for "
        "a unit that tells nothing",
        lambda m: m.effect["omega2"],
        nulls=EFFECT,
        source="Hays 1963",
    ),
    *bounds("omega2", _effect, BOUNDED),
    Column(
        "f_statistic",
        f"F of Welch's test of equal class means, {FINAL}, one row per sequence, over the classes "
        "of two sequences or more",
        lambda m: m.welch.f_statistic,
        nulls=TESTED,
        source="Welch 1951",
        kind="large",
        evidence=True,
    ),
    Column(
        "p_value",
        "probability of such an F, or a larger one, where all classes have the same mean, "
        "whatever their variances; 0 where it is below 1e-308: see log10_p. Too small where "
        "classes have fewer than about ten sequences, or values are far from normal, such as "
        "mostly 0: mi_p holds there. Sequences count as independent, also those of one group",
        lambda m: m.welch.p_value,
        nulls=TESTED,
        source="Welch 1951",
        kind="p",
        main=True,
        beside="q_value",
    ),
    Column(
        "log10_p",
        "log10 of p_value, also where that is too small to be written. It tells how surely the "
        "class means differ, not how much: that is eta2",
        lambda m: m.welch.log10_p,
        nulls=TESTED,
        source="Welch 1951",
        beside="eta2",
        evidence=True,
    ),
    Column(
        "q_value",
        f"p_value {ADJUSTED}",
        nulls=TESTED,
        source=HOCHBERG,
        adjusts="p_value",
        kind="p",
        main=True,
    ),
    Column(
        "eta2_peak",
        "largest eta2 over the timesteps that at least twice as many sequences reach as there are "
        "classes. The largest of many is large by chance: compare it with that of other units",
        lambda m: m.responses.peak[0],
        nulls=(
            *CLASSES[:1],
            Null("a single class occurs", lambda m: m.responses.occurring < 2),
            Null("no timestep with so many sequences", lambda m: not m.responses.reached.any()),
            Null("constant, or of a single class, at each timestep"),
        ),
        source="Fisher 1925",
        beside="eta2_peak_timestep",
    ),
    Column(
        "eta2_peak_timestep",
        "timestep of eta2_peak, from 0",
        lambda m: pd.array(
            [
                pd.NA if np.isnan(peak) else step
                for peak, step in zip(*m.responses.peak, strict=True)
            ],
            dtype="Int32",
        ),
        nulls=(UNLABELLED, Null("no eta2_peak")),
    ),
    Column(
        "dprime",
        f"(mean of the preferred class − mean of all others) / √(mean of both variances), {FINAL}, "
        "in standard deviations; below 0 where the unit is low for its class",
        lambda m: m.preferred[1] if m.comparable else m.null,
        nulls=PREFERRING,
        source="Green & Swets 1966",
        beside="preferred_class",
    ),
    Column(
        "auc",
        f"probability that a sequence of the preferred class has a larger value {FINAL} than one "
        "of another class, ties counted half; 0.5 is chance, below it the unit is low for its "
        "class",
        lambda m: m.ranks.auc if m.comparable else m.null,
        nulls=PREFERRING,
        source="Hanley & McNeil 1982",
        beside="preferred_class",
    ),
    Column(
        "mutual_information",
        f"information about the class in bits, {FINAL}, by the three nearest neighbours, among at "
        "most 10,000 sequences. About 0, and as often below, for a unit that tells nothing",
        lambda m: m.ranks.bits if m.comparable else m.null,
        nulls=INFORMED,
        source="Ross 2014",
        beside="mi_p",
    ),
    Column(
        "mi_p",
        "share of shuffles of the classes with as much information in a few bins of equal count, "
        "the data counted as one of them; never below 1 / (units.permutations + 1)",
        lambda m: m.information_p,
        nulls=SHUFFLED,
        kind="p",
        beside="mi_q",
    ),
    Column(
        "mi_q",
        f"mi_p {ADJUSTED}",
        nulls=SHUFFLED,
        source=HOCHBERG,
        adjusts="mi_p",
        kind="p",
    ),
)
