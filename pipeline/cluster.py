"""Dask clusters for parts: one that is there, or one of Slurm jobs that ends with its context."""

import contextlib
import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline import provenance
from pipeline.config import Dask, DaskSlurm, Engine
from pipeline.errors import UserError

LOOPBACK = "127.0.0.1"


@contextlib.contextmanager
def connected(engine: Dask | DaskSlurm, logs: Path) -> Iterator[str]:
    """A cluster that joblib's Dask backend finds by itself; gives its description.

    Args:
        engine: which cluster.
        logs: folder for what workers say that are started here.

    Raises:
        UserError: no cluster, no worker in time, or workers that would compute something else.
    """
    try:
        import distributed
    except ImportError as error:
        raise UserError(
            f"engine={engine.name}: needs the extra dask; "
            "install it with .venv/bin/python -m pip install -c requirements.lock -e '.[dask]'"
        ) from error
    for name in ("distributed", "dask_jobqueue"):
        logging.getLogger(name).setLevel(logging.ERROR)  # what matters comes as an exception
    with contextlib.ExitStack() as stack:
        where: Any
        if isinstance(engine, Dask):
            where = engine.address
        else:
            where = stack.enter_context(_on_slurm(engine, logs))
        try:
            client = stack.enter_context(distributed.Client(where, timeout=engine.wait_s))
            client.wait_for_workers(1, timeout=engine.wait_s)
        except (OSError, ValueError) as error:  # a TimeoutError is an OSError
            raise UserError(_unreachable(engine)) from error
        _refuse_other_code(client, engine)
        threads = sum(client.nthreads().values())
        yield f"{len(client.nthreads())} workers, {threads} threads at {client.scheduler.address}"


@contextlib.contextmanager
def _on_slurm(engine: DaskSlurm, logs: Path) -> Iterator[Any]:
    """Workers as Slurm jobs, replaced when lost, cancelled at the end."""
    from dask_jobqueue import SLURMCluster

    logs.mkdir(parents=True, exist_ok=True)
    with SLURMCluster(
        cores=engine.cpus_per_task,
        processes=1,
        memory=f"{engine.mem_gb}GB",
        queue=engine.partition,
        account=engine.account,
        walltime=f"{engine.timeout_min // 60:02}:{engine.timeout_min % 60:02}:00",
        job_extra_directives=_directives(engine),
        job_script_prologue=engine.setup,
        job_name="cellscope",
        log_directory=str(logs),
        interface=engine.interface,
        # Slurm keeps a job to its memory; Dask would only stop giving a worker tasks, for ever,
        # because what TensorFlow holds is never given back.
        worker_extra_args=["--no-dashboard", "--memory-limit=0"],
        # Its status page is for whoever is on this machine.
        scheduler_options={"dashboard_address": f"{LOOPBACK}:0"},
    ) as cluster:
        _refuse_what_slurm_refuses(cluster.job_script())
        cluster.adapt(minimum=engine.jobs, maximum=engine.jobs)
        yield cluster


def _refuse_what_slurm_refuses(script: str) -> None:
    """Raise where Slurm would not take the job: Dask tries it again and again, and says nothing."""
    try:
        tried = subprocess.run(
            ["sbatch", "--test-only"], input=script, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise UserError(
            "engine=dask_slurm: no sbatch here; run where jobs are submitted"
        ) from error
    if tried.returncode:
        why = next((line for line in tried.stderr.splitlines() if "error:" in line), tried.stderr)
        raise UserError(f"engine=dask_slurm: {why.strip()}")


def _directives(engine: DaskSlurm) -> list[str]:
    """Options of sbatch that dask-jobqueue has no word for."""
    given = {"qos": engine.qos, "constraint": engine.constraint, **engine.additional_parameters}
    return [
        f"--{name}" if value is True else f"--{name}={value}"
        for name, value in given.items()
        if value is not None and value is not False
    ]


def _unreachable(engine: Dask | DaskSlurm) -> str:
    if isinstance(engine, Dask):
        return (
            f"engine.address={engine.address}: no Dask scheduler with a worker answered within "
            f"engine.wait_s={engine.wait_s}; give the address that `dask scheduler` prints"
        )
    return (
        f"engine=dask_slurm: no worker began within engine.wait_s={engine.wait_s}; "
        "squeue shows what the jobs wait for"
    )


def _refuse_other_code(client: Any, engine: Engine) -> None:
    """Raise where a worker has other versions than this process, and so might find other bits."""
    here = provenance.packages()
    try:
        there = client.run(provenance.packages)
    except ModuleNotFoundError as error:
        raise UserError(
            f"engine={engine.name}: the workers cannot import {error.name}; "
            "start them in this project's environment"
        ) from error
    for address, found in there.items():
        for name, version in found.items():
            if version != here[name]:
                raise UserError(
                    f"engine={engine.name}: the worker at {address} has {name} {version}, "
                    f"here it is {here[name]}; start it in this project's environment"
                )
