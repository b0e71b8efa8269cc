"""Put a folder in the place of another, so that no reader finds neither or parts of both."""

import ctypes
import os
from pathlib import Path

from rnnscope.store import atomic, leftovers

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
        atomic.remove(folder)
        return
    old = leftovers.old(place)
    place.rename(old)
    try:
        folder.rename(place)
    except OSError:
        old.rename(place)
        raise
    atomic.remove(old)


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
