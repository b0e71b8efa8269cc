"""The columns of the population tables: their values, meanings, sources and nulls."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.analysis.population.components import Axes, Trajectories
from rnnscope.analysis.population.demixed_columns import DEMIXED
from rnnscope.analysis.population.demixing import Demixed
from rnnscope.analysis.population.dimensions import Dimensions
from rnnscope.analysis.population.redundancy import ALONE
from rnnscope.analysis.statistics import jackknife, spectrum
from rnnscope.store.tables import LAYER, SIGNAL, Column, Null, Table

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Geometry:
    """What is measured of one signal at each of T timesteps, over the sequences that reach it."""

    timesteps: NDArray[np.int32]
    """[T]"""
    sequences: NDArray[np.int64]
    """How many sequences reach each timestep [T]."""
    sources: NDArray[np.int64]
    """Of how many independent sources they are [T]."""
    dimensions: Dimensions
    norm: Float
    """Means over the sequences [T], as of the next two."""
    speed: Float
    population_sparseness: Float


@dataclass(frozen=True)
class Pooled:
    """What is computed from all chosen timesteps of one signal together."""

    units: NDArray[np.int32]
    """The units' numbers [U]."""
    axes: Axes
    trajectories: Trajectories
    correlation: Float
    """Pearson's r between units after each timestep's mean is taken away [U, U]; NaN for a unit
    that varies within no timestep."""
    raw_correlation: Float
    """The same without that; NaN for a constant unit."""
    cluster: NDArray[np.int32]
    """The cluster of each unit [U]; ALONE where it is in none."""
    demixed: Demixed


