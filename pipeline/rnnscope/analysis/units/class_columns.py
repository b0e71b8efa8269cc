"""The columns of the unit table about the class, at the last timestep of each sequence."""

import pandas as pd

from rnnscope.analysis.units import classes
from rnnscope.store.tables import Column, Null

UNLABELLED = Null("no class labels", lambda m: not m.labelled)
CLASSES = (UNLABELLED, Null("a single class occurs", lambda m: not m.comparable))
FEW = Null("as many classes as sequences", lambda m: m.final.classes == m.by_class.count.sum())
CONSTANT = Null("constant at the last timestep", lambda m: m.final.min == m.final.max)
SILENT = Null("0 at the last timestep", lambda m: (m.final.min == 0) & (m.final.max == 0))
TESTED = (*CLASSES, FEW, CONSTANT)
SHUFFLED = (*CLASSES, Null("units.permutations=0", lambda m: not m.options.permutations))
LAST = "at each sequence's last timestep"
ADJUSTED = "adjusted over all units of the layer and signal"
HOCHBERG = "Benjamini & Hochberg 1995"

CLASS_COLUMNS = (
    Column(
        "selectivity",
        f"(largest class mean of |x| − mean of the other class means) / their sum, {LAST}, 0 to 1; "
        "it ignores all classes but one (Gale et al. 2019): read it beside eta2",
        lambda m: classes.selectivity(m.by_class),
        nulls=(*CLASSES, SILENT),
        source="Morcos et al. 2018",
        main=True,
        beside="eta2",
    ),
    Column(
        "preferred_class",
        f"class with the largest mean {LAST}",
        lambda m: pd.array(
            m.preferred if m.comparable else [pd.NA] * len(m.preferred), dtype="Int32"
        ),
        nulls=CLASSES,
        kind="class",
        main=True,
    ),
    Column(
        "eta2",
        f"share of the variance across sequences that lies between classes, {LAST}, 0 to 1; the "
        "effect size of a one-way analysis of variance",
        lambda m: m.anova.eta2,
        nulls=TESTED,
        source="Fisher 1925",
        main=True,
    ),
    Column(
        "omega2",
        f"eta2 corrected for its bias in small samples, {LAST}",
        lambda m: m.anova.omega2,
        nulls=TESTED,
        source="Hays 1963",
    ),
    Column(
        "f_statistic",
        f"F of the one-way analysis of variance over classes, {LAST}, one row per sequence",
        lambda m: m.anova.f_statistic,
        nulls=TESTED,
        source="Fisher 1925",
        kind="large",
        evidence=True,
    ),
    Column(
        "p_value",
        "probability of an F at least as large where all classes have the same mean",
        lambda m: m.anova.p_value,
        nulls=TESTED,
        source="Fisher 1925",
        kind="p",
        main=True,
        beside="q_value",
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
        "dprime",
        f"(mean of the preferred class − mean of all others) / √(mean of both variances), {LAST}, "
        "in standard deviations",
        lambda m: classes.dprime(m.by_class, m.preferred),
        nulls=(
            *CLASSES,
            CONSTANT,
            Null("a single sequence of its preferred class, or of the others"),
        ),
        source="Green & Swets 1966",
    ),
    Column(
        "auc",
        f"probability that a sequence of the preferred class has a larger value {LAST} than one of "
        "another class, ties counted half; 0.5 is chance",
        lambda m: m.by_rank.auc(m.preferred) if m.comparable else m.null,
        nulls=CLASSES,
        source="Hanley & McNeil 1982",
    ),
    Column(
        "mutual_information",
        f"information about the class in bits, {LAST}, from units.bins quantile bins, with Miller "
        "and Madow's correction for small samples",
        lambda m: m.information.bits,
        nulls=CLASSES,
        source="Miller 1955",
        beside="mi_null",
    ),
    Column(
        "mi_null",
        "mean mutual_information over units.permutations shuffles of the labels",
        lambda m: m.information.null,
        nulls=SHUFFLED,
        evidence=True,
    ),
    Column(
        "mi_p",
        "share of shuffles with as much information, the data counted as one of them; never below "
        "1 / (units.permutations + 1)",
        lambda m: m.information.p_value,
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
