"""Put a folder in the place of another, so that no reader finds neither or parts of both."""

import contextlib
import ctypes
import os
import shutil
from pathlib import Path

from rnnscope.store import contents, partials

EXCHANGE = 2
"""RENAME_EXCHANGE of Linux' renameat2."""
HERE = -100
"""AT_FDCWD: paths are as for any other call."""


def into_place(folder: Path, place: Path) -> None:
    """Rename a folder to ``place``; another that stands there is deleted.

    Where the file system cannot exchange two names (NFS cannot), nothing stands there for a
    moment.

    Raises:
        FileNotFoundError: the folder is gone; what stood there stays.
    """
    if not place.exists():
        folder.rename(place)
        return
    if exchange(folder, place):
        partials.discard(folder)
        return
    old = partials.aside(place)
    place.rename(old)
    try:
        folder.rename(place)
    except OSError:
        old.rename(place)
        raise
    shutil.rmtree(old, ignore_errors=True)  # NFS keeps files that are still open


def exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False where system or file system cannot.

    Raises:
        FileNotFoundError: one of them is not there.
    """
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(HERE, os.fsencode(one), HERE, os.fsencode(other), EXCHANGE) == 0:
        return True
    if not (one.exists() and other.exists()):
        raise FileNotFoundError(ctypes.get_errno(), f"{one} or {other} is gone")
    return False


def same(one: Path, other: Path, apart: str) -> bool:
    """Whether two folders hold files of the same names and contents, but for one of them.

    Args:
        one: a folder.
        other: another.
        apart: the name of a file that does not count.
    """
    with contextlib.suppress(FileNotFoundError):
        sizes = [
            {
                name: path.stat().st_size
                for path in folder.rglob("*")
                if path.is_file() and (name := path.relative_to(folder).as_posix()) != apart
            }
            for folder in (one, other)
        ]
        return sizes[0] == sizes[1] and all(
            contents.of_file(one / name) == contents.of_file(other / name) for name in sizes[0]
        )
    return False
