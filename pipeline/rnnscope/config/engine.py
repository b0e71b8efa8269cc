"""Group engine: where the work runs."""

from dataclasses import dataclass
from typing import Any

from rnnscope.config.options import option


@dataclass
class Engine:
    """Where parts run. Never part of a result's identity."""

    name: str = option()
    workers: int | None = option(low=1)
    """Threads of this process; null means one per core."""


@dataclass
class Dask(Engine):
    """Parts of extract and units on a Dask cluster; everything else in threads."""

    address: str = option()
    """Of its scheduler, such as tcp://10.0.0.1:8786."""
    wait_s: int = option(low=1)
    """Seconds without any worker, also before the first, after which to give up."""


@dataclass
class DaskSlurm(Engine):
    """The same on workers that are started as Slurm jobs, and end with the stages they are for."""

    jobs: int = option(low=1)
    """Workers, each a job of its own."""
    partition: str | None = option()
    """Where to; null means the cluster's default, as with the next three."""
    account: str | None = option()
    """Who pays."""
    qos: str | None = option()
    """Quality of service."""
    constraint: str | None = option()
    """Features that a node must have."""
    timeout_min: int = option(low=1)
    """A job's time limit in minutes."""
    mem_gb: int = option(low=1)
    """Memory of a job, in GB."""
    cpus_per_task: int = option(low=1)
    """Cores of a job: so many parts at a time."""
    interface: str | None = option()
    """Network between the nodes, such as ib0; null takes the one that leads out."""
    additional_parameters: dict[str, Any] = option()
    """Other options of sbatch, by their long names; true for one without a value."""
    setup: list[str] = option()
    """Shell lines before each worker."""
    wait_s: int = option(low=1)
    """Seconds without any worker, also before the first, after which to give up."""
