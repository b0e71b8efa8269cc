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
from rnnscope.figures.population import alike, matrix
from rnnscope.report.explorer import (
    choosing,
    curves,
    histograms,
    inputs,
    kin,
    scales,
    words,
)
from rnnscope.report.explorer.blob import Blob
from rnnscope.report.explorer.reading import Found, Wanted, read
from rnnscope.states.signals import Signal, open_signal
from rnnscope.store import parquet

STATES = ("h", "c")
"""The signals of which the page says what drives a unit; of other cells the first."""
MOST = 300
"""Most sequences whose states are on the page."""
CODES = 4_000_000
"""Most values of states on the page."""
FEWEST, SHORTEST = 24, 8
"""With fewer sequences than the first, gates are left out; than the second, late timesteps."""
CLASSES = 20
"""With more classes, means and histograms are over all sequences."""
CURVES = 300_000
"""Most means over time on the page."""


@dataclass(frozen=True)
class Plan:
    """What fits the page."""

    shown: dict[str, list[Signal]]
    """Layer -> the signals whose states are shown."""
    count: int
    """Sequences."""
    timesteps: int
    """The first so many of each."""


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
    recorded = folders["extract"]
    signals = _opened(recorded, extract["layers"])
    sequences = states.sequence_count(recorded)
    plan = planned(signals, sequences)
    units = parquet.frame(folders["units"] / "units.parquet")
    classes = len(extract.get("classes", []))
    every = [signal for named in plan.shown.values() for signal in named]
    k = classes if 1 <= classes <= CLASSES else 1
    bins = {id(each): histograms.bins_of(units, each.layer, each.name, k) for each in every}
    driving = [each for each in every if each.name in _states_of(signals[each.layer])]
    first = _read((Wanted(each, True, bins[id(each)]) for each in driving), config)
    ends = [found.extremes for found in first if found.extremes is not None]
    chosen = choosing.choose(recorded, plan.count, ends)
    known = {id(each): found for each, found in zip(driving, first, strict=True)}
    left = (
        Wanted(
            each,
            bins=None if id(each) in known else bins[id(each)],
            sequences=chosen,
            timesteps=min(each.timesteps, plan.timesteps),
        )
        for each in every
    )
    blob = Blob()
    for signal, found in zip(every, _read(left, config), strict=True):
        before = known.get(id(signal), found)
        name = f"{signal.layer}/{signal.name}"
        assert found.states is not None
        _add_states(blob, signal, found.states)
        if before.extremes is not None:
            for end, peaks in (("most", before.extremes.most), ("least", before.extremes.least)):
                blob.add(f"{end}/{name}", np.stack([peaks.sequence, peaks.timestep]))
                blob.add(f"{end}_value/{name}", peaks.value)
        bin_ = bins[id(signal)]
        if before.counts is not None and bin_ is not None:
            blob.add(f"counts/{name}", before.counts)
            ranges = np.stack([bin_.low, bin_.high], axis=1)
            blob.add(f"bins/{name}", ranges.astype(np.float32))
    drawn = _add_curves(blob, folders["units"], every, plan.timesteps, k)
    _add_kin(blob, folders["population"], every)
    wanted = [chosen, *(peaks.sequence[:, 0] for each in ends for peaks in (each.most, each.least))]
    wanted += [peaks.sequence.T.ravel() for each in ends for peaks in (each.most, each.least)]
    given = inputs.read(config, extract, recorded, wanted, plan.timesteps)
    if isinstance(given, inputs.Shown):
        blob.add("input", given.cells)
        blob.add("input_sequences", given.sequences)
        about: dict[str, Any] = {"kind": given.kind, "low": given.low, "high": given.high}
        if path := located(config.report).vocabulary:
            about["words"] = words.of_input(Path(path), given)
    else:
        about = {"kind": "none", "why": given.why}
    meta = {
        "layers": [_about(layer, named, plan) for layer, named in plan.shown.items()],
        "left_out": _left_out(signals, plan),
        "sequences": _sequences(recorded, chosen, given),
        "recorded": sequences,
        "timesteps": plan.timesteps,
        "longest": max(each.timesteps for each in every),
        "classes": list(extract.get("classes", [])),
        "curves": drawn,
        "input": about,
    }
    return Contents(meta | {"arrays": blob.directory}, blob.text, chosen)


