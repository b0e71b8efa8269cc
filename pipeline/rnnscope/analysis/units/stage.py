"""Stage units: one row of statistics per layer, signal and unit.

Units are taken a block at a time, as many as fit the memory; blocks run side by side. Of a block
the parts are read one after the other, and their sums merged: memory does not grow with the number
of sequences, and the parts may come in any order.
"""

import collections
import functools
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope import engine, states
from rnnscope.analysis.statistics import tables
from rnnscope.analysis.units import columns as unit_columns
from rnnscope.analysis.units import quantiles, timescale, tuning
from rnnscope.analysis.units.columns import GATES, LEVELS
from rnnscope.analysis.units.ends import Binned, Held, Labels, Sample, Values
from rnnscope.analysis.units.sums import Part, Sums, ends_of, lag_sums, merge, summarise
from rnnscope.analysis.units.timescale import LagSums
from rnnscope.config import Config, Units
from rnnscope.states import selection
from rnnscope.store.stage import Figures, Inputs
from rnnscope.store.tables import table_file

RANKING = 64
"""Bytes per sequence, at most, while the values of one unit are ranked."""
MOST = 8
"""Units of a block where there are very many sequences: blocks for many workers."""


@dataclass(frozen=True)
class Recording:
    """What all blocks of a recording share."""

    folder: Path
    k: int
    """Classes; 1 where the data has none, so that sums by class are sums over all."""
    annotations: list[str]
    """What is known of single timesteps."""


@dataclass(frozen=True)
class Block:
    """Some units of one signal: the unit of work and of memory."""

    layer: str
    signal: str
    lines: range
    """Their places among the units that were recorded."""
    exact: bool
    """Whether all their values fit in memory; else they are read again for the quantiles."""
    ranked: bool
    """Whether the values of all last timesteps do; else they are counted between a sample's."""


@dataclass(frozen=True)
class Measured:
    """The rows that a block adds to each of the stage's tables."""

    units: pd.DataFrame
    tuning: pd.DataFrame
    timesteps: pd.DataFrame
    absent: collections.Counter[tuple[str, str]]
    """How many units have no value, by column and reason."""


def run(config: Config, inputs: Inputs, folder: Path) -> Figures:
    """Write the stage's three tables into ``folder``; returns its figures.

    Args:
        config: the run's config.
        inputs: the artefact of stage extract.
        folder: where to write.
    """
    options, recorded = config.units, inputs.folders["extract"]
    recording = Recording(
        recorded, max(1, states.class_count(recorded)), states.annotations(recorded)
    )
    signals = selection.recorded(recorded, options, "units")
    blocks = [block for pair in signals for block in cut(recording, *pair, options.memory_mb)]
    measure = functools.partial(measured, recording, options)
    found = engine.run(measure, blocks, config.engine, what="units", unit="block", spread=True)
    frames, absent = [], collections.Counter[tuple[str, str]]()
    with (
        tables.Writer(table_file(folder, "tuning"), signals) as means,
        tables.Writer(table_file(folder, "timesteps"), signals) as effects,
    ):
        for block, each in zip(blocks, found, strict=True):
            means.write(each.tuning, block.layer, block.signal)
            effects.write(each.timesteps, block.layer, block.signal)
            frames.append(tables.named(each.units, signals, block.layer, block.signal))
            absent += each.absent
    table = unit_columns.with_q_values(pd.concat(frames, ignore_index=True))
    table.to_parquet(table_file(folder, "units"), index=False)
    tested = table.dropna(subset="q_value")
    significant = (tested["q_value"] < 0.05).groupby(tested["signal"], observed=True).sum()
    headline = {"rows": len(table), "dead": int(table["dead"].sum())}
    if len(tested):
        headline["with q < 0.05"] = int(significant.sum())
    return {
        "rows": len(table),
        "quantiles": {
            f"{block.layer}/{block.signal}": "exact" if block.exact else "histogram"
            for block in blocks
        },
        "ranks": {
            f"{block.layer}/{block.signal}": "exact" if block.ranked else "sample"
            for block in blocks
        },
        "absent": {
            str(column): {why: n for (name, why), n in absent.most_common() if name == column}
            for column in table
            if any(name == column for name, _ in absent)
        },
        "class_dependent": {str(name): int(n) for name, n in significant.items()} or None,
        "smallest_lone_mi_q": unit_columns.smallest_lone_mi_q(table, options.permutations) or None,
        "headline": headline,
    }


