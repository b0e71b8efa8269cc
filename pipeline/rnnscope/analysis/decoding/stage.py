"""Stage decoding: how much a linear read-out of the states at one timestep knows.

It is asked for the label or target, and for each annotation of single timesteps. These and the
layers come one after the other, so that the rows of one at a time are held.
"""

import functools
import logging
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from rnnscope import engine, states
from rnnscope.analysis.decoding import gathering, readout
from rnnscope.analysis.decoding.readout import Problem
from rnnscope.config import Config, Decoding, Engine
from rnnscope.states import selection
from rnnscope.store.stage import Figures, Inputs
from rnnscope.store.tables import table_file

log = logging.getLogger(__name__)

_SCORES = {
    f"{name}{end}": "float64"
    for name in ("score", "control", "selectivity")
    for end in ("", "_low", "_high")
}
COLUMNS = {
    "layer": "category",
    "signal": "category",
    "target": "category",
    "train_timestep": "int32",
    "test_timestep": "int32",
    "task": "category",
    "sequences": "int32",
    "features": "int32",
    **_SCORES,
}
UNIT_COLUMNS = {
    "layer": "category",
    "signal": "category",
    "target": "category",
    "timestep": "int32",
    "units": "int32",
    "task": "category",
    "sequences": "int32",
    **_SCORES,
}


@dataclass(frozen=True)
class Job:
    """What is read out of one signal as learnt at one timestep."""

    layer: str
    signal: str
    target: str
    """What is read out: "label", "target" or an annotation's name."""
    x: NDArray[np.float32]
    """[R, D], the signal's values at all chosen rows of the layer."""
    problem: Problem
    timesteps: NDArray[np.integer]
    """[S], those chosen; or -1 alone, for the last of each sequence."""
    start: int
    """Which of them the read-out learns at."""

    @property
    def name(self) -> dict[str, Any]:
        """What all its rows share."""
        task = "regression" if self.problem.numeric else "classification"
        return {
            "layer": self.layer,
            "signal": self.signal,
            "target": self.target,
            "task": task,
        }


def run(config: Config, inputs: Inputs, folder: Path) -> Figures:
    """Write both tables into ``folder``; returns the stage's figures.

    ``decoding.parquet`` has one row per layer, signal, target, train and test timestep;
    ``decoding_units.parquet`` one per layer, signal, target and number of units, at each
    sequence's own last timestep: which is said where they share it, and is -1 where they do not.
    The target is the label, or a number: the data's target, or an annotation. What cannot be read
    out has no row; why not is in the figures, and is warned of.

    Args:
        config: the run's config.
        inputs: the artefact of stage extract.
        folder: where to write.

    Raises:
        UserError: a layer, a signal or timesteps that were not recorded.
    """
    options, recorded = config.decoding, inputs.folders["extract"]
    over_jobs = functools.partial(engine.run, engine=config.engine)
    tables: list[pd.DataFrame] = []
    by_units: list[pd.DataFrame] = []
    said: dict[str, Any] = {}
    sequences = states.read_sequences(recorded)
    across = functools.partial(_across, options.generalise)
    gather = functools.partial(_jobs, recorded, options, config.engine)
    # Threads of BLAS within threads of the engine wait for each other: one each. Warnings are the
    # whole process' and not a thread's, so that they are gathered here.
    with threadpool_limits(1), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        for layer, signals in _signals(recorded, options).items():
            if not signals:
                said[layer] = {"why": "none of h, c, s0, ... was recorded: give decoding.signals"}
                continue
            targets = gathering.choose(recorded, layer, signals[0], sequences, options)
            if not targets:
                said[layer] = {"why": "no labels and no targets"}
            for target, chosen in targets.items():
                place = _named(layer, target)
                said[place] = chosen.said
                jobs = gather(layer, signals, target, chosen.keys)
                if jobs:
                    tables += over_jobs(across, jobs, what=place, unit="timestep")
                if chosen.end_together:
                    ends = [job for job in jobs if job.start == len(job.timesteps) - 1]
                else:
                    ends = gather(layer, signals, target, chosen.ends)
                if ends:
                    by_units += engine.run(
                        _by_units, ends, config.engine, what=place, unit="signal"
                    )
    unconverged = [each for each in caught if issubclass(each.category, ConvergenceWarning)]
    for each in caught:
        if each not in unconverged:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    table = _typed(tables, COLUMNS)
    table.to_parquet(table_file(folder, "decoding"), index=False)
    few = _typed(by_units, UNIT_COLUMNS)
    few.to_parquet(table_file(folder, "decoding_units"), index=False)
    why = {place: each["why"] for place, each in said.items() if "why" in each}
    for reason in dict.fromkeys(why.values()):
        places = ", ".join(place for place, each in why.items() if each == reason)
        log.warning(f"decoding has no rows of {places}: {reason}")
    return _figures(table, few) | {
        "layers": said,
        "why": why,
        "interval": "95 %: Student's t over folds, variance after Nadeau & Bengio (2003)",
        "unconverged": len(unconverged),
    }


