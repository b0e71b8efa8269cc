"""Run a function over parts, several at a time: in joblib's threads, or on a Dask cluster."""

import contextlib
import logging
import os
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from rnnscope import store
from rnnscope.config import Dask, DaskSlurm, Engine
from rnnscope.terminal import bar, in_words

log = logging.getLogger(__name__)

P = TypeVar("P")
R = TypeVar("R")

EARLY = 60.0
"""Seconds after which it can be said how long the rest will take."""
LONG = 600.0
"""Seconds left that are worth a line in the log."""


def workers(engine: Engine) -> int:
    """How many parts run at a time in this process."""
    return engine.workers or len(os.sched_getaffinity(0))


@contextlib.contextmanager
def opened(engine: Engine, root: Path, files: Iterable[Path] = ()) -> Iterator[None]:
    """Connect the engine's other machines, if it has any, while the context is open.

    Args:
        engine: where parts run.
        root: folder to which everything is written.
        files: files that parts will read.

    Raises:
        UserError: they cannot be reached, or have other code, or do not see these files.
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
) -> Generator[R, None, None]:
    """The results of ``function`` over ``parts``, in their order, as they become available.

    Args:
        function: called in threads; its slow operations must release the interpreter's lock, as
            those of NumPy, Arrow and TensorFlow do.
        parts: the units of work.
        engine: where parts run, and how many at a time.
        what: label of the progress bar.
        unit: unit of its count.
        spread: whether parts may run on other machines, if the engine has any and is opened; the
            function, the parts and the results must then be picklable.
    """
    parts = list(parts)
    if spread and isinstance(engine, Dask | DaskSlurm):
        from rnnscope.engine import cluster

        results = cluster.over(function, parts, engine)
    else:
        from joblib import Parallel, delayed  # which fails where a variable of its is wrong

        pool = Parallel(workers(engine), backend="threading", return_as="generator")
        results = pool(delayed(function)(part) for part in parts)
    text = f"{what}: {{}} of {{}} {unit}s"
    with _left_early(results), bar(total=len(parts), desc=what, unit=unit) as progress:
        for result in forecast(results, len(parts), text):
            progress.update()
            yield result


@contextlib.contextmanager
def _left_early(results: Any) -> Iterator[None]:
    """Close what gives results, without joblib's warning that some were not waited for."""
    try:
        yield
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            results.close()


def forecast(
    results: Iterable[R],
    total: int,
    what: str,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[R]:
    """The results, as they become available; if much is left after a minute, a log says how long.

    A log file has no progress bar, and tells otherwise of days of work only when it is done.

    Args:
        results: in order.
        total: how many there will be.
        what: names the work, with places for the number that is done and for the total.
        clock: seconds.
    """
    started, said = clock(), False
    for done, result in enumerate(results, 1):
        spent = clock() - started
        if not said and spent >= EARLY:
            left = spent / done * (total - done)
            if left >= LONG:
                said = True
                after, rest = in_words(spent), in_words(left)
                log.info(f"{'':<10} {what.format(done, total)} after {after}, about {rest} left")
        yield result
