"""The similarity of runs' states, as stage compare measured it, as matrices of runs by runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rnnscope import store
from rnnscope.analysis.compare.columns import COMPARE
from rnnscope.report.commands import command
from rnnscope.report.sweep.collected import Collected
from rnnscope.report.sweep.metrics import number
from rnnscope.store import parquet
from rnnscope.store.runs import Run

MEASURES = ("cka", "svcca", "matched_correlation", "procrustes")
BESIDE = ("", "_null", "_low", "_high")
MOST = 40
"""Runs in a matrix whose values can be read."""


def read(folder: Path | None, collected: Collected) -> dict[str, Any]:
    """The matrices of each layer and signal, or why there are none.

    Args:
        folder: of the finished stage compare; None if there is none.
        collected: the runs, among which are all that were compared.
    """
    if folder is None:
        return {"why": _why(collected), "compare": len(collected.runs) > 1}
    manifest = store.read_manifest(folder)
    numbers = _numbers(manifest["upstream"], collected.runs)
    compared = sorted(set(numbers.values()))
    place = {run: at for at, run in enumerate(compared[:MOST])}
    table = parquet.frame(folder / "compare.parquet")
    a, b = (table[name].astype(str).map(numbers).map(place) for name in ("run_a", "run_b"))
    shown = table.assign(a=a, b=b).dropna(subset=["a", "b"])
    return {
        "why": "",
        "command": command([manifest], "compare"),
        "runs": list(place),
        "compared": len(compared),
        "of": len(collected.runs),
        "sequences": manifest["sequences"]["compared"],
        "timesteps": manifest["slice"]["compare"]["timesteps"],
        "measures": [_measure(name) for name in MEASURES],
        "pairs": [
            {"label": f"{signal} of {layer}", "cells": {m: _cells(rows, m) for m in MEASURES}}
            for (layer, signal), rows in shown.groupby(
                ["layer", "signal"], observed=True, sort=False
            )
        ],
    }


def _measure(name: str) -> dict[str, Any]:
    column = COMPARE.column(name)
    assert column is not None
    return {"name": name, "help": f"{column.meaning} ({column.source})"}


def _numbers(upstream: Mapping[str, str], runs: list[Run]) -> dict[str, int]:
    """By each name that a run had when it was compared its number here, where it may have another.

    Runs that share their states share a row.
    """
    number_of = {run.stages["extract"].artefact.key: at for at, run in reversed([*enumerate(runs)])}
    return {name.rpartition("/")[0]: number_of[key] for name, key in upstream.items()}


def _cells(rows: pd.DataFrame, measure: str) -> list[list[float | str | None]]:
    """For each pair both places, the value, its null and the ends of its interval."""
    columns = [rows[f"{measure}{end}"].to_numpy(np.float64) for end in BESIDE]
    places = zip(rows["a"].astype(int), rows["b"].astype(int), strict=True)
    return [
        [*sorted(place), *map(number, values)]
        for place, *values in zip(places, *columns, strict=True)
    ]


def _why(collected: Collected) -> str:
    """Why no two runs were compared, as far as it is known."""
    if len(collected.runs) == 1:
        return "There is one run, and similarity takes two."
    digests = [name for name in collected.differ if name.endswith(".sha256")]
    if "data.name" in collected.differ or any(name.startswith("data.") for name in digests):
        return (
            "These runs have not been compared. They are of different data, and runs are compared "
            "over the same test sequences: name those of one data set in compare.runs."
        )
    return "These runs have not been compared, or not as they are now."
