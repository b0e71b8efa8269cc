"""Run a function over parts, several at a time. Nothing more than joblib's threads, here."""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from joblib import Parallel, delayed

from pipeline.config import Engine
from pipeline.terminal import bar

P = TypeVar("P")
R = TypeVar("R")


def workers(engine: Engine) -> int:
    """How many parts run at a time."""
    return engine.workers or len(os.sched_getaffinity(0))


def run(
    function: Callable[[P], R], parts: Iterable[P], engine: Engine, *, what: str, unit: str
) -> Iterator[R]:
    """The results of ``function`` over ``parts``, in their order, as they come.

    Args:
        function: called in threads; what takes long in it must release the interpreter's lock, as
            NumPy, Arrow and TensorFlow do.
        parts: the units of work.
        engine: where and how many at a time.
        what: names the progress bar.
        unit: of its count.
    """
    parts = list(parts)
    pool = Parallel(workers(engine), backend="threading", return_as="generator")
    with bar(total=len(parts), desc=what, unit=unit) as progress:
        for result in pool(delayed(function)(part) for part in parts):
            progress.update()
            yield result
