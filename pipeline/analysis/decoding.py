"""Stage decoding: how much a linear read-out of the states at one timestep knows of the class.

Layers come one after the other, so that the rows of one at a time are held.
"""

import functools
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

from pipeline import engine, selection, states
from pipeline.analysis import gathering, readout
from pipeline.analysis.readout import Problem
from pipeline.config import Decoding, Engine

TABLE = "decoding.parquet"
BY_UNITS = "decoding_units.parquet"
_SCORES = {
    f"{name}{end}": "float64"
    for name in ("score", "control", "selectivity")
    for end in ("", "_low", "_high")
}
COLUMNS = {
    "layer": "category",
    "signal": "category",
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
        return {"layer": self.layer, "signal": self.signal, "task": task}


def run(options: Decoding, parts_engine: Engine, recorded: Path, folder: Path) -> dict[str, Any]:
    """Write both tables from the states in ``recorded``; returns the headline figures.

    ``decoding.parquet`` has one row per layer, signal, train and test timestep;
    ``decoding_units.parquet`` one per layer, signal and number of units, at the last timestep.

    Raises:
        UserError: a layer, a signal or timesteps that were not recorded.
    """
    tables: list[pd.DataFrame] = []
    by_units: list[pd.DataFrame] = []
    said: dict[str, Any] = {}
    sequences = states.read_sequences(recorded)
    across = functools.partial(_across, options.generalise)
    # Threads of BLAS within threads of the engine wait for each other: one each. Warnings are the
    # whole process' and not a thread's, so that they are gathered here.
    with threadpool_limits(1), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        for layer, signals in _signals(recorded, options).items():
            if not signals:
                said[layer] = {"why": "none of h, c, s0, ... was recorded: give decoding.signals"}
                continue
            chosen = gathering.choose(recorded, layer, signals[0], sequences, options)
            said[layer] = chosen.said
            if len(chosen.keys):
                x, columns = gathering.values(recorded, layer, signals, chosen.keys, parts_engine)
                jobs = _jobs(layer, x, columns, chosen.keys, options)
                last = [job for job in jobs if job.start == len(job.timesteps) - 1]
                tables += engine.run(across, jobs, parts_engine, what=layer, unit="timestep")
                by_units += engine.run(_by_units, last, parts_engine, what=layer, unit="signal")
    unconverged = [each for each in caught if issubclass(each.category, ConvergenceWarning)]
    for each in caught:
        if each not in unconverged:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    table = _typed(tables, COLUMNS)
    table.to_parquet(folder / TABLE, index=False)
    _typed(by_units, UNIT_COLUMNS).to_parquet(folder / BY_UNITS, index=False)
    return _figures(table) | {
        "layers": said,
        "why": {layer: each["why"] for layer, each in said.items() if "why" in each},
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


def _jobs(
    layer: str,
    x: NDArray[np.float32],
    columns: dict[str, slice],
    keys: pd.DataFrame,
    options: Decoding,
) -> list[Job]:
    """What is to be read out of one layer, of its signals and of all of them together."""
    if options.together and len(columns) > 1:
        columns = columns | {"+".join(columns): slice(None)}
    y, fold = keys["y"].to_numpy(), keys["fold"].to_numpy()
    timesteps, step = np.unique(keys["timestep"], return_inverse=True)
    # The same shuffle for every signal, and whichever other layers there are.
    control = readout.shuffled(y, step, fold, np.random.default_rng([options.seed, 1]))
    problem = Problem(y, control, step, fold, options.penalty)
    return [
        Job(layer, signal, x[:, of_signal], problem, timesteps, start)
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


def _figures(table: pd.DataFrame) -> dict[str, Any]:
    """The score at the last timestep of each signal, and the best of all."""
    same = table[(table["train_timestep"] == table["test_timestep"]) & table["score"].notna()]
    last = same.drop_duplicates(["layer", "signal"], keep="last")
    headline: dict[str, Any] = {"rows": len(table)}
    if len(same):
        best = same.loc[same["score"].idxmax()]
        headline |= {"best score": float(best["score"]), "its control": float(best["control"])}
    return {
        "rows": len(table),
        "at_last_timestep": {
            f"{row.layer}/{row.signal}": {"score": row.score, "control": row.control}
            for row in last.itertuples()
        },
        "headline": headline,
    }
