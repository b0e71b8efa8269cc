"""Sweeps: their jobs, what each would do, and what became of each."""

import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnscope import stages
from rnnscope.config import Config
from rnnscope.sweep.record import ENDED, read_record

if TYPE_CHECKING:
    import pandas as pd

TABLE = "jobs.parquet"
GAP = "  "
"""Between columns on the terminal."""

Fates = Mapping[int, tuple[str, str, Path]]
"""Of jobs that could not say it themselves, by number: state, error in one line, and log."""


@dataclass(frozen=True)
class Job:
    """One config of a sweep."""

    number: int
    overrides: tuple[str, ...]
    """The words of the command line that lead to its config."""
    differs: str
    """Those in which it differs from other jobs."""
    folder: Path
    """Of its logs."""
    config: Config | None
    mistake: str | None
    """What is wrong with its config; it then has none."""

    @property
    def log(self) -> Path:
        """Where it says what it does."""
        return self.folder / "rnnscope.log"

    def record(self) -> dict[str, Any]:
        """What it has said of itself so far; nothing before it begins."""
        return read_record(self.folder)


def differing(jobs: Sequence[Sequence[str]]) -> list[str]:
    """Of each job's overrides, those that not all jobs have; all of them where all are alike."""
    counts = Counter(word for job in jobs for word in set(job))
    varied = [[word for word in job if counts[word] < len(jobs)] for job in jobs]
    return [" ".join(words) for words in (varied if any(varied) else jobs)]


def plan(jobs: Sequence[Job]) -> list[str]:
    """A line per job: what each stage would do, and with which job it shares the result."""
    makers: dict[Path, int] = {}
    counts: dict[str, Counter[str]] = {}
    cells: list[dict[str, str]] = []
    for job in jobs:
        words = {}
        for step in stages.chain(job.config) if job.config else []:
            maker = makers.setdefault(step.artefact.folder, job.number)
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


def table(jobs: Iterable[Job], fates: Fates) -> "pd.DataFrame":
    """One row per job: job, config, state, seconds, error, log, attempts, host, key.

    State is done, failed, or one of ``fates``; seconds are those of the last attempt, key is that
    of the last stage's artefact.

    Args:
        jobs: all jobs of the sweep.
        fates: of those that did not end by themselves.
    """
    import pandas as pd

    rows = []
    for job in jobs:
        record = job.record()
        row = {"job": job.number, "config": job.differs, "log": str(job.log), **record}
        if record.get("state") not in ENDED:
            state, error, log = fates[job.number]
            row |= {"state": state, "error": error}
            row |= {} if record else {"log": str(log)}
        rows.append(row)
    text = dict.fromkeys(("config", "state", "error", "log", "host", "key"), "string")
    kinds = text | {"job": "Int32", "attempts": "Int32", "seconds": "Float64"}
    order = ["job", "config", "state", "seconds", "error", "log", "attempts", "host", "key"]
    return pd.DataFrame(rows, columns=order).astype(kinds)


def lines(jobs: "pd.DataFrame", width: int | None = None) -> list[str]:
    """The table for a terminal, each error once, then the logs of what failed.

    Where it is too narrow, configs are cut, so that state and seconds are in sight; errors run on.
    """
    width = width or shutil.get_terminal_size((200, 24)).columns
    told: dict[str, int] = {}
    rows: list[tuple[str, ...]] = []
    logs = []
    for row in jobs.astype(object).where(jobs.notna(), None).to_dict("records"):
        number, error = row["job"], row["error"] or ""
        first = told.setdefault(error, number)
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
        end += "; the same command goes on with what is missing"
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
