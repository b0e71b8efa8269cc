"""Stage compare: how similar the states of two runs are on the same test sequences.

Of each pair of runs the states of the same sequences are held side by side, for as many timesteps
at a time as memory allows. At most 10,000 sequences are compared, so that memory does not grow with
their number, and value, null and interval are of the same ones.
"""

import functools
import itertools
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from rnnscope import engine, states
from rnnscope.analysis.compare import dynamics, held, same_data, similarity
from rnnscope.analysis.compare.columns import COMPARE, MATCHING, TABLES, Compared
from rnnscope.analysis.compare.pairs import Pair, paired
from rnnscope.analysis.compare.sums import PERMUTATIONS, Sums
from rnnscope.analysis.statistics import jackknife
from rnnscope.config import Compare, Config, Engine
from rnnscope.errors import UserError
from rnnscope.states import Signal, selection
from rnnscope.store.inputs import Inputs
from rnnscope.store.stage import Figures
from rnnscope.store.tables import by_column

__all__ = ["TABLES", "run"]

log = logging.getLogger(__name__)

STATES = re.compile(r"h|c|s\d+")
"""Signals that a cell carries from timestep to timestep."""


@dataclass(frozen=True)
class Sample:
    """The n sequences that are compared."""

    sequences: NDArray[np.intp]
    """Their numbers [n], rising."""
    group: NDArray[np.intp]
    """The group of the jackknife of each [n]."""
    sources: int
    """How many independent sources they come from."""
    ranks: NDArray[np.intp]
    """Their order in each permutation [PERMUTATIONS, n]."""


Opened = Mapping[str, Mapping[str, Mapping[str, Signal]]]
"""Run -> layer -> letter -> signal."""


def run(config: Config, inputs: Inputs, folder: Path) -> Figures:
    """Write both tables into ``folder``; returns the stage's figures.

    ``compare.parquet`` has one row per pair of runs, layer and signal; ``matching.parquet`` one
    per pair of matched units.

    Args:
        config: the run's config.
        inputs: the runs below the root.
        folder: where to write.

    Raises:
        UserError: runs of different data, or that recorded nothing in common.
    """
    assert inputs.survey is not None
    options, runs = config.compare, inputs.survey.runs
    recorded = {run.name: run.stages["extract"].artefact.folder for run in runs}
    same_data.check(runs, recorded)
    if options.timesteps == "last":
        same_data.check_last(runs)
    opened = _wanted(options, recorded)
    for layers in opened.values():
        some = (signal for names in layers.values() for signal in names.values())
        selection.warn_of_ends("compare.timesteps", options.timesteps, some)
    pairs = [pair for both in itertools.combinations(opened, 2) for pair in paired(opened, *both)]
    if not pairs:
        raise UserError(
            f"compare.layers={options.layers}, compare.signals={options.signals}: "
            "no two runs recorded the same signal in layers that go together"
        )
    sample = _sample(recorded[runs[0].name])
    measure = functools.partial(_measured, options, opened, sample)
    # Pairs run side by side; BLAS' own threads on top of that only wait for each other.
    with threadpool_limits(1, "blas"):
        found = list(engine.run(measure, pairs, config.engine, what="pairs", unit="signal"))
    table = pd.DataFrame([measures for measures, _ in found])
    table = table.assign(**_moving(options, opened, sample, pairs, config.engine))
    matched = pd.concat([units for _, units in found], ignore_index=True)
    of_pair = np.repeat(np.arange(len(pairs)), [len(units) for _, units in found])
    rows = functools.partial(Compared, list(recorded), pairs)
    made = {
        COMPARE: rows(np.arange(len(pairs)), table),
        MATCHING: rows(of_pair, matched),
    }
    frames = {table: table.frame(of) for table, of in made.items()}
    for table, frame in frames.items():
        table.write(frame, folder)
    nulls = {table.name: by_column(table.nulls(made[table], frames[table])) for table in frames}
    sequences = {
        "compared": len(sample.sequences),
        "recorded": states.sequence_count(recorded[runs[0].name]),
    }
    return _figures(frames[COMPARE], len(runs)) | {"sequences": sequences, "null": nulls}


def _sample(recorded: Path) -> Sample:
    """The sequences that are compared, of those that any of the runs recorded."""
    sources = states.sources(recorded)
    sequences = held.drawn(len(sources))
    of = sources[sequences]
    order = np.tile(np.arange(len(of)), (PERMUTATIONS, 1))
    ranks = np.random.default_rng(0).permuted(order, axis=1)
    return Sample(sequences, jackknife.groups(of), len(np.unique(of)), ranks)


