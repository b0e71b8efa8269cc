"""What is measured of the units of a block; the columns of the stage's tables follow from it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rnnscope.analysis.statistics import jackknife
from rnnscope.analysis.statistics.moments import Moments
from rnnscope.analysis.units import (
    anova,
    autocorrelation,
    classes,
    covariates,
    information,
    pairing,
    tasks,
    timescale,
)
from rnnscope.analysis.units.anova import Welch
from rnnscope.analysis.units.autocorrelation import Autocorrelation, LagSums
from rnnscope.analysis.units.classes import ClassSums
from rnnscope.analysis.units.covariates import Best
from rnnscope.analysis.units.final_step import Binned, FinalSums, Held, Ranks
from rnnscope.analysis.units.sums import Sums
from rnnscope.analysis.units.task_columns import Varying
from rnnscope.analysis.units.timescale import Timescales
from rnnscope.analysis.units.tuning import Responses
from rnnscope.config import Units

GATES = ("i", "f", "o", "z", "r")
"""Signals between 0 and 1."""
TANH = ("h", "g")
"""Signals between -1 and 1."""
FORGET = "f"
"""The gate that the cell state decays by."""

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Measures:
    """What the columns of U units of one signal are computed from."""

    signal: str
    """Its letter."""
    annotations: list[str]
    """Names of the annotations of single timesteps."""
    options: Units
    responses: Responses
    sums: Sums
    quantiles: Float
    """At LEVELS [U, 7]."""
    lags: LagSums
    by_rank: Held | Binned
    """The values at the final step; without effect where fewer than two classes occur."""
    paired: list[pairing.Sample]
    """The rows of a sample of sequences; none without annotations."""
    sources: int
    """How many independent sources of sequences there are."""
    told: dict[str, NDArray[np.int64]]
    """The values of each annotation that tells tasks."""

    @property
    def null(self) -> Float:
        """NaN for each unit [U]."""
        return np.full(len(self.responses.units), np.nan)

    @property
    def labelled(self) -> bool:
        """Whether the rows have classes."""
        return self.responses.labelled

    @property
    def moments(self) -> Moments:
        """Over all rows."""
        return self.sums.moments

    @property
    def magnitude(self) -> Float:
        """Mean of |x| over all rows [U]."""
        return self.sums.magnitude / self.moments.count

    @property
    def logarithm(self) -> Float:
        """Mean of ln x of a forget gate over all rows [U]."""
        return self.sums.logarithm / self.moments.count

    @property
    def square(self) -> Float:
        """Mean of x^2 over all rows [U]."""
        return self.moments.m2 / self.moments.count + self.moments.mean**2

    @property
    def saturates(self) -> bool:
        """Whether the signal is bounded: a gate, h or g."""
        return self.signal in GATES + TANH

    @property
    def final(self) -> FinalSums:
        """Sums over the final steps, by class."""
        return self.sums.final_step

    @property
    def by_class(self) -> ClassSums:
        """Sums of squares over the final steps, by class."""
        return self.final.by_class

    @property
    def comparable(self) -> bool:
        """Whether there are two classes or more to tell apart."""
        return self.final.classes > 1

    @cached_property
    def autocorrelation(self) -> Autocorrelation:
        """R(k) of fluctuations."""
        return autocorrelation.autocorrelation(self.lags)

    @property
    def lag1(self) -> Float:
        """R(1) of all sequences, and without each group [1 + G', U]."""
        every = self.autocorrelation.every
        return every[..., 1] if every.shape[2] > 1 else np.full(every.shape[:2], np.nan)

    @property
    def lag1_interval(self) -> tuple[Float, Float]:
        """Of R(1), lower and upper bound [U]."""
        return jackknife.interval(self.lag1[0], self.lag1[1:], self.sources)

    @cached_property
    def timescales(self) -> Timescales:
        """Of the decay of R(k)."""
        return timescale.timescales(self.autocorrelation, self.sources)

    @property
    def sequences(self) -> int:
        """How many independent ones there are, for intervals."""
        return min(self.sources, self.final.sequences)

    @cached_property
    def effect(self) -> dict[str, Float]:
        """eta2, omega2 and their intervals, by name, each [U]."""
        return self.final.effect(self.sequences)

    @cached_property
    def welch(self) -> Welch:
        """The test of equal means of classes at the final step."""
        return anova.welch(self.by_class)

    @cached_property
    def preferred(self) -> tuple[NDArray[np.int64], Float]:
        """The class farthest from the others at the final step, -1 for none, and its d' [U]."""
        return classes.preferred_class(classes.dprimes(self.by_class))

    @cached_property
    def ranks(self) -> Ranks:
        """What follows from ranks at the final step; two classes or more occur."""
        bins = information.bins(self.final.sequences, self.final.classes)
        return self.by_rank.ranks(self.preferred[0], bins)

    @cached_property
    def information_p(self) -> Float:
        """p-value of the information about the class at the final step [U]."""
        if not self.comparable:
            return self.null
        options = self.options
        return information.p_values(self.ranks.tables, options.permutations, options.seed)

    @cached_property
    def best_covariate(self) -> Best:
        """The annotation with the largest |r|; there are some."""
        return covariates.best(self.sums.covariates, self.sequences)

    @cached_property
    def covariate_p(self) -> Float:
        """p-value of that correlation [U]."""
        return pairing.p_values(self.paired, self.options.seed) if self.paired else self.null

    @property
    def varying(self) -> Varying:
        """The task variances, of classes and of the annotations that tell tasks."""
        every = zip(self.told.items(), self.sums.tasks, strict=True)
        each = [tasks.variances(of, values, sums) for (of, values), sums in every]
        if self.labelled:
            k = np.arange(len(self.responses.count))
            each = [tasks.variances(tasks.LABEL, k, self.responses.sums), *each]
        return Varying(self.responses.units, [one for one in each if len(one.tasks) > 1])
