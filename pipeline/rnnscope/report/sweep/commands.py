"""The commands that make runs again, and that collect them."""

import itertools
from collections.abc import Mapping
from typing import Any

from rnnscope.report.commands import line, overrides, usual, value
from rnnscope.store.runs import Run


def manifests(run: Run) -> list[Mapping[str, Any]]:
    """Those of a run's stages, in their order."""
    return [each.manifest for each in run.stages.values()]


def sweep(runs: list[Run]) -> list[str]:
    """The commands that make all of these runs.

    A single sweep where they are all combinations of the values that differ, and else one for each.
    """
    stage = "report" if any("report" in run.stages for run in runs) else "units"
    every = [overrides(manifests(run)) for run in runs]
    names = list(dict.fromkeys(name for each in every for name in each))
    full = [{name: each.get(name, usual(name)) for name in names} for each in every]
    values = {name: list(dict.fromkeys(each[name] for each in full)) for name in names}
    swept = [name for name in names if len(values[name]) > 1]
    product = set(itertools.product(*(values[name] for name in swept)))
    there = {tuple(each[name] for name in swept) for each in full}
    if len(runs) == 1 or not swept or product != there:
        return list(dict.fromkeys(line([], each, stage) for each in every))
    return [line(["-m"], {name: ",".join(values[name]) for name in names}, stage)]


def collect(wanted: str | list[str] | None) -> str:
    """The command that collects them."""
    chosen = {} if wanted is None else {"collect.runs": value(wanted)}
    return line([], {"stage": "collect"} | chosen, "report")
