"""Stage decoding: what a linear probe of the states at one timestep predicts.

Its targets are the label or target, and each annotation. Layers and targets come one after the
other, so that memory holds the rows of one at a time.
"""

import functools
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from rnnscope import engine, states
from rnnscope.analysis.decoding import gathering, probe
from rnnscope.analysis.decoding.columns import DECODING, DECODING_UNITS, TABLES, Scored
from rnnscope.analysis.decoding.probe import Problem
from rnnscope.config import Config, Decoding, Engine
from rnnscope.states import Signal, selection
from rnnscope.store.inputs import Inputs
from rnnscope.store.stage import Figures
from rnnscope.store.tables import Table, by_column

__all__ = ["TABLES", "run"]

log = logging.getLogger(__name__)

Rows = tuple[pd.DataFrame, int]
"""Rows of a table, and how many of the fits behind them did not converge."""


@dataclass(frozen=True)
class Probe:
    """A linear decoder of one target from one signal, fitted at one timestep."""

    layer: str
    signal: str
    target: str
    """label, target or an annotation's name."""
    x: NDArray[np.float32]
    """[R, D], the signal's values at all chosen rows of the layer."""
    problem: Problem
    timesteps: NDArray[np.integer]
    """[S], those chosen; or LAST alone."""
    start: int
    """The place among them of the timestep that it is fitted at."""


def run(config: Config, inputs: Inputs, folder: Path) -> Figures:
    """Write both tables into ``folder``; returns the stage's figures.

    ``decoding.parquet`` has one row per layer, signal, target, train and test timestep;
    ``decoding_units.parquet`` one per layer, signal, target and number of units, at each
    sequence's last timestep. A target that cannot be decoded has no rows; the reason is in the
    figures and in a warning.

    Args:
        config: the run's config.
        inputs: the artefact of stage extract.
        folder: where to write.

    Raises:
        UserError: a layer, a signal or timesteps that were not recorded.
    """
    options, recorded = config.decoding, inputs.folders["extract"]
    over_probes = functools.partial(engine.run, engine=config.engine)
    scored: list[Rows] = []
    by_units: list[Rows] = []
    said: dict[str, Any] = {}
    sequences = states.read_sequences(recorded)
    across = functools.partial(_across, options.generalise)
    gather = functools.partial(_probes, options, config.engine)
    # Threads of BLAS within threads of the engine wait for each other: one each.
    with threadpool_limits(1):
        for layer, signals in _signals(recorded, options).items():
            if not signals:
                said[layer] = {"why": "none of h, c, s0, ... was recorded: give decoding.signals"}
                continue
            targets = gathering.choose(recorded, signals[0], sequences, options)
            if not targets:
                said[layer] = {"why": "no labels and no targets"}
            for target, chosen in targets.items():
                place = _named(layer, target)
                said[place] = chosen.said
                probes = gather(signals, target, chosen.keys)
                if probes:
                    scored += over_probes(across, probes, what=place, unit="timestep")
                if chosen.end_together:
                    ends = [each for each in probes if each.start == len(each.timesteps) - 1]
                else:
                    ends = gather(signals, target, chosen.ends)
                if ends:
                    by_units += over_probes(_by_units, ends, what=place, unit="signal")
    frames = {
        DECODING: _joined(DECODING, [frame for frame, _ in scored]),
        DECODING_UNITS: _joined(DECODING_UNITS, [frame for frame, _ in by_units]),
    }
    for table, frame in frames.items():
        table.write(frame, folder)
    why = {place: each["why"] for place, each in said.items() if "why" in each}
    for reason in dict.fromkeys(why.values()):
        places = ", ".join(place for place, each in why.items() if each == reason)
        log.warning(f"decoding has no rows of {places}: {reason}")
    return _figures(*frames.values()) | {
        "null": {table.name: by_column(table.nulls(each, each)) for table, each in frames.items()},
        "layers": said,
        "why": why,
        "interval": "95 %: Student's t over folds, variance after Nadeau & Bengio (2003)",
        "unconverged": sum(unconverged for _, unconverged in scored + by_units),
    }


def _signals(recorded: Path, options: Decoding) -> dict[str, list[Signal]]:
    """The signals of each layer to be decoded from: those asked for, or the states."""
    found: dict[str, list[Signal]] = {}
    for signal in selection.signals(recorded, options, "decoding"):
        of_layer = found.setdefault(signal.layer, [])
        if options.signals is not None or re.fullmatch(r"h|c|s\d+", signal.name):
            of_layer.append(signal)
    return found


