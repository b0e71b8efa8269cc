"""Run the jobs of a sweep on this machine, and keep going when single jobs fail or are killed.

Hydra's launchers do the work. They stop at the first job whose process is killed; this continues.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rnnscope.sweep.jobs import Job
from rnnscope.sweep.listing import Endings
from rnnscope.sweep.record import ENDED, first_line

Launch = Callable[[Sequence[Sequence[str]], int], object]
"""A launcher's ``launch``: takes each job's overrides, and the number of the first job."""


def run(launch: Launch, jobs: Sequence[Job]) -> Endings:
    """Run the jobs on this machine.

    A killed process ends the whole pool of processes. The jobs that were running then run again,
    one at a time, so that only jobs that kill their own process remain unfinished.
    """
    batches, trouble = _consecutive(jobs), ""
    while batches:
        batch = batches.pop(0)
        try:
            _launch(launch, batch)
        except Exception as error:
            if not any(job.record() for job in jobs):
                raise
            trouble = first_line(error)
            if len(batch) > 1 and any(job.record() for job in batch):
                again = [job for job in batch if job.record().get("state") == "running"]
                rest = [job for job in batch if not job.record()]
                if again:
                    names = ", ".join(str(job.number) for job in again)
                    print(f"a process was killed; again, one at a time: {names}", flush=True)
                batches = [*([job] for job in again), *_consecutive(rest), *batches]
    killed = "killed", "its process was killed, perhaps because memory ran out"
    return {
        job.number: (*(killed if job.record() else ("not begun", trouble)), job.log)
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
    except Exception:
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


def _launch(launch: Launch, jobs: Sequence[Job]) -> None:
    """Run jobs whose numbers are consecutive."""
    launch([list(job.overrides) for job in jobs], jobs[0].number)
