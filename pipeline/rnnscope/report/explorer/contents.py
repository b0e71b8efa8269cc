"""All that one explores on the page, as JSON and one blob of arrays."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope import engine, states
from rnnscope.config import Config, located
from rnnscope.report.explorer import choosing, effects, filling, histograms, inputs, words
from rnnscope.report.explorer.blob import Blob
from rnnscope.report.explorer.histograms import Bins
from rnnscope.report.explorer.peaks import Extremes
from rnnscope.report.explorer.plan import CLASSES, Plan, name_of, planned, states_of
from rnnscope.report.explorer.reading import Found, Wanted, read
from rnnscope.states.signals import Signal, open_signal
from rnnscope.store import parquet


@dataclass(frozen=True)
class Contents:
    """What the scripts are given."""

    meta: dict[str, Any]
    """JSON."""
    blob: str
    """The arrays that it names."""
    chosen: NDArray[np.int32]
    """Numbers of the sequences whose states are there [n]."""


def gather(config: Config, folders: Mapping[str, Path], extract: Mapping[str, Any]) -> Contents:
    """What the page's scripts are given.

    Args:
        config: the run's config.
        folders: the artefacts of the earlier stages.
        extract: the manifest of stage extract.
    """
    recorded, blob = folders["extract"], Blob()
    signals = _opened(recorded, extract["layers"])
    sequences = states.sequence_count(recorded)
    plan = planned(signals, sequences)
    classes = len(extract.get("classes", []))
    k = classes if 1 <= classes <= CLASSES else 1
    driving = [each for each in plan.signals if each.name in states_of(signals[each.layer])]
    bins = _bins(folders["units"], plan, k)
    chosen, ends = _add_states(blob, plan, driving, bins, recorded, config)
    drawn = filling.add_curves(blob, folders["units"], plan.signals, plan.timesteps, k)
    filling.add_correlated(blob, folders["population"], plan.signals)
    wanted = [chosen, *_of_extremes(ends)]
    given = inputs.read(config, extract, recorded, wanted, plan.timesteps)
    meta = {
        "layers": [_about(layer, named, plan) for layer, named in plan.shown.items()],
        "left_out": plan.left_out,
        "sequences": _sequences(recorded, chosen, given),
        "recorded": sequences,
        "timesteps": plan.timesteps,
        "longest": max(each.timesteps for each in plan.signals),
        "classes": list(extract.get("classes", [])),
        "curves": drawn,
        "input": _add_input(blob, given, config),
    }
    if "intervention" in folders:
        meta["effects"] = effects.add(blob, folders["intervention"])
    return Contents(meta | {"arrays": blob.directory}, blob.text, chosen)


def _opened(recorded: Path, layers: Mapping[str, list[str]]) -> dict[str, list[Signal]]:
    """The signals that have rows, by layer."""
    opened = {
        layer: [open_signal(recorded, layer, name) for name in names]
        for layer, names in layers.items()
    }
    there = {layer: [each for each in named if each.rows] for layer, named in opened.items()}
    return {layer: named for layer, named in there.items() if named}


def _bins(units: Path, plan: Plan, k: int) -> dict[str, Bins | None]:
    """The ranges of each signal's units, by the signal's name."""
    table = parquet.frame(units / "units.parquet", ["layer", "signal", "unit", "min", "max"])
    return {
        name_of(each): histograms.bins_of(table, each.layer, each.name, k) for each in plan.signals
    }


def _add_states(
    blob: Blob,
    plan: Plan,
    driving: Sequence[Signal],
    bins: Mapping[str, Bins | None],
    recorded: Path,
    config: Config,
) -> tuple[NDArray[np.int32], list[Extremes]]:
    """Read the states, and add them, what drives units, and the histograms.

    States are read first, as their extremes decide which sequences are shown; gates once.

    Args:
        blob: what arrays are added to.
        plan: what fits.
        driving: the signals that tell what drives a unit.
        bins: the ranges of units, by the signal's name.
        recorded: an extract stage's output.
        config: the run's, for its threads.

    Returns:
        The numbers of the chosen sequences, and the extremes of each signal in ``driving``.
    """
    first = _read((Wanted(each, True, bins[name_of(each)]) for each in driving), config)
    known = {name_of(each): found for each, found in zip(driving, first, strict=True)}
    ends = [found.extremes for found in first if found.extremes is not None]
    chosen = choosing.choose(recorded, plan.count, ends)
    left = (
        Wanted(
            each,
            bins=None if name_of(each) in known else bins[name_of(each)],
            sequences=chosen,
            timesteps=min(each.timesteps, plan.timesteps),
        )
        for each in plan.signals
    )
    for signal, found in zip(plan.signals, _read(left, config), strict=True):
        name = name_of(signal)
        before, ranges = known.get(name, found), bins[name]
        assert found.states is not None
        filling.add_states(blob, signal, found.states)
        if before.extremes is not None:
            filling.add_extremes(blob, signal, before.extremes)
        if before.counts is not None and ranges is not None:
            filling.add_counts(blob, signal, before.counts, ranges)
    return chosen, ends


def _read(wanted: Iterable[Wanted], config: Config) -> list[Found]:
    """What is asked for of several signals, in the engine's threads."""
    return list(engine.run(read, list(wanted), config.engine, what="report", unit="signal"))


def _of_extremes(ends: Sequence[Extremes]) -> list[NDArray[np.int32]]:
    """The sequences whose inputs are shown beside units: first those that are first for a unit."""
    tables = [peaks.sequence for each in ends for peaks in (each.most, each.least)]
    return [*(table[:, 0] for table in tables), *(table.T.ravel() for table in tables)]


def _add_input(blob: Blob, given: inputs.Shown | inputs.Hidden, config: Config) -> dict[str, Any]:
    """Add the inputs; returns what is said of them, or why there are none."""
    if isinstance(given, inputs.Hidden):
        return {"kind": "none", "why": given.why}
    blob.add("input", given.cells)
    blob.add("input_sequences", given.sequences)
    about: dict[str, Any] = {"kind": given.kind, "low": given.low, "high": given.high}
    if path := located(config.report).vocabulary:
        about["words"] = words.of_input(Path(path), given)
    elif given.symbols:
        about["words"] = words.of_symbols(given.symbols)
    return about


def _about(layer: str, signals: Sequence[Signal], plan: Plan) -> dict[str, Any]:
    return {
        "name": layer,
        "signals": [each.name for each in signals],
        "units": {each.name: list(each.units) for each in signals},
        "timesteps": min(signals[0].timesteps, plan.timesteps),
        "backward": signals[0].backward,
        "states": states_of(signals),
    }


def _sequences(
    recorded: Path, chosen: NDArray[np.int32], given: inputs.Shown | inputs.Hidden
) -> dict[str, list[Any]]:
    """Columns of ``sequences.parquet`` for the chosen sequences, and for those with an input."""
    numbers = chosen
    if isinstance(given, inputs.Shown):
        numbers = np.union1d(chosen, given.sequences)
    file = recorded / states.SEQUENCES
    wanted = ("sequence", "id", "length", "label", "target", "prediction", "correct", "loss")
    known = [name for name in wanted if name in parquet.schema(file).names]
    rows = parquet.frame(file, known, [("sequence", "in", numbers.tolist())])
    plain: pd.DataFrame = rows.astype(object).where(rows.notna(), None)
    shown = np.isin(rows["sequence"], chosen).tolist()
    return {name: plain[name].tolist() for name in known} | {"shown": shown}
