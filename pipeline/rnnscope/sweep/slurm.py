"""Run the jobs of a sweep on Slurm, and report how each of them ended, also those it killed."""

import dataclasses
import io
import os
import time
from collections.abc import Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.singleton import Singleton
from hydra.plugins.launcher import Launcher

from rnnscope.engine.slurm import sbatch_says
from rnnscope.errors import UserError
from rnnscope.sweep.jobs import Job
from rnnscope.sweep.listing import Endings
from rnnscope.sweep.record import ENDED

if TYPE_CHECKING:
    from submitit import Job as SubmittedJob

STATES = {
    "CANCELLED": "cancelled",
    "FAILED": "failed",
    "OUT_OF_MEMORY": "out of memory",
    "TIMEOUT": "timed out",
}
"""Slurm's states of a job that ended badly, in our words; all others are called killed."""
LOOK = 2.0
"""Seconds between two looks at jobs on Slurm."""
SLURMS_OWN = ("srun: ", "slurmstepd: ", "slurmd: ")
"""How the lines of Slurm's own programs begin, which say that a job failed but not why."""


def run(launcher: Launcher, jobs: Sequence[Job]) -> Endings:
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
        job.number: _ending(handle)
        for job, handle in zip(jobs, handles, strict=True)
        if job.record().get("state") not in ENDED
    }


def _submit(launcher: Any, jobs: Sequence[Job]) -> list["SubmittedJob[object]"]:
    """Submit as the launcher's own ``launch`` does, and return a handle for each job.

    That method then waits for the jobs in turn, and stops at the first that is lost.
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
    """Wait until all jobs have ended, and print which begin and end meanwhile."""
    printed: dict[int, tuple[str, int]] = {}
    waiting = True
    while waiting:
        waiting = not all(handle.done() for handle in handles)
        for job in jobs:
            record = job.record()
            now = record.get("state", ""), record.get("attempts", 0)
            if record and printed.get(job.number) != now:
                printed[job.number] = now
                print(f"#{job.number:<4}{_news(record)}", flush=True)
        if waiting:
            time.sleep(LOOK)


def _refusal(error: Exception) -> str:
    """Why nothing was submitted: what sbatch printed, or else the error's first line."""
    return sbatch_says(str(error)) or str(error).partition("\n")[0] or type(error).__name__


def _ending(job: "SubmittedJob[object]") -> tuple[str, str, Path]:
    """State, error and log of a job that could not record its own end."""
    slurm = job.state
    state = STATES.get(slurm.partition(" ")[0], "killed")
    log = job.paths.stderr
    if state == "failed" and (last := _last_line(log)):
        slurm = f"{slurm}: {last}"
    return state, f"Slurm says {slurm}", log


def _last_line(file: Path) -> str:
    """The last line of a log that is not Slurm's own; empty if there is none."""
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    stripped = (line.strip() for line in reversed(lines))
    return next((line for line in stripped if line and not line.startswith(SLURMS_OWN)), "")


def _news(record: dict[str, object]) -> str:
    match record:
        case {"state": "running", "attempts": attempts, "host": host}:
            return f"runs{' again' if attempts != 1 else ''} on {host}"
        case {"error": error}:
            return f"failed: {error}"
        case _:
            return f"done, {record['seconds']} s"
