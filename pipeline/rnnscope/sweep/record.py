"""The record of a job: job.json in its folder of logs, with its state, attempts, seconds and error.

Its state is running, then done or failed. A job whose process is killed cannot change it any more,
so its record stays at running. Hydra's launchers report no more than the first failure.
"""

import contextlib
import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rnnscope.errors import Failed, UserError
from rnnscope.store import atomic, locks

log = logging.getLogger(__name__)

RECORD = "job.json"
ENDED = ("done", "failed")


@contextlib.contextmanager
def recorded(folder: Path) -> Iterator[dict[str, Any]]:
    """Keep the record of the job that runs inside; entries that it adds are kept too.

    An exception is recorded and logged, and not raised, so that no launcher stops the other jobs.
    SystemExit and KeyboardInterrupt, by which a job is killed or requeued, pass unrecorded.
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
    """A job's record; empty before the job begins, or if the file cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        record: dict[str, Any] = json.loads(locks.retried((folder / RECORD).read_text))
        return record
    return {}


def _write_record(folder: Path, record: dict[str, Any]) -> None:
    with atomic.written(folder / RECORD) as unfinished:
        unfinished.write_text(json.dumps(record, indent=2) + "\n")


def first_line(error: BaseException) -> str:
    """An error in one line: one that is made for it as it is, any other with its type."""
    text = next(iter(str(error).strip().splitlines()), "")
    return text if isinstance(error, UserError | Failed) else f"{type(error).__name__}: {text}"
