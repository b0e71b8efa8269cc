"""Locks between jobs on many machines: files beside what they guard, kept alive by a heartbeat.

The file system must create a file exclusively and rename a file in one step each, and opening a
file must show what was written to it before. NFS does all three. Its locks (flock, lockf) and the
clocks of its clients cannot be relied on, and are not used.

A job that was suspended for a long time may have lost its lock without noticing. Before it
publishes its work it must check that it still holds the lock.
"""

import contextlib
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from rnnscope.store import processes

log = logging.getLogger(__name__)

HEARTBEAT = 5.0
"""Seconds between two signs of life of a lock's holder."""
STALE = 60.0
"""Seconds without one after which another job takes the lock over."""

Seen = TypeVar("Seen")


@contextlib.contextmanager
def held(lock: Path, stage: str) -> Iterator[str]:
    """Hold a lock, waiting while another living job holds it; yields the holder's name.

    Args:
        lock: the file.
        stage: what waits, for the log.
    """
    name = f"{processes.this_process()}:{uuid.uuid4().hex}"
    pause = 0.0
    while not _take(lock, name):
        if not pause:
            other = processes.described(holder(lock) or "")
            log.info(f"{stage:<10} waits for {other}, which is computing the same artefact")
        # Many jobs may wait for long, and every check costs the file server some work.
        pause = min(max(0.2, 1.2 * pause), HEARTBEAT)
        time.sleep(pause)
    stop = threading.Event()
    heart = threading.Thread(target=_beat, args=(lock, stop), daemon=True)
    heart.start()
    try:
        yield name
    finally:
        stop.set()
        heart.join()
        with contextlib.suppress(OSError):  # the work is done; a lock that stays becomes stale
            _pass_on(lock, name, None)


def holder(lock: Path) -> str | None:
    """The name of a lock's holder; None where nobody holds it.

    Opening the file makes NFS ask the server for its present content; ``stat`` alone may answer
    from a cache that is a minute old.
    """
    try:
        return retried(lock.read_text)
    except FileNotFoundError:
        return None


def alive(lock: Path) -> bool:
    """Whether a living job holds a lock."""
    try:
        name = holder(lock)
        return name is not None and not _abandoned(lock, name)
    except OSError:
        return True  # in a read-only folder the heartbeat cannot be measured


def _take(lock: Path, name: str) -> bool:
    """Try once to become the holder of a lock."""
    try:
        with lock.open("x") as file:
            file.write(name)
    except FileExistsError:
        former = holder(lock)  # None where it was released meanwhile: the next try creates it
        return former is not None and _abandoned(lock, former) and _pass_on(lock, former, name)
    return True


def _pass_on(lock: Path, name: str, successor: str | None) -> bool:
    """Release one holder's lock if it still holds it, or hand it to a successor.

    Several jobs may try this at once, some of which read the lock long ago. If each of them simply
    replaced the lock it had found abandoned, the last would replace the first. So a second lock
    guards the release of this one holder's lock, and the lock is read again under it.
    """
    right = lock.with_name(f"{lock.name}.{uuid.uuid5(uuid.NAMESPACE_OID, name).hex}")
    if not _take(right, successor or name):
        return False
    try:
        if holder(lock) != name:
            return False
        if successor is None:
            lock.unlink(missing_ok=True)
        else:
            fresh = lock.with_name(f"{lock.name}.{uuid.uuid4().hex}")
            fresh.write_text(successor)
            fresh.replace(lock)
        return True
    finally:
        right.unlink(missing_ok=True)


def _abandoned(lock: Path, name: str) -> bool:
    """Whether a lock's holder is gone: its process has ended, or its heartbeat has stopped."""
    if processes.has_ended(name):
        return True
    try:
        return retried(lambda: _silence(lock)) > STALE
    except FileNotFoundError:
        return False


def _silence(lock: Path) -> float:
    """Seconds since a lock's last sign of life.

    Both times are by the file system's own clock, which may differ from this machine's.
    """
    probe = lock.with_name(f"{lock.name}.{uuid.uuid4().hex}")
    probe.touch()
    try:
        return probe.stat().st_mtime - lock.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


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


def _beat(lock: Path, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT):
        with contextlib.suppress(OSError):  # gone, or out of reach for a moment
            os.utime(lock)
