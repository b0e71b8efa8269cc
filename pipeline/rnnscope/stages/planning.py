"""Plans: which steps of a run would run, and why."""

from pathlib import Path
from typing import Any

from rnnscope import store
from rnnscope.stages.chain import Step
from rnnscope.store import runs
from rnnscope.terminal import short_path


def plan(steps: list[Step], root: Path) -> list[str]:
    """One line per step: up to date, or would run and why."""
    lines = []
    waiting: set[str] = set()
    for step in steps:
        name = step.stage.name
        if not step.waits:
            lines.append(f"{name:<10} up to date     {short_path(step.artefact.folder)}")
            continue
        waiting.add(name)
        lines.append(f"{name:<10} would run      {_reason(step, root, waiting)}")
    return lines


def _reason(step: Step, root: Path, waiting: set[str]) -> str:
    """Why a step would run."""
    if step.forced:
        return "forced"
    behind = [need for need in step.upstream if need in waiting]
    last = store.latest(root, step.stage.name)
    reasons = [f"{need} would run" for need in behind]
    if (last / store.MANIFEST).is_file():
        known = store.read_manifest(last)
        if known["version"] != step.stage.version:
            reasons.append(f"the stage's version: {known['version']} -> {step.stage.version}")
        reasons += _differences(known["slice"], step.slice)
        if step.survey:
            keys = {name: artefact.key for name, artefact in step.upstream.items()}
            reasons += runs.changes(known["upstream"], keys)
    if step.artefact.partial.exists():
        reasons.append("an earlier run was interrupted")
    return "; ".join(reasons) or "no finished artefact with this config"


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
