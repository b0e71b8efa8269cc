"""What a user's module may do to this process while it is imported: define things, not end it."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn
from unittest import mock

CPU_SECONDS = 60.0
"""Of this process, for one import; importing TensorFlow takes a tenth of it."""
SECONDS = 300.0
"""By the clock, where files come from a slow network."""


class Ended(Exception):  # noqa: N818
    """An import tried to end the process, did not end, or took modules away."""


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Import a module inside.

    Threads that it starts do not outlive the run, and the working folder is as before.

    Raises:
        Ended: it exits, is not done after a minute of work, or breaks ``sys.modules``.
    """
    modules, kept, folder = sys.modules, dict(sys.modules), Path.cwd()
    ended: BaseException | None = None
    try:
        with _without_exit(), _threads_as_daemons(), _limited():
            yield
    except SystemExit as error:
        ended = Ended(
            f"it exits, with status {error.code}: what runs as a script belongs under "
            "if __name__ == '__main__':"
        )
    except GeneratorExit:
        ended = Ended("it raises GeneratorExit")
    except Exception as error:
        ended = error
    os.chdir(folder)
    if lost := _restored(modules, kept):
        ended = Ended(f"it takes {lost[0]} and {len(lost) - 1} more out of sys.modules")
    if ended is not None:
        raise ended


def _restored(modules: dict[str, ModuleType], kept: dict[str, ModuleType]) -> list[str]:
    """Put back the table of modules and what it held; returns the names that were gone."""
    lost = sorted(set(kept) - set(sys.modules))
    sys.modules = modules
    modules.update({name: kept[name] for name in lost})
    return lost


@contextlib.contextmanager
def _without_exit() -> Iterator[None]:
    """``os._exit`` raises SystemExit: it would end this process without a word."""

    def leave(status: int) -> NoReturn:
        raise SystemExit(status)

    homes = [os, *(sys.modules[name] for name in ("posix", "nt") if name in sys.modules)]
    with contextlib.ExitStack() as stack:
        for home in homes:
            stack.enter_context(mock.patch.object(home, "_exit", leave))
        yield


@contextlib.contextmanager
def _threads_as_daemons() -> Iterator[None]:
    """Threads that start are daemons, for which the end of the process does not wait."""
    start = threading.Thread.start

    def as_daemon(thread: threading.Thread) -> None:
        thread.daemon = True
        start(thread)

    with mock.patch.object(threading.Thread, "start", as_daemon):
        yield


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """Raise where the limits are passed; only the main thread can be interrupted."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(
        signal, "setitimer"
    ):
        yield
        return

    def stop(number: int, frame: Any) -> NoReturn:
        raise Ended("it does not end")

    clocks = {
        signal.SIGPROF: (signal.ITIMER_PROF, CPU_SECONDS),
        signal.SIGALRM: (signal.ITIMER_REAL, SECONDS),
    }
    before = {number: signal.signal(number, stop) for number in clocks}
    try:
        for timer, seconds in clocks.values():
            signal.setitimer(timer, seconds)
        yield
    finally:
        for number, (timer, _) in clocks.items():
            signal.setitimer(timer, 0)
            signal.signal(number, before[number])
