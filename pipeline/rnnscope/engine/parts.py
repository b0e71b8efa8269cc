"""Run a function over parts, several at a time: in joblib's threads here, or on a Dask cluster."""

import contextlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from joblib import Parallel, delayed

from rnnscope import store
from rnnscope.config import Dask, DaskSlurm, Engine
from rnnscope.terminal import bar

log = logging.getLogger(__name__)

P = TypeVar("P")
R = TypeVar("R")


def workers(engine: Engine) -> int:
    """How many parts run at a time in this process."""
    return engine.workers or len(os.sched_getaffinity(0))


@contextlib.contextmanager
def opened(engine: Engine, root: Path, files: Iterable[Path] = ()) -> Iterator[None]:
    """Other machines, where the engine has any, are there for as long as the context lasts.

    Args:
        engine: where parts run.
        root: folder of everything written.
        files: what parts will read.

    Raises:
        UserError: they are not.
    """
    if not isinstance(engine, Dask | DaskSlurm):
        yield
        return
    from rnnscope.engine import cluster

    with cluster.connected(engine, store.logs(root) / "dask", files) as description:
        log.info(f"{'':<10} {description}")
        yield


def run(
    function: Callable[[P], R],
    parts: Iterable[P],
    engine: Engine,
    *,
    what: str,
    unit: str,
    spread: bool = False,
) -> Iterator[R]:
    """The results of ``function`` over ``parts``, in their order, as they come.

    Args:
        function: called in threads; what takes long in it must release the interpreter's lock, as
            NumPy, Arrow and TensorFlow do.
        parts: the units of work.
        engine: where and how many at a time.
        what: names the progress bar.
        unit: of its count.
        spread: whether parts may run on other machines, if the engine is opened and has any; then
            the function, the parts and the results must be picklable.
    """
    parts = list(parts)
    if spread and isinstance(engine, Dask | DaskSlurm):
        from rnnscope.engine import cluster

        results = cluster.over(function, parts, engine)
    else:
        pool = Parallel(workers(engine), backend="threading", return_as="generator")
        results = pool(delayed(function)(part) for part in parts)
    with bar(total=len(parts), desc=what, unit=unit) as progress:
        for result in results:
            progress.update()
            yield result
