"""Which sequences are on the page: those that drive units most, and some of every class."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope import states
from rnnscope.analysis.units.sampling import hashes
from rnnscope.report.explorer.peaks import Extremes
from rnnscope.store import parquet

BATCH = 100_000
"""Sequences read at a time."""


def choose(recorded: Path, count: int, extremes: Iterable[Extremes]) -> NDArray[np.int32]:
    """Numbers of at most ``count`` sequences, rising.

    Up to half are those that drive most units, and the others are drawn by their numbers' hashes,
    evenly from all classes. Of a class up to half are sequences whose prediction is wrong.

    Args:
        recorded: an extract stage's output.
        count: how many fit the page.
        extremes: of each signal that shows what drives a unit.
    """
    driving = _driving(extremes)[: count // 2]
    queues = _queues(recorded / states.SEQUENCES, count)
    chosen = dict.fromkeys(driving.tolist())
    for rank in range(count):
        for queue in queues:
            if rank < len(queue) and len(chosen) < count:
                chosen.setdefault(queue[rank])
    return np.sort(np.array(list(chosen), np.int32))


def _driving(extremes: Iterable[Extremes]) -> NDArray[np.int32]:
    """The sequences that are first for any unit, then second, and so on; each once.

    Of one rank those of most units come first.
    """
    tables = [peaks.sequence for each in extremes for peaks in (each.most, each.least)]
    if not tables:
        return np.zeros(0, np.int32)
    ranked = pd.concat(
        pd.DataFrame({"sequence": column, "rank": rank})
        for table in tables
        for rank, column in enumerate(table.T)
    )
    votes = ranked.value_counts().rename("votes").reset_index()
    order = votes.sort_values(["rank", "votes", "sequence"], ascending=[True, False, True])
    return order["sequence"].drop_duplicates().to_numpy(np.int32)


def _queues(file: Path, count: int) -> list[list[int]]:
    """For each class the sequences that are taken first, wrong and right ones in turn."""
    known = [name for name in ("label", "correct") if name in parquet.schema(file).names]
    kept = pd.DataFrame(columns=["sequence", *known])
    for batch in parquet.batches(file, BATCH, ["sequence", *known]):
        more = batch.to_pandas()
        more["hash"] = hashes(more["sequence"].to_numpy())
        kept = pd.concat([kept, more]) if len(kept) else more
        kept = kept.sort_values("hash")
        kept = (
            kept.groupby(known, sort=False, dropna=False).head(count) if known else kept.head(count)
        )
    classes = kept.groupby("label", sort=True, dropna=False) if "label" in known else [(None, kept)]
    return [_in_turn(rows) for _, rows in classes]


def _in_turn(sequences: pd.DataFrame) -> list[int]:
    """Numbers of sequences in the order of their hashes, wrong and right ones in turn."""
    if "correct" not in sequences:
        return sequences["sequence"].tolist()
    turn = sequences.groupby("correct", dropna=False).cumcount()
    order = sequences.assign(turn=turn).sort_values(["turn", "correct", "hash"])
    return order["sequence"].tolist()
