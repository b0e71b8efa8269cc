"""Stage population: the geometry of all units of a signal together.

A signal is read once for each block of timesteps whose covariances fit in memory, mostly one, and
once more for the classes' trajectories. Sums are taken part by part and merged, so that memory
does not grow with the number of sequences and parts may come in any order. They are kept in groups
of sequences, from which follow the intervals.
"""

import functools
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from rnnscope import engine, states
from rnnscope.analysis.population import (
    columns,
    components,
    demixing,
    dimensions,
    redundancy,
    vectors,
)
from rnnscope.analysis.population.columns import TABLES, Geometry, Pooled
from rnnscope.analysis.population.demixed_columns import DEMIXED
from rnnscope.analysis.population.reached import Reached
from rnnscope.analysis.statistics import covariance, jackknife, tables
from rnnscope.analysis.statistics.covariance import Covariances, Within
from rnnscope.config import Config, Population
from rnnscope.errors import UserError
from rnnscope.states import Signal, selection
from rnnscope.store import parquet
from rnnscope.store.inputs import Inputs
from rnnscope.store.stage import Figures
from rnnscope.store.tables import Nulls, Table, by_column

__all__ = ["TABLES", "run"]

MEMORY = 512_000_000
"""Bytes of one block's covariances; as many blocks at a time as there are workers."""


@dataclass(frozen=True)
class TimestepBlock:
    """Some timesteps of one signal."""

    signal: Signal
    timesteps: NDArray[np.int32]
    """[G], rising; all of them recorded."""


def run(config: Config, inputs: Inputs, folder: Path) -> Figures:
    """Write the stage's five tables into ``folder``; returns its figures.

    Args:
        config: the run's config.
        inputs: the artefact of stage extract.
        folder: where to write.

    Raises:
        UserError: a layer, a signal or timesteps that were not recorded.
    """
    options, recorded = config.population, inputs.folders["extract"]
    signals = selection.signals(recorded, options, "population")
    selection.warn_of_ends("population.timesteps", options.timesteps, signals)
    whole = [_chosen(signal, options.timesteps) for signal in signals]
    blocks = [_blocks(each) for each in whole]
    measure = functools.partial(_measure, states.sources(recorded))
    k = states.class_count(recorded)
    of_sequences = "label" in parquet.schema(recorded / states.SEQUENCES).names
    pool = functools.partial(_pooled, options, k, k if of_sequences else 0)
    # Blocks run side by side; BLAS' own threads on top of that only wait for each other.
    with threadpool_limits(1, "blas"):
        every = itertools.chain.from_iterable(blocks)
        measured = engine.run(measure, every, config.engine, what="population", unit="block")
        found = [_gathered(itertools.islice(measured, len(each))) for each in blocks]
        sums = [(each, *sums) for each, (_, *sums) in zip(whole, found, strict=True)]
        rest = list(engine.run(pool, sums, config.engine, what="trajectories", unit="signal"))
    written = {
        columns.POPULATION: [
            pd.concat([columns.POPULATION.frame(of) for of in each], ignore_index=True)
            for each, *_ in found
        ],
        columns.COMPONENTS: [columns.COMPONENTS.frame(of) for of in rest],
        columns.TRAJECTORIES: [_trajectories(of) for of in rest],
        columns.CORRELATION: [columns.CORRELATION.frame(of) for of in rest],
        DEMIXED: [DEMIXED.frame(of) for of in rest],
    }
    frames = {table: _joined(signals, each) for table, each in written.items()}
    for table, frame in frames.items():
        table.write(frame, folder)
    reads = {
        f"{signal.layer}/{signal.name}": len(each) + 1 + of.demixed.read
        for signal, each, of in zip(signals, blocks, rest, strict=True)
    }
    nulls = {
        table.name: by_column(
            sum((_nulls(of) for each, *_ in found for of in each), Nulls())
            if table is columns.POPULATION
            else table.nulls(frame, frame)
        )
        for table, frame in frames.items()
    }
    not_demixed = {
        f"{signal.layer}/{signal.name}": of.demixed.why
        for signal, of in zip(signals, rest, strict=True)
        if of.demixed.why
    }
    return _figures(frames) | {"null": nulls, "reads": reads, "not_demixed": not_demixed}


def _nulls(geometry: Geometry) -> Nulls:
    """The reasons of nulls at a block's timesteps, of which its table alone does not tell all."""
    return columns.POPULATION.nulls(geometry, columns.POPULATION.frame(geometry))


def _chosen(signal: Signal, timesteps: str) -> TimestepBlock:
    """The recorded timesteps of a signal that ``population.timesteps`` names."""
    steps = (np.unique(rows.timestep) for rows, _ in signal.read([]))
    there = functools.reduce(np.union1d, steps)
    wanted = np.intersect1d(there, selection.steps_of(timesteps, signal.timesteps))
    if not len(wanted):
        raise UserError(
            f"population.timesteps={timesteps}: none of these was recorded; "
            f"{signal.layer}/{signal.name} has {there[0]} to {there[-1]}"
        )
    return TimestepBlock(signal, wanted.astype(np.int32))


