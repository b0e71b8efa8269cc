"""Provenance: the options that were read, the proof, and how each stage was made."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnnscope.config import Config
from rnnscope.config.options import spelled

Manifests = Mapping[str, dict[str, Any]]
"""Stage name -> its manifest."""

RESIDUALS = {
    "recurrence_c": (
        "c − (f·c′ + i·g)",
        "every timestep",
        "The cell state follows from the one before it (c′) and the recorded gates.",
    ),
    "recurrence_h": (
        "h − o·tanh c",
        "every timestep",
        "The hidden state follows from the cell state and the recorded output gate.",
    ),
    "stock_h": (
        "h − h of Keras",
        "sample",
        "At every timestep the hidden state is the one that Keras' own loop returns.",
    ),
    "stock_states": (
        "final states − those of Keras",
        "sample",
        "The final states are those that Keras returns with return_state=True.",
    ),
    "stock_outputs": (
        "outputs − those of Keras",
        "sample",
        "The outputs of the model are those that it has with Keras' own loop.",
    ),
}
"""Kind of residual -> its formula, what it was taken over, and what follows if it is small."""
GRU = (
    "h − (z·h′ + (1 − z)·g)",
    "every timestep",
    "The hidden state follows from the one before it (h′) and the recorded gates.",
)
"""The entry for recurrence_h where there is no cell state."""


def slug(manifest: Mapping[str, Any], folder: Path) -> str:
    """The run's readable name: the name of its artefact's folder without the key."""
    return folder.resolve().name.removesuffix(f"-{manifest['key'][:8]}")


def proof(extract: Mapping[str, Any]) -> dict[str, Any]:
    """The largest residuals, one row per layer and kind, in the table's order."""
    rows = []
    for layer, kinds in extract["residuals"].items():
        for kind in sorted(kinds, key=[*RESIDUALS, *kinds].index):
            known = RESIDUALS.get(kind, (kind, "", ""))
            gru = kind == "recurrence_h" and "recurrence_c" not in kinds
            formula, over, meaning = GRU if gru else known
            rows.append(
                {
                    "layer": layer,
                    "kind": kind,
                    "formula": formula,
                    "over": over,
                    "meaning": meaning,
                    "value": kinds[kind],
                }
            )
    tolerance = extract["slice"]["extract"]["tolerance"]
    return {
        "rows": rows,
        "tolerance": tolerance,
        "holds": all(row["value"] <= tolerance for row in rows),
        "compared": extract.get("compared_with_stock"),
        "layers": len(extract["residuals"]),
    }


def options(manifests: Manifests) -> list[dict[str, Any]]:
    """Every option that a stage read, spelled as on the command line, grouped by those stages."""
    readers: dict[tuple[str, str], list[str]] = {}
    for stage, manifest in manifests.items():
        for name, value in _flat(manifest["slice"]):
            file = manifest.get("files", {}).get(name)
            text = f"{file} (SHA-256 {str(value)[:12]}…)" if file else spelled(value)
            readers.setdefault((name, text), []).append(stage)
    groups: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for option in sorted(readers, key=lambda option: _place(option[0])):
        groups.setdefault(tuple(readers[option]), []).append(option)
    return [{"stages": stages, "options": found} for stages, found in groups.items()]


def made(manifests: Manifests, folders: Mapping[str, Path]) -> list[dict[str, Any]]:
    """How each stage was made, one entry per stage."""
    return [
        {
            "stage": stage,
            "artefact": folders[stage].resolve().name,
            "key": manifest["key"],
            "upstream": ", ".join(f"{n} {k[:8]}" for n, k in manifest["upstream"].items()),
            "seconds": manifest["seconds"],
            "memory": manifest["peak_memory_bytes"],
            "bytes": manifest["bytes"],
            "device": manifest.get("device"),
            "host": manifest["host"],
            "finished": manifest["finished"],
            "commit": _commit(manifest),
        }
        for stage, manifest in manifests.items()
    ]


def packages(manifests: Manifests) -> list[tuple[str, str]]:
    """Name and version of each package; by stage where versions differ."""
    versions: dict[str, dict[str, list[str]]] = {}
    for stage, manifest in manifests.items():
        for name, version in manifest["packages"].items():
            versions.setdefault(name, {}).setdefault(version, []).append(stage)
    return [
        (
            name,
            next(iter(by))
            if len(by) == 1
            else "; ".join(f"{version} in {', '.join(stages)}" for version, stages in by.items()),
        )
        for name, by in versions.items()
    ]


def _flat(value: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Dotted names and values of a slice; a file's digest stands for the file."""
    if isinstance(value, dict) and set(value) == {"sha256"}:
        return [(prefix, value["sha256"])]
    if not isinstance(value, dict):
        return [(prefix, value)]
    return [
        pair
        for name, inner in value.items()
        for pair in _flat(inner, f"{prefix}.{name}" if prefix else name)
    ]


def _place(name: str) -> tuple[int, str]:
    """Sort key: groups in the order of the schema; a group's name first."""
    groups = [field.name for field in dataclasses.fields(Config)]
    group, _, leaf = name.partition(".")
    place = groups.index(group) if group in groups else len(groups)
    return place, f"{group}.{'' if leaf == 'name' else leaf}"


def _commit(manifest: Mapping[str, Any]) -> str:
    """The commit in short, and whether files had changed since."""
    commit = manifest["git_commit"]
    if commit is None:
        return "none"
    return f"{commit[:10]}{', with changes' if manifest['git_dirty'] else ''}"
