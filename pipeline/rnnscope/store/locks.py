"""Locks between jobs on many machines: files beside what they guard, kept alive by a heartbeat.

All that is asked of the file system is that creating a file that must not exist, and renaming, are
one step each, and that opening a file shows what was written to it before: NFS keeps to that, while
its locks (flock, lockf) and the clocks of its clients cannot be relied on, and are not used.

A job that was suspended for long may lose its lock without knowing. It must look whether it is the
holder still before others are to see what it did.
"""

import contextlib
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

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
    name = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex}"
    pause = 0.0
    while not _take(lock, name):
        if not pause:
            log.info(f"{stage:<10} waits for {holder(lock)}, which is at it")
        # Many may wait for long, and each look costs the file system's server some work.
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
        with contextlib.suppress(OSError):  # what stays is taken over in time; the work is done
            _end(lock, name, heir=None)


def holder(lock: Path) -> str | None:
    """Who holds a lock.

    Opening the file makes NFS ask the server how it stands; what ``stat`` says without that may be
    a minute old.
    """
    try:
        return patiently(lock.read_text)
    except FileNotFoundError:
        return None


def alive(lock: Path) -> bool:
    """Whether a living job holds a lock."""
    try:
        name = holder(lock)
        return name is not None and not _abandoned(lock, name)
    except OSError:
        return True  # as far as a folder that can only be read shows


def _take(lock: Path, name: str) -> bool:
    """Try once to become the holder of a lock."""
    try:
        with lock.open("x") as file:
            file.write(name)
    except FileExistsError:
        former = holder(lock)  # None where it was released meanwhile: the next try creates it
        return former is not None and _abandoned(lock, former) and _end(lock, former, heir=name)
    return True


def _end(lock: Path, name: str, *, heir: str | None) -> bool:
    """End one holder's hold, if it still lasts, in favour of an heir or of nobody.

    Many may want that at once, and some of them looked at the lock long ago: were it renamed or
    replaced by each that found it abandoned, the last would oust the first. So whoever ends a hold
    needs the right to end just this one, which is a lock itself, and then looks again.
    """
    right = lock.with_name(f"{lock.name}.{uuid.uuid5(uuid.NAMESPACE_OID, name).hex}")
    if not _take(right, heir or name):
        return False
    try:
        if holder(lock) != name:
            return False
        if heir is None:
            lock.unlink(missing_ok=True)
        else:
            fresh = lock.with_name(f"{lock.name}.{uuid.uuid4().hex}")
            fresh.write_text(heir)
            fresh.replace(lock)
        return True
    finally:
        right.unlink(missing_ok=True)


def _abandoned(lock: Path, name: str) -> bool:
    """Whether a lock's holder is gone: its process on this host, or its heartbeat elsewhere."""
    host, pid, *_ = [*name.split(":"), "", ""]
    if host == socket.gethostname() and pid.isdigit() and not _runs(int(pid)):
        return True
    # Its process may live elsewhere, or its number may be another's by now: does the heart beat?
    try:
        return patiently(lambda: _silence(lock)) > STALE
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


def patiently(look: Callable[[], Seen]) -> Seen:
    """What a look gives, at the third try at the latest: NFS may fail (ESTALE, EIO) and recover."""
    for pause in (0.1, 1.0):
        try:
            return look()
        except (FileNotFoundError, PermissionError):
            raise
        except OSError:
            time.sleep(pause)
    return look()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _beat(lock: Path, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT):
        with contextlib.suppress(OSError):  # gone, or out of reach for a moment
            os.utime(lock)
