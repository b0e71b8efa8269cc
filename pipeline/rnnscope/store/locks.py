"""Locks between jobs on many machines: files beside what they guard, kept alive by a heartbeat.

The file system must create a file exclusively and rename a file in one step each, and opening a
file must show what was written to it before, and when. NFS does all this. Its locks (flock, lockf)
and the clocks of its clients and servers cannot be relied on, and are not used: a lock is abandoned
if its file has not changed for STALE seconds of the waiting process's own monotonic clock, counted
from when that process first saw it so. The heartbeat sets the file's modification time, which NFS
sends to its server at once. Only of a process of the same boot and PID namespace is it known at
once that it has ended.

A job that was suspended for a long time may have lost its lock without noticing. Before it
publishes its work it must check that it still holds the lock.
"""

import contextlib
import logging
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from rnnscope.errors import UserError
from rnnscope.store import processes, sightings
from rnnscope.store.sightings import Sight, Watch

log = logging.getLogger(__name__)

HEARTBEAT = 5.0
"""Seconds between two signs of life of a lock's holder."""
STALE = 60.0
"""Seconds without one after which another job takes the lock over."""
SILENT = 3600.0
"""Seconds without one, by the clocks, after which `alive` calls a holder ended."""
FIRST_PAUSE = 0.02
"""Seconds between the first two tries for a lock."""


class LostLockError(UserError):
    """Another job took over the lock of this one, which showed no sign of life."""

    status = 1


class Held:
    """A lock that is held; its heart beats in a thread."""

    def __init__(self, lock: Path, name: str):
        self.lock, self.name = lock, name
        self.token = name.rpartition(":")[2]
        """Unique, 32 hexadecimal digits."""
        self._seen = _time()
        self._lost = False
        self._stop = threading.Event()
        self._heart = threading.Thread(target=self._beats, daemon=True)
        self._heart.start()

    def check(self, *, now: bool = False) -> None:
        """Raise if the lock is lost.

        Args:
            now: look at the file even if the heart has only just beaten.

        Raises:
            LostLockError: it is another's, or gone.
        """
        if self._lost or now or _time() - self._seen > 2 * HEARTBEAT:
            self._look()
        if self._lost:
            raise LostLockError(taken_over(self.lock))

    def stop(self) -> None:
        """Stop the heart."""
        self._stop.set()
        self._heart.join()

    def _look(self) -> None:
        """See whether the lock is still this holder's."""
        seen = sightings.look(self.lock)
        self._lost = seen is None or seen.name != self.name
        self._seen = _time()

    def _beats(self) -> None:
        while not (self._stop.wait(HEARTBEAT) or self._lost):
            with contextlib.suppress(OSError):  # out of reach for a moment
                self._beat()

    def _beat(self) -> None:
        """Show a sign of life, unless the lock is another's by now."""
        self._look()
        if not self._lost:
            sightings.touch(self.lock)


@contextlib.contextmanager
def held(lock: Path, waits: str) -> Iterator[Held]:
    """Hold a lock, waiting while another living job holds it.

    Args:
        lock: the file.
        waits: what waits for it, for the log; empty if that is not worth a line.
    """
    with contextlib.ExitStack() as stack:
        watch, pause = Watch(), FIRST_PAUSE
        while not (mine := stack.enter_context(held_if_free(lock, watch))):
            other = sightings.look(lock)
            if pause == FIRST_PAUSE and other and waits:
                by = processes.described(other.name) if other.name else "an unreadable lock"
                log.info(f"{waits:<10} waits for {by}, which is computing the same artefact")
            time.sleep(pause)
            # Many jobs may wait for long, and every check costs the file server some work.
            pause = min(1.5 * pause, HEARTBEAT)
        yield mine


