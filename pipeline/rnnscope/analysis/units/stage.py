"""Stage units: one row of statistics per layer, signal and unit.

Units are measured a block at a time, as many as fit the memory, and blocks run side by side. The
parts of a block are read one after another and their sums merged: memory does not grow with the
number of sequences, and the parts may come in any order.
"""

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from rnnscope import engine
from rnnscope.analysis.statistics import tables
from rnnscope.analysis.statistics.testing import with_q_values
from rnnscope.analysis.units.blocks import Recording, UnitBlock, cut, open_recording
from rnnscope.analysis.units.columns import TIMESTEPS, TUNING, UNITS
from rnnscope.analysis.units.reading import measure
from rnnscope.analysis.units.task_columns import TASK_VARIANCE, clustered
from rnnscope.config import Config, Engine, Units
from rnnscope.states import selection
from rnnscope.store.inputs import Inputs
from rnnscope.store.stage import Figures
from rnnscope.store.tables import Nulls, by_column, table_file

TABLES = (UNITS, TUNING, TIMESTEPS, TASK_VARIANCE)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BlockRows:
    """The rows of one block."""

    tables: dict[str, pd.DataFrame]
    """By the name of the table."""
    nulls: dict[str, Nulls]
    """Likewise."""


def run(config: Config, inputs: Inputs, folder: Path) -> Figures:
    """Write the stage's four tables into ``folder``; returns its figures.

    Args:
        config: the run's config.
        inputs: the artefact of stage extract.
        folder: where to write.

    Raises:
        UserError: a layer or signal asked for was not recorded.
    """
    extracted = inputs.folders["extract"]
    if partial := selection.final_step(config.extract.timesteps):
        log.warning(partial)
    with threadpool_limits(1):  # threads of BLAS within threads of the engine wait for each other
        figures = write_tables(extracted, config.units, config.engine, folder)
    return {"final_step": partial, **figures}


def write_tables(
    extracted: Path,
    options: Units,
    pool: Engine,
    folder: Path,
    labels: NDArray[np.int32] | None = None,
) -> Figures:
    """Measure the units of a recording; returns the figures of its tables.

    Args:
        extracted: the recording.
        options: of the stage.
        pool: where blocks of units are measured.
        folder: where to write the four tables.
        labels: classes of the sequences [N] or of their timesteps [N, T], in place of those that
            were recorded.

    Raises:
        UserError: a layer or signal asked for was not recorded.
    """
    recording = open_recording(extracted)
    signals = selection.signals(extracted, options, "units")
    if labels is not None:
        recording = replace(recording, k=max(recording.k, int(labels.max()) + 1))
        signals = [replace(signal, classes=labels, labelled=True) for signal in signals]
    pairs = [(signal.layer, signal.name) for signal in signals]
    blocks = [
        block
        for signal in signals
        for block in cut(recording, signal, options.memory_mb, options.lags)
    ]
    rows = functools.partial(_rows, recording, options)
    found = engine.run(rows, blocks, pool, what="units", unit="block", spread=True)
    frames, nulls = [], {table.name: Nulls() for table in TABLES}
    varying: dict[tuple[str, str], list[pd.DataFrame]] = {}
    with (
        tables.Writer(table_file(folder, TUNING.name), pairs) as tuning,
        tables.Writer(table_file(folder, TIMESTEPS.name), pairs) as timesteps,
    ):
        for block, each in zip(blocks, found, strict=True):
            key = block.signal.layer, block.signal.name
            tuning.write(each.tables[TUNING.name], *key)
            timesteps.write(each.tables[TIMESTEPS.name], *key)
            frames.append(tables.named(each.tables[UNITS.name], pairs, *key))
            varying.setdefault(key, []).append(each.tables[TASK_VARIANCE.name])
            for name, counts in each.nulls.items():
                nulls[name] += counts
    table = with_q_values(UNITS, pd.concat(frames, ignore_index=True), ("layer", "signal"))
    UNITS.write(table, folder)
    by_task = _by_task(varying, options)
    TASK_VARIANCE.write(by_task, folder)
    nulls[TASK_VARIANCE.name] += TASK_VARIANCE.nulls(by_task, by_task[["cluster"]])
    tested = table.dropna(subset="q_value")
    significant = (tested["q_value"] < 0.05).groupby(tested["signal"], observed=True).sum()
    headline = {"rows": len(table), "dead": int(table["dead"].sum())}
    if len(tested):
        headline["with q < 0.05"] = int(significant.sum())
    return {
        "rows": len(table),
        "quantiles": _by_signal(blocks, lambda block: "exact" if block.exact else "sample"),
        "ranks": _by_signal(blocks, lambda block: "exact" if block.ranked else "sample"),
        "null": {name: by_column(counts) for name, counts in nulls.items()},
        "class_dependent": {str(name): int(n) for name, n in significant.items()} or None,
        "smallest_lone_mi_q": _smallest_lone_mi_q(table, options.permutations) or None,
        "tasks": {name: each.tolist() for name, each in recording.tasks.items()},
        "headline": headline,
    }


def _rows(recording: Recording, options: Units, block: UnitBlock) -> BlockRows:
    """A block's rows of each table, without layer, signal and q-values, and their nulls."""
    measures = measure(recording, options, block)
    found = BlockRows({}, {})
    for table, source in (
        (UNITS, measures),
        (TUNING, measures.responses),
        (TIMESTEPS, measures.responses),
        (TASK_VARIANCE, measures.varying),
    ):
        found.tables[table.name] = frame = table.frame(source)
        found.nulls[table.name] = table.nulls(source, frame)
    return found


def _by_task(found: dict[tuple[str, str], list[pd.DataFrame]], options: Units) -> pd.DataFrame:
    """The table of task variances, from those of the blocks of each layer and signal."""
    pairs = list(found)
    return pd.concat(
        [
            tables.named(clustered(whole, options.dead_variance), pairs, *key)
            for key, blocks in found.items()
            for whole in [pd.concat(blocks, ignore_index=True)]
        ],
        ignore_index=True,
    )


def _by_signal(blocks: list[UnitBlock], word: Callable[[UnitBlock], str]) -> dict[str, str]:
    """One entry per signal; its blocks agree."""
    return {f"{block.signal.layer}/{block.signal.name}": word(block) for block in blocks}


def _smallest_lone_mi_q(table: pd.DataFrame, permutations: int) -> dict[str, float]:
    """The smallest mi_q of a unit that alone carries information, by layer and signal.

    With P permutations no mi_p is below 1 / (P + 1). Of U units a single one with information
    cannot have an mi_q below U / (P + 1), nor J alike below U / J (P + 1).
    """
    known = table.dropna(subset="mi_p").groupby(["layer", "signal"], observed=True).size()
    return {
        f"{layer}/{signal}": min(1.0, int(units) / (permutations + 1))
        for (layer, signal), units in known.items()
    }
