"""The units of a recording cut into blocks: the unit of work and of memory."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnscope import states
from rnnscope.analysis.statistics import jackknife
from rnnscope.analysis.units import pairing, tasks
from rnnscope.analysis.units.sampling import SAMPLE
from rnnscope.states.signals import Signal

RANKING = 64
"""Bytes per sequence, at most, while the values of one unit are ranked."""
MOST = 8
"""Units per block where there are very many sequences, so that many workers have one each."""


@dataclass(frozen=True)
class Recording:
    """What all blocks of a recording share."""

    folder: Path
    """An extract stage's output."""
    sequences: int
    """N."""
    k: int
    """Number of classes; 1 where the data has none, so that sums by class are sums over all."""
    annotations: list[str]
    """Names of the annotations of single timesteps."""
    groups: NDArray[np.int8]
    """The group of each sequence, for intervals [N]."""
    sources: int
    """How many independent sources of sequences there are."""
    tasks: dict[str, NDArray[np.int64]]
    """The values of each annotation that tells tasks."""


@dataclass(frozen=True)
class UnitBlock:
    """Some units of one signal."""

    signal: Signal
    lines: range
    """Their places among the recorded units."""
    exact: bool
    """Whether all their values fit in memory; else they are read again for the quantiles."""
    ranked: bool
    """Whether their values at the final step fit in memory; else they are counted in bins."""


def open_recording(folder: Path) -> Recording:
    """What the blocks of an extract stage's output share."""
    count, sources = states.sequence_count(folder), states.sources(folder)
    names = states.annotations(folder)
    return Recording(
        folder,
        count,
        max(1, states.class_count(folder)),
        names,
        jackknife.groups(sources).astype(np.int8),
        int(sources.max(initial=-1)) + 1,
        tasks.values_of(folder, names),
    )


def cut(recording: Recording, signal: Signal, memory_mb: int, lags: int) -> Iterator[UnitBlock]:
    """The units of a signal in blocks of even size whose values, or else sums, fit the memory.

    Args:
        recording: which the signal is of.
        signal: whose units are cut.
        memory_mb: the memory, in MB.
        lags: largest lag of the autocorrelation, if the timesteps reach so far.
    """
    units, values = len(signal.units), 4 * (recording.sequences + signal.rows)
    budget = memory_mb * 1_000_000
    # Of a unit: four sums by class and timestep, and by class and group; three by task and
    # timestep, and by group and lag;
    # means of what it is paired with by timestep, and the rows that are paired; and its values or
    # else the edges of its bins with two counts.
    sums = 32 * recording.k * (signal.timesteps + jackknife.GROUPS)
    sums += 24 * sum(map(len, recording.tasks.values())) * signal.timesteps
    sums += 24 * jackknife.GROUPS * min(lags + 1, signal.timesteps)
    if recording.annotations:
        share = pairing.size(recording.sequences, signal.rows) / recording.sequences
        sums += 8 * len(recording.annotations) * signal.timesteps + int(8 * share * signal.rows)
    bins = 20 * SAMPLE
    by_class = 8 * (SAMPLE + 1) * recording.k
    ranking = RANKING * recording.sequences
    ranked = ranking <= max(budget / 2, by_class)
    exact = ranked and ranking + sums + values <= budget
    if exact:
        each = sums + values
    elif ranked:
        each = sums + 4 * recording.sequences + bins
    else:
        each = sums + bins + by_class
    most = units if ranked else MOST
    size = max(1, min(most, (budget - ranking * ranked) // each))
    count = -(-units // size)
    edges = [units * number // count for number in range(count + 1)]
    for start, stop in itertools.pairwise(edges):
        yield UnitBlock(signal, range(start, stop), exact, ranked)
