"""What is measured of the units of a block; the columns of the stage's tables follow from it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rnnscope import states
from rnnscope.analysis.statistics.moments import Moments
from rnnscope.analysis.units import classes, covariates, quantiles, timescale
from rnnscope.analysis.units.blocks import Recording, UnitBlock
from rnnscope.analysis.units.classes import Anova, ClassSums
from rnnscope.analysis.units.final_step import Binned, FinalSums, Held, Labels, Sample, Values
from rnnscope.analysis.units.information import Information, information
from rnnscope.analysis.units.quantiles import LEVELS
from rnnscope.analysis.units.sums import Part, Sums, final_rows, lag_sums, merge, summarise
from rnnscope.analysis.units.timescale import Decay, LagSums
from rnnscope.analysis.units.tuning import Responses, mean_over_time
from rnnscope.config import Units

GATES = ("i", "f", "o", "z", "r")
"""Signals between 0 and 1."""
TANH = ("h", "g")
"""Signals between -1 and 1."""

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
    def autocorrelation(self) -> Float:
        """R(k) of fluctuations [U, L + 1]."""
        return self.lags.autocorrelation

    @cached_property
    def decays(self) -> list[Decay]:
        """The decay fitted to each unit's autocorrelation [U]."""
        return [timescale.decay(r) for r in self.autocorrelation]

    @cached_property
    def failures(self) -> NDArray[np.str_]:
        """Why a unit has no timescale, empty if it has one [U]."""
        return np.array([each.failure or "" for each in self.decays])

    @cached_property
    def anova(self) -> Anova:
        """Of the final step over classes."""
        return classes.anova(self.by_class)

    @cached_property
    def preferred(self) -> NDArray[np.int64]:
        """The class with the largest mean at the final step [U]."""
        return classes.preferred_class(self.by_class)

    @cached_property
    def information(self) -> Information:
        """About the class at the final step; NaN where there are no two classes."""
        if not self.comparable:
            return Information(self.null, self.null, self.null)
        tables = self.by_rank.tables(self.options.bins)
        return information(tables, self.options.permutations, self.options.seed)

    @cached_property
    def best_covariate(self) -> tuple[list[str | None], Float]:
        """Name and Pearson's r of the annotation with the largest |r| [U]; None and NaN if none."""
        if not self.annotations:
            return [None] * len(self.null), self.null
        place, r = covariates.best(self.sums.covariates.correlation)
        return [self.annotations[n] if n >= 0 else None for n in place], r


def measure(recording: Recording, options: Units, block: UnitBlock) -> Measures:
    """Read a block's values, twice where they do not fit in memory, and measure them."""
    signal = block.signal

    def read() -> Iterator[Part]:
        return signal.read(block.lines)

    kept = list(read()) if block.exact else []
    cuts = options.gate_cuts if signal.name in GATES else options.tanh_cuts
    sums, final = _summed(kept or read(), recording, cuts, block)
    by_rank = final if isinstance(final, Held) else Binned(final, recording.k)
    lags, counts = _fluctuations(kept or read(), sums, options, block, by_rank)
    levels = list(LEVELS.values())
    if kept:
        quantile = quantiles.exact([values for _, values in kept], levels)
    else:
        quantile = quantiles.from_histogram(counts, sums.moments.min, sums.moments.max, levels)
    numbers = np.array([signal.units[line] for line in block.lines], np.int32)
    responses = Responses(sums.tuning, numbers, signal.timesteps, signal.labelled)
    return Measures(
        signal.name, recording.annotations, options, responses, sums, quantile, lags, by_rank
    )


def _summed(
    parts: Iterable[Part], recording: Recording, cuts: list[float], block: UnitBlock
) -> tuple[Sums, Held | Sample]:
    """The sums over all parts; and the final steps of all sequences, or of a sample of them."""
    sums: Sums | None = None
    finals: list[tuple[Values, Labels]] = []
    sample: Sample | None = None
    for part in parts:
        annotations = states.read_annotations(
            recording.folder, part[0], recording.annotations, block.signal.layer
        )
        more = summarise(part, annotations, cuts, recording.k, block.signal.timesteps)
        sums = more if sums is None else merge(sums, more)
        values, labels = final_rows(part)
        if block.ranked:
            finals.append((values, labels))
        else:
            drawn = Sample.of(values, part[0].sequence[part[0].final])
            sample = drawn if sample is None else sample.merge(drawn)
    assert sums is not None
    if sample is not None:
        return sums, sample
    every = zip(*finals, strict=True)
    return sums, Held(np.concatenate(next(every), axis=1), np.concatenate(next(every)))


def _fluctuations(
    parts: Iterable[Part], sums: Sums, options: Units, block: UnitBlock, by_rank: Held | Binned
) -> tuple[LagSums, NDArray[np.int64]]:
    """The lag sums of fluctuations about the mean, and histograms where values are not held.

    Values of the final step are counted into ``by_rank`` where they are binned.
    """
    mean = mean_over_time(sums.tuning, block.signal.timesteps)
    units, timesteps = mean.shape
    reach = min(options.lags, timesteps - 1)
    lags = LagSums(*np.zeros((3, units, reach + 1)))
    counts = np.zeros((units, quantiles.BINS), np.int64)
    for part in parts:
        lags += lag_sums(part, mean, reach)
        if not block.exact:
            counts += quantiles.histogram(part[1], sums.moments.min, sums.moments.max)
        if isinstance(by_rank, Binned) and sums.final_step.classes > 1:
            by_rank.add(*final_rows(part))
    return lags, counts
