"""The columns of the unit table about time: how long fluctuations last, and the forget gate."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.analysis.statistics import jackknife
from rnnscope.analysis.units.timescale import Kind, forget_timescale, forget_timescale_log
from rnnscope.store.tables import Column, Null

ALONE = Null("a single timestep", lambda m: m.autocorrelation.r.shape[1] == 1)
STILL = Null("the unit does not fluctuate", lambda m: m.autocorrelation.still)
APART = Null("no two consecutive timesteps that vary", lambda m: np.isnan(m.lag1[0]))
GAPS = Null("timesteps between were not recorded")
FEW_LAGS = Null("the unit varies at fewer than 2 lags", lambda m: pd.isna(m.timescales.kind))
NONE = Null("R(1) is not above 0", lambda m: m.timescales.kind == Kind.NONE)
PERSISTS = Null("R persists", lambda m: m.timescales.kind == Kind.PERSISTS)
FEW = Null(jackknife.TOO_FEW, lambda m: m.sources < jackknife.FEWEST)
LONE = Null("a lag occurs in one group of sequences alone")
UNKNOWN = (ALONE, STILL, FEW_LAGS)
NO_GATE = (
    Null("not a forget gate", lambda m: m.signal != "f"),
    Null("the gate leaves 0 to 1", lambda m: ~_is_share(m)),
)


def _is_share(m: Any) -> NDArray[np.bool_]:
    """Whether a gate stays within 0 and 1 [U]."""
    found: NDArray[np.bool_] = (m.moments.min >= 0) & (m.moments.max <= 1)
    return found


def _of_forget_gate(m: Any, value: NDArray[np.float64]) -> NDArray[np.float64]:
    """A value of forget gates [U], NaN of other signals and gates."""
    return np.where(_is_share(m) & (m.signal == "f"), value, np.nan)


TIME_COLUMNS = (
    Column(
        "lag1",
        "autocorrelation R(1) at a lag of one timestep within sequences, about the mean over "
        "sequences at each timestep; R(k) is pooled over all pairs of rows k apart",
        lambda m: m.lag1[0],
        nulls=(ALONE, STILL, APART),
    ),
    Column(
        "lag1_low",
        "lower bound of the 95 % interval of lag1, by leaving out groups of sequences",
        lambda m: m.lag1_interval[0],
        nulls=(ALONE, STILL, APART, FEW, LONE),
        source="Shao & Tu 1995; Kott 2001",
    ),
    Column(
        "lag1_high",
        "upper bound of that interval",
        lambda m: m.lag1_interval[1],
        nulls=(ALONE, STILL, APART, FEW, LONE),
        source="Shao & Tu 1995; Kott 2001",
    ),
    Column(
        "timescale",
        "intrinsic timescale in timesteps, τ of the decay A (exp(−k/τ) + B) that is fitted to R(k) "
        "from its first drop on, weighted by the pairs at each lag; B enters only where it exceeds "
        "√2 of its standard error, and is 0 otherwise; τ is infinite where R persists, and at "
        "least 0.1 lags, as shorter ones look alike. Not to be compared without its interval: "
        "sequences much shorter than τ hardly tell it, and the interval is that of the fit with B "
        "free, widened to hold τ",
        lambda m: m.timescales.timescale,
        nulls=(*UNKNOWN, NONE),
        source="Murray et al. 2014; Zeraati et al. 2022",
        kind="large",
        main=True,
        beside="timescale_fit",
    ),
    Column(
        "timescale_low",
        "lower bound of the 95 % interval of timescale, by leaving out groups of sequences, on the "
        "log scale: that of the fit with B free, B ≥ 0, widened to hold τ; where R does not drop "
        "significantly, the timescale of the largest drop that its errors allow, or τ if that is "
        "less",
        lambda m: m.timescales.low,
        nulls=(*UNKNOWN, NONE, FEW, LONE),
        source="Shao & Tu 1995; Kott 2001",
        kind="large",
        main=True,
    ),
    Column(
        "timescale_high",
        "upper bound of that interval; infinite where the data does not bound it, as where R does "
        "not drop significantly",
        lambda m: m.timescales.high,
        nulls=(*UNKNOWN, NONE, FEW, LONE),
        source="Shao & Tu 1995; Kott 2001",
        kind="large",
        main=True,
    ),
    Column(
        "timescale_fit",
        "how R goes on: `decays`; `censored`, τ is beyond the largest lag and rests on the fit; "
        "`persists`, R does not drop, or not significantly and even the largest drop that its "
        "errors allow has τ beyond the largest lag; `oscillates`, R falls below 0 by 2 standard "
        "errors and rises again, and τ is of the first fall; `none`, R(1) is not above 0 by its "
        "interval. No test of the exponential form: read timescale_r2",
        lambda m: pd.Categorical(m.timescales.kind, categories=[str(kind) for kind in Kind]),
        nulls=UNKNOWN,
        kind="text",
        main=True,
    ),
    Column(
        "timescale_r2",
        "share of the weighted variance of R over the lags fitted that the decay explains; near 1 "
        "for any smooth fall, so no measure of how well τ is known",
        lambda m: m.timescales.r2,
        nulls=(*UNKNOWN, NONE, PERSISTS),
        beside="timescale_fit",
        evidence=True,
    ),
    Column(
        "persistent_share",
        "B/(1 + B), the part of R that does not decay within the lags seen, such as a class that "
        "is held; 1 where R persists, 0 where B is not above 0 by more than chance",
        lambda m: m.timescales.persistent,
        nulls=(*UNKNOWN, NONE),
        source="Murray et al. 2014",
    ),
    Column(
        "autocorrelation_time",
        "1 + 2 Σ R(k) up to the first R(k) ≤ 0, in timesteps: how many count as one independent "
        "one; too small where R is still above 0 at the largest lag",
        lambda m: m.autocorrelation.time,
        nulls=(ALONE, STILL, GAPS),
        source="Sokal 1997",
        kind="large",
    ),
    Column(
        "forget_timescale",
        "−1 / ln⟨f⟩ in timesteps, after which a cell state has decayed to 1/e if f were always its "
        "mean; forget gates only",
        lambda m: _of_forget_gate(m, forget_timescale(m.moments.mean)),
        nulls=NO_GATE,
        source="Mahto et al. 2021",
        kind="large",
        main=True,
    ),
    Column(
        "forget_timescale_log",
        "−1 / ⟨ln f⟩ in timesteps, what the cell state's decay follows where f varies; never "
        "longer than forget_timescale; forget gates only",
        lambda m: _of_forget_gate(m, forget_timescale_log(m.logarithm)),
        nulls=NO_GATE,
        source="Tallec & Ollivier 2018",
        kind="large",
    ),
)
