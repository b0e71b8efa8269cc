"""Artefacts: the output of stages, each under a key over everything it was made from.

This is the only module that decides paths. A finished artefact is a folder

    <root>/<stage>/<slug>-<key8>/        with a _manifest.json

that is written beside its place in a hidden folder (``partials``) and then renamed, so that readers
never see a half-written one. A lock beside it keeps two jobs from doing the same work. Whose folder
it is, the whole key in its manifest says; where two keys share their first eight digits, the second
folder's name has more of them.

Many machines may share the root; ``locks`` states what its file system must provide.
"""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnscope.errors import UserError
from rnnscope.store import atomic, damage, leftovers, locks, partials, settling, sidecar, swap
from rnnscope.store import manifest as manifests
from rnnscope.store.contents import Content, Damaged
from rnnscope.store.locks import Held
from rnnscope.store.manifest import MANIFEST, read_manifest

__all__ = [
    "MANIFEST",
    "Artefact",
    "abandon",
    "being_made",
    "claim",
    "commit",
    "locate",
    "logs",
    "open_partial",
    "read_manifest",
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
    def named(self) -> Path:
        """The folder with its key in full, after which ``partials`` names what is being written."""
        return self.folder.with_name(f"{slug_of(self.folder)}-{self.key}")

    @property
    def partial(self) -> Path:
        """Where the output is being written, or was when its job ended."""
        return next(iter(partials.left(self.named)), partials.place(self.named, None))

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


def misplaced(folder: Path, manifest: Mapping[str, Any]) -> str | None:
    """Why a folder is not where its artefact was made: a copy beside it, or renamed; else None."""
    stage, key, run = (str(manifest.get(name)) for name in ("stage", "key", "run"))
    slug = run if "run" in manifest else slug_of(folder)
    if folder.parent.name == stage and folder.name in {f"{slug}-{key[:n]}" for n in DIGITS}:
        return None
    return f"a copy or renamed, it was made as {stage}/{slug}-{key[: DIGITS[0]]}"


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


@contextlib.contextmanager
def claim(artefact: Artefact) -> Iterator[Held]:
    """Hold the artefact's lock, waiting while another living job holds it.

    What jobs left behind that were killed while they held it is removed.
    """
    artefact.lock.parent.mkdir(parents=True, exist_ok=True)
    with locks.held(artefact.lock, artefact.stage) as holder:
        _settle(artefact)
        yield holder


def _settle(artefact: Artefact) -> None:
    leftovers.settle(artefact.folder, lambda folder: damage.is_whole(folder, artefact.key))


def being_made(artefact: Artefact) -> bool:
    """Whether a job holds the artefact's lock that is not known to have ended."""
    return locks.alive(artefact.lock)


def tidy(artefact: Artefact) -> None:
    """Delete what killed jobs left beside a finished artefact, unless a job is at work there."""
    if not (leftovers.beside(artefact.folder) or partials.left(artefact.named)):
        return
    with (
        contextlib.suppress(OSError, UserError),  # a root that may only be read
        locks.held_if_free(artefact.lock) as holder,
    ):
        if holder:
            _settle(artefact)
            if artefact.finished:
                partials.clear(artefact.named)


def open_partial(artefact: Artefact, holder: Held | None = None, *, resume: bool) -> Path:
    """The folder to write into: with what an interrupted job left if ``resume``, else empty.

    Args:
        artefact: what is to be made.
        holder: of its lock; None if nobody holds it.
        resume: whether to go on from there.
    """
    return partials.opened(artefact.named, _token(holder), resume=resume)


def _token(holder: Held | None) -> str | None:
    return None if holder is None else holder.token


def abandon(artefact: Artefact, holder: Held) -> None:
    """Remove the partial folder of a job that failed before it wrote anything worth keeping."""
    mine = partials.place(artefact.named, holder.token)
    with contextlib.suppress(OSError):
        if not any(files for _, _, files in os.walk(mine)):
            atomic.remove(mine)


def commit(
    artefact: Artefact,
    manifest: Mapping[str, Any],
    holder: Held | None = None,
    *,
    replace: bool = False,
) -> None:
    """Turn the partial folder into the finished artefact, its manifest written last.

    Everything is on the disk before the manifest is, and the manifest before the folder has its
    name. If another job finished it first, that one is kept, unless ``replace``. Also of one that
    is to be replaced by equal files only the manifest changes, so that nothing moves under its
    readers.

    Args:
        artefact: what is finished.
        manifest: its manifest, to which its key and the contents of all files are added; its entry
            ``contents`` has those that were digested while they were written.
        holder: of its lock; None if nobody may hold it.
        replace: whether to replace an artefact that is finished already.

    Raises:
        LostLockError: another job took over the lock, because this one showed no sign of life.
        Damaged: a file has another size than was written.
    """
    if holder is not None:
        holder.check(now=True)
    elif artefact.lock.exists():
        raise locks.LostLockError(locks.taken_over(artefact.lock))
    mine = partials.of_holder(artefact.named, _token(holder))
    if artefact.finished and not replace:
        atomic.remove(mine)
        return
    entries = {**manifest, "stage": artefact.stage, "key": artefact.key}
    text, found, files = settling.settled(mine, entries)
    kept = _holds(artefact, found)
    with atomic.written((artefact.folder if kept else mine) / MANIFEST) as unfinished:
        unfinished.write_text(text)
        if kept:  # by this time readers tell an artefact from another in its place
            written = (artefact.folder / MANIFEST).stat()
            os.utime(unfinished, ns=(written.st_atime_ns, written.st_mtime_ns))
    if not kept:
        swap.into_place(mine, artefact.folder)
        atomic.sync_name(artefact.folder)
        sidecar.note(artefact.folder, found, files)
    partials.clear(artefact.named)


def _holds(artefact: Artefact, found: Mapping[str, Content]) -> bool:
    """Whether a finished, undamaged artefact has just these contents."""
    if not artefact.finished:
        return False
    manifest = artefact.manifest()
    return damage.declared(manifest) == found and not damage.faults(artefact.folder, manifest)
