"""The tables of stage units: each column's value, meaning, and why it may be null."""

import numpy as np
import pandas as pd

from rnnscope.analysis.statistics.sparseness import hoyer, treves_rolls
from rnnscope.analysis.units.class_columns import CLASS_COLUMNS, UNLABELLED
from rnnscope.analysis.units.covariate_columns import COVARIATE_COLUMNS
from rnnscope.analysis.units.quantiles import LEVELS
from rnnscope.analysis.units.sampling import SAMPLE
from rnnscope.analysis.units.time_columns import TIME_COLUMNS
from rnnscope.store.tables import LAYER, SIGNAL, Column, Null, Table


def _quantile(place: int, level: float) -> Column:
    return Column(
        list(LEVELS)[place],
        f"{100 * level:.0f} % quantile over all rows; exact, or past units.memory_mb "
        "right to about 0.02 % of the rows: counted between the values of a random sample of "
        f"{SAMPLE:,} rows and interpolated there",
        lambda m: m.quantiles[:, place],
    )


ALONE = Null("a single timestep", lambda m: m.moments.count == 1)
CONSTANT = Null("the unit is constant", lambda m: m.moments.min == m.moments.max)
SILENT = Null("the unit is always 0", lambda m: (m.moments.min == 0) & (m.moments.max == 0))
UNBOUNDED = Null("not a gate, h or g", lambda m: not m.saturates)
UNIT = "number of the unit, from 0, as in the columns of the states"

DISTRIBUTION = (
    Column(
        "count",
        "rows that the statistics are computed from: timesteps of all sequences",
        lambda m: np.full(len(m.null), m.moments.count),
        evidence=True,
    ),
    Column("mean", "mean over all rows", lambda m: m.moments.mean, main=True),
    Column(
        "std",
        "standard deviation over all rows (ddof = 1)",
        lambda m: m.moments.std,
        nulls=(ALONE,),
        source="Chan, Golub & LeVeque 1983",
        main=True,
    ),
    Column("min", "smallest value", lambda m: m.moments.min),
    Column("max", "largest value", lambda m: m.moments.max),
    Column(
        "skewness",
        "third standardised moment over all rows; 0 for a symmetric distribution",
        lambda m: m.moments.skewness,
        nulls=(ALONE, CONSTANT),
        source="Pébay 2008",
    ),
    Column(
        "kurtosis",
        "excess kurtosis over all rows, the fourth standardised moment − 3; 0 for a normal "
        "distribution",
        lambda m: m.moments.kurtosis,
        nulls=(ALONE, CONSTANT),
        source="Pébay 2008",
    ),
    *(_quantile(place, level) for place, level in enumerate(LEVELS.values())),
    Column(
        "left_saturated",
        "share of rows below the lower cut, units.gate_cuts for gates and units.tanh_cuts for h "
        "and g",
        lambda m: m.sums.left / m.moments.count if m.saturates else m.null,
        nulls=(UNBOUNDED,),
        source="Karpathy, Johnson & Fei-Fei 2015",
        main=True,
    ),
    Column(
        "right_saturated",
        "share of rows above the upper cut, units.gate_cuts for gates and units.tanh_cuts for h "
        "and g",
        lambda m: m.sums.right / m.moments.count if m.saturates else m.null,
        nulls=(UNBOUNDED,),
        source="Karpathy, Johnson & Fei-Fei 2015",
        main=True,
    ),
    Column(
        "dead",
        "whether the variance over all rows is below units.dead_variance",
        lambda m: pd.arrays.BooleanArray(
            m.moments.variance < m.options.dead_variance, np.isnan(m.moments.variance)
        ),
        nulls=(ALONE,),
        main=True,
    ),
    Column(
        "hoyer",
        "sparseness of x over rows, (√n − |x|₁/|x|₂) / (√n − 1); 0 if all |x| are equal, 1 if a "
        "single x is not 0",
        lambda m: hoyer(m.magnitude, m.square, m.moments.count),
        nulls=(ALONE, SILENT),
        source="Hoyer 2004",
    ),
    Column(
        "lifetime_sparseness",
        "sparseness of r = |x| over rows, (1 − ⟨r⟩²/⟨r²⟩) / (1 − 1/n); 0 if all |x| are equal, 1 "
        "if a single x is not 0",
        lambda m: treves_rolls(m.magnitude, m.square, m.moments.count),
        nulls=(ALONE, SILENT),
        source="Treves & Rolls 1991; Vinje & Gallant 2000",
    ),
)

UNITS = Table(
    "units",
    "layer, signal and unit",
    (
        LAYER,
        SIGNAL,
        Column("unit", UNIT, lambda m: m.responses.units, main=True),
        *DISTRIBUTION,
        *TIME_COLUMNS,
        *CLASS_COLUMNS,
        *COVARIATE_COLUMNS,
    ),
)

TUNING = Table(
    "tuning",
    "layer, signal, unit, class and timestep",
    (
        LAYER,
        SIGNAL,
        Column("unit", UNIT, lambda r: np.repeat(r.units, len(r.pairs))),
        Column(
            "label",
            "class of the sequences, or of their timesteps, from 0",
            lambda r: pd.array(
                r.each_unit(r.pairs // r.timesteps) if r.labelled else [pd.NA] * r.mean.size,
                dtype="Int32",
            ),
            nulls=(UNLABELLED,),
            kind="class",
        ),
        Column(
            "timestep",
            "timestep, from 0",
            lambda r: r.each_unit((r.pairs % r.timesteps).astype(np.int32)),
        ),
        Column(
            "count",
            "sequences of that class that reach the timestep",
            lambda r: r.each_unit(r.sums.count[r.pairs]),
        ),
        Column("mean", "mean over these sequences", lambda r: r.mean.ravel()),
        Column(
            "standard_error",
            "standard error of that mean, the standard deviation (ddof = 1) divided by √count",
            lambda r: r.standard_error.ravel(),
            nulls=(Null("a single sequence", lambda r: r.each_unit(r.sums.count[r.pairs] == 1)),),
        ),
    ),
)

TIMESTEPS = Table(
    "timesteps",
    "layer, signal, unit and timestep",
    (
        LAYER,
        SIGNAL,
        Column("unit", UNIT, lambda r: np.repeat(r.units, len(r.steps))),
        Column("timestep", "timestep, from 0", lambda r: r.each_unit(r.steps.astype(np.int32))),
        Column("count", "sequences that reach the timestep", lambda r: r.each_unit(r.sequences)),
        Column(
            "eta2",
            "share of the variance across sequences at the timestep that lies between classes, "
            "0 to 1",
            lambda r: r.eta2.ravel(),
            nulls=(
                UNLABELLED,
                Null("a single class occurs", lambda r: r.each_unit(r.classes < 2)),
                Null(
                    "as many classes as sequences",
                    lambda r: r.each_unit(r.classes == r.sequences),
                ),
                Null("constant at that timestep"),
            ),
            source="Fisher 1925",
        ),
    ),
)
