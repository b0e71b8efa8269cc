"""Stage compare: how alike the states of two runs are, over the same test sequences.

The states of each run are read once by themselves, and of each pair of runs once side by side, some
rows at a time: memory does not grow with the number of sequences, and parts may differ in size.
"""

import functools
import hashlib
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from rnnscope import engine, states
from rnnscope.analysis.compare import aligned, similarity
from rnnscope.analysis.compare.aligned import OtherRowsError
from rnnscope.analysis.compare.similarity import Representation
from rnnscope.analysis.statistics import covariance
from rnnscope.config import Compare, Config
from rnnscope.errors import UserError
from rnnscope.states import selection
from rnnscope.store.runs import Run
from rnnscope.store.stage import Figures, Inputs
from rnnscope.store.tables import table_file

STATES = re.compile(r"h|c|s\d+")
"""Signals that a cell carries from timestep to timestep."""

Side = tuple[str, str, str]
"""Run, layer and signal."""
Layers = dict[str, list[str]]
"""Layer -> its signals."""


@dataclass(frozen=True)
class Pair:
    """One signal of two layers of two runs."""

    a: Side
    b: Side

    @property
    def layer(self) -> str:
        """The layers' name; both, where they are called differently."""
        return self.a[1] if self.a[1] == self.b[1] else f"{self.a[1]}/{self.b[1]}"


def run(config: Config, inputs: Inputs, folder: Path) -> Figures:
    """Write both tables into ``folder``; returns the stage's figures.

    ``compare.parquet`` has one row per pair of runs, layer and signal; ``matching.parquet`` one
    per unit of the narrower one that goes with a unit of the other.

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
    layers = _wanted(options, recorded)
    pairs = [pair for both in itertools.combinations(layers, 2) for pair in paired(layers, *both)]
    if not pairs:
        raise UserError(
            f"compare.layers={options.layers}, compare.signals={options.signals}: "
            "no two runs recorded the same signal in layers that go together"
        )
    sides = list(dict.fromkeys(side for pair in pairs for side in (pair.a, pair.b)))
    learn = functools.partial(_represented, options, recorded)
    # Signals run side by side; BLAS' own threads on top of that only wait for each other.
    with threadpool_limits(1, "blas"):
        each = engine.run(learn, sides, config.engine, what="runs", unit="signal")
        known = dict(zip(sides, each, strict=True))
        measure = functools.partial(_measured, options, recorded, known)
        found = list(engine.run(measure, pairs, config.engine, what="pairs", unit="signal"))
    keys = _keys(pairs, list(recorded))
    keys_and_rows = keys.assign(rows=[known[pair.a].count for pair in pairs])
    table = keys_and_rows.join(pd.DataFrame([measures for measures, _ in found]))
    table.to_parquet(table_file(folder, "compare"), index=False)
    of_pair = np.repeat(np.arange(len(pairs)), [len(matched) for _, matched in found])
    matching = pd.concat([matched for _, matched in found], ignore_index=True)
    matching = keys.iloc[of_pair].reset_index(drop=True).join(matching)
    matching.to_parquet(table_file(folder, "matching"), index=False)
    return _figures(table, len(runs))


def paired(layers: Mapping[str, Layers], one: str, other: str) -> list[Pair]:
    """What of two runs goes together: layers of one name; of the rest, if as many, in their order.

    Args:
        layers: run -> its layers by name, each with its signals.
        one: name of a run.
        other: name of another.
    """
    a, b = layers[one], layers[other]
    rest = [name for name in a if name not in b], [name for name in b if name not in a]
    partner = {name: name for name in a if name in b}
    if len(rest[0]) == len(rest[1]):
        partner |= dict(zip(*rest, strict=True))
    return [
        Pair((one, name, signal), (other, partner[name], signal))
        for name in a
        if name in partner
        for signal in a[name]
        if signal in b[partner[name]]
    ]


def _wanted(options: Compare, recorded: Mapping[str, Path]) -> dict[str, Layers]:
    """Each run's layers, with the signals of them that are asked for and have rows."""
    there = {
        run: {
            layer: [name for name in signals if states.parts(folder, layer, name)]
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
            layer: [name for name in names if name in signals]
            for layer, names in each.items()
            if layer in layers
        }
        for run, each in there.items()
    }


def _represented(options: Compare, recorded: Mapping[str, Path], side: Side) -> Representation:
    """One signal of one run by itself."""
    run, layer, signal = side
    files = states.parts(recorded[run], layer, signal)
    sums = covariance.empty(1, len(states.unit_numbers(files[0])))
    for piece in aligned.pieces(recorded[run], layer, signal, options.timesteps):
        covariance.add(sums, 0, piece.values)
    if not sums.count[0]:
        raise UserError(
            f"compare.timesteps={options.timesteps}: none of these was recorded of "
            f"{layer}/{signal} in run {run}"
        )
    return similarity.representation(sums, options.variance)


def _measured(
    options: Compare, recorded: Mapping[str, Path], known: Mapping[Side, Representation], pair: Pair
) -> tuple[dict[str, float], pd.DataFrame]:
    """The measures of one pair, and which units go together."""
    a, b = known[pair.a], known[pair.b]
    sums = similarity.nothing(a, b)
    rows = (
        aligned.pieces(recorded[run], layer, signal, options.timesteps)
        for run, layer, signal in (pair.a, pair.b)
    )
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
    units = (_units(recorded[run], layer, signal) for run, layer, signal in (pair.a, pair.b))
    unit_a, unit_b = units
    matched = pd.DataFrame(
        {"unit_a": unit_a[one], "unit_b": unit_b[other], "correlation": r[one, other]}
    )
    return similarity.measures(a, b, sums, r[one, other]), matched


def _units(folder: Path, layer: str, signal: str) -> NDArray[np.int32]:
    """The numbers of the recorded units [U]."""
    first = states.parts(folder, layer, signal)[0]
    return np.array(states.unit_numbers(first), np.int32)


def _refuse_other_data(runs: list[Run], recorded: Mapping[str, Path]) -> None:
    """Raise for the first run whose sequences are not those of the first."""
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
    """What says which sequences a run recorded; of files their digests, wherever they lie.

    Not whether each or each of their timesteps has a label, nor what shapes the validation split
    alone, which is drawn from training, after the test split. Of the test split the first sequences
    are recorded, so that their number says which. Annotations count: in a table, whatever column is
    not one of them is seen by the network.
    """
    found = run.config
    other = {"data.labels", "data.validation_fraction"}
    if "data.test_fraction" not in found:  # the data bring their test split
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


def _keys(pairs: list[Pair], runs: list[str]) -> pd.DataFrame:
    """What both tables have first, one row per pair."""
    columns = {
        "run_a": ([pair.a[0] for pair in pairs], runs),
        "run_b": ([pair.b[0] for pair in pairs], runs),
        "layer": ([pair.layer for pair in pairs], None),
        "signal": ([pair.a[2] for pair in pairs], None),
    }
    return pd.DataFrame(
        {
            name: pd.Categorical(values, categories=order or list(dict.fromkeys(values)))
            for name, (values, order) in columns.items()
        }
    )


def _figures(table: pd.DataFrame, runs: int) -> dict[str, Any]:
    """What the manifest says of the table, and why some of its values are null."""
    constant = table["procrustes"].isna()
    reasons = {
        "no unit of one of them varies": constant,
        "cka: fewer than 4 rows, or all but one of them equal": table["cka"].isna() & ~constant,
    }
    return {
        "rows": len(table),
        "runs": runs,
        "null": {why: int(where.sum()) for why, where in reasons.items() if where.any()},
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