def _blocks(whole: TimestepBlock) -> list[TimestepBlock]:
    """A signal's timesteps in as few blocks as memory allows."""
    size = max(1, MEMORY // (8 * jackknife.GROUPS * len(whole.signal.units) ** 2))
    count = -(-len(whole.timesteps) // size)
    return [TimestepBlock(whole.signal, steps) for steps in np.array_split(whole.timesteps, count)]


def _measure(
    sources: NDArray[np.intp], block: TimestepBlock
) -> tuple[Geometry, Covariances, Within]:
    """What is measured at a block's timesteps, and sums over all of its rows.

    Args:
        sources: number of each sequence's source [N].
        block: some timesteps of a signal.

    Returns:
        The measures; the covariance of all rows as one group; that within timesteps.
    """
    cells, steps = jackknife.GROUPS, len(block.timesteps)
    group_of = jackknife.groups(sources)
    sums = covariance.empty(steps * cells, len(block.signal.units))
    total, count = np.zeros((2, 3, steps))  # of norm, speed and sparseness
    reached = Reached(steps, sources)
    for rows, values in block.signal.read():
        here = np.flatnonzero(np.isin(rows.timestep, block.timesteps))
        step = np.searchsorted(block.timesteps, rows.timestep[here])
        reached.add(step, rows.sequence[here])
        measured = vectors.measure(values, here, vectors.follows(rows)[here])
        for number, each in enumerate(measured):
            known = ~np.isnan(each)
            total[number] += np.bincount(step[known], each[known], steps)
            count[number] += np.bincount(step[known], minlength=steps)
        cell = step * cells + group_of[rows.sequence[here]]
        order = np.argsort(cell, kind="stable")
        by_cell = np.take(values, here[order], axis=1)
        ends = np.searchsorted(cell[order], np.arange(len(sums.count) + 1))
        for number, (start, stop) in enumerate(itertools.pairwise(ends)):
            covariance.add(sums, number, by_cell[:, start:stop])
    with np.errstate(invalid="ignore"):
        means = total / count
    found, timesteps = dimensions.dimensions(covariance.split(sums, cells), reached.sources)
    geometry = Geometry(block.timesteps, timesteps.count, reached.sources, found, *means)
    return geometry, covariance.pool(timesteps), covariance.within(timesteps)


def _gathered(
    blocks: Iterator[tuple[Geometry, Covariances, Within]],
) -> tuple[list[Geometry], Covariances, Within]:
    """What is measured in the blocks of one signal, and the sums over all of its rows."""
    first, pooled, within = next(blocks)
    geometries = [first]
    for geometry, sums, more in blocks:  # one at a time, as each holds U^2 sums
        geometries.append(geometry)
        pooled, within = covariance.pool(covariance.join([pooled, sums])), within + more
    return geometries, pooled, within


def _pooled(
    options: Population,
    k: int,
    of_sequences: int,
    sums: tuple[TimestepBlock, Covariances, Within],
) -> Pooled:
    """What is computed from all timesteps of a signal together.

    Args:
        options: of the stage.
        k: number of classes.
        of_sequences: the same where sequences have classes, else 0.
        sums: over all rows of the signal.
    """
    whole, pooled, within = sums
    axes = components.axes(pooled, options.components)
    r = redundancy.correlation(within.m2, within.constant)
    return Pooled(
        np.array(whole.signal.units, np.int32),
        axes,
        components.trajectories(axes, whole.signal, whole.timesteps, k),
        r,
        redundancy.correlation(pooled.m2[0], pooled.constant[0]),
        redundancy.clusters(r, options.redundant),
        demixing.demixed(whole.signal, whole.timesteps, of_sequences, axes, options.components),
    )


def _trajectories(pooled: Pooled) -> pd.DataFrame:
    """One signal's rows of the table of trajectories, with a column for each component."""
    coordinates = {
        columns.COMPONENT.named(n): line for n, line in enumerate(pooled.trajectories.means, 1)
    }
    return columns.TRAJECTORIES.frame(pooled).assign(**coordinates)


def _joined(signals: list[Signal], frames: list[pd.DataFrame]) -> pd.DataFrame:
    """One table of each signal's rows, with its layer and letter in front."""
    pairs = [(signal.layer, signal.name) for signal in signals]
    named = [tables.named(frame, pairs, *pair) for pair, frame in zip(pairs, frames, strict=True)]
    return pd.concat(named, ignore_index=True)


def _figures(frames: Mapping[Table, pd.DataFrame]) -> dict[str, Any]:
    """The number of rows, the redundant units of each signal, and the headline."""
    geometry, pairs = frames[columns.POPULATION], frames[columns.CORRELATION]
    joined = pairs.dropna(subset="cluster").groupby(["layer", "signal"], observed=True)
    redundant = {
        f"{layer}/{signal}": len(np.union1d(each["unit"], each["other"]))
        for (layer, signal), each in joined
    }
    ratios = geometry["participation_ratio"].dropna()
    ratios = ratios[np.isfinite(ratios)]
    return {
        "rows": len(geometry),
        "redundant_units": redundant,
        "headline": {
            "rows": len(geometry),
            "median participation ratio": float(ratios.median()) if len(ratios) else None,
            "redundant units": sum(redundant.values()),
        },
    }
