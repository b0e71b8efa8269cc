"""The memory of all layers of a recording, where its inputs can be read again."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from rnnscope import data, states, store
from rnnscope.analysis.decoding import gathering, memory
from rnnscope.analysis.decoding.memory_columns import CAPACITY, MEMORY, Memory
from rnnscope.config import Config
from rnnscope.data import Absent
from rnnscope.states import Signal
from rnnscope.store.tables import by_column


@dataclass(frozen=True)
class Remembered:
    """What the layers of a recording hold of earlier inputs."""

    found: list[Memory] = field(default_factory=list)
    """Of each signal."""
    why: dict[str, str] = field(default_factory=dict)
    """By layer, why there is nothing."""
    features: int = 0
    """F of the input, of which ``found`` may have fewer."""
    one_hot: bool = False
    """Whether these are the names of symbols."""


def remember(
    config: Config,
    recorded: Path,
    layers: Mapping[str, list[Signal]],
    sequences: pd.DataFrame,
) -> Remembered:
    """The memory of each signal, and why a layer has none.

    Args:
        config: the run's config.
        recorded: an extract stage's output.
        layers: the signals to be decoded from, by layer.
        sequences: all recorded sequences.
    """
    options = config.decoding
    if options.memory_lags is None:
        return _nothing(layers, "decoding.memory_lags is null")
    if config.extract.timesteps != "all":
        why = "only some timesteps were recorded: what the layer read before is not known"
        return _nothing(layers, why)
    try:
        extract = store.read_manifest(recorded)
    except FileNotFoundError:
        return _nothing(layers, "the recording has no manifest that tells its inputs")
    dataset = data.again(config.data, extract, recorded)
    if isinstance(dataset, Absent):
        return _nothing(layers, dataset.why)
    if any(name != data.MASK for name in dataset.test.others):
        return _nothing(layers, "the network has several inputs, and memory is measured of one")
    among = gathering.drawn(sequences, states.sources(recorded), options)
    found: list[Memory] = []
    why_not: dict[str, str] = {}
    for layer, signals in layers.items():
        if layer in extract.get("other_time", []):
            why_not[layer] = "its timesteps are others than those of the network's first input"
        elif signals:
            measured = memory.measure(signals, dataset.test, among, options, config.engine)
            if isinstance(measured, str):
                why_not[layer] = measured
            else:
                found += measured
    symbols = bool(found) and memory.one_hot(dataset.test, among["sequence"].to_numpy())
    return Remembered(found, why_not, dataset.test.features, symbols)


def _nothing(layers: Mapping[str, list[Signal]], why: str) -> Remembered:
    return Remembered(why=dict.fromkeys(layers, why))


def noted(of: Remembered) -> dict[str, Any]:
    """What the manifest says of what was measured, and by layer why some was not."""
    return {
        "lags": {each.layer: each.lags for each in of.found},
        "features": {each.layer: each.features.tolist() for each in of.found},
        "input_features": of.features,
        "one_hot": of.one_hot,
        "capacity_over_features": {
            f"{each.layer}/{each.signal}": float(CAPACITY.frame(each)["capacity"].sum())
            for each in of.found
        },
        "why": of.why,
    }


def nulls(of: Remembered) -> dict[str, Mapping[str, dict[str, int]]]:
    """The nulls of both tables, by column and reason."""
    return {
        table.name: by_column(
            sum((table.nulls(each, table.frame(each)) for each in of.found), Counter())
        )
        for table in (MEMORY, CAPACITY)
    }