def _named(place: str, target: str) -> str:
    """The name of a layer, or of a signal of it, in the figures: with that of an annotation."""
    return place if target in gathering.TASK else f"{place}/{target}"


def _probes(
    options: Decoding,
    parts_engine: Engine,
    signals: list[Signal],
    target: str,
    keys: pd.DataFrame,
) -> list[Probe]:
    """The probes of rows of one layer: of each of its signals, and of all of them together."""
    if not len(keys):
        return []
    x, columns = gathering.values(signals, keys, parts_engine)
    if options.together and len(columns) > 1:
        columns = columns | {"+".join(columns): slice(None)}
    y, fold = keys["y"].to_numpy(), keys["fold"].to_numpy()
    timesteps, step = np.unique(keys["timestep"], return_inverse=True)
    # The same shuffle for every signal, and whichever other layers there are.
    control = probe.shuffled(y, step, fold, np.random.default_rng([options.seed, 1]))
    problem = Problem(y, control, step, fold, options.penalty)
    layer = signals[0].layer
    return [
        Probe(layer, signal, target, x[:, of_signal], problem, timesteps, start)
        for signal, of_signal in columns.items()
        for start in range(len(timesteps))
    ]


def _across(generalise: bool, each: Probe) -> Rows:
    """One probe's rows of the table: one per timestep that it is scored at."""
    tested = np.arange(len(each.timesteps)) if generalise else np.array([each.start])
    scores = probe.held_out(each.x, each.problem, each.start, generalise)
    scored_at, sequences = each.timesteps[tested], np.bincount(each.problem.step)[tested]
    scored = _scored(each, scores.by_fold[..., tested], scored_at, sequences, each.x.shape[1])
    return DECODING.frame(scored), scores.unconverged


def _by_units(each: Probe) -> Rows:
    """One probe's rows of the table of units: of 1, 2, 4, … and all units."""
    units = each.x.shape[1]
    counts = np.unique([*(2 ** np.arange(units.bit_length())), units])
    scores = probe.by_count(each.x, each.problem, each.start, counts)
    sequences = int(np.bincount(each.problem.step)[each.start])
    at = int(each.timesteps[each.start])
    return DECODING_UNITS.frame(
        _scored(each, scores.by_fold, at, sequences, counts)
    ), scores.unconverged


def _scored(
    each: Probe,
    scores: NDArray[np.float64],
    scored_at: NDArray[np.integer] | int,
    sequences: NDArray[np.integer] | int,
    features: NDArray[np.integer] | int,
) -> Scored:
    """What the columns are computed from, of scores [2, F, R] of y and of its control."""
    score, control = scores
    return Scored(
        each.layer,
        each.signal,
        each.target,
        "regression" if each.problem.numeric else "classification",
        int(each.timesteps[each.start]),
        scored_at,
        sequences,
        features,
        {
            "score": probe.interval(score),
            "control": probe.interval(control),
            "selectivity": probe.interval(score - control),
        },
    )


def _joined(table: Table, frames: list[pd.DataFrame]) -> pd.DataFrame:
    """One frame of the table's columns and types; categories in the order of their rows."""
    types = {column.name: column.dtype for column in table.columns}
    joined = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(types))
    for name, kind in types.items():
        if kind == "category":
            text = joined[name].astype("str")  # also where there is none
            joined[name] = pd.Categorical(text, categories=text.unique())
    return joined.astype(types)


def _figures(table: pd.DataFrame, by_units: pd.DataFrame) -> dict[str, Any]:
    """The scores of all units at the sequences' last timesteps, and the headline."""
    whole = by_units.drop_duplicates(["layer", "signal", "target"], keep="last")
    headline: dict[str, Any] = {"rows": len(table)}
    same = table[(table["train_timestep"] == table["test_timestep"]) & table["score"].notna()]
    for target, of in same.groupby("target", observed=True, sort=False):
        best = of.loc[of["score"].idxmax()]
        if target in gathering.TASK:
            headline |= {"best score": float(best["score"]), "its control": float(best["control"])}
        else:
            headline[f"best R² of {target}"] = float(best["score"])
    return {
        "rows": len(table),
        "at_last_timestep": {
            _named(f"{row.layer}/{row.signal}", row.target): {
                "score": row.score,
                "control": row.control,
            }
            for row in whole[whole["score"].notna()].itertuples()
        },
        "headline": headline,
    }