def _signals(recorded: Path, options: Decoding) -> dict[str, list[str]]:
    """The signals to be read out of each layer: those asked for, or the states."""
    found: dict[str, list[str]] = {}
    for layer, signal in selection.recorded(recorded, options, "decoding"):
        of_layer = found.setdefault(layer, [])
        if options.signals is not None or re.fullmatch(r"h|c|s\d+", signal):
            of_layer.append(signal)
    return found


def _named(place: str, target: str) -> str:
    """A layer, or a signal of it, in the figures: an annotation's name is added."""
    return place if target in gathering.TOLD else f"{place}/{target}"


def _jobs(
    recorded: Path,
    options: Decoding,
    parts_engine: Engine,
    layer: str,
    signals: list[str],
    target: str,
    keys: pd.DataFrame,
) -> list[Job]:
    """What is to be read out of rows of one layer: from its signals, and all of them together."""
    if not len(keys):
        return []
    x, columns = gathering.values(recorded, layer, signals, keys, parts_engine)
    if options.together and len(columns) > 1:
        columns = columns | {"+".join(columns): slice(None)}
    y, fold = keys["y"].to_numpy(), keys["fold"].to_numpy()
    timesteps, step = np.unique(keys["timestep"], return_inverse=True)
    # The same shuffle for every signal, and whichever other layers there are.
    control = readout.shuffled(y, step, fold, np.random.default_rng([options.seed, 1]))
    problem = Problem(y, control, step, fold, options.penalty)
    return [
        Job(layer, signal, target, x[:, of_signal], problem, timesteps, start)
        for signal, of_signal in columns.items()
        for start in range(len(timesteps))
    ]


def _across(generalise: bool, job: Job) -> pd.DataFrame:
    """The table's rows of one job: a test timestep each."""
    tested = np.arange(len(job.timesteps)) if generalise else np.array([job.start])
    scores = readout.held_out(job.x, job.problem, job.start, generalise)
    return pd.DataFrame(
        {
            **job.name,
            "train_timestep": job.timesteps[job.start],
            "test_timestep": job.timesteps[tested],
            "sequences": np.bincount(job.problem.step)[tested],
            "features": job.x.shape[1],
            **_estimates(scores[..., tested]),
        }
    )


def _by_units(job: Job) -> pd.DataFrame:
    """The rows of the table of units of one job: 1, 2, 4, … and all units."""
    units = job.x.shape[1]
    counts = np.unique([*(2 ** np.arange(units.bit_length())), units])
    return pd.DataFrame(
        {
            **job.name,
            "timestep": job.timesteps[job.start],
            "units": counts,
            "sequences": np.bincount(job.problem.step)[job.start],
            **_estimates(readout.by_count(job.x, job.problem, job.start, counts)),
        }
    )


def _estimates(scores: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Score, control and their difference, each with its interval, from scores [2, F, ...]."""
    score, control = scores
    found = (readout.interval(each) for each in (score, control, score - control))
    return dict(zip(_SCORES, (values for each in found for values in each), strict=True))


def _typed(frames: list[pd.DataFrame], columns: dict[str, str]) -> pd.DataFrame:
    """One table of the given columns and types; categories in the order of their rows."""
    table = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(columns))
    for name, kind in columns.items():
        if kind == "category":
            text = table[name].astype("str")  # also where there is none
            table[name] = pd.Categorical(text, categories=text.unique())
    return table[list(columns)].astype(columns)


def _figures(table: pd.DataFrame, by_units: pd.DataFrame) -> dict[str, Any]:
    """The score of all units at the sequences' last timesteps, and the best of all scores."""
    whole = by_units.drop_duplicates(["layer", "signal", "target"], keep="last")
    headline: dict[str, Any] = {"rows": len(table)}
    same = table[(table["train_timestep"] == table["test_timestep"]) & table["score"].notna()]
    for target, of in same.groupby("target", observed=True, sort=False):
        best = of.loc[of["score"].idxmax()]
        if target in gathering.TOLD:
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
