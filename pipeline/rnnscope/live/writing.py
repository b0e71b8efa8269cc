"""States in memory become a folder of the Parquet contract, as stage extract writes it."""

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rnnscope import states
from rnnscope.extract import finishing
from rnnscope.extract.columns import SEQUENCES, STEPS
from rnnscope.extract.notes import PARTS, Part
from rnnscope.extract.records import PartRecord
from rnnscope.extract.writing import Writer
from rnnscope.live.about import About
from rnnscope.store import settling
from rnnscope.store.manifest import MANIFEST
from rnnscope.store.tables import Table

WORKERS = min(8, os.cpu_count() or 1)
"""Signals that are encoded side by side."""


def write(
    about: About,
    longest: Mapping[str, int],
    record_of: Callable[[Part], PartRecord],
    folder: Path,
    artefact: str = "",
) -> None:
    """Write into an empty folder, its manifest last.

    Args:
        about: the states.
        longest: the timesteps of each layer's input.
        record_of: gives what was recorded of a part.
        folder: which is there.
        artefact: the key that the footers of the parts name.
    """
    options = about.options
    writer = Writer(folder, about.layout, options.compression, options.dtype, WORKERS)
    parts = [replace(part, artefact=artefact) for part in about.parts]
    (folder / PARTS).mkdir()
    with writer.pool:
        done = [writer.part(part, record_of(part)) for part in parts]
    tables: dict[Table, Mapping[bytes, bytes]] = {SEQUENCES: {}}
    if about.steps:
        tables[STEPS] = states.of_other_time(list(about.other_time))
    contents, _ = finishing.finish(folder, parts, done, tables)
    footers = states.footers_of(folder, (name for name in contents if "/" in name))
    manifest: dict[str, Any] = {
        "stage": "extract",
        "key": artefact,
        "slice": {"extract": asdict(options)},
        "rows": sum(note.figures["rows"] for note in done),
        "states_bytes": sum(note.figures["states_bytes"] for note in done),
        "residuals": about.residuals,
        "worst": {
            layer: {kind: worst.place() for kind, worst in kinds.items()}
            for layer, kinds in about.findings.items()
        },
        "contents": {name: asdict(content) for name, content in contents.items()},
        "footers": footers,
        "layers": about.layout.layers,
        "longest": dict(longest),
        "other_time": list(about.other_time),
        "paths": dict(about.paths),
        "without_mask": list(about.unmasked),
        "no_scores": about.no_scores,
        "classes": list(about.classes),
        "labels": about.labels,
        "annotations": list(about.annotations),
        "draws": list(about.draws),
        "proved": about.proved,
    }
    text, _, _ = settling.settled(folder, manifest)
    (folder / MANIFEST).write_text(text)
