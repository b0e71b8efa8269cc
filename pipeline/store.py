"""Artefacts: what a stage leaves behind, under a key that says exactly what it was made from.

This is the only module that decides paths. A finished artefact is a folder

    <root>/<stage>/<slug>-<key8>/        with a _manifest.json

that was written beside its place as ``.<slug>-<key8>.partial`` and then renamed, so that no
reader ever meets a half-written one. A lock beside it keeps two jobs from doing the same work.

Many machines may share the root. All that is asked of its file system is that creating a file that
must not exist, and renaming, are one step each, and that opening a file shows what was written to
it before: NFS keeps to that, while its locks (flock, lockf) and the clocks of its clients cannot be
relied on, and are not used.
"""

import contextlib
import json
import logging
import os
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

MANIFEST = "_manifest.json"
HEARTBEAT = 5.0
"""Seconds between two signs of life of a lock's holder."""
STALE = 60.0
"""Seconds without one after which another job takes the lock over."""


@dataclass(frozen=True)
class Artefact:
    """The place of one stage's output. It need not exist yet."""

    stage: str
    key: str
    """SHA-256 over everything that can change the result."""
    folder: Path

    @property
    def finished(self) -> bool:
        """Whether the output is there, whole."""
        return (self.folder / MANIFEST).is_file()

    @property
    def partial(self) -> Path:
        """Where the output is being written."""
        return self.folder.with_name(f".{self.folder.name}.partial")

    @property
    def lock(self) -> Path:
        """The file whose holder writes ``partial``."""
        return self.folder.with_name(f".{self.folder.name}.lock")

    def manifest(self) -> dict[str, Any]:
        """What is known of the finished output."""
        return read_manifest(self.folder)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a finished artefact's folder."""
    content: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    return content


def locate(root: Path, stage: str, slug: str, key: str) -> Artefact:
    """The artefact of a stage under a key."""
    return Artefact(stage, key, root / stage / f"{slug}-{key[:8]}")


def logs(root: Path) -> Path:
    """Where everything says what it did."""
    return root / "logs"


def latest(root: Path, stage: str) -> Path:
    """The link to a stage's newest artefact of a single run."""
    return root / "latest" / stage


def point_latest(root: Path, run: list[Artefact]) -> None:
    """Make ``latest/<stage>`` lead to a run's artefacts, so that together they are one run.

    Links of other stages stay only if what they lead to was made from these artefacts.
    """
    (root / "latest").mkdir(parents=True, exist_ok=True)
    for artefact in run:
        _link(root, artefact)
    keys: dict[str, str | None] = {artefact.stage: artefact.key for artefact in run}
    while stale := [link for link in _links(root) if _made_from_others(link, keys)]:
        for link in stale:
            keys[link.name] = None  # whatever was made from it goes with it
            link.unlink(missing_ok=True)


def _links(root: Path) -> list[Path]:
    """The links of ``latest``, without those that other jobs are just making."""
    return [link for link in (root / "latest").iterdir() if not link.name.startswith(".")]


def _made_from_others(link: Path, keys: dict[str, str | None]) -> bool:
    """Whether an artefact of another stage was made from other artefacts than those of ``keys``."""
    if link.name in keys:
        return False
    try:
        upstream = read_manifest(link)["upstream"]
    except FileNotFoundError:
        return False  # gone meanwhile
    return any(keys.get(stage, key) != key for stage, key in upstream.items())


def _link(root: Path, artefact: Artefact) -> None:
    """Lead one link to an artefact, in one step."""
    link = latest(root, artefact.stage)
    target = Path("..") / artefact.folder.relative_to(root)
    with contextlib.suppress(OSError):
        if link.readlink() == target:
            return
    fresh = link.with_name(f".{link.name}.{uuid.uuid4().hex}")
    fresh.symlink_to(target)
    fresh.replace(link)


