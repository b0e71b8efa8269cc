"""Work that is killed before any of its operations on the file system, one after another."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

EVENTS = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.scandir")
"""Audit events before each of which the process may be killed; see the table in Python's docs."""


def killed_before(number: int, folder: Path, work: Callable[[], object]) -> bool:
    """Do the work in a fork that dies by SIGKILL before its n-th operation below a folder.

    Returns whether it died; False if the work was done before it came to that.
    """
    child = os.fork()
    if not child:
        left = number

        def count(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            if event in EVENTS and _inside(folder, arguments):
                left -= 1
                if left <= 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    if os.WIFSIGNALED(ended) and os.WTERMSIG(ended) == signal.SIGKILL:
        return True
    assert ended == 0, f"the work failed before operation {number}"
    return False


def every_kill(folder: Path, work: Callable[[], object]) -> Iterator[int]:
    """Kill the work before its first operation, its second, and so on, until it is done.

    Yields the number of each, after the kill; the caller cleans up before going on.
    """
    number = 1
    while killed_before(number, folder, work):
        yield number
        number += 1


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes, and every folder, by their names within it."""
    return {
        path.relative_to(folder).as_posix(): b"" if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


def _inside(folder: Path, arguments: tuple[object, ...]) -> bool:
    """Whether an operation is on something below a folder; names relative to an open folder are."""
    first = arguments[0] if arguments else None
    if not isinstance(first, str | bytes | os.PathLike):
        return False
    name = os.fsdecode(first)
    return name.startswith(str(folder)) or not name.startswith("/")
