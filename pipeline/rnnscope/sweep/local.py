"""Run the jobs of a sweep on this machine, and keep going when single jobs fail or are killed.

Hydra's launchers do the work. They stop at the first job whose process is killed; this continues.
"""

import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

from rnnscope.sweep.jobs import Job
from rnnscope.sweep.listing import Endings
from rnnscope.sweep.record import ENDED, first_line
from rnnscope.trouble import explained

Launch = Callable[[Sequence[Sequence[str]], int], Any]
"""A launcher's ``launch``: takes each job's overrides and the number of the first job, and returns
Hydra's ``JobReturn`` of each."""


def run(launch: Launch, jobs: Sequence[Job]) -> Endings:
    """Run the jobs on this machine.

    A killed process ends the whole pool of processes. The jobs that were running then run again,
    one at a time, so that only jobs that kill their own process remain unfinished.
    """
    batches, trouble = _consecutive(jobs), ""
    unrecorded: dict[int, str] = {}
    while batches:
        batch = batches.pop(0)
        try:
            unrecorded |= _launch(launch, batch)
        except Exception as error:
            if not any(job.record() for job in jobs):
                raise
            trouble = first_line(error, batch[0].folder)
            if len(batch) > 1 and any(job.record() for job in batch):
                again = [job for job in batch if job.record().get("state") == "running"]
                rest = [job for job in batch if not job.record()]
                if again and explained(error) is None:
                    names = ", ".join(str(job.number) for job in again)
                    print(f"a process was killed; again, one at a time: {names}", flush=True)
                batches = [*([job] for job in again), *_consecutive(rest), *batches]
    killed = "killed", "its process was killed, perhaps because memory ran out"
    return {
        job.number: (
            ("failed", unrecorded[job.number], job.log)
            if job.number in unrecorded
            else (*(killed if job.record() else ("not begun", trouble)), job.log)
        )
        for job in jobs
        if job.record().get("state") not in ENDED
    }


@contextmanager
def errors_to(file: Path) -> Iterator[None]:
    """Redirect standard error of this process, and of those that it starts, to a file.

    Ctrl-C also reaches the processes of jobs: one that is still starting prints a traceback, and
    its resource tracker complains. If the launcher fails, the file's content is printed.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    with file.open("wb") as held:
        os.dup2(held.fileno(), 2)
    try:
        yield
    except Exception as error:
        if explained(error) is None:
            os.write(terminal, file.read_bytes())
        raise
    finally:
        sys.stderr.flush()
        os.dup2(terminal, 2)
        os.close(terminal)
        if not file.stat().st_size:
            file.unlink()


def _consecutive(jobs: Sequence[Job]) -> list[list[Job]]:
    """Runs of jobs with consecutive numbers: a launcher numbers its jobs from the first."""
    found: list[list[Job]] = []
    for job in jobs:
        if found and found[-1][-1].number + 1 == job.number:
            found[-1].append(job)
        else:
            found.append([job])
    return found


def _launch(launch: Launch, jobs: Sequence[Job]) -> dict[int, str]:
    """Run jobs whose numbers are consecutive; why those failed that could not record it."""
    ended = launch([list(job.overrides) for job in jobs], jobs[0].number) or ()
    failed = {}
    for job, each in zip(jobs, ended, strict=False):
        try:
            with redirect_stderr(io.StringIO()):  # Hydra prints what it then raises
                _ = each.return_value
        except Exception as error:
            failed[job.number] = first_line(error, job.folder)
    return failed
