"""The units of a block are read, twice where their values do not fit in memory, and measured."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from rnnscope import states
from rnnscope.analysis.units import autocorrelation, final_step, pairing, quantiles, sampling
from rnnscope.analysis.units.autocorrelation import LagSums
from rnnscope.analysis.units.blocks import Recording, UnitBlock
from rnnscope.analysis.units.final_step import Binned, Held
from rnnscope.analysis.units.measures import FORGET, GATES, Measures
from rnnscope.analysis.units.quantiles import LEVELS, Counted
from rnnscope.analysis.units.sampling import Sample
from rnnscope.analysis.units.sums import Part, Sums, final_rows, lag_sums, merge, summarise
from rnnscope.analysis.units.tuning import Responses, mean_over_time
from rnnscope.config import Units


@dataclass(frozen=True)
class FirstReading:
    """The sums over all parts, and what ranks, pairings and quantiles take from a first reading."""

    sums: Sums
    final: Held
    """The final steps of all sequences, or of a sample of them."""
    paired: list[pairing.Sample]
    """The rows of a sample of sequences; none without annotations."""
    rows: Sample | None
    """A sample of rows, where not all are held."""


def measure(recording: Recording, options: Units, block: UnitBlock) -> Measures:
    """Read a block's values, twice where they do not fit in memory, and measure them."""
    signal = block.signal

    def read() -> Iterator[Part]:
        return signal.read(block.lines)

    kept = list(read()) if block.exact else []
    first = _summed(kept or read(), recording, options, block)
    sums = first.sums
    by_rank = first.final if block.ranked else Binned(first.final, recording.k)
    counted = None if first.rows is None else Counted(first.rows)
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
        by_rank,
        first.paired,
        recording.sources,
        recording.tasks,
    )


def _summed(
    parts: Iterable[Part], recording: Recording, options: Units, block: UnitBlock
) -> FirstReading:
    """What a first reading of all parts gives."""
    signal, names, count = block.signal, recording.annotations, recording.sequences
    cuts = options.gate_cuts if signal.name in GATES else options.tanh_cuts
    sums: Sums | None = None
    finals: list[Held] = []
    paired: list[pairing.Sample] = []
    of_rows: Sample | None = None
    drawn = sampling.limit(count, final_step.NEIGHBOURS)
    coupled = sampling.limit(count, pairing.size(count, signal.rows))
    for part in parts:
        rows, values = part
        annotations = states.read_annotations(recording.folder, rows, names, signal.layer)
        more = summarise(
            part,
            annotations,
            recording.groups,
            cuts,
            recording.k,
            signal.timesteps,
            [recording.tasks.get(name) for name in names],
            forget=signal.name == FORGET,
        )
        sums = more if sums is None else merge(sums, more)
        final = final_rows(part)
        finals.append(final if block.ranked else final.among(drawn))
        if names:
            paired.append(pairing.sample(rows, values, annotations, coupled))
        if not block.exact:
            sample = quantiles.sample_of(values, rows)
            of_rows = sample if of_rows is None else of_rows.merge(sample)
    assert sums is not None
    return FirstReading(sums, final_step.joined(finals), paired, of_rows)


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
        lags += lag_sums(part, mean, reach, recording.groups[part[0].sequence])
        if counted is not None:
            counted.add(part[1])
        if isinstance(by_rank, Binned) and sums.final_step.classes > 1:
            by_rank.add(final_rows(part))
    return lags
