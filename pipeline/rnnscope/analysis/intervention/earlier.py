"""Targets that earlier stages found: clusters of redundant units, and directions of decoders."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from rnnscope.analysis.decoding.weights import DECODER_WEIGHTS
from rnnscope.analysis.intervention.targets import Target
from rnnscope.analysis.population.columns import CORRELATION
from rnnscope.errors import UserError, listed
from rnnscope.store import parquet
from rnnscope.store.tables import table_file

Key = tuple[str, str]
"""Layer, or place, and state."""
NO_CLUSTERS = "no clusters of redundant units in correlation.parquet of stage population"


def clusters(population: Path, units: Mapping[Key, int]) -> dict[Key, list[Target]]:
    """The clusters of each layer and state that has any, by their number.

    Args:
        population: an artefact of that stage.
        units: how many units there are, of the layers and states that are asked for.
    """
    names = ["layer", "signal", "unit", "other", "cluster"]
    table = parquet.frame(table_file(population, CORRELATION.name), columns=names)
    found: dict[Key, list[Target]] = {}
    joined = table.dropna(subset="cluster").groupby(["layer", "signal", "cluster"], observed=True)
    for (layer, state, number), pairs in joined:
        key = str(layer), str(state)
        if key in units:
            members = np.isin(np.arange(units[key]), pairs[["unit", "other"]].to_numpy())
            found.setdefault(key, []).append(Target(f"cluster {int(number)}", members))
    return found


class Decoders:
    """The directions of the decoders of an artefact of stage decoding, in the space of states.

    Of each class, or number, there are two, both of length 1. Along the weights, ``decoder``, the
    decoder's score rises most, and at right angles to them not at all. Along ``pattern`` the states
    vary with the score (Haufe et al. 2014): where it is another direction, states that are moved
    along the weights are read as others, and hardly differ in what they are read from.
    """

    def __init__(self, decoding: Path):
        table = parquet.frame(table_file(decoding, DECODER_WEIGHTS.name))
        self.table = table[table["timestep"] >= 0]  # the others are of no single timestep

    def targets(self, asked: str, units: Mapping[Key, int]) -> dict[Key, list[Target]]:
        """The directions that an option asks for, by layer and state and then by timestep.

        Args:
            asked: one of ``intervention.decoded``.
            units: how many units there are, of the layers and states that are asked for.

        Raises:
            UserError: there are no decoders of it, or in other layers and states alone.
        """
        rows = self._rows(asked)
        found: dict[Key, list[Target]] = {}
        by_state = rows.groupby(["layer", "signal"], observed=True)
        for (layer, state), some in by_state:
            key = str(layer), str(state)
            if key in units and (directions := list(_directions(some, units[key]))):
                found[key] = directions
        if not found:
            there = listed(f"{layer}/{state}" for layer, state in by_state.groups)
            raise UserError(
                f"intervention.decoded: stage decoding has decoders of {asked} in {there}, none of "
                "them among what intervention.layers and intervention.states ask for"
            )
        return found

    def _rows(self, asked: str) -> pd.DataFrame:
        """The weights of what an option names."""
        target, _, label = asked.rpartition(":")
        rows = self.table[self.table["target"] == asked]
        if rows.empty and target:
            of_target = self.table[self.table["target"] == target]
            rows = of_target[of_target["label"].astype("str") == label]
        if rows.empty:
            raise UserError(f"intervention.decoded: {asked}: {self._there()}")
        return rows

    def _there(self) -> str:
        """What can be asked for, in words."""
        names = list(self.table["target"].astype("str").unique())
        if not names:
            return "stage decoding has no decoders of single timesteps"
        classes = self.table["label"].dropna().unique()
        such = f", and of classes label:{min(classes)} to label:{max(classes)}"
        return f"stage decoding has decoders of {listed(names)}{such if len(classes) else ''}"


def _directions(rows: pd.DataFrame, units: int) -> Iterator[Target]:
    """The directions of one layer and state, without those that are 0."""
    for (timestep, label), weights in rows.groupby(["timestep", "label"], dropna=False):
        target = weights["target"].iloc[0]
        name = str(target) if pd.isna(label) else f"{target}:{label}"
        for kind, column in (("decoder", "weight"), ("pattern", "pattern")):
            along = np.zeros(units)
            along[weights["unit"]] = weights[column]
            if length := np.linalg.norm(along):
                yield Target(f"{kind} {name}", along / length, int(timestep))
