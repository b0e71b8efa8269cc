"""Stage decoding: what a linear probe of the states at one timestep predicts.

Its targets are the label or target, and each annotation. Layers and targets come one after the
other, so that memory holds the rows of one at a time.
"""

import functools
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from rnnscope import engine, states
from rnnscope.analysis.decoding import folds, gathering, headline, probe, remembering
from rnnscope.analysis.decoding.columns import (
    DECODING,
    DECODING_UNITS,
    SHUFFLES,
    Scored,
)
from rnnscope.analysis.decoding.memory_columns import CAPACITY, MEMORY
from rnnscope.analysis.decoding.probe import Problem, Scores
from rnnscope.analysis.decoding.weights import DECODER_WEIGHTS, Weights
from rnnscope.config import Config, Decoding, Engine
from rnnscope.states import Signal, selection
from rnnscope.store.inputs import Inputs
from rnnscope.store.stage import Figures
from rnnscope.store.tables import Table, by_column

TABLES = (DECODING, DECODING_UNITS, DECODER_WEIGHTS, MEMORY, CAPACITY)

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
    final: bool
    """Whether that is the sequences' final step."""
    units: Sequence[int] | None
    """The numbers of the units that x has; None of several signals together."""


def run(config: Config, inputs: Inputs, folder: Path) -> Figures:
    """Write the stage's tables into ``folder``; returns its figures.

    ``decoding.parquet`` has one row per layer, signal, target, train and test timestep;
    ``decoding_units.parquet`` one per layer, signal, target and number of units, at each
    sequence's final step; ``decoder_weights.parquet`` has the weights of the former. A target that
    cannot be decoded has no rows; the reason is in the figures and in a warning.
    ``memory.parquet`` and ``memory_capacity.parquet`` tell how well earlier inputs are read out of
    the states; where there are none, the figures say why.

    Args:
        config: the run's config.
        inputs: the artefact of stage extract.
        folder: where to write.

    Raises:
        UserError: a layer, a signal or timesteps that were not recorded.
    """
    options, recorded = config.decoding, inputs.folders["extract"]
    if partial := selection.final_step(config.extract.timesteps):
        log.warning(partial)
    over_probes = functools.partial(engine.run, engine=config.engine)
    scored: list[Rows] = []
    by_units: list[Rows] = []
    weights: list[Weights] = []
    said: dict[str, Any] = {}
    unconverged = 0
    sequences = states.read_sequences(recorded)
    layers, gather = _signals(recorded, options), functools.partial(_probes, options, config.engine)
    # Threads of BLAS within threads of the engine wait for each other: one each.
    with threadpool_limits(1):
        for layer, signals in layers.items():
            if not signals:
                said[layer] = {"why": "none of h, c, s0, ... was recorded: give decoding.signals"}
                continue
            targets = gathering.choose(recorded, signals[0], sequences, options)
            if not targets:
                other = states.has_other_time(recorded, layer)
                said[layer] = {"why": gathering.OTHER_TIME if other else "no labels and no targets"}
            for target, chosen in targets.items():
                place = headline.named(layer, target)
                said[place] = chosen.said
                probes = gather(signals, target, chosen.keys, chosen.end)
                if chosen.end is None:
                    probes += gather(signals, target, chosen.ends, gathering.LAST)
                rows, few, read, count = _decoded(probes, options, over_probes, place)
                scored, by_units, weights = scored + rows, by_units + few, weights + read
                unconverged += count
        remembered = remembering.remember(config, recorded, layers, sequences)
    frames = {
        DECODING: _joined(DECODING, [frame for frame, _ in scored]),
        DECODING_UNITS: _joined(DECODING_UNITS, [frame for frame, _ in by_units]),
        DECODER_WEIGHTS: DECODER_WEIGHTS.frame(weights),
    }
    frames |= {
        table: _joined(table, [table.frame(each) for each in remembered.found])
        for table in (MEMORY, CAPACITY)
    }
    for table, frame in frames.items():
        table.write(frame, folder)
    why = {place: each["why"] for place, each in said.items() if "why" in each}
    for reason in dict.fromkeys(why.values()):
        places = ", ".join(place for place, each in why.items() if each == reason)
        log.warning(f"decoding has no rows of {places}: {reason}")
    return headline.figures(frames[DECODING]) | {
        "null": {
            table.name: by_column(table.nulls(frames[table], frames[table]))
            for table in (DECODING, DECODING_UNITS, DECODER_WEIGHTS)
        }
        | remembering.nulls(remembered),
        "memory": remembering.noted(remembered),
        "layers": said,
        "final_step": partial,
        "why": why,
        "interval": "95 %: Student's t over folds, variance after Nadeau & Bengio (2003)",
        "unconverged": unconverged + sum(count for _, count in scored + by_units),
    }


def _signals(recorded: Path, options: Decoding) -> dict[str, list[Signal]]:
    """The signals of each layer to be decoded from: those asked for, or the states."""
    found: dict[str, list[Signal]] = {}
    for signal in selection.signals(recorded, options, "decoding"):
        of_layer = found.setdefault(signal.layer, [])
        if options.signals is not None or re.fullmatch(r"h|c|s\d+", signal.name):
            of_layer.append(signal)
    return found