def _pairs(of: Pooled) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The places of the first and of the second unit of every pair [U (U - 1) / 2]."""
    one, other = np.triu_indices(len(of.units), 1)
    return one, other


def _shared_cluster(of: Pooled) -> "pd.Series[int]":
    """The cluster of each pair of units, null where they are not in the same."""
    one, other = (of.cluster[units] for units in _pairs(of))
    return pd.Series(one, dtype="Int32").where((one == other) & (one != ALONE))


_TOO_FEW = Null("fewer than 2 sequences", lambda of: of.sequences < 2)
_TOO_FEW_TO_CORRECT = Null("fewer than 3 sequences", lambda of: of.sequences < 3)
_NO_INTERVAL = Null(jackknife.TOO_FEW, lambda of: of.sources < jackknife.FEWEST)
_NO_VARIANCE = Null("no variance across sequences")
_NO_VARIANCE_LEFT = Null("no variance across sequences, or all of it in one group of them")

POPULATION = Table(
    "population",
    "layer, signal and timestep",
    (
        LAYER,
        SIGNAL,
        Column("timestep", "timestep, from 0", lambda at: at.timesteps),
        Column("sequences", "number of sequences that reach the timestep", lambda at: at.sequences),
        Column(
            "participation_ratio",
            "effective number of dimensions, (Σλ)²/Σλ² of the eigenvalues λ of the covariance of "
            "the units across sequences, corrected for few sequences: on average that of "
            "endlessly many, so that it may exceed the number of units by chance; exact for normal "
            "states, too low where a few sequences have far larger states than the others",
            lambda at: at.dimensions.ratio,
            nulls=(_TOO_FEW_TO_CORRECT, _NO_VARIANCE),
            source="Rajan, Abbott & Sompolinsky 2010; Srivastava 2005",
        ),
        Column(
            "participation_ratio_low",
            "lower bound of the 95 % interval of participation_ratio, by leaving out each of "
            f"{jackknife.GROUPS} groups of sequences",
            lambda at: at.dimensions.low,
            nulls=(_NO_INTERVAL, _NO_VARIANCE_LEFT),
            source="Kott 2001",
            beside="participation_ratio",
        ),
        Column(
            "participation_ratio_high",
            "its upper bound",
            lambda at: at.dimensions.high,
            nulls=(_NO_INTERVAL, _NO_VARIANCE_LEFT),
            beside="participation_ratio",
        ),
        Column(
            "participation_ratio_naive",
            "the same of the sample's own covariance, uncorrected: at most the number of "
            "sequences less 1, and too low wherever these are few; not to be compared between "
            "timesteps with different numbers of sequences",
            lambda at: at.dimensions.naive,
            nulls=(_TOO_FEW, _NO_VARIANCE),
            source="Gao et al. 2017",
            beside="participation_ratio",
        ),
        Column(
            "components_90",
            "number of principal components that together hold 90 % of the variance across "
            "sequences; too few where sequences are few",
            lambda at: pd.array(spectrum.components_for(0.9, at.dimensions.eigenvalues), "Int32"),
            nulls=(_TOO_FEW, _NO_VARIANCE),
        ),
        Column(
            "norm",
            "Euclidean norm of the state over units, in the signal's own unit, mean over sequences",
            lambda at: at.norm,
        ),
        Column(
            "speed",
            "Euclidean distance of the state from that of the timestep before, per timestep, "
            "mean over sequences",
            lambda at: at.speed,
            nulls=(Null("the timestep before was not recorded"),),
        ),
        Column(
            "population_sparseness",
            "sparseness of |x| over units, mean over sequences: 0 where all units are equally "
            "large, 1 where a single one is not 0",
            lambda at: at.population_sparseness,
            nulls=(Null("all units are 0, or there is but one"),),
            source="Treves & Rolls 1991; Vinje & Gallant 2000",
        ),
    ),
)

_NOTHING_VARIES = Null("nothing varies along the component")

COMPONENTS = Table(
    "components",
    "layer, signal, principal component and unit",
    (
        LAYER,
        SIGNAL,
        Column(
            "component",
            "number of the principal component over all rows of the chosen timesteps, from 1, by "
            "falling variance",
            lambda of: np.repeat(
                np.arange(1, len(of.axes.loading) + 1, dtype=np.int32), len(of.units)
            ),
        ),
        Column("unit", "unit, from 0", lambda of: np.tile(of.units, len(of.axes.loading))),
        Column(
            "loading",
            "the unit's weight in the component, which has length 1 and its largest |weight| "
            "positive",
            lambda of: of.axes.loading.ravel(),
            nulls=(_NOTHING_VARIES,),
            source="Pearson 1901",
        ),
        Column(
            "variance",
            "variance along the component, in the signal's unit squared, ddof = 1",
            lambda of: np.repeat(of.axes.variance, len(of.units)),
            nulls=(_NOTHING_VARIES,),
        ),
        Column(
            "variance_share",
            "share of the variance of all units that lies along the component",
            lambda of: np.repeat(of.axes.share, len(of.units)),
            nulls=(_NOTHING_VARIES,),
        ),
        Column(
            "mean",
            "mean of the unit over all rows of the chosen timesteps, in the signal's own unit: a "
            "state less these means, times the loadings, has the coordinates of "
            "trajectories.parquet",
            lambda of: np.tile(of.axes.centre, len(of.axes.loading)),
        ),
    ),
)

COMPONENT = Column(
    "component_<n>",
    "mean coordinate along principal component n, in the signal's own unit, from the mean over "
    "all rows of the chosen timesteps",
    nulls=(Null("nothing varies along the component, or the layer has fewer units"),),
)

TRAJECTORIES = Table(
    "trajectories",
    "layer, signal, class and timestep",
    (
        LAYER,
        SIGNAL,
        Column(
            "label",
            "class of the sequence, or of the timestep where timesteps have classes",
            lambda of: of.trajectories.label,
            nulls=(Null("the data has no classes"),),
        ),
        Column("timestep", "timestep, from 0", lambda of: of.trajectories.timestep),
        Column(
            "sequences",
            "number of sequences of the class that reach the timestep",
            lambda of: of.trajectories.sequences,
        ),
        COMPONENT,
    ),
)

CORRELATION = Table(
    "correlation",
    "layer, signal and pair of units",
    (
        LAYER,
        SIGNAL,
        Column("unit", "first unit of the pair, from 0", lambda of: of.units[_pairs(of)[0]]),
        Column("other", "second unit of the pair", lambda of: of.units[_pairs(of)[1]]),
        Column(
            "correlation",
            "Pearson's r between the two units over all rows of the chosen timesteps, after each "
            "timestep's mean over sequences is taken from both",
            lambda of: of.correlation[_pairs(of)],
            nulls=(Null("one of the units varies across the sequences at no timestep"),),
        ),
        Column(
            "raw_correlation",
            "the same without that: two units that rise and fall together in every sequence, "
            "whatever it is, correlate here though neither says anything of the other",
            lambda of: of.raw_correlation[_pairs(of)],
            nulls=(Null("one of the units is constant"),),
            beside="correlation",
        ),
        Column(
            "cluster",
            "number of the cluster of redundant units that holds both, from 0, the largest first: "
            "average linkage on 1 − |r| with r of column correlation, cut at 1 − "
            "population.redundant",
            _shared_cluster,
            nulls=(Null("the units are not in the same cluster"),),
            source="Sokal & Michener 1958",
        ),
    ),
)

TABLES = (POPULATION, COMPONENTS, TRAJECTORIES, CORRELATION, DEMIXED)
