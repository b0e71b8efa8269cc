"""Stage compare: how similar the states of two runs are on the same test sequences.

The states of each run are read once on their own, and those of each pair of runs once side by
side, some rows at a time: memory does not grow with the number of sequences, and parts may differ
in size.
"""

import functools
import hashlib
import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

from rnnscope import engine, states
from rnnscope.analysis.compare import aligned, similarity
from rnnscope.analysis.compare.aligned import OtherRowsError
from rnnscope.analysis.compare.columns import COMPARE, MATCHING, TABLES, Compared
from rnnscope.analysis.compare.pairs import Pair, Side, paired
from rnnscope.analysis.compare.similarity import Representation
from rnnscope.analysis.statistics import covariance
from rnnscope.config import Compare, Config
from rnnscope.errors import UserError
from rnnscope.states import Signal, selection
from rnnscope.store.inputs import Inputs
from rnnscope.store.runs import Run
from rnnscope.store.stage import Figures
from rnnscope.store.tables import by_column

__all__ = ["TABLES", "run"]

STATES = re.compile(r"h|c|s\d+")
"""Signals that a cell carries from timestep to timestep."""

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
    _refuse_other_data(runs, recorded)
    opened = _wanted(options, recorded)
    pairs = [pair for both in itertools.combinations(opened, 2) for pair in paired(opened, *both)]
    if not pairs:
        raise UserError(
            f"compare.layers={options.layers}, compare.signals={options.signals}: "
            "no two runs recorded the same signal in layers that go together"
        )
    sides = list(dict.fromkeys(side for pair in pairs for side in (pair.a, pair.b)))
    represent = functools.partial(_represented, options, opened)
    # Signals run side by side; BLAS' own threads on top of that only wait for each other.
    with threadpool_limits(1, "blas"):
        each = engine.run(represent, sides, config.engine, what="runs", unit="signal")
        known = dict(zip(sides, each, strict=True))
        measure = functools.partial(_measured, options, opened, known)
        found = list(engine.run(measure, pairs, config.engine, what="pairs", unit="signal"))
    measures = pd.DataFrame([measures for measures, _ in found])
    measures["rows"] = [known[pair.a].count for pair in pairs]
    matched = pd.concat([units for _, units in found], ignore_index=True)
    of_pair = np.repeat(np.arange(len(pairs)), [len(units) for _, units in found])
    rows = functools.partial(Compared, list(recorded), pairs)
    frames = {
        COMPARE: COMPARE.frame(rows(np.arange(len(pairs)), measures)),
        MATCHING: MATCHING.frame(rows(of_pair, matched)),
    }
    for table, frame in frames.items():
        table.write(frame, folder)
    nulls = {table.name: by_column(table.nulls(frame, frame)) for table, frame in frames.items()}
    return _figures(frames[COMPARE], len(runs)) | {"null": nulls}


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


def _represented(options: Compare, opened: Opened, side: Side) -> Representation:
    """One signal of one run on its own."""
    run, layer, name = side
    signal = opened[run][layer][name]
    sums = covariance.empty(1, len(signal.units))
    for piece in aligned.pieces(signal, options.timesteps):
        covariance.add(sums, 0, piece.values)
    if not sums.count[0]:
        raise UserError(
            f"compare.timesteps={options.timesteps}: none of these was recorded of "
            f"{layer}/{name} in run {run}"
        )
    return similarity.representation(sums, options.variance)


def _measured(
    options: Compare, opened: Opened, known: Mapping[Side, Representation], pair: Pair
) -> tuple[dict[str, float], pd.DataFrame]:
    """The measures of one pair, and its matched units, as the tables have them."""
    a, b = known[pair.a], known[pair.b]
    sums = similarity.nothing(a, b)
    signals = [opened[run][layer][name] for run, layer, name in (pair.a, pair.b)]
    rows = (aligned.pieces(signal, options.timesteps) for signal in signals)
    try:
        for x, y in aligned.together(*rows):
            sums += similarity.products(x, y, a, b)
    except OtherRowsError as error:
        raise UserError(
            f"compare.timesteps={options.timesteps}: runs {pair.a[0]} and {pair.b[0]} recorded "
            f"different timesteps of {pair.layer}/{pair.a[2]}; choose some that both have"
        ) from error
    r = similarity.correlations(a, b, sums)
    one, other = similarity.matching(r)
    unit_a, unit_b = (np.array(signal.units, np.int32) for signal in signals)
    matched = {"unit_a": unit_a[one], "unit_b": unit_b[other], "correlation": r[one, other]}
    return similarity.measures(a, b, sums, r[one, other]), pd.DataFrame(matched)


def _refuse_other_data(runs: list[Run], recorded: Mapping[str, Path]) -> None:
    """Raise for the first run that did not record the same sequences as run number 0."""
    first, *others = runs
    data, lengths = _data(first, recorded), _lengths(recorded[first.name])
    for other in others:
        theirs = _data(other, recorded)
        differ = [
            f"{name} is {data.get(name)} and {theirs.get(name)}"
            for name in dict.fromkeys([*data, *theirs])
            if data.get(name) != theirs.get(name)
        ]
        if not differ and _lengths(recorded[other.name]) != lengths:
            differ = ["the lengths of their sequences differ"]
        if differ:
            raise UserError(
                f"stage=compare: runs {first.name} and {other.name} have different data, "
                f"{'; '.join(differ)}: choose runs of the same data with compare.runs=..."
            )


def _data(run: Run, recorded: Mapping[str, Path]) -> dict[str, Any]:
    """The options and digests of files that determine which sequences a run recorded.

    Left out are whether sequences or timesteps have labels, and what shapes the validation split
    alone, which is drawn from training, after the test split. The first sequences of the test split
    are recorded, so that their number says which. Annotations count: in a table, every column that
    is not one of them is an input of the network.
    """
    found = run.config
    other = {"data.labels", "data.task", "data.validation_fraction"}
    if found.get("data.test_fraction") is None:  # the data comes with its own test split
        other.add("data.split_seed")
    data = {
        name: value
        for name, value in found.items()
        if name.startswith("data.") and f"{name}.sha256" not in found and name not in other
    }
    rows = pq.read_metadata(recorded[run.name] / states.SEQUENCES).num_rows
    return data | {"the number of sequences": rows}


def _lengths(folder: Path) -> str:
    """A digest of the lengths of all recorded sequences."""
    digest = hashlib.sha256()
    for batch in pq.ParquetFile(folder / states.SEQUENCES).iter_batches(columns=["length"]):
        digest.update(batch["length"].to_numpy().astype(np.int64).tobytes())
    return digest.hexdigest()


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