def _wanted(options: Compare, recorded: Mapping[str, Path]) -> Opened:
    """Each run's layers with those of their signals that are asked for and have rows."""
    there = {
        run: {
            layer: {
                name: signal
                for name in signals
                if (signal := states.open_signal(folder, layer, name)).rows
            }
            for layer, signals in states.layers(folder).items()
        }
        for run, folder in recorded.items()
    }
    layers = dict.fromkeys(layer for each in there.values() for layer in each)
    signals = dict.fromkeys(
        name for each in there.values() for names in each.values() for name in names
    )
    layers = selection.only("compare.layers", layers, options.layers)
    signals = selection.only("compare.signals", signals, options.signals)
    if options.signals is None:
        signals = {name: None for name in signals if STATES.fullmatch(name)}
    return {
        run: {
            layer: {name: signal for name, signal in names.items() if name in signals}
            for layer, names in each.items()
            if layer in layers
        }
        for run, each in there.items()
    }


def _measured(
    options: Compare, opened: Opened, sample: Sample, pair: Pair
) -> tuple[dict[str, float], pd.DataFrame]:
    """The measures of one pair, and its matched units, as the tables have them."""
    a, b = (opened[run][layer][name] for run, layer, name in (pair.a, pair.b))
    sums = _summed(options.timesteps, a, b, sample, pair)
    if not sums.rows:
        raise UserError(
            f"compare.timesteps={options.timesteps}: none of these was recorded of "
            f"{a.layer}/{a.name} in run {pair.a[0]}"
        )
    measures: dict[str, float] = {
        "rows": sums.rows,
        "sequences": len(sample.sequences),
        "sources": sample.sources,
        "timesteps": len(sums.cka),
    }
    both = sums.representations(options.variance)
    for name, each in sums.measures(both, sample.sources).items():
        measures |= {name: each.value, f"{name}_low": each.low, f"{name}_high": each.high}
        measures[f"{name}_null"] = each.null
    r = similarity.correlations(*both[0], sums.xy[0])
    one, other = similarity.matching(r)
    unit_a, unit_b = (np.array(signal.units, np.int32) for signal in (a, b))
    matched = {"unit_a": unit_a[one], "unit_b": unit_b[other], "correlation": r[one, other]}
    return measures, pd.DataFrame(matched)


def _summed(timesteps: str, a: Signal, b: Signal, sample: Sample, pair: Pair) -> Sums:
    """The sums of two signals over all timesteps that are asked for."""
    sums = Sums(len(a.units), len(b.units))
    units, count = len(a.units) + len(b.units), max(a.timesteps, b.timesteps)
    for some in held.blocks(timesteps, count, units, len(sample.sequences)):
        one, other = (held.read(signal, sample.sequences, some) for signal in (a, b))
        if (one.there != other.there).any():
            raise UserError(
                f"compare.timesteps={timesteps}: runs {pair.a[0]} and {pair.b[0]} recorded "
                f"different timesteps of {pair.layer}/{pair.a[2]}; choose some that both have"
            )
        for step, there in enumerate(one.there):
            if there.any():
                x, y = (each.states[:, step, there] for each in (one, other))
                sums.add(x, y, sample.group[there], sample.ranks[:, there])
    return sums


def _moving(
    options: Compare, opened: Opened, sample: Sample, pairs: list[Pair], pool: Engine
) -> dict[str, Any]:
    """The dynamical similarity of each pair, by the names of columns.

    One pair at a time, as PyTorch takes all cores itself.
    """
    if why := dynamics.refused(options):
        if options.dsa:
            log.warning(f"compare has no dsa: {why}")
        return {"dsa": [np.nan] * len(pairs), "dsa_floor": np.nan, "dsa_why": why}

    def one(pair: Pair) -> dynamics.Similar:
        a, b = (opened[run][layer][name] for run, layer, name in (pair.a, pair.b))
        return dynamics.similar(a, b, sample.sequences, options)

    alone = replace(pool, workers=1)
    found = list(engine.run(one, pairs, alone, what="dynamics", unit="signal"))
    return {
        "dsa": [each.distance for each in found],
        "dsa_floor": [each.floor for each in found],
        "dsa_why": [each.why for each in found],
    }


def _figures(table: pd.DataFrame, runs: int) -> dict[str, Any]:
    """The numbers of rows and runs, and the headline."""
    return {
        "rows": len(table),
        "runs": runs,
        "headline": {
            "runs": runs,
            "rows": len(table),
            **{
                f"median {name}": float(table[name].median())
                for name in ("cka", "matched_correlation")
                if table[name].notna().any()
            },
        },
    }
