"""One job of a sweep: its record, its share of the machine, and its mark on the terminal.

Every job keeps a record in its folder of logs, job.json: running, then done or failed. One that was
killed says nothing more, so its record goes on saying running. The launchers know less: the first
failure is all that they report.
"""

import contextlib
import json
import logging
import os
import socket
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rnnscope.errors import UserError
from rnnscope.store import atomic, locks

log = logging.getLogger(__name__)

RECORD = "job.json"
ENDED = ("done", "failed")


@contextlib.contextmanager
def recorded(folder: Path) -> Iterator[dict[str, Any]]:
    """Keep the record of the job that runs inside; what is added to it is kept too.

    A failure ends in the record and in the log, and goes no further, so that no launcher takes it
    for the end of all. What kills a job, or sends it back into a queue, passes and changes nothing.
    """
    record = {
        "state": "running",
        "attempts": read_record(folder).get("attempts", 0) + 1,
        "began": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "host": os.environ.get("SLURMD_NODENAME") or socket.gethostname(),
    }
    _write_record(folder, record)
    started = time.perf_counter()
    try:
        yield record
        record["state"] = "done"
    except Exception as error:
        record |= {"state": "failed", "error": first_line(error)}
        log.error(f"failed     {record['error']}")
        logging.getLogger("traceback").exception("the job failed")
    record["seconds"] = round(time.perf_counter() - started, 3)
    _write_record(folder, record)


def read_record(folder: Path) -> dict[str, Any]:
    """A job's record; empty before the job begins, and where it cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        record: dict[str, Any] = json.loads(locks.patiently((folder / RECORD).read_text))
        return record
    return {}


def _write_record(folder: Path, record: dict[str, Any]) -> None:
    with atomic.written(folder / RECORD) as unfinished:
        unfinished.write_text(json.dumps(record, indent=2) + "\n")


def first_line(error: BaseException) -> str:
    """An error in one line: a user's mistake as it is, anything else with its kind."""
    text = next(iter(str(error).strip().splitlines()), "")
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"


def share(n_jobs: int | None) -> int | None:
    """How many cores a job may use: its part of the machine, or what Slurm gave it; None is all.

    Args:
        n_jobs: jobs at a time on this machine, in joblib's terms: -1 is as many as cores.
    """
    if n_jobs is not None:
        import joblib

        cores: int = joblib.cpu_count()
        return max(1, cores // max(1, n_jobs if n_jobs > 0 else cores + 1 + n_jobs))
    given = os.environ.get("SLURM_CPUS_PER_TASK", "")
    return int(given) if given.isdigit() else None


def keep_to(cores: int) -> None:
    """Let TensorFlow, which is not yet imported, use so many cores, and memory as it needs it."""
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, str(cores))
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")


class Marked(logging.Formatter):
    """Messages with the job's number before each line: several jobs write to one terminal."""

    def __init__(self, number: int):
        super().__init__("%(message)s")
        self.mark = f"#{number:<4}"

    def format(self, record: logging.LogRecord) -> str:
        """Put the mark before each line."""
        return textwrap.indent(super().format(record), self.mark)
