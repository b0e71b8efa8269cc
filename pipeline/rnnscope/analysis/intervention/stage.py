"""Stage intervention: what a unit's state does to the output, and when, by changing it for a while.

In each pass a state of some targets is changed in a window of timesteps, as ``holding`` does it.
Changes of scores are taken sequence by sequence, against the intact model on the same sequence, and
have intervals over sequences, or over their sources where several share one. Sums are taken batch
by batch and merged, so that memory does not grow with the number of sequences.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from rnnscope import models
from rnnscope.analysis.ablation.importance import spearman
from rnnscope.analysis.intervention.attribution_columns import ATTRIBUTION, Attributions
from rnnscope.analysis.intervention.choosing import Chosen, chosen
from rnnscope.analysis.intervention.columns import INTERVENTION, Changed
from rnnscope.analysis.intervention.gathering import AllLevels, Gathering, Numbers, donors_of
from rnnscope.analysis.intervention.passes import Passes
from rnnscope.analysis.intervention.plan import METHODS, PATCHES, Block, blocks
from rnnscope.analysis.intervention.summing import summed
from rnnscope.analysis.intervention.windows import windows
from rnnscope.analysis.statistics.testing import with_q_values
from rnnscope.config import Config, Intervention
from rnnscope.data import Split
from rnnscope.errors import UserError
from rnnscope.store.inputs import Inputs
from rnnscope.store.stage import Figures
from rnnscope.store.tables import by_column

TABLES = (INTERVENTION, ATTRIBUTION)
FAMILY = ("layer", "state", "method")
"""The p-values of targets and windows that agree in these are adjusted together."""
SUMS, FEWEST, MOST = 20_000_000, 20, 1_000
"""Most sums by source over all rows of the table, and fewest and most of one row. Of more sources
several share a sum, which is one source then."""


def run(config: Config, inputs: Inputs, folder: Path) -> Figures:
    """Write ``intervention.parquet`` and ``attribution.parquet``; returns the stage's figures.

    Args:
        config: the run's config.
        inputs: the artefact of stage train, unless the model comes from a file; those of stages
            population and decoding, where targets are taken from them.
        folder: where to write.

    Raises:
        UserError: a layer, unit, set, direction or window that does not exist, nothing to change,
            or a model whose passes cannot be repeated.
    """
    options = config.intervention
    trained, step = inputs.folders.get("train"), config.extract.checkpoint
    model, dataset = models.of_run(config.model, trained, config.data, step)
    asked = chosen(model, options, inputs.folders)
    freezes = "freeze" in options.methods
    passes = Passes(model, asked.places, asked.states, dataset, freezes=freezes)
    split, count = dataset.test, min(len(dataset.test), options.max_sequences or len(dataset.test))
    gathering = Gathering(passes, options, count, {}, None)
    every, timesteps = gathering.levels(asked.targets)
    gathering = replace(gathering, donors=donors_of(options, split, count, timesteps))
    planned = _planned(asked, every, gathering)
    rows = [row for block in planned for row in block.rows()]
    if not rows:
        why = "; ".join(f"{name}: {each}" for name, each in asked.left_out.items())
        raise UserError(f"intervention: there is nothing to change; {why}")
    gathering = replace(gathering, sources=_sources(split, count, len(rows)))
    totals = summed(gathering, every, planned, config)
    there = np.flatnonzero(totals.count)
    changed = Changed(
        [rows[row] for row in there],
        [totals.sums[row] for row in there],
        [totals.ratios[row] for row in there],
        totals.estimate[there],
        totals.count[there],
        labelled=split.y is not None,
        scored="loss" in totals.baseline(),
        exact=options.exact,
    )
    table = with_q_values(INTERVENTION, INTERVENTION.frame(changed), FAMILY)
    INTERVENTION.write(table, folder)
    worth = Attributions(
        totals.attributed,
        labelled=split.y is not None,
        scored=changed.scored,
        integrated=options.integrate > 0,
    )
    attribution = ATTRIBUTION.frame(worth)
    ATTRIBUTION.write(attribution, folder)
    return {
        "rows": len(table),
        "sequences": count,
        "sources": None if split.groups is None else len(np.unique(split.groups[:count])),
        "baseline": totals.baseline(),
        "donors": {name: int((each >= 0).sum()) for name, each in gathering.donors.items()},
        "rows_without_sequences": len(rows) - len(table),
        "estimate_agrees": agreement(table),
        "left_out": _left_out(asked, every, gathering),
        "null": {
            "intervention": by_column(INTERVENTION.nulls(changed, table)),
            "attribution": by_column(ATTRIBUTION.nulls(worth, attribution)),
        },
        "headline": {**totals.baseline(), "changes": len(table)},
    }


def agreement(table: pd.DataFrame) -> dict[str, float]:
    """The rank correlation of the first-order estimate with the change of the loss, by method.

    Spearman's (1904) rho over the rows that have both; left out where it is not defined.
    """
    found = {}
    for method, rows in table.groupby("method", observed=True):
        estimate, exact = (rows[name].to_numpy(np.float64) for name in ("estimate", "loss_change"))
        _, rho, _ = spearman(estimate, exact)
        if rho == rho:
            found[str(method)] = round(rho, 4)
    return found


def _planned(asked: Chosen, every: AllLevels, gathering: Gathering) -> list[Block]:
    """What is changed, of the places that passes call once and that have any rows."""
    there = {place: len(levels.count) for (place, _), levels in every.items()}
    states = {place: names for place, names in asked.states.items() if place in there}
    options = gathering.options
    over = {place: windows(options.windows, timesteps) for place, timesteps in there.items()}
    return blocks(states, _methods(options, gathering.donors), asked.targets, over)


def _methods(options: Intervention, donors: Mapping[str, Numbers]) -> Sequence[str]:
    """The methods of the table, in their order."""
    found = {name for name in options.methods if name not in PATCHES} | donors.keys()
    return [name for name in METHODS if name in found]


def _sources(split: Split, count: int, rows: int) -> Numbers | None:
    """The number of each sequence's source [N]; None where the data does not tell sources."""
    if split.groups is None:
        return None
    most = int(np.clip(SUMS // (3 * rows), FEWEST, MOST))
    return np.asarray(np.unique(split.groups[:count], return_inverse=True)[1] % most)


def _left_out(asked: Chosen, every: AllLevels, gathering: Gathering) -> dict[str, str]:
    """What the table lacks, and why, by layer or method."""
    found = dict(asked.left_out)
    there = {place for place, _ in every}
    for name in asked.states:
        if name not in there:
            found[name] = "all: its layer is not called once in the forward pass, or reads nothing"
    donors, split = gathering.donors, gathering.split
    if "patch" in gathering.options.methods:
        for name in PATCHES:
            if name not in donors and split.per_timestep and not split.numeric:
                found[name] = "classes are of timesteps, not of whole sequences"
            elif name not in donors:
                found[name] = "sequences have no classes"
            elif (donors[name] < 0).all():
                found[name] = "no sequence has a donor"
    return found