def cut(recording: Recording, layer: str, signal: str, memory_mb: int) -> Iterator[Block]:
    """The units of a signal in blocks whose values, or else whose sums, fit the memory."""
    files = states.parts(recording.folder, layer, signal)
    units = len(states.unit_numbers(files[0]))
    rows = states.row_count(recording.folder, layer, signal)
    sequences = states.sequence_count(recording.folder)
    budget = memory_mb * 1_000_000
    # Of a unit: four sums by class and timestep, and its values or else its bins.
    sums = 32 * recording.k * states.timesteps(recording.folder, layer, signal)
    bins = 8 * quantiles.BINS
    by_class = bins * recording.k
    ranking = RANKING * sequences
    ranked = ranking <= max(budget / 2, by_class)
    exact = ranked and ranking + sums + 4 * (sequences + rows) <= budget
    if exact:
        each = sums + 4 * (sequences + rows)
    elif ranked:
        each = sums + 4 * sequences + bins
    else:
        each = sums + bins + by_class
    most = units if ranked else MOST
    size = max(1, min(most, (budget - ranking * ranked) // each))
    count = -(-units // size)
    edges = [units * number // count for number in range(count + 1)]
    for start, stop in itertools.pairwise(edges):
        yield Block(layer, signal, range(start, stop), exact, ranked)


def measured(recording: Recording, options: Units, block: Block) -> Measured:
    """All statistics of one block."""
    files = states.parts(recording.folder, block.layer, block.signal)
    there = states.unit_numbers(files[0])
    units = [there[line] for line in block.lines]
    timesteps = states.timesteps(recording.folder, block.layer, block.signal)

    def read() -> Iterator[Part]:
        return (states.read_part(file, block.lines) for file in files)

    levels = list(LEVELS.values())
    labelled = states.labelled(files[0])
    kept = list(read()) if block.exact else []
    cuts = options.gate_cuts if block.signal in GATES else options.tanh_cuts
    sums, last = _summed(kept or read(), recording, cuts, timesteps, ranked=block.ranked)
    mean = tuning.mean_over_time(sums.tuning, timesteps)
    by_rank = last if isinstance(last, Held) else Binned(last, recording.k)
    lags, counts = _again(kept or read(), sums, mean, options, block, by_rank)
    if kept:
        quantile = quantiles.exact([values for _, values in kept], levels)
    else:
        quantile = quantiles.from_histogram(counts, sums.moments.min, sums.moments.max, levels)
    decays = [timescale.decay(r) for r in lags.autocorrelation]
    columns = {
        "unit": np.array(units, np.int32),
        **unit_columns.of_values(sums, quantile, block.signal, options.dead_variance),
        **unit_columns.of_time(sums, lags, decays, block.signal),
        **unit_columns.of_class(sums.ends, by_rank, options),
        **unit_columns.of_covariates(sums.covariates, recording.annotations),
    }
    table = pd.DataFrame(columns)
    reasons = {
        **unit_columns.reasons_of_values(table),
        **unit_columns.reasons_of_time(decays, block.signal),
        **unit_columns.reasons_of_class(sums.ends, options.permutations, labelled=labelled),
        **unit_columns.reasons_of_covariates(recording.annotations),
    }
    return Measured(
        table,
        tuning.tuning(sums.tuning, units, timesteps, labelled=labelled),
        tuning.by_timestep(sums.tuning, units, timesteps),
        unit_columns.absent(table, reasons),
    )


def _summed(
    parts: Iterable[Part],
    recording: Recording,
    cuts: list[float],
    timesteps: int,
    *,
    ranked: bool,
) -> tuple[Sums, Held | Sample]:
    """The sums over all parts; and of the last row of each sequence all, or else a sample."""
    sums: Sums | None = None
    last: list[tuple[Values, Labels]] = []
    some: Sample | None = None
    for part in parts:
        known = states.read_annotations(recording.folder, part[0], recording.annotations)
        more = summarise(part, known, cuts, recording.k, timesteps)
        sums = more if sums is None else merge(sums, more)
        values, labels = ends_of(part)
        if ranked:
            last.append((values, labels))
        else:
            drawn = Sample.of(values, part[0].sequence[part[0].last])
            some = drawn if some is None else some.merge(drawn)
    assert sums is not None
    if some is not None:
        return sums, some
    every = zip(*last, strict=True)
    return sums, Held(np.concatenate(next(every), axis=1), np.concatenate(next(every)))


def _again(
    parts: Iterable[Part],
    sums: Sums,
    mean: NDArray[np.float64],
    options: Units,
    block: Block,
    by_rank: Held | Binned,
) -> tuple[LagSums, NDArray[np.int64]]:
    """What needs the first sums: fluctuations about the mean [U, T]; and bins where wanted."""
    units, timesteps = mean.shape
    reach = min(options.lags, timesteps - 1)
    lags = LagSums(*np.zeros((3, units, reach + 1)))
    counts = np.zeros((units, quantiles.BINS), np.int64)
    for part in parts:
        lags += lag_sums(part, mean, reach)
        if not block.exact:
            counts += quantiles.histogram(part[1], sums.moments.min, sums.moments.max)
        if isinstance(by_rank, Binned) and sums.ends.occur > 1:
            by_rank.add(*ends_of(part))
    return lags, counts
