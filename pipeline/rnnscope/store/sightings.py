"""What is seen of a lock's file, and for how long it has been seen unchanged."""

import errno
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

LONGEST = 4096
"""Bytes of a lock that are read."""
CLOSED = {errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.ENODEV}
"""Errors of opening what is no readable file."""

Seen = TypeVar("Seen")


@dataclass(frozen=True)
class Sight:
    """A lock's file at one moment."""

    name: str
    """Its holder's; empty where it cannot be read as one."""
    changed: int
    """Modification time in ns, by the file system's clock."""
    inode: int

    @property
    def token(self) -> str:
        """What stays the same while one holder holds the lock."""
        return self.name or f"inode {self.inode}"


class Watch:
    """For how long locks have shown no change, in seconds of this process's own clock."""

    def __init__(self) -> None:
        self._seen: dict[Path, tuple[Sight, float, float]] = {}

    def silence(self, lock: Path, sight: Sight, most: float) -> float:
        """Seconds since a lock was first seen as it is now.

        Args:
            lock: the file.
            sight: how it is now.
            most: what counts at most since the last look: a process that was itself suspended, as
                all jobs of a node may be, cannot tell for how long others were silent.
        """
        now = time.monotonic()
        before, silent, last = self._seen.get(lock, (None, 0.0, now))
        silent = silent + min(now - last, most) if sight == before else 0.0
        self._seen[lock] = sight, silent, now
        return silent


def look(lock: Path) -> Sight | None:
    """See a lock; None where nothing is.

    Opening the file makes NFS ask the server for its present content and attributes; ``stat``
    alone may answer from a cache that is a minute old.
    """
    try:
        return retried(lambda: _look(lock))
    except FileNotFoundError:
        return None


def touch(lock: Path) -> None:
    """Change a lock visibly for others."""
    os.utime(lock)


def retried(look: Callable[[], Seen]) -> Seen:
    """The result of ``look``, called up to three times: NFS may fail (ESTALE, EIO) and recover."""
    for pause in (0.1, 1.0):
        try:
            return look()
        except (FileNotFoundError, PermissionError):
            raise
        except OSError:
            time.sleep(pause)
    return look()


def _look(lock: Path) -> Sight:
    try:
        file = os.open(lock, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno not in CLOSED:
            raise
        about, content = lock.lstat(), b""
    else:
        try:
            about = os.fstat(file)
            content = os.read(file, LONGEST) if stat.S_ISREG(about.st_mode) else b""
        finally:
            os.close(file)
    return Sight(_name(content), about.st_mtime_ns, about.st_ino)


def _name(content: bytes) -> str:
    """A holder's name, if it is one."""
    text = content.decode(errors="replace")
    return text if ":" in text and text.isprintable() and "\ufffd" not in text else ""
