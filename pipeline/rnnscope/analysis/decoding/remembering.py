"""The memory of all layers of a recording, where its inputs can be read again."""

from collections import Counter
from collections.abc import Mapping
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


def remember(
    config: Config,
    recorded: Path,
    layers: Mapping[str, list[Signal]],
    sequences: pd.DataFrame,
) -> tuple[list[Memory], dict[str, str]]:
    """The memory of each signal, and why a layer has none.

    Args:
        config: the run's config.
        recorded: an extract stage's output.
        layers: the signals to be decoded from, by layer.
        sequences: all recorded sequences.
    """
    options = config.decoding
    if options.memory_lags is None:
        return [], dict.fromkeys(layers, "decoding.memory_lags is null")
    if config.extract.timesteps != "all":
        why = "only some timesteps were recorded: what the layer read before is not known"
        return [], dict.fromkeys(layers, why)
    try:
        extract = store.read_manifest(recorded)
    except FileNotFoundError:
        return [], dict.fromkeys(layers, "the recording has no manifest that tells its inputs")
    dataset = data.again(config.data, extract, recorded)
    if isinstance(dataset, Absent):
        return [], dict.fromkeys(layers, dataset.why)
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
    return found, why_not


def noted(found: list[Memory], why: Mapping[str, str]) -> dict[str, Any]:
    """What the manifest says of what was measured, and by layer why some was not."""
    return {
        "lags": {each.layer: each.lags for each in found},
        "features": {each.layer: each.features.tolist() for each in found},
        "capacity_over_features": {
            f"{each.layer}/{each.signal}": float(CAPACITY.frame(each)["capacity"].sum())
            for each in found
        },
        "why": dict(why),
    }


def nulls(found: list[Memory]) -> dict[str, Mapping[str, dict[str, int]]]:
    """The nulls of both tables, by column and reason."""
    return {
        table.name: by_column(
            sum((table.nulls(each, table.frame(each)) for each in found), Counter())
        )
        for table in (MEMORY, CAPACITY)
    }
