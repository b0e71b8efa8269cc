"""The columns of the unit table, each from the sums or values that it needs; why some are null."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.analysis.statistics.sparseness import hoyer, treves_rolls
from rnnscope.analysis.units import classes, covariates, timescale
from rnnscope.analysis.units.covariates import CoMoments
from rnnscope.analysis.units.ends import Binned, EndSums, Held
from rnnscope.analysis.units.information import information
from rnnscope.analysis.units.sums import Sums
from rnnscope.analysis.units.timescale import Decay, LagSums
from rnnscope.config import Units

LEVELS = {
    "q01": 0.01,
    "q05": 0.05,
    "q25": 0.25,
    "median": 0.5,
    "q75": 0.75,
    "q95": 0.95,
    "q99": 0.99,
}
GATES = ("i", "f", "o", "z", "r")
BOUNDED = ("h", "g")
Q_VALUES = {"q_value": "p_value", "mi_q": "mi_p"}

Reasons = dict[str, dict[str, Any]]
"""Why a column is null: by column, each reason and the units [U] it holds for, or all. Of several
that hold for a unit the first counts."""


def with_q_values(table: pd.DataFrame) -> pd.DataFrame:
    """Fill q_value and mi_q: Benjamini and Hochberg over the units of each layer and signal.

    A unit that alone tells of the class has the smallest p-value times the number of units: see
    ``smallest_lone_mi_q``.
    """
    groups = table.groupby(["layer", "signal"], observed=True)
    q = {
        name: groups[p].transform(lambda values: classes.q_values(values.to_numpy()))
        for name, p in Q_VALUES.items()
    }
    return table.assign(**q)


def smallest_lone_mi_q(table: pd.DataFrame, permutations: int) -> dict[str, float]:
    """By layer and signal, the least mi_q of a unit that tells of the class when no other does.

    No mi_p is below 1 / (P + 1) with P permutations, so that one unit of U cannot have an mi_q
    below U / (P + 1), nor J alike below U / J (P + 1), whatever they tell.
    """
    known = table.dropna(subset="mi_p").groupby(["layer", "signal"], observed=True).size()
    return {
        f"{layer}/{signal}": min(1.0, int(units) / (permutations + 1))
        for (layer, signal), units in known.items()
    }


def of_values(
    sums: Sums, quantile: NDArray[np.float64], signal: str, dead_variance: float
) -> dict[str, Any]:
    """What follows from sums over all rows, of U units.

    Args:
        sums: over all rows.
        quantile: at LEVELS [U, 7].
        signal: its letter; some columns exist only for some signals and are null elsewhere.
        dead_variance: a unit whose variance is below this is dead.
    """
    m = sums.moments
    magnitude, square = sums.magnitude / m.count, m.m2 / m.count + m.mean**2
    saturates = signal in GATES + BOUNDED
    return {
        "count": np.full(len(m.mean), m.count),
        "mean": m.mean,
        "std": m.std,
        "min": m.min,
        "max": m.max,
        "skewness": m.skewness,
        "kurtosis": m.kurtosis,
        **dict(zip(LEVELS, quantile.T, strict=True)),
        "left_saturated": sums.left / m.count if saturates else _null(m.mean),
        "right_saturated": sums.right / m.count if saturates else _null(m.mean),
        "dead": pd.arrays.BooleanArray(m.variance < dead_variance, np.isnan(m.variance)),
        "hoyer": hoyer(magnitude, square, m.count),
        "lifetime_sparseness": treves_rolls(magnitude, square, m.count),
    }


def of_time(sums: Sums, lags: LagSums, decays: list[Decay], signal: str) -> dict[str, Any]:
    """How long fluctuations last, and what the forget gate says of it."""
    r, mean = lags.autocorrelation, sums.moments.mean
    return {
        "lag1": r[:, 1] if r.shape[1] > 1 else _null(r),
        "timescale": np.array([each.timescale for each in decays]),
        "timescale_r2": np.array([each.r2 for each in decays]),
        "forget_timescale": timescale.forget_timescale(mean) if signal == "f" else _null(mean),
    }


CLASS_COLUMNS = (
    *("selectivity", "preferred_class", "eta2", "omega2", "f_statistic", "p_value", "q_value"),
    *("dprime", "auc", "mutual_information", "mi_null", "mi_p", "mi_q"),
)


def of_class(sums: EndSums, ends: Held | Binned, options: Units) -> dict[str, Any]:
    """What units tell of the class at the last timestep.

    Null where all classes are the same: then there is nothing to tell.

    Args:
        sums: over the last timesteps.
        ends: what goes by the order of their values.
        options: of the stage.
    """
    by_class = sums.by_class
    if sums.occur < 2:
        nothing = pd.array([pd.NA] * len(sums.min), dtype="Int32")
        return {name: _null(sums.min) for name in CLASS_COLUMNS} | {"preferred_class": nothing}
    variance, preferred = classes.anova(by_class), classes.preferred_class(by_class)
    told = information(ends.tables(options.bins), options.permutations, options.seed)
    found = {
        "selectivity": classes.selectivity(by_class),
        "preferred_class": pd.array(preferred, dtype="Int32"),
        "eta2": variance.eta2,
        "omega2": variance.omega2,
        "f_statistic": variance.f_statistic,
        "p_value": variance.p_value,
        "dprime": classes.dprime(by_class, preferred),
        "auc": ends.auc(preferred),
        "mutual_information": told.bits,
        "mi_null": told.null,
        "mi_p": told.p_value,
    }
    return {name: found.get(name, _null(sums.min)) for name in CLASS_COLUMNS}


def of_covariates(sums: CoMoments, names: list[str]) -> dict[str, Any]:
    """The annotation that each unit goes along with most; null without annotations."""
    if not names:
        place, r = np.full(len(sums.product), -1), _null(sums.product)
    else:
        place, r = covariates.best(sums.correlation)
    return {
        "best_covariate": pd.array([names[n] if n >= 0 else None for n in place], dtype="str"),
        "best_correlation": r,
    }


def absent(table: pd.DataFrame, reasons: Reasons) -> Counter[tuple[str, str]]:
    """How many units [U] have no value, by column and reason."""
    found: Counter[tuple[str, str]] = Counter()
    for name in map(str, table):
        left = table[Q_VALUES.get(name, name)].isna().to_numpy()
        for why, where in {**reasons.get(name, {}), "not defined for its values": True}.items():
            found[name, why] += int((left & where).sum())
            left = left & np.logical_not(where)
    return +found


def reasons_of_values(table: pd.DataFrame) -> Reasons:
    """Why columns ``of_values`` are null, from those that are not [U]."""
    alone = {"a single timestep": (table["count"] == 1).to_numpy()}
    constant = (table["min"] == table["max"]).to_numpy()
    shapeless = alone | {"the unit is constant": constant}
    silent = alone | {"the unit is always 0": constant & (table["min"] == 0).to_numpy()}
    return {
        **dict.fromkeys(("std", "dead"), alone),
        **dict.fromkeys(("skewness", "kurtosis"), shapeless),
        **dict.fromkeys(("hoyer", "lifetime_sparseness"), silent),
        **_throughout(("left_saturated", "right_saturated"), "no gate, h or g"),
    }


def reasons_of_time(decays: list[Decay], signal: str) -> Reasons:
    """Why columns ``of_time`` are null."""
    failed = np.array([each.failure or "" for each in decays])
    still = failed == timescale.STILL
    return {
        "lag1": {timescale.STILL: still, "no two consecutive timesteps that vary": True},
        "timescale": {str(why): failed == why for why in np.unique(failed) if why},
        "timescale_r2": {"no timescale": True},
        "forget_timescale": {"no forget gate": True} if signal != "f" else {},
    }


def reasons_of_class(sums: EndSums, permutations: int, *, labelled: bool) -> Reasons:
    """Why columns ``of_class`` are null, given what these are taken from."""
    if not labelled:
        return _throughout(CLASS_COLUMNS, "its timesteps have no classes")
    if sums.occur < 2:
        return _throughout(CLASS_COLUMNS, "a single class occurs")
    constant = {"constant at the last timestep": sums.min == sums.max}
    few = {"as many classes as sequences": sums.occur == sums.by_class.count.sum()}
    return {
        **dict.fromkeys(("eta2", "omega2", "f_statistic", "p_value", "q_value"), few | constant),
        "dprime": constant | {"a single sequence of its preferred class, or of the others": True},
        "selectivity": {"0 at the last timestep": (sums.min == 0) & (sums.max == 0)},
        **_throughout(
            ("mi_null", "mi_p", "mi_q") if not permutations else (), "units.permutations=0"
        ),
    }


def reasons_of_covariates(names: list[str]) -> Reasons:
    """Why columns ``of_covariates`` are null."""
    why = "the unit or the annotations are constant" if names else "no annotations of timesteps"
    return _throughout(("best_covariate", "best_correlation"), why)


def _throughout(columns: Iterable[str], why: str) -> Reasons:
    """One reason for all units that are null in any of the columns."""
    return {name: {why: True} for name in columns}


def _null(like: Any) -> NDArray[np.float64]:
    return np.full(len(like), np.nan)