@contextlib.contextmanager
def held_if_free(lock: Path, watch: Watch | None = None) -> Iterator[Held | None]:
    """Hold a lock if it is free or abandoned; else yields None.

    Args:
        lock: the file.
        watch: what earlier tries saw of it.
    """
    watch = watch or Watch()
    name = f"{processes.this_process()}:{uuid.uuid4().hex}"
    if not _take(lock, name, watch):
        yield None
        return
    mine = Held(lock, name)
    try:
        with contextlib.suppress(OSError):
            _clear(lock, name)
        yield mine
    finally:
        mine.stop()
        with contextlib.suppress(OSError):  # the work is done; a lock that stays becomes stale
            _pass_on(lock, name, None, watch)


def alive(lock: Path) -> bool:
    """Whether a lock has a holder that is not known to have ended.

    For words alone: it does not wait for a heartbeat. A holder elsewhere counts as ended after an
    hour of silence by the clocks, which may differ.
    """
    seen = sightings.look(lock)
    if seen is None or (seen.name and processes.has_ended(seen.name)):
        return False
    return time.time() - seen.changed / 1e9 < SILENT


def taken_over(lock: Path) -> str:
    """What a job says that lost its lock."""
    now = sightings.look(lock)
    other = processes.described(now.name) if now and now.name else "another job"
    return (
        f"{lock.name.removeprefix('.').removesuffix('.lock')}: {other} took it over while this job "
        "was suspended, or cut off from the disk; this one stops, run it again"
    )


def _take(lock: Path, name: str, watch: Watch) -> bool:
    """Try once to become the holder of a lock."""
    try:
        _create(lock, name)
    except FileExistsError:
        former = sightings.look(lock)  # None where it was released meanwhile: the next try makes it
        return (
            former is not None
            and _abandoned(lock, former, watch)
            and _pass_on(lock, former.token, name, watch)
        )
    return True


def _create(lock: Path, name: str) -> None:
    """Create a lock; raises FileExistsError if there is one."""
    with lock.open("x") as file:
        try:
            file.write(name)
            file.flush()
        except OSError:  # a full disk
            lock.unlink(missing_ok=True)
            raise


def _pass_on(lock: Path, token: str, successor: str | None, watch: Watch) -> bool:
    """Release one holder's lock if it still holds it, or hand it to a successor.

    Several jobs may try this at once, some of which read the lock long ago. If each of them simply
    replaced the lock it had found abandoned, the last would replace the first. So a second lock
    guards the release of this one holder's lock, and the lock is read again under it.
    """
    right = _right(lock, token)
    if not _take(right, successor or token, watch):
        return False
    try:
        now = sightings.look(lock)
        if now is None or now.token != token:
            return False
        if successor is None:
            lock.unlink(missing_ok=True)
            return True
        fresh = lock.with_name(f"{lock.name}.{uuid.uuid4().hex}")
        if not now.name:  # a folder, say, over which no file can be renamed
            lock.rename(fresh)
            _remove(fresh)
            with contextlib.suppress(FileExistsError):
                _create(lock, successor)
                return True
            return False
        _create(fresh, successor)
        fresh.replace(lock)
        return True
    finally:
        right.unlink(missing_ok=True)


def _abandoned(lock: Path, seen: Sight, watch: Watch) -> bool:
    """Whether a lock's holder is gone: its process has ended, or its heartbeat has stopped."""
    if seen.name and processes.has_ended(seen.name):
        return True
    return watch.silence(lock, seen, 2 * HEARTBEAT) > STALE


def _right(lock: Path, token: str) -> Path:
    """The lock under which the lock of one holder is passed on."""
    return lock.with_name(f"{lock.name}.{uuid.uuid5(uuid.NAMESPACE_OID, token).hex}")


def _clear(lock: Path, name: str) -> None:
    """Remove what killed jobs left when they passed the lock on.

    While ``name`` holds the lock, nobody passes on that of another.
    """
    for left in lock.parent.glob(f"{lock.name}.*"):
        if left != _right(lock, name):
            _remove(left)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _time() -> float:
    """Seconds that also count while the machine sleeps, where the system has such a clock."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
