"""A Dask cluster whose workers are Slurm jobs."""

import contextlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rnnscope.config import DaskSlurm
from rnnscope.errors import UserError

LOOPBACK = "127.0.0.1"


@contextlib.contextmanager
def slurm_cluster(engine: DaskSlurm, logs: Path) -> Iterator[Any]:
    """Workers as Slurm jobs, replaced when lost, cancelled at the end."""
    from dask_jobqueue import SLURMCluster

    if shutil.which("sbatch") is None:
        raise UserError("engine=dask_slurm: no sbatch here; run where jobs are submitted")
    _refuse_no_network(engine)
    with SLURMCluster(
        cores=engine.cpus_per_task,
        processes=1,
        memory=f"{engine.mem_gb}GB",
        queue=engine.partition,
        account=engine.account,
        walltime=f"{engine.timeout_min // 60:02}:{engine.timeout_min % 60:02}:00",
        job_extra_directives=_directives(engine),
        job_script_prologue=["export PYTHONSAFEPATH=1", *engine.setup],
        job_name="rnnscope",
        log_directory=str(logs),
        interface=engine.interface,
        # Slurm enforces a job's memory limit. Dask's limit would only pause a worker, indefinitely,
        # because TensorFlow does not return memory.
        worker_extra_args=["--no-dashboard", "--memory-limit=0"],
        # The status page is for users of this machine only.
        scheduler_options={"dashboard_address": f"{LOOPBACK}:0"},
    ) as cluster:
        _refuse_what_slurm_refuses(cluster.job_script())
        cluster.adapt(minimum=engine.jobs, maximum=engine.jobs)
        yield cluster


def _refuse_no_network(engine: DaskSlurm) -> None:
    """Raise if this machine has no network interface of the given name."""
    from distributed.utils import get_ip_interface

    try:
        if engine.interface is not None:
            get_ip_interface(engine.interface)
    except ValueError as error:
        raise UserError(f"engine.interface={engine.interface}: {error}") from error


def _refuse_what_slurm_refuses(script: str) -> None:
    """Raise if Slurm would refuse the job; Dask would submit it again and again, silently."""
    tried = subprocess.run(
        ["sbatch", "--test-only"], input=script, capture_output=True, text=True, check=False
    )
    if tried.returncode:
        raise UserError(f"engine=dask_slurm: {sbatch_says(tried.stderr) or tried.stderr.strip()}")


def sbatch_says(text: str) -> str:
    """The errors that sbatch reports, in one line; empty if there are none."""
    told = re.findall(r"^sbatch: (?:error|fatal): (.+)", text, re.MULTILINE)
    reasons = [line.removeprefix("Batch job submission failed: ").strip() for line in told]
    return f"sbatch: {'; '.join(dict.fromkeys(reasons))}" if reasons else ""


def _directives(engine: DaskSlurm) -> list[str]:
    """Options of sbatch that dask-jobqueue has no parameter for."""
    given = {"qos": engine.qos, "constraint": engine.constraint, **engine.additional_parameters}
    return [
        f"--{name}" if value is True else f"--{name}={value}"
        for name, value in given.items()
        if value is not None and value is not False
    ]