@contextlib.contextmanager
def claim(artefact: Artefact) -> Iterator[None]:
    """Hold the artefact's lock, waiting while another living job holds it."""
    artefact.lock.parent.mkdir(parents=True, exist_ok=True)
    name = f"{_here()}{uuid.uuid4().hex}"
    pause = 0.0
    while not _take(artefact.lock, name):
        if not pause:
            log.info(f"{artefact.stage:<10} waits for {_holder(artefact.lock)}, which is at it")
        # Many may wait for long, and each look costs the file system's server some work.
        pause = min(max(0.2, 1.2 * pause), HEARTBEAT)
        time.sleep(pause)
    stop = threading.Event()
    heart = threading.Thread(target=_beat, args=(artefact.lock, stop), daemon=True)
    heart.start()
    try:
        yield
    finally:
        stop.set()
        heart.join()
        if _holder(artefact.lock) == name:
            artefact.lock.unlink(missing_ok=True)


def open_partial(artefact: Artefact, *, resume: bool) -> Path:
    """The folder to write into: what an interrupted job left if ``resume``, else empty."""
    if not resume:
        shutil.rmtree(artefact.partial, ignore_errors=True)
    artefact.partial.mkdir(parents=True, exist_ok=True)
    return artefact.partial


def commit(artefact: Artefact, manifest: dict[str, Any], *, replace: bool = False) -> None:
    """Turn the partial folder into the finished artefact, its manifest written last.

    If another job finished it first, theirs stays, unless ``replace``.

    Raises:
        RuntimeError: another job took the lock over, because this one showed no sign of life, and
            writes into the same partial folder now. So it is with a job that was suspended.
    """
    holder = _holder(artefact.lock)
    if holder is not None and not holder.startswith(_here()):
        raise RuntimeError(
            f"{artefact.folder.name}: {holder} took it over while this job was suspended; run again"
        )
    temporary = artefact.partial / f"{MANIFEST}.new"
    temporary.write_text(json.dumps(manifest, indent=2) + "\n")
    temporary.rename(artefact.partial / MANIFEST)
    old = artefact.folder.with_name(f".{artefact.folder.name}.{uuid.uuid4().hex}.old")
    if artefact.folder.exists() and (replace or not artefact.finished):
        artefact.folder.rename(old)
    try:
        artefact.partial.rename(artefact.folder)
    except OSError:
        if not artefact.finished:
            raise
        shutil.rmtree(artefact.partial, ignore_errors=True)  # NFS keeps files that are still open
    shutil.rmtree(old, ignore_errors=True)


def _take(lock: Path, name: str) -> bool:
    """Try once to become the holder of a lock."""
    try:
        with lock.open("x") as file:
            file.write(name)
    except FileExistsError:
        if not _abandoned(lock):
            return False
        # Several jobs may take over at once: the last one to write is the holder, and each looks
        # again after a pause in which the others have written too.
        fresh = lock.with_name(f"{lock.name}.{uuid.uuid4().hex}")
        fresh.write_text(name)
        fresh.replace(lock)
        time.sleep(1)
        return _holder(lock) == name
    return True


def _here() -> str:
    """This process, as the beginning of a holder's name."""
    return f"{socket.gethostname()}:{os.getpid()}:"


def _holder(lock: Path) -> str | None:
    """Who holds a lock.

    Opening the file makes NFS ask the server how it stands; what ``stat`` says without that may be
    a minute old.
    """
    try:
        return lock.read_text()
    except FileNotFoundError:
        return None


def _abandoned(lock: Path) -> bool:
    """Whether a lock's holder is gone: its process on this host, or its heartbeat elsewhere."""
    holder = _holder(lock)
    if holder is None:
        return False  # released meanwhile: the next try creates it anew
    host, pid, *_ = [*holder.split(":"), "", ""]
    if host == socket.gethostname() and pid.isdigit() and not _alive(int(pid)):
        return True
    # Its process may live elsewhere, or its number may be another's by now: does the heart beat?
    # Two times of the file system's own clock are compared, which may differ from this machine's.
    probe = lock.with_name(f"{lock.name}.{uuid.uuid4().hex}")
    probe.touch()
    try:
        return probe.stat().st_mtime - lock.stat().st_mtime > STALE
    except FileNotFoundError:
        return False
    finally:
        probe.unlink()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _beat(lock: Path, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT):
        with contextlib.suppress(FileNotFoundError):
            os.utime(lock)
