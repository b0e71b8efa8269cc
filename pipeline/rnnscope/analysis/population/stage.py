"""Stage population: the geometry of all units of a signal together.

A signal is read once for each block of timesteps whose covariances fit in memory, mostly one, and
once more for the classes' trajectories. Sums are taken part by part and merged, so that memory
does not grow with the number of sequences and the parts may come in any order.
"""

import dataclasses
import functools
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from rnnscope import engine, states
from rnnscope.analysis.population import components, redundancy, vectors
from rnnscope.analysis.statistics import covariance, spectrum, tables
from rnnscope.analysis.statistics.covariance import Covariances
from rnnscope.config import Config, Population
from rnnscope.errors import UserError
from rnnscope.states import selection
from rnnscope.store.stage import Figures, Inputs
from rnnscope.store.tables import table_file

MEMORY = 512_000_000
"""Bytes of one block's covariances; as many blocks at a time as there are workers."""

Float = NDArray[np.float64]
Tables = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Block:
    """Some timesteps of one signal."""

    files: list[Path]
    units: NDArray[np.int32]
    """The units' numbers [U]."""
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
    pairs = selection.recorded(recorded, options, "population")
    signals = [_signal(recorded, layer, name, options.timesteps) for layer, name in pairs]
    blocks = [_blocks(signal) for signal in signals]
    complete = functools.partial(_complete, options, states.class_count(recorded))
    # Blocks run side by side; BLAS' own threads on top of that only wait for each other.
    with threadpool_limits(1, "blas"):
        every = itertools.chain.from_iterable(blocks)
        found = list(engine.run(_measure, every, config.engine, what="population", unit="block"))
        in_turn = iter(found)
        by_signal = [list(itertools.islice(in_turn, len(each))) for each in blocks]
        pooled = [covariance.pool(covariance.join(p for _, p in each)) for each in by_signal]
        sums = zip(signals, pooled, strict=True)
        rest = list(engine.run(complete, sums, config.engine, what="trajectories", unit="signal"))
    whole = [
        {"population": pd.concat([frame for frame, _ in first], ignore_index=True), **second}
        for first, second in zip(by_signal, rest, strict=True)
    ]
    written = {
        name: pd.concat(
            [
                tables.named(each[name], pairs, *pair)
                for pair, each in zip(pairs, whole, strict=True)
            ],
            ignore_index=True,
        )
        for name in whole[0]
    }
    for name, frame in written.items():
        frame.to_parquet(table_file(folder, name), index=False)
    reads = {
        f"{layer}/{signal}": len(each) + 1
        for (layer, signal), each in zip(pairs, blocks, strict=True)
    }
    return _figures(written) | {"reads": reads}


def table(sums: Covariances, timesteps: NDArray[np.int32], means: dict[str, Float]) -> pd.DataFrame:
    """One row per timestep [G].

    Args:
        sums: over the sequences that reach each timestep.
        timesteps: their numbers [G].
        means: further columns, means over those sequences, each [G].
    """
    values = spectrum.eigenvalues(sums)
    return pd.DataFrame(
        {
            "timestep": timesteps,
            "sequences": sums.count,
            "participation_ratio": spectrum.participation_ratio(values),
            "components_90": pd.array(spectrum.components_for(0.9, values), "Int32"),
            **means,
        }
    )


def _signal(recorded: Path, layer: str, signal: str, timesteps: str) -> Block:
    """The recorded timesteps of a signal that are asked for."""
    files = states.parts(recorded, layer, signal)
    units = np.array(states.unit_numbers(files[0]), np.int32)
    steps = (np.unique(states.read_part(file, [])[0].timestep) for file in files)
    there = functools.reduce(np.union1d, steps)
    wanted = np.intersect1d(there, selection.steps_of(timesteps, int(there[-1]) + 1))
    if not len(wanted):
        raise UserError(
            f"population.timesteps={timesteps}: none of these was recorded; "
            f"{layer}/{signal} has {there[0]} to {there[-1]}"
        )
    return Block(files, units, wanted.astype(np.int32))


def _blocks(signal: Block) -> list[Block]:
    """A signal's timesteps in as few blocks as memory allows."""
    size = max(1, MEMORY // (8 * len(signal.units) ** 2))
    count = -(-len(signal.timesteps) // size)
    return [
        dataclasses.replace(signal, timesteps=steps)
        for steps in np.array_split(signal.timesteps, count)
    ]


def _measure(block: Block) -> tuple[pd.DataFrame, Covariances]:
    """A block's rows of the population table, and the sums over all of its rows as one group."""
    groups = len(block.timesteps)
    sums = covariance.empty(groups, len(block.units))
    total, count = np.zeros((2, len(vectors.NAMES), groups))
    for file in block.files:
        rows, values = states.read_part(file)
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
        means = dict(zip(vectors.NAMES, total / count, strict=True))
    return table(sums, block.timesteps, means), covariance.pool(sums)


def _complete(options: Population, k: int, sums: tuple[Block, Covariances]) -> Tables:
    """The tables that follow from all timesteps of a signal together."""
    signal, pooled = sums
    axes = components.axes(pooled, options.components)
    r = redundancy.correlation(pooled)
    cluster = redundancy.clusters(r, options.redundant)
    return {
        "components": components.table(axes, signal.units),
        "trajectories": components.trajectories(axes, signal.files, signal.timesteps, k),
        "correlation": redundancy.table(r, cluster, signal.units),
    }


def _figures(written: Tables) -> dict[str, Any]:
    """What the manifest says of the tables, and why some of their values are null."""
    geometry, pairs, paths = written["population"], written["correlation"], written["trajectories"]
    alone = geometry["sequences"] < 2
    nulls = {
        "participation_ratio": {
            "fewer than 2 sequences": alone,
            "no variance across sequences": geometry["participation_ratio"].isna() & ~alone,
        },
        "speed": {"the timestep before was not recorded": geometry["speed"].isna()},
        "population_sparseness": {
            "all units are 0, or there is but one": geometry["population_sparseness"].isna()
        },
        "loading": {"nothing varies along the component": written["components"]["loading"].isna()},
        "label": {"the data has no classes": paths["label"].isna()},
        "correlation": {"one of the units is constant": pairs["correlation"].isna()},
    }
    joined = pairs.dropna(subset="cluster").groupby(["layer", "signal"], observed=True)
    redundant = {
        f"{layer}/{signal}": len(np.union1d(each["unit"], each["other"]))
        for (layer, signal), each in joined
    }
    dimensions = geometry["participation_ratio"].dropna()
    return {
        "rows": len(geometry),
        "redundant_units": redundant,
        "null": {
            column: {why: int(where.sum()) for why, where in reasons.items() if where.any()}
            for column, reasons in nulls.items()
            if any(where.any() for where in reasons.values())
        },
        "headline": {
            "rows": len(geometry),
            "median participation ratio": float(dimensions.median()) if len(dimensions) else None,
            "redundant units": sum(redundant.values()),
        },
    }
