"""Stage population: the geometry of all units of a signal together.

A signal is read once for each block of timesteps whose covariances fit in memory, mostly one, and
once more for the classes' trajectories. Sums are taken part by part and merged, so that memory
does not grow with the number of sequences and parts may come in any order.
"""

import functools
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from rnnscope import engine, states
from rnnscope.analysis.population import columns, components, redundancy, vectors
from rnnscope.analysis.population.columns import TABLES, Geometry, Pooled
from rnnscope.analysis.statistics import covariance, spectrum, tables
from rnnscope.analysis.statistics.covariance import Covariances
from rnnscope.config import Config, Population
from rnnscope.errors import UserError
from rnnscope.states import Signal, selection
from rnnscope.store.inputs import Inputs
from rnnscope.store.stage import Figures
from rnnscope.store.tables import Table, by_column

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
    """Write the stage's four tables into ``folder``; returns its figures.

    Args:
        config: the run's config.
        inputs: the artefact of stage extract.
        folder: where to write.

    Raises:
        UserError: a layer, a signal or timesteps that were not recorded.
    """
    options, recorded = config.population, inputs.folders["extract"]
    signals = selection.signals(recorded, options, "population")
    whole = [_chosen(signal, options.timesteps) for signal in signals]
    blocks = [_blocks(each) for each in whole]
    pool = functools.partial(_pooled, options, states.class_count(recorded))
    # Blocks run side by side; BLAS' own threads on top of that only wait for each other.
    with threadpool_limits(1, "blas"):
        every = itertools.chain.from_iterable(blocks)
        measured = iter(
            list(engine.run(_measure, every, config.engine, what="population", unit="block"))
        )
        by_signal = [list(itertools.islice(measured, len(each))) for each in blocks]
        pooled = [covariance.pool(covariance.join(p for _, p in each)) for each in by_signal]
        sums = zip(whole, pooled, strict=True)
        rest = list(engine.run(pool, sums, config.engine, what="trajectories", unit="signal"))
    written = {
        columns.POPULATION: [
            pd.concat([columns.POPULATION.frame(of) for of, _ in each], ignore_index=True)
            for each in by_signal
        ],
        columns.COMPONENTS: [columns.COMPONENTS.frame(of) for of in rest],
        columns.TRAJECTORIES: [_trajectories(of) for of in rest],
        columns.CORRELATION: [columns.CORRELATION.frame(of) for of in rest],
    }
    frames = {table: _joined(signals, each) for table, each in written.items()}
    for table, frame in frames.items():
        table.write(frame, folder)
    reads = {
        f"{signal.layer}/{signal.name}": len(each) + 1
        for signal, each in zip(signals, blocks, strict=True)
    }
    nulls = {table.name: by_column(table.nulls(frame, frame)) for table, frame in frames.items()}
    return _figures(frames) | {"null": nulls, "reads": reads}


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
    size = max(1, MEMORY // (8 * len(whole.signal.units) ** 2))
    count = -(-len(whole.timesteps) // size)
    return [TimestepBlock(whole.signal, steps) for steps in np.array_split(whole.timesteps, count)]


def _measure(block: TimestepBlock) -> tuple[Geometry, Covariances]:
    """What is measured at a block's timesteps, and the sums over all of its rows as one group."""
    groups = len(block.timesteps)
    sums = covariance.empty(groups, len(block.signal.units))
    total, count = np.zeros((2, 3, groups))  # of norm, speed and sparseness
    for rows, values in block.signal.read():
        here = np.flatnonzero(np.isin(rows.timestep, block.timesteps))
        here = here[np.argsort(rows.timestep[here], kind="stable")]
        group = np.searchsorted(block.timesteps, rows.timestep[here])
        measured = vectors.measure(values, here, vectors.follows(rows)[here])
        for number, each in enumerate(measured):
            known = ~np.isnan(each)
            total[number] += np.bincount(group[known], each[known], groups)
            count[number] += np.bincount(group[known], minlength=groups)
        by_group = np.take(values, here, axis=1)
        ends = np.searchsorted(group, np.arange(groups + 1))
        for number, (start, stop) in enumerate(itertools.pairwise(ends)):
            covariance.add(sums, number, by_group[:, start:stop])
    with np.errstate(invalid="ignore"):
        means = total / count
    geometry = Geometry(block.timesteps, sums.count, spectrum.eigenvalues(sums), *means)
    return geometry, covariance.pool(sums)


def _pooled(options: Population, k: int, sums: tuple[TimestepBlock, Covariances]) -> Pooled:
    """What is computed from all timesteps of a signal together; of k classes."""
    whole, pooled = sums
    axes = components.axes(pooled, options.components)
    r = redundancy.correlation(pooled)
    return Pooled(
        np.array(whole.signal.units, np.int32),
        axes,
        components.trajectories(axes, whole.signal, whole.timesteps, k),
        r,
        redundancy.clusters(r, options.redundant),
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
    dimensions = geometry["participation_ratio"].dropna()
    return {
        "rows": len(geometry),
        "redundant_units": redundant,
        "headline": {
            "rows": len(geometry),
            "median participation ratio": float(dimensions.median()) if len(dimensions) else None,
            "redundant units": sum(redundant.values()),
        },
    }