def planned(signals: Mapping[str, Sequence[Signal]], sequences: int) -> Plan:
    """Which signals, how many sequences and timesteps fit the page.

    Args:
        signals: of each layer, all that were recorded.
        sequences: how many.
    """
    shown = {layer: list(named) for layer, named in signals.items()}
    timesteps = max(each.timesteps for named in shown.values() for each in named)
    count = min(sequences, MOST)
    if CODES // _values(shown, timesteps) < min(FEWEST, count):
        shown = {
            layer: [each for each in named if each.name in _states_of(named)]
            for layer, named in shown.items()
        }
    if CODES // _values(shown, timesteps) < min(SHORTEST, count):
        count = min(SHORTEST, count)
        timesteps = max(1, CODES // (count * _values(shown, 1)))
    fit = max(1, CODES // _values(shown, timesteps))
    return Plan(shown, min(count, fit), timesteps)


def _values(shown: Mapping[str, Sequence[Signal]], timesteps: int) -> int:
    """Values of one sequence."""
    return sum(
        len(each.units) * min(each.timesteps, timesteps)
        for named in shown.values()
        for each in named
    )


def _opened(recorded: Path, layers: Mapping[str, list[str]]) -> dict[str, list[Signal]]:
    """The signals that have rows, by layer."""
    opened = {
        layer: [open_signal(recorded, layer, name) for name in names]
        for layer, names in layers.items()
    }
    there = {layer: [each for each in named if each.rows] for layer, named in opened.items()}
    return {layer: named for layer, named in there.items() if named}


def _states_of(signals: Sequence[Signal]) -> list[str]:
    """The names of a layer's states."""
    names = [each.name for each in signals]
    return [name for name in STATES if name in names] or names[:1]


def _read(wanted: Iterable[Wanted], config: Config) -> list[Found]:
    """What is asked for of several signals, in the engine's threads."""
    return list(engine.run(read, list(wanted), config.engine, what="report", unit="signal"))


def _add_states(blob: Blob, signal: Signal, values: NDArray[np.float32]) -> None:
    """The codes of the chosen sequences, each as its difference to that of the timestep before.

    The differences compress to two thirds of the codes.

    Args:
        blob: what they are added to.
        signal: theirs.
        values: [n, U, T].
    """
    name = f"{signal.layer}/{signal.name}"
    there = np.abs(values[np.isfinite(values)])
    spread = float(np.median(there)) if len(there) else 1.0
    low, high = (float(reach(values)) if len(there) else 0.0 for reach in (np.nanmin, np.nanmax))
    edges = scales.edges_of(signal.name, low, high, spread or 1.0)
    codes = scales.codes_of(values, edges)
    blob.add(f"codes/{name}", np.diff(codes, axis=2, prepend=np.uint8(0)))
    blob.add(f"edges/{name}", edges)


def _add_curves(
    blob: Blob, units: Path, signals: Sequence[Signal], timesteps: int, k: int
) -> list[str]:
    """The class means of as many signals as fit, states first; returns their names."""
    drawn, left = [], CURVES
    for signal in sorted(signals, key=lambda each: each.name not in STATES):
        steps = min(signal.timesteps, timesteps)
        left -= len(signal.units) * steps * k
        if left < 0:
            break
        found = curves.class_means(units, signal.layer, signal.name, steps, CLASSES)
        if found is None:
            continue
        name = f"{signal.layer}/{signal.name}"
        blob.add(f"mean/{name}", found.mean)
        blob.add(f"error/{name}", found.error)
        blob.add(f"reach/{name}", np.stack([found.low, found.high, found.most], axis=1))
        blob.add(f"labels/{name}", np.array(found.classes, np.int32))
        drawn.append(name)
    return drawn


def _add_kin(blob: Blob, population: Path, signals: Sequence[Signal]) -> None:
    """Of each signal with correlations: the closest units of each, and an order of all."""
    pairs = parquet.frame(
        population / "correlation.parquet", ["layer", "signal", "unit", "other", "correlation"]
    )
    keys = pairs["layer"].astype(str), pairs["signal"].astype(str)
    for signal in signals:
        rows = pairs[(keys[0] == signal.layer) & (keys[1] == signal.name)]
        if not len(rows):
            continue
        name, found = f"{signal.layer}/{signal.name}", matrix(rows)
        places, r = kin.closest(found)
        blob.add(f"closest/{name}", places)
        blob.add(f"closest_r/{name}", r)
        blob.add(f"order/{name}", alike(found).astype(np.int32))


def _about(layer: str, signals: Sequence[Signal], plan: Plan) -> dict[str, Any]:
    return {
        "name": layer,
        "signals": [each.name for each in signals],
        "units": {each.name: list(each.units) for each in signals},
        "timesteps": min(signals[0].timesteps, plan.timesteps),
        "backward": signals[0].backward,
        "states": _states_of(signals),
    }


def _left_out(signals: Mapping[str, Sequence[Signal]], plan: Plan) -> list[str]:
    """Signals that were recorded and do not fit."""
    there = {(each.layer, each.name) for named in plan.shown.values() for each in named}
    every = ((each.layer, each.name) for named in signals.values() for each in named)
    return ["/".join(name) for name in every if name not in there]


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
