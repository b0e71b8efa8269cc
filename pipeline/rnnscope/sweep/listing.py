"""A sweep on the terminal: its plan, and the table of how its jobs ended."""

import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rnnscope import stages
from rnnscope.store import Artefact
from rnnscope.sweep.jobs import Job
from rnnscope.sweep.record import ENDED

if TYPE_CHECKING:
    import pandas as pd

TABLE = "jobs.parquet"
GAP = "  "
"""Between columns on the terminal."""

Endings = Mapping[int, tuple[str, str, Path]]
"""For jobs that could not record their own end, by number: state, error in one line, and log."""


def plan_lines(jobs: Sequence[Job]) -> list[str]:
    """One line per job: which stages would run, and which share the result of another job."""
    makers: dict[Artefact, int] = {}
    counts: dict[str, Counter[str]] = {}
    cells: list[dict[str, str]] = []
    for job in jobs:
        words = {}
        for step in stages.chain(job.config) if job.config else []:
            maker = makers.setdefault(step.artefact, job.number)
            shared = step.waits and maker != job.number
            word = "shared" if shared else "would run" if step.waits else "up to date"
            counts.setdefault(step.stage.name, Counter())[word] += 1
            words[step.stage.name] = f"as job {maker}" if shared else word
        cells.append(words)
    names = tuple(counts)
    rows = []
    for job, words in zip(jobs, cells, strict=True):
        would = [job.mistake] if job.mistake else [words.get(name, "") for name in names]
        rows.append((str(job.number), job.differs, *would))
    sums = [
        f"{name:<12}" + ", ".join(f"{count} {word}" for word, count in counts[name].items())
        for name in names
    ]
    return [*_aligned(("job", "config", *names), rows), "", *sums]


def table(jobs: Iterable[Job], endings: Endings) -> "pd.DataFrame":
    """One row per job: job, config, state, seconds, error, log, attempts, host, key.

    State is done, failed, or one of ``endings``; seconds are those of the last attempt, key is the
    key of the last stage's artefact.

    Args:
        jobs: all jobs of the sweep.
        endings: of jobs that could not record their own end.
    """
    import pandas as pd

    rows = []
    for job in jobs:
        record = job.record()
        row = {"job": job.number, "config": job.differs, "log": str(job.log), **record}
        if record.get("state") not in ENDED:
            state, error, log = endings[job.number]
            row |= {"state": state, "error": error}
            row |= {} if record else {"log": str(log)}
        rows.append(row)
    text = dict.fromkeys(("config", "state", "error", "log", "host", "key"), "string")
    kinds = text | {"job": "Int32", "attempts": "Int32", "seconds": "Float64"}
    order = ["job", "config", "state", "seconds", "error", "log", "attempts", "host", "key"]
    return pd.DataFrame(rows, columns=order).astype(kinds)


def lines(jobs: "pd.DataFrame", width: int | None = None) -> list[str]:
    """The table for a terminal, each error once, then the logs of the jobs that failed.

    On a narrow terminal configs are cut, so that state and seconds stay visible; errors are not.
    """
    width = width or shutil.get_terminal_size((200, 24)).columns
    first_with: dict[str, int] = {}
    rows: list[tuple[str, ...]] = []
    logs = []
    for row in jobs.astype(object).where(jobs.notna(), None).to_dict("records"):
        number, error = row["job"], row["error"] or ""
        first = first_with.setdefault(error, number)
        if error and first != number:
            error = f"as job {first}"
        seconds = "" if row["seconds"] is None else f"{row['seconds']:.1f}"
        rows.append((str(number), row["config"], row["state"], seconds, error))
        if row["state"] != "done":
            logs.append(f"{number:<3}  {row['log']}")
    header = ("job", "config", "state", "seconds", "")
    others = sum(max(len(row[column]) for row in (header, *rows)) for column in (0, 2, 3))
    room = max(len("config"), width - others - 3 * len(GAP))
    aligned = _aligned(header, [(number, _cut(text, room), *rest) for number, text, *rest in rows])
    end = ", ".join(f"{count} {state}" for state, count in Counter(jobs["state"]).items())
    if logs:
        logs = ["", *logs]
        end += "; the same command runs what is missing"
    return ["", *aligned, *logs, "", end]


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else f"{text[: size - 3]}..."


def _aligned(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Columns of equal width, two spaces between; a short row's last cell may be wider."""
    whole = [row for row in rows if len(row) == len(header)]
    widths = [max(map(len, column)) for column in zip(header, *whole, strict=True)]
    return [
        GAP.join(f"{cell:<{size}}" for cell, size in zip(row, widths, strict=False)).rstrip()
        for row in (header, *rows)
    ]
