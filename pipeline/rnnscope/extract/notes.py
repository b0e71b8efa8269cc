"""The figures and file digests of each finished part, kept until all parts are finished.

<folder>/_parts/00000.json                 written last: a part without it is recorded again
<folder>/_parts/00000.sequences.parquet    its rows of <folder>/sequences.parquet
<folder>/_parts/00000.steps.parquet        and of <folder>/steps.parquet, if there are any

A note says what the part was made for, and names the part's files with their digests. A part is
finished only if its note is one of its own and these files are there, whole.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from rnnscope.store import atomic
from rnnscope.store.contents import Content, Digesting, of_file

PARTS = "_parts"
FORMAT = 1
"""Of the notes; those of another format are not read."""


@dataclass(frozen=True)
class Part:
    """A run of consecutive sequences, start <= number < stop."""

    number: int
    start: int
    stop: int
    artefact: str = ""
    """The key of what it is a part of."""
    model: str = ""
    """Fingerprint of the trained model: trained again, it may be another under the same key."""


def parts_of(count: int, timesteps: int, rows: int, fixed: int | None, **made: str) -> list[Part]:
    """Cut sequences into parts.

    Args:
        count: how many sequences there are.
        timesteps: of each, with padding.
        rows: about how many timesteps a part has.
        fixed: the batch size that the model requires, of which a part has a multiple.
        made: ``artefact`` and ``model`` of each part.
    """
    size = max(1, rows // timesteps)
    if fixed:
        size = max(1, size // fixed) * fixed
    starts = range(0, count, size)
    return [
        Part(number, start, min(start + size, count), **made) for number, start in enumerate(starts)
    ]


@dataclass(frozen=True)
class Note:
    """The figures and file digests of a finished part."""

    figures: dict[str, Any]
    contents: dict[str, Content]
    """Of its files, by their names within the artefact's folder."""


def read(folder: Path, part: Part) -> Note | None:
    """The note of a finished part, whose files are read; None where it is not finished."""
    try:
        said = json.loads(_note(folder, part).read_bytes())
        if said["format"] != FORMAT or said["part"] != asdict(part):
            return None
        contents = {name: Content(**each) for name, each in said["contents"].items()}
        note = Note(dict(said["figures"]), contents)
        for name, content in contents.items():
            path = folder / name
            if path.stat().st_size != content.bytes or of_file(path) != content:
                return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return note


def write(
    folder: Path,
    part: Part,
    figures: dict[str, Any],
    states: Mapping[str, Content],
    tables: Mapping[str, pd.DataFrame],
) -> Note:
    """Write the note of a finished part.

    Args:
        folder: of the artefact.
        part: which one.
        figures: JSON values.
        states: the part's files, by their names within the folder.
        tables: its rows of each table, by the table's file name.
    """
    contents = dict(states)
    for name, rows in tables.items():
        path = rows_file(folder, part, name)
        with atomic.written(path) as unfinished, unfinished.open("wb") as file:
            digesting = Digesting(file)
            rows.to_parquet(digesting, index=False, write_page_checksum=True)
        contents[path.relative_to(folder).as_posix()] = digesting.content
    note = Note(figures, contents)
    said = {"format": FORMAT, "part": asdict(part), **asdict(note)}
    with atomic.written(_note(folder, part)) as unfinished:
        unfinished.write_text(json.dumps(said))
    return note


def rows_file(folder: Path, part: Part, name: str) -> Path:
    """The file of a part's rows of a table."""
    return folder / PARTS / f"{part.number:05d}.{name}"


def _note(folder: Path, part: Part) -> Path:
    return folder / PARTS / f"{part.number:05d}.json"
