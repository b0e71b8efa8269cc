"""Artefacts: the output of stages, each under a key over everything it was made from.

This is the only module that decides paths. A finished artefact is a folder

    <root>/<stage>/<slug>-<key8>/        with a _manifest.json

that is written beside its place as ``.<slug>-<key>.partial`` and then renamed, so that readers
never see a half-written one. A lock beside it keeps two jobs from doing the same work. Whose folder
it is, the whole key in its manifest says; where two keys share their first eight digits, the second
folder's name has more of them.

Many machines may share the root; ``locks`` states what its file system must provide.
"""

import contextlib
import os
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnscope.errors import UserError
from rnnscope.store import atomic, damage, leftovers, locks, processes, settling, sidecar
from rnnscope.store import manifest as manifests
from rnnscope.store.atomic import remove
from rnnscope.store.contents import Damaged
from rnnscope.store.manifest import MANIFEST, read_manifest

__all__ = [
    "MANIFEST",
    "Artefact",
    "abandon",
    "being_made",
    "claim",
    "commit",
    "latest",
    "locate",
    "logs",
    "open_partial",
    "point_latest",
    "read_manifest",
    "remove",
    "slug_of",
    "tidy",
]

DIGITS = (8, 12, 16, 32, 64)
"""How many digits of its key a folder's name may have; the fewest that no other key has taken."""


@dataclass(frozen=True)
class Artefact:
    """The place of one stage's output. It need not exist yet."""

    stage: str
    key: str
    """SHA-256 over everything that can change the result."""
    folder: Path

    @property
    def finished(self) -> bool:
        """Whether the output is complete, and this key's; its files may be damaged."""
        try:
            return bool(self.manifest()["key"] == self.key)
        except (FileNotFoundError, Damaged):
            return False

    @property
    def partial(self) -> Path:
        """Where the output is being written."""
        return self.folder.with_name(f".{slug_of(self.folder)}-{self.key}.partial")

    @property
    def lock(self) -> Path:
        """The file whose holder writes ``partial``."""
        return self.folder.with_name(f".{self.folder.name}.lock")

    def manifest(self) -> dict[str, Any]:
        """The manifest of the finished output.

        Raises:
            FileNotFoundError: there is none.
            Damaged: it is not what was written.
            manifest.NewerError: a later version of rnnscope wrote it.
        """
        return manifests.whole(self.folder)


def locate(root: Path, stage: str, slug: str, key: str) -> Artefact:
    """The artefact of a stage under a key: where it is, or where it would be made."""
    folders = [root / stage / f"{slug}-{key[:digits]}" for digits in DIGITS]
    free = None
    for folder in folders:
        there = _key_of(folder)
        if there == key:
            return Artefact(stage, key, folder)
        if there is None and free is None:
            free = folder
    return Artefact(stage, key, free or folders[-1])


def slug_of(folder: Path) -> str:
    """An artefact's readable name: that of its folder without the key."""
    return re.sub(r"-[0-9a-f]{8,64}$", "", folder.name)


def _key_of(folder: Path) -> str | None:
    """The key of what lies in a folder, also if another version made it; None if it is damaged."""
    try:
        key = manifests.whole(folder)["key"]
    except (manifests.OlderError, manifests.NewerError):
        key = read_manifest(folder).get("key")
    except (OSError, Damaged):
        return None
    return key if isinstance(key, str) else None


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
    """The links of ``latest``, without unfinished ones of other jobs; other files are no matter."""
    return [
        link
        for link in (root / "latest").iterdir()
        if link.is_symlink() and not link.name.startswith(".")
    ]


def _made_from_others(link: Path, keys: dict[str, str | None]) -> bool:
    """Whether an artefact of another stage was made from other artefacts than those of ``keys``."""
    if link.name in keys:
        return False
    try:
        upstream = dict(read_manifest(link)["upstream"])
    except FileNotFoundError:
        return False  # gone meanwhile
    except (OSError, Damaged, ValueError, KeyError, TypeError):
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
    if link.is_dir() and not link.is_symlink():
        fresh.unlink()  # somebody's own folder keeps its place
    else:
        fresh.replace(link)


@contextlib.contextmanager
def claim(artefact: Artefact) -> Iterator[str]:
    """Hold the artefact's lock, waiting while another living job holds it; yields the holder.

    What jobs left behind that were killed while they held it is removed.
    """
    artefact.lock.parent.mkdir(parents=True, exist_ok=True)
    with locks.held(artefact.lock, artefact.stage) as holder:
        leftovers.settle(artefact.folder, lambda folder: damage.is_whole(folder, artefact.key))
        yield holder


def being_made(artefact: Artefact) -> bool:
    """Whether a living job holds the artefact's lock."""
    return locks.alive(artefact.lock)


def tidy(artefact: Artefact) -> None:
    """Remove what killed jobs left beside a finished artefact, if there is any."""
    left = [*leftovers.beside(artefact.folder), *filter(Path.exists, [artefact.partial])]
    if left and not being_made(artefact):
        with contextlib.suppress(OSError, UserError), claim(artefact):
            if artefact.finished:
                remove(artefact.partial)


def open_partial(artefact: Artefact, *, resume: bool) -> Path:
    """The folder to write into: with what an interrupted job left if ``resume``, else empty."""
    if not resume:
        remove(artefact.partial)
    artefact.partial.mkdir(parents=True, exist_ok=True)
    return artefact.partial


def abandon(artefact: Artefact, holder: str) -> None:
    """Remove the partial folder of a job that failed before it wrote anything worth keeping."""
    with contextlib.suppress(OSError):
        if locks.holder(artefact.lock) == holder and not any(
            files for _, _, files in os.walk(artefact.partial)
        ):
            remove(artefact.partial)


def commit(
    artefact: Artefact,
    manifest: Mapping[str, Any],
    holder: str | None = None,
    *,
    replace: bool = False,
) -> None:
    """Turn the partial folder into the finished artefact, its manifest written last.

    Everything is on the disk before the manifest is, and the manifest before the folder has its
    name. If another job finished it first, that one is kept, unless ``replace``.

    Args:
        artefact: what is finished.
        manifest: its manifest, to which its key and the contents of all files are added; its entry
            ``contents`` has those that were digested while they were written.
        holder: who must hold the lock, as ``claim`` gave it; None if nobody may.
        replace: whether to replace an artefact that is finished already.

    Raises:
        RuntimeError: another job took over the lock, because this one showed no sign of life, and
            may have written into the same partial folder. This happens to suspended jobs.
        Damaged: a file has another size than was written.
    """
    now = locks.holder(artefact.lock)
    if now != holder:
        if artefact.finished and not replace:
            return
        other = "another job" if now is None else processes.described(now)
        raise RuntimeError(
            f"{artefact.folder.name}: {other} took it over while this job was suspended; run again"
        )
    text, found, files = settling.settled(artefact.partial, {**manifest, **_named(artefact)})
    with atomic.written(artefact.partial / MANIFEST) as unfinished:
        unfinished.write_text(text)
    old = leftovers.old(artefact.folder)
    if os.path.lexists(artefact.folder) and (replace or not artefact.finished):
        artefact.folder.rename(old)
    try:
        artefact.partial.rename(artefact.folder)
    except OSError:
        if not artefact.finished:
            raise
        remove(artefact.partial)  # NFS keeps files that are still open
    else:
        atomic.sync_name(artefact.folder)
        sidecar.note(artefact.folder, found, files)
    remove(old)


def _named(artefact: Artefact) -> dict[str, str]:
    return {"stage": artefact.stage, "key": artefact.key}
