"""Plans: which steps of a run would run, and why."""

from pathlib import Path
from typing import Any

from rnnscope import store
from rnnscope.stages.chain import Step
from rnnscope.store import runs
from rnnscope.store.contents import Damaged
from rnnscope.terminal import short_path

NAME = 10
"""Least width of the column of names, as in what the log says of running stages."""


def plan(steps: list[Step], root: Path) -> list[str]:
    """One line per step: up to date, or would run and why. Nothing is written."""
    width = max(NAME, *(len(step.stage.name) for step in steps))
    lines = []
    waiting: set[str] = set()
    for step in steps:
        name, due = step.stage.name, step.due(remember=False)
        column = f"{name:<{width}}"
        behind = [need for need in step.upstream if need in waiting]
        if due is None:
            again = f", if {' and '.join(behind)} is the same again" if behind else ""
            lines.append(f"{column} up to date     {short_path(step.artefact.folder)}{again}")
            continue
        waiting.add(name)
        lines.append(f"{column} would run      {due.why or _reason(step, root, behind)}")
    return lines


def _reason(step: Step, root: Path, behind: list[str]) -> str:
    """Why nothing is finished that a step leads to.

    Args:
        step: the step.
        root: of all artefacts.
        behind: what it needs and would run before it.
    """
    reasons = [f"{need} would run" for need in behind]
    if (known := _last(root, step.stage.name)) is not None:
        if known["version"] != step.stage.version:
            reasons.append(f"the stage's version: {known['version']} -> {step.stage.version}")
        reasons += _differences(known["slice"], step.slice)
        if step.stage.shows in step.upstream.keys() - known["upstream"].keys():
            reasons.append(f"{step.stage.shows} is there now")
        if step.survey:
            keys = {name: artefact.key for name, artefact in step.upstream.items()}
            reasons += runs.changes(known["upstream"], keys)
    if step.artefact.partial.exists():
        reasons.append("an earlier run was interrupted")
    return "; ".join(reasons) or "no finished artefact with this config"


def _last(root: Path, stage: str) -> dict[str, Any] | None:
    """The manifest of a stage's newest artefact of a single run, if it can be read."""
    try:
        known = store.read_manifest(store.latest(root, stage))
    except (OSError, Damaged):
        return None
    fields = {"version": int, "slice": dict, "upstream": dict}
    return (
        known if all(isinstance(known.get(name), kind) for name, kind in fields.items()) else None
    )


def _differences(old: Any, new: Any, prefix: str = "") -> list[str]:
    """The options that differ between two sections of config, as ``key: old -> new``."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [f"{prefix}: {_brief(old)} -> {_brief(new)}"]
    return [
        line
        for name in sorted({*old, *new})
        for line in _differences(
            old.get(name), new.get(name), f"{prefix}.{name}" if prefix else name
        )
    ]


def _brief(value: Any) -> str:
    return str(value)[:12]
