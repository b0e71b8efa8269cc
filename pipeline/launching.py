"""Run the jobs of a sweep until all have ended, whatever becomes of single ones.

Hydra's launchers do the work. They give up at the first job that is lost; what is here goes on.
"""

import io
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cluster import sbatch_says
from pipeline.errors import UserError
from pipeline.job import ENDED, first_line
from pipeline.sweep import Fates, Job

if TYPE_CHECKING:
    from submitit import SlurmJob

Launch = Callable[[Sequence[Sequence[str]], int], object]
"""A launcher's ``launch``: each job's overrides, and the number of the first."""

STATES = {
    "CANCELLED": "cancelled",
    "FAILED": "failed",
    "OUT_OF_MEMORY": "out of memory",
    "TIMEOUT": "timed out",
}
"""Slurm's words that say more than that a job was killed."""
SLURMS_OWN = ("srun: ", "slurmstepd: ", "slurmd: ")
"""How lines begin by which Slurm says that a job failed, and not why."""


def here(launch: Launch, jobs: Sequence[Job]) -> Fates:
    """Run the jobs on this machine.

    A process that is killed takes with it those beside it: they run again, each alone, so that in
    the end only what brought it down is missing.
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
    killed = "killed", "its process was ended from outside; out of memory, perhaps"
    return {
        job.number: (*(killed if job.record() else ("not begun", trouble)), job.log)
        for job in jobs
        if job.record().get("state") not in ENDED
    }


def on_slurm(launch: Launch, jobs: Sequence[Job], folder: str) -> Fates:
    """Submit the jobs to Slurm and wait for all of them.

    Args:
        launch: that of the launcher.
        jobs: all jobs of the sweep.
        folder: the launcher's submitit_folder, in which %j stands for a job's id.

    Raises:
        UserError: Slurm takes none of them.
    """
    for job in jobs:
        job.folder.mkdir(parents=True, exist_ok=True)
    try:
        with _watched(jobs):
            held = io.StringIO()
            try:
                with redirect_stderr(held):
                    _launch(launch, jobs)
            except Exception as error:
                if not (submitted := _submitted(folder)):
                    held.truncate(0)  # submitit prints what it then raises
                    raise UserError(f"hydra/launcher=slurm: {_refusal(error)}") from error
                for each in submitted.values():
                    each.wait()
            finally:
                sys.stderr.write(held.getvalue())
    except KeyboardInterrupt:
        if _submitted(folder):
            print("what was submitted goes on: squeue shows it, scancel ends it")
        raise
    for job in jobs:
        os.utime(job.folder)  # NFS then asks its server anew what is in there
    lost = [job.number for job in jobs if job.record().get("state") not in ENDED]
    return {number: _fate(_submitted(folder)[number]) for number in lost}


@contextmanager
def errors_to(file: Path) -> Iterator[None]:
    """Let this process and those that begin meanwhile write their errors there.

    Ctrl-C also reaches the processes of jobs: one that is only beginning prints a traceback, and
    what watches over its semaphores complains. If the launcher fails, all comes to the terminal.
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
    """Jobs by numbers without a gap: a launcher counts on from the first that it is told."""
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


def _refusal(error: Exception) -> str:
    """Why nothing could be submitted: all that sbatch says, or else the error's first line."""
    return sbatch_says(str(error)) or str(error).partition("\n")[0] or type(error).__name__


def _submitted(folder: str) -> dict[int, "SlurmJob[object]"]:
    """The jobs that submitit keeps files of, by their number in the sweep.

    Their id is <array>_<number>; of a sweep of one job, plainly its own.
    """
    from submitit import SlurmJob

    found = {}
    for file in Path(folder).parent.glob("*/*_submitted.pkl"):
        name = file.parent.name
        found[int(name.partition("_")[2] or 0)] = SlurmJob[object](folder, job_id=name)
    return found


def _fate(job: "SlurmJob[object]") -> tuple[str, str, Path]:
    """What became of a job that has not said so itself."""
    said = job.state
    state = STATES.get(said.partition(" ")[0], "killed")
    log = job.paths.stderr
    if state == "failed" and (last := _last_line(log)):
        said = f"{said}: {last}"
    return state, f"Slurm says {said}", log


def _last_line(file: Path) -> str:
    """The last line of a log in which something else than Slurm speaks; empty without one."""
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    said = (line.strip() for line in reversed(lines))
    return next((line for line in said if line and not line.startswith(SLURMS_OWN)), "")


@contextmanager
def _watched(jobs: Sequence[Job]) -> Iterator[None]:
    """Say meanwhile which jobs begin and end: what they say themselves is not heard here."""
    stop = threading.Event()
    watcher = threading.Thread(target=_watch, args=(jobs, stop), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()


def _watch(jobs: Sequence[Job], stop: threading.Event) -> None:
    known: dict[int, tuple[str, int]] = {}
    last = False
    while not last:
        last = stop.wait(2)
        for job in jobs:
            if known.get(job.number, ("",))[0] in ENDED or not (record := job.record()):
                continue
            now = record["state"], record["attempts"]
            if known.get(job.number) != now:
                known[job.number] = now
                print(f"#{job.number:<4}{_news(record)}", flush=True)


def _news(record: dict[str, object]) -> str:
    match record:
        case {"state": "running", "attempts": attempts, "host": host}:
            return f"runs{' again' if attempts != 1 else ''} on {host}"
        case {"error": error}:
            return f"failed: {error}"
        case _:
            return f"done, {record['seconds']} s"