def _probes(
    options: Decoding,
    parts_engine: Engine,
    signals: list[Signal],
    target: str,
    keys: pd.DataFrame,
    end: int | None,
) -> list[Probe]:
    """The probes of rows of one layer: of each of its signals, and of all of them together."""
    if not len(keys):
        return []
    x, columns = gathering.values(signals, keys, parts_engine)
    if options.together and len(columns) > 1:
        columns = columns | {"+".join(columns): slice(None)}
    y, fold, source = (keys[name].to_numpy() for name in ("y", "fold", "source"))
    timesteps, step = np.unique(keys["timestep"], return_inverse=True)
    problem = Problem(y, step, fold, source, options.penalty)
    layer, units = signals[0].layer, {signal.name: signal.units for signal in signals}
    return [
        Probe(
            *(layer, signal, target, x[:, of_signal], problem, timesteps, start, timestep == end),
            units.get(signal),
        )
        for signal, of_signal in columns.items()
        for start, timestep in enumerate(timesteps)
    ]


def _decoded(
    probes: list[Probe], options: Decoding, over: Callable[..., Iterator[Any]], place: str
) -> tuple[list[Rows], list[Rows], list[Weights], int]:
    """The rows of both tables, of the probes of one target of a layer.

    Returns:
        Both; the weights; and how many fits of shuffled labels did not converge.
    """
    ends = [each for each in probes if each.final]
    jobs = [(each, [options.seed, 1, number]) for each in ends for number in range(SHUFFLES)]
    scores = list(over(_shuffled, jobs, what=f"{place}: shuffled", unit="probe"))
    shuffled = iter(np.reshape([score for score, _ in scores], (len(ends), SHUFFLES)))
    known = [(each, next(shuffled) if each.final else None) for each in probes]
    across = functools.partial(_across, options.generalise)
    scored = list(over(across, known, what=place, unit="timestep"))
    by_units = list(over(_by_units, ends, what=place, unit="signal"))
    weights = [each for _, each in scored if each is not None]
    shuffled_out = sum(unconverged for _, unconverged in scores)
    return [rows for rows, _ in scored], by_units, weights, shuffled_out


def _shuffled(job: tuple[Probe, list[int]]) -> tuple[float, int]:
    """The score of a probe of shuffled y, mean over folds; and how many fits did not converge.

    The seed alone decides: the shuffle is the same for every signal, whichever others there are.
    """
    each, seed = job
    here = np.flatnonzero(each.problem.step == each.start)
    fold, source = each.problem.fold[here], each.problem.source[here]
    y = folds.shuffled(each.problem.y[here], fold, source, np.random.default_rng(seed))
    problem = replace(each.problem, y=y, step=np.zeros_like(here), fold=fold, source=source)
    scores = probe.held_out(each.x[here], problem, 0)
    return float(scores.score.mean()), scores.unconverged


def _across(
    generalise: bool, job: tuple[Probe, NDArray[np.float64] | None]
) -> tuple[Rows, Weights | None]:
    """One probe's rows of the table, one per timestep that it is scored at; and its weights."""
    each, shuffled = job
    tested = np.arange(len(each.timesteps)) if generalise else np.array([each.start])
    scores = probe.held_out(each.x, each.problem, each.start, generalise)
    scored_at, sequences = each.timesteps[tested], np.bincount(each.problem.step)[tested]
    scored = _scored(each, scores, tested, scored_at, sequences, each.x.shape[1])
    rows = DECODING.frame(replace(scored, shuffled=shuffled)), scores.unconverged
    return rows, _weights(each, scores)


def _weights(each: Probe, scores: Scores) -> Weights | None:
    """The weights of a probe; None of several signals together."""
    if each.units is None or scores.directions is None:
        return None
    at = int(each.timesteps[each.start])
    place = each.layer, each.signal, each.target, at
    return Weights(*place, scores.classes, each.units, *scores.directions)


def _by_units(each: Probe) -> Rows:
    """One probe's rows of the table of units: of 1, 2, 4, … and all units."""
    units = each.x.shape[1]
    counts = np.unique([*(2 ** np.arange(units.bit_length())), units])
    counts = counts[counts <= units]
    scores = probe.by_count(each.x, each.problem, each.start, counts)
    sequences = int(np.bincount(each.problem.step)[each.start])
    at = int(each.timesteps[each.start])
    places = np.arange(len(counts))
    scored = _scored(each, scores, places, at, sequences, counts)
    return DECODING_UNITS.frame(scored), scores.unconverged


def _scored(
    each: Probe,
    scores: Scores,
    places: NDArray[np.intp],
    scored_at: NDArray[np.integer] | int,
    sequences: NDArray[np.integer] | int,
    features: NDArray[np.integer] | int,
) -> Scored:
    """What the columns are computed from, of those of the scores [F, ...] that lie at places."""
    score, balanced, chance = (
        of[:, places] for of in (scores.score, scores.balanced, scores.chance)
    )
    estimates = {"balanced_score": balanced.mean(axis=0), "chance": chance.mean(axis=0)}
    for name, of in (("score", score), ("above_chance", score - chance)):
        ends = ("", "_low", "_high")
        estimates |= {f"{name}{end}": of for end, of in zip(ends, probe.interval(of), strict=True)}
    return Scored(
        each.layer,
        each.signal,
        each.target,
        "regression" if each.problem.numeric else "classification",
        int(each.timesteps[each.start]),
        scored_at,
        sequences,
        features,
        estimates,
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
