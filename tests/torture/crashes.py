"""Kill -9 at random moments, then the same command again: it finishes, and the bytes are equal."""

import functools
import random
import time
from collections.abc import Iterator
from pathlib import Path

from distributed import LocalCluster

from tests.torture import base, command
from tests.torture.base import Base
from tests.torture.faults import SURVIVED, Fault, Outcome

ON_DASK = ("extract", "units")
JOINING = 3.0
"""Seconds that a cluster adds, roughly."""


def faults(whole: Base, tries: int) -> Iterator[Fault]:
    """Every stage here, and on Dask those that spread over it."""
    for stage in (*base.RUN, *base.OVER):
        attempts = [functools.partial(_here, whole, stage, number) for number in range(tries)]
        yield Fault(f"kill -9 of {stage}", attempts)
    for stage in ON_DASK:
        attempts = [functools.partial(_on_dask, whole, stage, number) for number in range(tries)]
        yield Fault(f"kill -9 of {stage} on Dask", attempts)


def _here(whole: Base, stage: str, number: int, folder: Path) -> Outcome:
    moment = random.Random(f"{stage} {number}").uniform(0.2, 1.05) * whole.seconds[stage]
    return _crash(whole, stage, moment, folder)


def _on_dask(whole: Base, stage: str, number: int, folder: Path) -> Outcome:
    moment = random.Random(f"{stage} {number}").uniform(1, whole.seconds[stage] + JOINING)
    with LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        address = f"engine.address={cluster.scheduler_address}"
        return _crash(whole, stage, moment, folder, "engine=dask", address)


def _crash(whole: Base, stage: str, moment: float, folder: Path, *where: str) -> Outcome:
    """Kill the command after some seconds, and run it again."""
    root = whole.without(stage, folder / "root")
    options = (*base.words(stage), *where)
    process = command.start(root, *options)
    time.sleep(moment)
    command.kill(process)
    process.communicate()
    again = command.run(root, *options)
    told = f"{stage} killed after {moment:.3f} s: "
    return (
        command.failed(again, told)
        or command.as_undisturbed(root, whole.truth(stage), stage, told)
        or SURVIVED
    )
