"""Provenance: the options that were read, the proof, and how each stage was made."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnnscope.config import Config
from rnnscope.config.options import spelled
from rnnscope.store import slug_of

Manifests = Mapping[str, dict[str, Any]]
"""Stage name -> its manifest."""

STEP = "one call of the model's own cell, on the recorded states of the step before (′)"
RESIDUALS = {
    "step_h": ("h − cell(x, h′, c′)", f"The hidden state is that of {STEP}."),
    "step_c": ("c − cell(x, h′, c′)", f"The cell state is that of {STEP}."),
    "gates": (
        "gates − σ(x W + h′ U + b)",
        "The gates are those of the equations in float64, from the model's weights.",
    ),
    "equations": (
        "cell(x, h′, c′) − equations",
        "These equations, in float64, give the states that the model's own cell gives.",
    ),
    "handed": (
        "returned − cell(x, h′, c′)",
        "The outputs and final states that Keras went on with are those of the cell.",
    ),
    "drift": (
        "recorded − Keras",
        "Over whole sequences: outputs and final states against those of Keras' own loop.",
    ),
    "drift_float64": ("recorded − float64", "The same against a loop in float64."),
    "keras_float64": ("Keras − float64", "Keras' own loop against that one."),
}
"""Kind of residual -> its formula, and what follows if it is small."""
WITHOUT_C = "cell(x, h′)"
"""What stands for the cell in these formulas if it has no c."""
REPORTED = ("drift", "drift_float64", "keras_float64")
"""Kinds that are not judged: where c counts, or dynamics are chaotic, two right loops part."""


def slug(folder: Path) -> str:
    """The run's readable name: the name of its artefact's folder without the key."""
    return slug_of(folder.resolve())


def proof(extract: Mapping[str, Any]) -> dict[str, Any]:
    """The largest residuals, one row per layer and kind, in the table's order.

    Of states that were recorded elsewhere there are none: ``none`` says why, and nothing holds.
    """
    if why := extract.get("no_proof"):
        return {"none": why}
    rows = []
    places = extract.get("worst", {})
    for layer, kinds in extract["residuals"].items():
        for kind in sorted(kinds, key=[*RESIDUALS, *kinds].index):
            formula, meaning = RESIDUALS.get(kind) or _of_another_cell(kind)
            if "step_c" not in kinds:
                formula = formula.replace("cell(x, h′, c′)", WITHOUT_C)
            rows.append(
                {
                    "layer": layer,
                    "kind": kind,
                    "formula": formula,
                    "meaning": meaning,
                    "value": kinds[kind],
                    "judged": kind not in REPORTED,
                    "place": places.get(layer, {}).get(kind),
                }
            )
    tolerance = extract["slice"]["extract"]["tolerance"]
    return {
        "none": None,
        "rows": rows,
        "kinds": _largest(rows),
        "by_layer": extract["residuals"],
        "tolerance": tolerance,
        "largest": max((row["value"] for row in rows if row["judged"]), default=0.0),
        "holds": all(row["value"] <= tolerance for row in rows if row["judged"]),
        "proved": extract.get("proved"),
        "without_mask": extract.get("without_mask", []),
    }


def _largest(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each kind the row of the layer where it is largest, NaN above all, in order of kinds."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        known = found.get(row["kind"])
        if known is None or not (math.isnan(known["value"]) or row["value"] <= known["value"]):
            found[row["kind"]] = row
    return sorted(found.values(), key=lambda row: [*RESIDUALS, *found].index(row["kind"]))


def _of_another_cell(kind: str) -> tuple[str, str]:
    """Formula and meaning of a kind that is not listed: a state of a user's own cell."""
    state = kind.removeprefix("step_")
    if state == kind:
        return kind, ""
    return f"{state} − cell(x, states′)", f"The state is that of {STEP}."


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
