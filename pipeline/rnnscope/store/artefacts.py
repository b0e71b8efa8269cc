"""Artefacts: the output of stages, each under a key over everything it was made from.

This is the only module that decides paths. A finished artefact is a folder

    <root>/<stage>/<slug>-<key8>/        with a _manifest.json

that is written beside its place in a hidden folder (``partials``) and then renamed, so that readers
never see a half-written one. A lock beside it keeps two jobs from doing the same work.

Many machines may share the root; ``locks`` states what its file system must provide.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnscope.store import atomic, locks, partials, swap
from rnnscope.store.locks import Held

MANIFEST = "_manifest.json"


@dataclass(frozen=True)
class Artefact:
    """The place of one stage's output. It need not exist yet."""

    stage: str
    key: str
    """SHA-256 over everything that can change the result."""
    folder: Path

    @property
    def finished(self) -> bool:
        """Whether the output is complete."""
        return (self.folder / MANIFEST).is_file()

    @property
    def partial(self) -> Path:
        """Where the output is being written, or was when its job ended."""
        return next(iter(partials.left(self.folder)), partials.place(self.folder, None))

    @property
    def lock(self) -> Path:
        """The file whose holder writes ``partial``."""
        return self.folder.with_name(f".{self.folder.name}.lock")

    def manifest(self) -> dict[str, Any]:
        """The manifest of the finished output."""
        return read_manifest(self.folder)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a finished artefact's folder."""
    content: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    return content


def locate(root: Path, stage: str, slug: str, key: str) -> Artefact:
    """The artefact of a stage under a key."""
    return Artefact(stage, key, root / stage / f"{slug}-{key[:8]}")


def logs(root: Path) -> Path:
    """The folder of all logs."""
    return root / "logs"


@contextlib.contextmanager
def claim(artefact: Artefact) -> Iterator[Held]:
    """Hold the artefact's lock, waiting while another living job holds it."""
    artefact.lock.parent.mkdir(parents=True, exist_ok=True)
    with locks.held(artefact.lock, artefact.stage) as holder:
        yield holder


def being_made(artefact: Artefact) -> bool:
    """Whether a job holds the artefact's lock that is not known to have ended."""
    return locks.alive(artefact.lock)


def tidy(artefact: Artefact) -> None:
    """Delete what killed jobs left beside a finished artefact, unless a job is at work there."""
    if not (artefact.lock.exists() or partials.remains(artefact.folder)):
        return
    with locks.held_if_free(artefact.lock) as holder:
        if holder:
            partials.clear(artefact.folder)


def open_partial(artefact: Artefact, holder: Held | None = None, *, resume: bool) -> Path:
    """The folder to write into: with what an interrupted job left if ``resume``, else empty.

    Args:
        artefact: what is to be made.
        holder: of its lock; None if nobody holds it.
        resume: whether to go on from there.
    """
    return partials.opened(artefact.folder, _token(holder), resume=resume)


def _token(holder: Held | None) -> str | None:
    return None if holder is None else holder.token


def commit(
    artefact: Artefact,
    manifest: dict[str, Any],
    holder: Held | None = None,
    *,
    replace: bool = False,
) -> None:
    """Turn the partial folder into the finished artefact, its manifest written last.

    If another job finished it first, that one is kept, unless ``replace``. Also of one that is to
    be replaced by equal files only the manifest changes, so that nothing moves under its readers.

    Args:
        artefact: what is finished.
        manifest: its manifest.
        holder: of its lock; None if nobody may hold it.
        replace: whether to replace an artefact that is finished already.

    Raises:
        LostLockError: another job took over the lock, because this one showed no sign of life.
    """
    if holder is not None:
        holder.check(now=True)
    elif artefact.lock.exists():
        raise locks.LostLockError(locks.taken_over(artefact.lock))
    mine = partials.of_holder(artefact.folder, _token(holder))
    if artefact.finished and not replace:
        partials.discard(mine)
        return
    kept = artefact.finished and swap.same(artefact.folder, mine, MANIFEST)
    with atomic.written((artefact.folder if kept else mine) / MANIFEST) as unfinished:
        unfinished.write_text(json.dumps(manifest, indent=2) + "\n")
        if kept:  # by this time readers tell an artefact from another in its place
            written = (artefact.folder / MANIFEST).stat()
            os.utime(unfinished, ns=(written.st_atime_ns, written.st_mtime_ns))
    if not kept:
        swap.into_place(mine, artefact.folder)
    partials.clear(artefact.folder)
