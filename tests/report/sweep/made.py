"""Runs made by hand: manifests, unit tables and pages, as far as the page of a sweep reads them."""

import copy
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rnnscope.report.sweep.collected import Collected
from rnnscope.stages import collect
from rnnscope.stages.columns import RUNS
from rnnscope.store.artefacts import Artefact
from rnnscope.store.lineage import Finished
from rnnscope.store.runs import Run

SLICES: dict[str, Any] = {
    "data": {"name": "digits", "test_fraction": 0.2, "validation_fraction": 0.1, "split_seed": 0},
    "model": {
        "name": "lstm",
        "units": 8,
        "layers": 1,
        "bidirectional": False,
        "dropout": 0.0,
        "forget_bias": 1.0,
    },
    "seed": 0,
}
"""The options of a run, the defaults but for units."""


def units(number: int, layer: str = "lstm", *, labelled: bool = True, count: int = 7) -> Any:
    """A unit table with infinite and missing timescales."""
    random = np.random.default_rng(number)
    tables = []
    for signal in "hcf":
        tau = random.lognormal(1, 1, count)
        tau[:: number % 3 + 2] = np.inf
        tau[1 :: number % 2 + 3] = np.nan
        forget = random.lognormal(2, 1, count) if signal == "f" else np.full(count, np.nan)
        eta2 = random.uniform(size=count) if labelled else np.full(count, np.nan)
        tables.append(
            pd.DataFrame(
                {"layer": layer, "signal": signal, "unit": np.arange(count), "timescale": tau}
                | {"forget_timescale": forget, "eta2": eta2, "std": random.uniform(size=count)}
                | {"best_covariate": pd.Series([None] * count, dtype="str")}
            )
        )
    table = pd.concat(tables, ignore_index=True)
    return table.astype({"layer": "category", "signal": "category"})


def made(
    root: Path,
    number: int,
    *,
    table: "pd.DataFrame | None" = None,
    headline: dict[str, Any] | None = None,
    files: dict[str, str] | None = None,
    page: bool = True,
    **changes: Any,
) -> Run:
    """A run with all that the page reads of it, below ``root``.

    Args:
        root: folder of all artefacts.
        number: of the run; its numbers follow from it.
        table: its unit table.
        headline: its scores.
        files: of its manifests.
        page: whether it has one.
        changes: sections in place of those of ``SLICES``, or a section's options.
    """
    slices = copy.deepcopy(SLICES)
    for group, change in changes.items():
        whole = isinstance(change, dict) and "name" not in change
        slices[group] = slices.get(group, {}) | change if whole else change
    scores = {"accuracy": (number * 37 % 101) / 101, "loss": 1 / (number + 1)}
    own: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "extract": (slices, scores if headline is None else headline),
        "units": ({"units": {"lags": 50}}, {}),
    }
    own |= {"report": ({}, {})} if page else {}
    stages = {}
    for stage, (slice_, head) in own.items():
        key = hashlib.sha256(f"{stage} {number}".encode()).hexdigest()
        folder = root / stage / f"run-{number}-{key[:8]}"
        folder.mkdir(parents=True, exist_ok=True)
        manifest: dict[str, Any] = {"slice": slice_, "headline": head, "key": key}
        manifest["files"] = files or {}
        manifest |= {"seconds": 1.25 * number, "peak_memory_bytes": 10**8 + number}
        manifest |= {"host": "node", "git_commit": "0123456789abcdef", "git_dirty": False}
        if stage == "report":
            manifest["page"] = "report.html"
            (folder / "report.html").write_text("page")
        if stage == "units":
            found = units(number) if table is None else table
            found.to_parquet(folder / "units.parquet", index=False)
        stages[stage] = Finished(Artefact(stage, key, folder), manifest)
    return Run(f"run-{number}", stages)


def collected(runs: list[Run]) -> Collected:
    """These runs as stage collect hands them over."""
    return Collected(runs, collect.table(runs), RUNS, collect.differing_options(runs))
