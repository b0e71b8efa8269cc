"""Run the jobs of a sweep until all have ended, whatever becomes of single ones.

Hydra's launchers do the work. They give up at the first job that is lost; what is here goes on.
"""

import dataclasses
import io
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.singleton import Singleton
from hydra.plugins.launcher import Launcher

from rnnscope.engine.cluster import sbatch_says
from rnnscope.errors import UserError
from rnnscope.sweep.jobs import Fates, Job
from rnnscope.sweep.record import ENDED, first_line

if TYPE_CHECKING:
    from submitit import Job as SubmittedJob

Launch = Callable[[Sequence[Sequence[str]], int], object]
"""A launcher's ``launch``: each job's overrides, and the number of the first."""

STATES = {
    "CANCELLED": "cancelled",
    "FAILED": "failed",
    "OUT_OF_MEMORY": "out of memory",
    "TIMEOUT": "timed out",
}
"""Slurm's words that say more than that a job was killed."""
LOOK = 2.0
"""Seconds between two looks at jobs on Slurm."""
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


def on_slurm(launcher: Launcher, jobs: Sequence[Job]) -> Fates:
    """Submit the jobs to Slurm as one array and wait for all of them.

    Args:
        launcher: hydra-submitit-launcher's, which each job calls.
        jobs: all jobs of the sweep.

    Raises:
        UserError: Slurm takes none of them.
    """
    for job in jobs:
        job.folder.mkdir(parents=True, exist_ok=True)
    handles = _submit(launcher, jobs)
    try:
        _wait(jobs, handles)
    except KeyboardInterrupt:
        print("submitted jobs continue: squeue lists them, scancel ends them")
        raise
    for job in jobs:
        os.utime(job.folder)  # NFS then asks its server anew what is in there
    return {
        job.number: _fate(handle)
        for job, handle in zip(jobs, handles, strict=True)
        if job.record().get("state") not in ENDED
    }


def _submit(launcher: Any, jobs: Sequence[Job]) -> list["SubmittedJob[object]"]:
    """Submit as the launcher's own ``launch`` does, and return a handle for each job.

    That method goes on to wait for the jobs in turn, and gives up at the first that is lost.
    """
    from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
    from submitit import AutoExecutor

    options = dict(launcher.params)
    folder, most = options.pop("submitit_folder"), options.pop("max_num_timeout")
    shared = {field.name for field in dataclasses.fields(BaseQueueConf)}
    named = {key if key in shared else f"slurm_{key}": value for key, value in options.items()}
    state = Singleton.get_state()
    calls = [
        (list(job.overrides), "hydra.sweep.dir", job.number, f"job_{job.number}", state)
        for job in jobs
    ]
    try:
        with redirect_stderr(io.StringIO()):  # submitit prints what it then raises
            executor = AutoExecutor(folder, cluster="slurm", slurm_max_num_timeout=most)
            executor.update_parameters(**named)
            return executor.map_array(launcher, *zip(*calls, strict=True))
    except Exception as error:
        raise UserError(f"hydra/launcher=slurm: {_refusal(error)}") from error


def _wait(jobs: Sequence[Job], handles: Sequence["SubmittedJob[object]"]) -> None:
    """Wait until all jobs have ended, and say meanwhile which begin and end."""
    told: dict[int, tuple[str, int]] = {}
    waiting = True
    while waiting:
        waiting = not all(handle.done() for handle in handles)
        for job in jobs:
            record = job.record()
            now = record.get("state", ""), record.get("attempts", 0)
            if record and told.get(job.number) != now:
                told[job.number] = now
                print(f"#{job.number:<4}{_news(record)}", flush=True)
        if waiting:
            time.sleep(LOOK)


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


def _fate(job: "SubmittedJob[object]") -> tuple[str, str, Path]:
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


def _news(record: dict[str, object]) -> str:
    match record:
        case {"state": "running", "attempts": attempts, "host": host}:
            return f"runs{' again' if attempts != 1 else ''} on {host}"
        case {"error": error}:
            return f"failed: {error}"
        case _:
            return f"done, {record['seconds']} s"
