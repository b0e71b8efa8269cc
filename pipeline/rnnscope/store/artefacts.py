"""Artefacts: the output of stages, each under a key over everything it was made from.

This is the only module that decides paths. A finished artefact is a folder

    <root>/<stage>/<slug>-<key8>/        with a _manifest.json

that is written beside its place as ``.<slug>-<key8>.partial`` and then renamed, so that readers
never see a half-written one. A lock beside it keeps two jobs from doing the same work.

Many machines may share the root; ``locks`` states what its file system must provide.
"""

import contextlib
import json
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnscope.store import atomic, locks, processes

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
        """Where the output is being written."""
        return self.folder.with_name(f".{self.folder.name}.partial")

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


def latest(root: Path, stage: str) -> Path:
    """The link to a stage's newest artefact of a single run."""
    return root / "latest" / stage


def point_latest(root: Path, run: list[Artefact]) -> None:
    """Make ``latest/<stage>`` lead to a run's artefacts, so that all links belong to one run.

    Links of other stages are kept only if their artefact was made from these.
    """
    (root / "latest").mkdir(parents=True, exist_ok=True)
    for artefact in run:
        _link(root, artefact)
    keys: dict[str, str | None] = {artefact.stage: artefact.key for artefact in run}
    while stale := [link for link in _links(root) if _made_from_others(link, keys)]:
        for link in stale:
            keys[link.name] = None  # links to what was made from it go too
            link.unlink(missing_ok=True)


def _links(root: Path) -> list[Path]:
    """The links of ``latest``, without unfinished ones of other jobs."""
    return [link for link in (root / "latest").iterdir() if not link.name.startswith(".")]


def _made_from_others(link: Path, keys: dict[str, str | None]) -> bool:
    """Whether an artefact of another stage was made from other artefacts than those of ``keys``."""
    if link.name in keys:
        return False
    try:
        upstream = dict(read_manifest(link)["upstream"])
    except FileNotFoundError:
        return False  # gone meanwhile
    except (ValueError, KeyError, TypeError):
        return True  # damaged: what it was made from is unknown
    return any(keys.get(stage, key) != key for stage, key in upstream.items())


def _link(root: Path, artefact: Artefact) -> None:
    """Make one link lead to an artefact, atomically."""
    link = latest(root, artefact.stage)
    target = Path("..") / artefact.folder.relative_to(root)
    with contextlib.suppress(OSError):
        if link.readlink() == target:
            return
    fresh = link.with_name(f".{link.name}.{uuid.uuid4().hex}")
    fresh.symlink_to(target)
    fresh.replace(link)


@contextlib.contextmanager
def claim(artefact: Artefact) -> Iterator[str]:
    """Hold the artefact's lock, waiting while another living job holds it; yields the holder."""
    artefact.lock.parent.mkdir(parents=True, exist_ok=True)
    with locks.held(artefact.lock, artefact.stage) as holder:
        yield holder


def being_made(artefact: Artefact) -> bool:
    """Whether a living job holds the artefact's lock."""
    return locks.alive(artefact.lock)


def remove(folder: Path) -> None:
    """Make a folder disappear in one step, then delete it.

    If the process is killed meanwhile, a hidden folder beside it is left.
    """
    gone = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.gone")
    with contextlib.suppress(FileNotFoundError):
        folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def open_partial(artefact: Artefact, *, resume: bool) -> Path:
    """The folder to write into: with what an interrupted job left if ``resume``, else empty."""
    if not resume:
        shutil.rmtree(artefact.partial, ignore_errors=True)
    artefact.partial.mkdir(parents=True, exist_ok=True)
    return artefact.partial


def commit(
    artefact: Artefact,
    manifest: dict[str, Any],
    holder: str | None = None,
    *,
    replace: bool = False,
) -> None:
    """Turn the partial folder into the finished artefact, its manifest written last.

    If another job finished it first, that one is kept, unless ``replace``.

    Args:
        artefact: what is finished.
        manifest: its manifest.
        holder: who must hold the lock, as ``claim`` gave it; None if nobody may.
        replace: whether to replace an artefact that is finished already.

    Raises:
        RuntimeError: another job took over the lock, because this one showed no sign of life, and
            may have written into the same partial folder. This happens to suspended jobs.
    """
    now = locks.holder(artefact.lock)
    if now != holder:
        if artefact.finished and not replace:
            return
        other = "another job" if now is None else processes.described(now)
        raise RuntimeError(
            f"{artefact.folder.name}: {other} took it over while this job was suspended; run again"
        )
    with atomic.written(artefact.partial / MANIFEST) as unfinished:
        unfinished.write_text(json.dumps(manifest, indent=2) + "\n")
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
