"""The columns of the unit table, each from the sums or values that it needs."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.analysis import classes, covariates, timescale
from pipeline.analysis.covariates import CoMoments
from pipeline.analysis.information import information
from pipeline.analysis.sparseness import hoyer, treves_rolls
from pipeline.analysis.timescale import Decay, LagSums
from pipeline.analysis.unit_sums import Sums, Values
from pipeline.config import Units

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


def with_q_values(table: pd.DataFrame) -> pd.DataFrame:
    """Fill q_value and mi_q: Benjamini and Hochberg over the units of each layer and signal."""
    groups = table.groupby(["layer", "signal"], observed=True)
    q = {
        name: groups[p].transform(lambda values: classes.q_values(values.to_numpy()))
        for name, p in (("q_value", "p_value"), ("mi_q", "mi_p"))
    }
    return table.assign(**q)


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
        "dead": m.variance < dead_variance,
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


def of_class(
    last: Values, labels: NDArray[np.int32] | None, k: int, options: Units
) -> dict[str, Any]:
    """What units tell of the class at the last timestep [U, N]; null without labels [N]."""
    if labels is None:
        nothing = pd.array([pd.NA] * len(last), dtype="Int32")
        return {name: _null(last) for name in CLASS_COLUMNS} | {"preferred_class": nothing}
    sums = classes.class_sums(last, labels, k)
    variance, preferred = classes.anova(sums), classes.preferred_class(sums)
    told = information(last, labels, options.bins, options.permutations, options.seed)
    found = {
        "selectivity": classes.selectivity(sums),
        "preferred_class": pd.array(preferred, dtype="Int32"),
        "eta2": variance.eta2,
        "omega2": variance.omega2,
        "f_statistic": variance.f_statistic,
        "p_value": variance.p_value,
        "dprime": classes.dprime(sums, preferred),
        "auc": classes.auc(last, labels, preferred),
        "mutual_information": told.bits,
        "mi_null": told.null,
        "mi_p": told.p_value,
    }
    return {name: found.get(name, _null(last)) for name in CLASS_COLUMNS}


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


def absent(table: pd.DataFrame, options: Units) -> dict[str, str]:
    """Which columns are null throughout, and why."""
    labelled = table["preferred_class"].notna().any()
    few = "fewer than two classes, too few sequences of each, or no unit varies"
    reasons = dict.fromkeys(CLASS_COLUMNS, few if labelled else "the data has no classes")
    if labelled and not options.permutations:
        reasons |= dict.fromkeys(("mi_null", "mi_p", "mi_q"), "units.permutations=0")
    for name in ("best_covariate", "best_correlation"):
        reasons[name] = "the data has no annotations of single timesteps"
    reasons |= {
        "forget_timescale": "no forget gate was recorded",
        "left_saturated": "no gate, h or g was recorded",
        "right_saturated": "no gate, h or g was recorded",
        "timescale": "no unit's fluctuations decay; see without_timescale",
        "timescale_r2": "no unit's fluctuations decay; see without_timescale",
        "lag1": "no sequence has two timesteps, or no unit fluctuates",
    }
    return {
        str(name): reasons.get(str(name), "not defined for this data")
        for name in table
        if table[name].isna().all()
    }


def _null(like: Any) -> NDArray[np.float64]:
    return np.full(len(like), np.nan)
