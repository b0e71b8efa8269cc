"""What is measured of the units of a block; the columns of the stage's tables follow from it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rnnscope import states
from rnnscope.analysis.statistics import jackknife
from rnnscope.analysis.statistics.moments import Moments
from rnnscope.analysis.units import autocorrelation, classes, covariates, quantiles, timescale
from rnnscope.analysis.units.autocorrelation import Autocorrelation, LagSums
from rnnscope.analysis.units.blocks import Recording, UnitBlock
from rnnscope.analysis.units.classes import Anova, ClassSums
from rnnscope.analysis.units.final_step import Binned, FinalSums, Held, Labels
from rnnscope.analysis.units.information import Information, information
from rnnscope.analysis.units.quantiles import LEVELS, Counted
from rnnscope.analysis.units.sampling import Sample, Values
from rnnscope.analysis.units.sums import Part, Sums, final_rows, lag_sums, merge, summarise
from rnnscope.analysis.units.timescale import Timescales
from rnnscope.analysis.units.tuning import Responses, mean_over_time
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
    sources: int
    """How many independent sources of sequences there are."""
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
    sums, final, sample = _summed(kept or read(), recording, options, block)
    by_rank = final if isinstance(final, Held) else Binned(final, recording.k)
    counted = None if sample is None else Counted(sample)
    lags = _fluctuations(kept or read(), sums, recording, options, block, by_rank, counted)
    levels = list(LEVELS.values())
    if counted is None:
        quantile = quantiles.exact([values for _, values in kept], levels)
    else:
        quantile = counted.quantiles(sums.moments.min, sums.moments.max, levels)
    numbers = np.array([signal.units[line] for line in block.lines], np.int32)
    return Measures(
        signal.name,
        recording.annotations,
        options,
        Responses(sums.tuning, numbers, signal.timesteps, signal.labelled),
        sums,
        quantile,
        lags,
        recording.independent,
        by_rank,
    )


def _summed(
    parts: Iterable[Part], recording: Recording, options: Units, block: UnitBlock
) -> tuple[Sums, Held | Sample, Sample | None]:
    """The sums over all parts, and what ranks and quantiles take from a first reading.

    The former need the final steps of all sequences, or of a sample of them; the latter a sample
    of rows where not all are held.
    """
    signal = block.signal
    cuts = options.gate_cuts if signal.name in GATES else options.tanh_cuts
    sums: Sums | None = None
    finals: list[tuple[Values, Labels]] = []
    sample: Sample | None = None
    of_rows: Sample | None = None
    for part in parts:
        rows, all_values = part
        annotations = states.read_annotations(
            recording.folder, rows, recording.annotations, signal.layer
        )
        more = summarise(
            part, annotations, cuts, recording.k, signal.timesteps, forget=signal.name == FORGET
        )
        sums = more if sums is None else merge(sums, more)
        values, labels = final_rows(part)
        if block.ranked:
            finals.append((values, labels))
        else:
            drawn = Sample.of(values, rows.sequence[rows.final])
            sample = drawn if sample is None else sample.merge(drawn)
        if not block.exact:
            drawn = quantiles.sample_of(all_values, rows)
            of_rows = drawn if of_rows is None else of_rows.merge(drawn)
    assert sums is not None
    if sample is not None:
        return sums, sample, of_rows
    every = zip(*finals, strict=True)
    held = Held(np.concatenate(next(every), axis=1), np.concatenate(next(every)))
    return sums, held, of_rows


def _fluctuations(
    parts: Iterable[Part],
    sums: Sums,
    recording: Recording,
    options: Units,
    block: UnitBlock,
    by_rank: Held | Binned,
    counted: Counted | None,
) -> LagSums:
    """The lag sums of fluctuations about the mean.

    Values are counted into ``counted``, and those of the final step into ``by_rank``, where they
    are not held.
    """
    mean = mean_over_time(sums.tuning, block.signal.timesteps)
    reach = min(options.lags, block.signal.timesteps - 1)
    lags = autocorrelation.no_sums(len(mean), reach)
    for part in parts:
        lags += lag_sums(part, mean, reach, recording.groups(part[0].sequence))
        if counted is not None:
            counted.add(part[1])
        if isinstance(by_rank, Binned) and sums.final_step.classes > 1:
            by_rank.add(*final_rows(part))
    return lags
