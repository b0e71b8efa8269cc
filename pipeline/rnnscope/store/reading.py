"""Read a finished artefact as one, though another job may replace it meanwhile.

A forced run that comes to other files puts another folder in the place of a finished one. Files
that are opened one after the other, by their names, may then come from both. Here, what was read is
used only if the same folder stood there before and afterwards; else it is read again.
"""

import functools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from rnnscope.store import leftovers
from rnnscope.store.manifest import MANIFEST

Read = TypeVar("Read", bound=Callable[..., Any])

Identity = tuple[int, int, int | None] | None
"""Device and inode of a folder, and its manifest's time, as inodes are used again; None if it is
not there. A forced run that comes to equal files leaves all three as they are."""
TRIES, PAUSE = 40, 0.05
"""Looks for a folder that is just being replaced, and seconds between them."""


def identity(folder: Path) -> Identity:
    """What tells an artefact from another that takes its place."""
    for _ in range(TRIES):
        try:
            about = folder.stat()
        except OSError:
            if not leftovers.replacing(folder) and not folder.exists():
                return None
            time.sleep(PAUSE)
        else:
            return about.st_dev, about.st_ino, _manifest_time(folder)
    return None


def consistently(read: Read) -> Read:
    """A function that reads a folder, such that all that it reads is of the same artefact.

    A link such as ``latest/extract`` is followed once.
    """

    @functools.wraps(read)
    def whole(folder: Path | str, *args: Any, **kwargs: Any) -> Any:
        while True:
            place = Path(folder).resolve()
            before = identity(place)
            try:
                found = read(place, *args, **kwargs)
            except Exception:
                if identity(place) == before:
                    raise
                continue
            if identity(place) == before:
                return found

    return cast(Read, whole)


def _manifest_time(folder: Path) -> int | None:
    """When a manifest was written, in ns; opened first, so that NFS asks its server."""
    try:
        with (folder / MANIFEST).open("rb") as file:
            return os.fstat(file.fileno()).st_mtime_ns
    except OSError:
        return None
