"""Kill -9 at random moments, then the same command again: it finishes, and the bytes are equal."""

import functools
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from distributed import LocalCluster

from tests.torture import base, command
from tests.torture.base import Base
from tests.torture.faults import SURVIVED, Fault, Outcome

ON_DASK = ("extract", "units")
JOINING = 3.0
"""Seconds that a cluster adds, roughly."""
KILLS = 5
"""How often the same command is killed before it may finish."""


def faults(whole: Base, tries: int) -> Iterator[Fault]:
    """Every stage here, and on Dask those that spread over it."""
    chains = range(max(1, tries // KILLS))
    for stage in (*base.RUN, *base.OVER):
        attempts = [functools.partial(_here, whole, stage, number) for number in chains]
        yield Fault(f"kill -9 of {stage}", attempts, each=KILLS)
    for stage in ON_DASK:
        attempts = [functools.partial(_on_dask, whole, stage, number) for number in chains]
        yield Fault(f"kill -9 of {stage} on Dask", attempts, each=KILLS)


def _here(whole: Base, stage: str, number: int, folder: Path) -> Outcome:
    draw = random.Random(f"{stage} {number}")
    moments = [draw.uniform(0.2, 1.05) * whole.seconds[stage] for _ in range(KILLS)]
    return _crashes(whole, stage, moments, folder)


def _on_dask(whole: Base, stage: str, number: int, folder: Path) -> Outcome:
    draw = random.Random(f"{stage} {number}")
    moments = [draw.uniform(1, whole.seconds[stage] + JOINING) for _ in range(KILLS)]
    with LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        address = f"engine.address={cluster.scheduler_address}"
        return _crashes(whole, stage, moments, folder, "engine=dask", address)


def _crashes(
    whole: Base, stage: str, moments: Sequence[float], folder: Path, *where: str
) -> Outcome:
    """Kill the same command after some seconds, again and again; then let it finish.

    Where it finished before it was to be killed, what it made is judged, and a new root begun.
    """
    options = (*base.words(stage), *where)
    root = whole.without(stage, folder / "root0")
    told = f"{stage} killed after "
    for number, moment in enumerate(moments, 1):
        process = command.start(root, *options)
        time.sleep(moment)
        command.kill(process)
        process.communicate()
        told += f"{moment:.3f} s, "
        if process.returncode == 0:
            if bad := _finished(whole, stage, root, options, told):
                return bad
            root = whole.without(stage, folder / f"root{number}")
    return _finished(whole, stage, root, options, told) or SURVIVED


def _finished(
    whole: Base, stage: str, root: Path, options: Sequence[str], told: str
) -> Outcome | None:
    """What is wrong after the same command again; None if all is as undisturbed."""
    again = command.run(root, *options)
    return command.failed(again, told) or command.as_undisturbed(
        root, whole.truth(stage), stage, told
    )
