"""What jobs that were killed left beside an artefact, and what becomes of it.

.<name>.<unique>.old        what stood there before, moved away by a commit
.<unique>.gone              being deleted
.<name>.lock.<unique>       of jobs that took or measured the lock
.<name>.checked.<unique>    a sidecar that was being written
"""

import re
import uuid
from collections.abc import Callable
from pathlib import Path

from rnnscope.store import atomic, sidecar


def old(folder: Path) -> Path:
    """A name for what stands in an artefact's place and is to give way."""
    return folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.old")


def replacing(folder: Path) -> bool:
    """Whether an artefact is perhaps just being replaced."""
    return any(path.name.endswith(".old") for path in beside(folder))


def beside(folder: Path) -> list[Path]:
    """What is left beside an artefact's folder, its lock without a holder among it."""
    ours = re.compile(rf"\.{re.escape(folder.name)}\..+|\..+{re.escape(atomic.GONE)}")
    kept = sidecar.beside(folder).name
    there = folder.parent.iterdir() if folder.parent.is_dir() else ()
    return [path for path in there if ours.fullmatch(path.name) and path.name != kept]


def settle(folder: Path, is_whole: Callable[[Path], bool]) -> None:
    """Remove all of it; to be called by the holder of the artefact's lock.

    Where a commit was killed after it had moved the old artefact away and before the new one was
    in its place, the old one returns, if it is whole.
    """
    for path in beside(folder):
        if path.name.startswith(f".{folder.name}.lock"):
            continue  # the locks' own
        if path.name.endswith(".old") and not folder.exists() and is_whole(path):
            path.rename(folder)
        else:
            atomic.remove(path)
