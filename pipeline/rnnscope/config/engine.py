"""Group engine: where the work runs."""

from dataclasses import dataclass
from typing import Any

from rnnscope.config.options import NAME, PATH, option

CORES = 1_024
"""More cores than a machine has."""
MONTH = 30 * 24 * 3_600
"""In seconds."""
YEAR = 365 * 24 * 60
"""In minutes."""


@dataclass
class Engine:
    """Where parts run; not part of any key."""

    name: str = option(choices=("local", "dask", "dask_slurm"))
    """The kind of engine, set by engine=<kind>."""
    workers: int | None = option(low=1, high=CORES)
    """Threads of this process; null means one per core."""


@dataclass
class Dask(Engine):
    """Parts of extract and units on an existing Dask cluster; everything else in threads."""

    address: str = option(longest=NAME)
    """Address of the Dask scheduler, such as tcp://10.0.0.1:8786."""
    wait_s: int = option(low=1, high=MONTH)
    """Seconds without any worker, also before the first, after which to give up."""


@dataclass
class DaskSlurm(Engine):
    """The same on Dask workers started as Slurm jobs, which end with the stages they serve."""

    jobs: int = option(low=1, high=10_000)
    """Number of workers, each a Slurm job."""
    partition: str | None = option(longest=NAME)
    """Slurm partition; null means the cluster's default, also for the next three options."""
    account: str | None = option(longest=NAME)
    """Slurm account to charge."""
    qos: str | None = option(longest=NAME)
    """Quality of service."""
    constraint: str | None = option(longest=NAME)
    """Features that nodes must have."""
    timeout_min: int = option(low=1, high=YEAR)
    """A job's time limit in minutes."""
    mem_gb: int = option(low=1, high=100_000)
    """Memory of a job, in GB."""
    cpus_per_task: int = option(low=1, high=CORES)
    """Cores of a job; it computes as many parts at a time."""
    interface: str | None = option(longest=NAME)
    """Network interface between the nodes, such as ib0; null takes that of the default route."""
    additional_parameters: dict[str, Any] = option(longest=NAME, most=100)
    """Other options of sbatch by their long names; true for an option without a value."""
    setup: list[str] = option(longest=PATH, fewest=0, most=100, repeats=True)
    """Shell lines to run before each worker."""
    wait_s: int = option(low=1, high=MONTH)
    """Seconds without any worker, also before the first, after which to give up."""
