"""Parts on a Dask cluster: an existing one, or Slurm jobs that end with the context.

Parts go to Dask directly. joblib's Dask backend computes them in this process if the cluster has
one thread at that moment, and waits for ever for a part that Dask has given up.
"""

import contextlib
import functools
import logging
import os
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any, TypeVar

from rnnscope.config import Dask, DaskSlurm
from rnnscope.config.location import installing
from rnnscope.engine.slurm import slurm_cluster
from rnnscope.errors import UserError, brief
from rnnscope.store import digests, provenance

LOOK = 5.0
"""Seconds between checks for workers."""

P = TypeVar("P")
R = TypeVar("R")


@contextlib.contextmanager
def connected(engine: Dask | DaskSlurm, logs: Path, files: Iterable[Path] = ()) -> Iterator[str]:
    """Connect to a cluster, which ``over`` then uses; yields its description.

    Args:
        engine: which cluster.
        logs: folder for the logs of workers that are started here.
        files: files that workers will read.

    Raises:
        UserError: no cluster, no worker in time, or workers that lack this code or these files.
    """
    try:
        import distributed
    except ImportError as error:
        raise UserError(
            f"engine={engine.name}: needs the extra dask: {installing('dask')}"
        ) from error
    except ValueError as error:  # names the file of Dask's settings that is wrong
        raise UserError(f"engine={engine.name}: {brief(error, 300)}; mend or remove it") from error
    for name in ("distributed", "dask_jobqueue"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # errors are raised here as exceptions
    logs.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        where: Any
        if isinstance(engine, Dask):
            where = engine.address
        else:
            where = stack.enter_context(slurm_cluster(engine, logs))
        try:
            client = stack.enter_context(distributed.Client(where, timeout=engine.wait_s))
            client.wait_for_workers(1, timeout=engine.wait_s)
        except (OSError, ValueError) as error:  # a TimeoutError is an OSError
            raise UserError(_unreachable(engine, logs)) from error
        _refuse_other_code(client, engine)
        _refuse_other_disk(client, engine, logs, files)
        threads = sum(client.nthreads().values())
        yield f"{len(client.nthreads())} workers, {threads} threads at {client.scheduler.address}"


def over(function: Callable[[P], R], parts: Sequence[P], engine: Dask | DaskSlurm) -> Iterator[R]:
    """The results of ``function`` over ``parts``, in their order, from the connected cluster.

    Exceptions of the function are raised here. A part whose worker is lost goes to another one.

    Raises:
        UserError: the scheduler is gone, no worker is left, or one part has ended several workers.
    """
    from distributed import get_client
    from distributed.comm import CommClosedError

    client = get_client()
    checked = functools.partial(_where_the_code_is_the_same, provenance.code(), function)
    waiting = deque(client.map(checked, parts, pure=False))
    try:
        while waiting:
            yield _result(client, waiting[0], engine)
            waiting.popleft()
    except (CancelledError, CommClosedError) as error:
        raise UserError(
            f"engine={engine.name}: the scheduler is gone; the same command resumes from here"
        ) from error
    finally:
        with contextlib.suppress(CancelledError, OSError):
            client.cancel(list(waiting))


def _result(client: Any, future: Any, engine: Dask | DaskSlurm) -> Any:
    """The result of one part; gives up after ``wait_s`` without any worker."""
    from distributed import KilledWorker

    seen = time.monotonic()
    while True:
        try:
            return future.result(timeout=min(LOOK, engine.wait_s))
        except TimeoutError:
            failed = future.status == "error"
            if failed and isinstance(own := future.exception(), TimeoutError):
                raise own from None  # raised by the part, not by this wait
            if client.nthreads():
                seen = time.monotonic()
            elif time.monotonic() - seen > engine.wait_s:
                raise UserError(
                    f"engine={engine.name}: no worker for engine.wait_s={engine.wait_s}; "
                    "the same command resumes from here"
                ) from None
        except KilledWorker as error:
            raise UserError(
                f"engine={engine.name}: one part has ended several workers, the last of them "
                f"{error.last_worker.address}; they may need more memory, or smaller parts "
                "(extract.part_rows, units.memory_mb)"
            ) from error


@functools.cache
def _code() -> dict[str, str]:
    return provenance.code()


def _where_the_code_is_the_same(here: dict[str, str], function: Callable[[P], R], part: P) -> R:
    """Call a function on a worker, which may have joined after the others were checked."""
    if difference := _difference(_code(), here):
        raise UserError(f"the worker on {os.uname().nodename} {difference}")
    return function(part)


def _difference(there: dict[str, str], here: dict[str, str]) -> str:
    """The first difference between a worker's code and ours, and its remedy; empty if none."""
    for name, version in here.items():
        if there[name] != version and name == "source":
            return (
                f"runs other rnnscope code (source {there[name]}, here {version}); "
                "restart it with the code that runs here"
            )
        if there[name] != version:
            return (
                f"has {name} {there[name]}, here it is {version}; "
                "start it in this project's environment"
            )
    return ""


def _unreachable(engine: Dask | DaskSlurm, logs: Path) -> str:
    if isinstance(engine, Dask):
        return (
            f"engine.address={engine.address}: no Dask scheduler with a worker answered within "
            f"engine.wait_s={engine.wait_s}; give the address that `dask scheduler` prints"
        )
    return (
        f"engine=dask_slurm: no worker started within engine.wait_s={engine.wait_s}; squeue shows "
        f"why jobs wait, {logs} has the logs of those that ended"
    )


def _refuse_other_code(client: Any, engine: Dask | DaskSlurm) -> None:
    """Raise if a worker has other packages, settings or rnnscope: its results might differ."""

    def found_there() -> dict[str, str]:
        # Sent by value: an error of its import reaches us as what it is.
        from rnnscope import libraries
        from rnnscope.store import provenance

        libraries.prepare()
        return provenance.code()

    try:
        there = client.run(found_there)
    except UserError as error:
        raise UserError(f"engine={engine.name}: on a worker, {error}") from error
    except ModuleNotFoundError as error:
        raise UserError(
            f"engine={engine.name}: the workers cannot import {error.name}; "
            "start them in this project's environment"
        ) from error
    except AttributeError as error:  # an rnnscope without this function
        raise UserError(
            f"engine={engine.name}: the workers run other rnnscope code; "
            "restart them with the code that runs here"
        ) from error
    for address, found in there.items():
        if difference := _difference(found, provenance.code()):
            raise UserError(f"engine={engine.name}: the worker at {address} {difference}")


def _refuse_other_disk(
    client: Any, engine: Dask | DaskSlurm, logs: Path, files: Iterable[Path]
) -> None:
    """Raise if a worker does not see the files that it will read, or the root."""
    probe = logs / f".{uuid.uuid4().hex}"
    probe.touch()
    there = [file for path in files for file in (digests.checkpoint(path) or {"": path}).values()]
    try:
        for path in (probe, *there):
            for address, seen in client.run(os.path.exists, str(path.resolve())).items():
                if not seen:
                    raise UserError(
                        f"engine={engine.name}: the worker at {address} does not see "
                        f"{logs if path is probe else path}; "
                        "root, data and model must be on a disk shared with all workers"
                    )
    finally:
        probe.unlink()
