"""The hidden folders beside an artefact, in which its output is written.

    .<folder>.<token>.partial     of the job whose lock has that token
    .<folder>.partial             of no lock
    .<folder>.<uuid>.old          on its way to being deleted

Each holder of the lock writes to a folder of its own name. Whoever takes a lock over takes the
folder too, by one rename: from then on a job that lost its lock, and may not know it yet, finds
nothing to write to and nothing to commit.
"""

import re
import shutil
import uuid
from pathlib import Path

from rnnscope.store.locks import LostLockError

TOKEN = r"[0-9a-f]{32}"


def place(folder: Path, token: str | None) -> Path:
    """Where the holder of a token writes an artefact's output."""
    return folder.with_name(f".{folder.name}{f'.{token}' if token else ''}.partial")


def of_holder(folder: Path, token: str | None) -> Path:
    """Where the holder of a token has written; of no lock if it did not name itself."""
    mine = place(folder, token)
    return mine if mine.is_dir() else place(folder, None)


def folder_of(partial: Path) -> Path:
    """The artefact's folder to which an unfinished one belongs."""
    return partial.with_name(re.sub(rf"^\.(.*?)(\.{TOKEN})?\.partial$", r"\1", partial.name))


def left(folder: Path) -> list[Path]:
    """The unfinished folders of an artefact, those with the most files first."""
    found = [path for path in _beside(folder, ".partial") if path.is_dir()]
    if len(found) > 1:
        found.sort(key=lambda path: (-sum(1 for _ in path.rglob("*")), path.name))
    return found


def opened(folder: Path, token: str | None, *, resume: bool) -> Path:
    """The holder's folder: with what an interrupted job left if ``resume``, else empty."""
    mine = place(folder, token)
    others = left(folder)
    if resume and others and others[0] != mine:
        others.pop(0).rename(mine)
    for other in others:
        if not (resume and other == mine):
            discard(other)
    mine.mkdir(parents=True, exist_ok=True)
    return mine


def check(partial: Path) -> None:
    """Raise if a folder that this job is writing to was taken from it; any process can ask.

    Raises:
        LostLockError: it is gone.
    """
    if not partial.is_dir():
        raise LostLockError(
            f"{folder_of(partial).name}: another job took it over while this job was suspended or "
            "cut off from the disk; this job stops, run it again"
        )


def discard(path: Path) -> None:
    """Delete a folder: in one step for everyone who looks for it, then its files."""
    old = aside(path)
    try:
        path.rename(old)
    except FileNotFoundError:
        return
    if not old.is_dir():
        old.unlink(missing_ok=True)
    shutil.rmtree(old, ignore_errors=True)  # NFS keeps files that are still open


def aside(path: Path) -> Path:
    """A hidden, unique name for a folder that is to be deleted."""
    name = re.sub(rf"(\.{TOKEN})?\.(partial|old)$", "", path.name.removeprefix("."))
    return path.with_name(f".{name}.{uuid.uuid4().hex}.old")


def remains(folder: Path) -> list[Path]:
    """What lies beside an artefact that is finished, and is in the way of nobody."""
    return [*_beside(folder, ".partial"), *_beside(folder, ".old")]


def replacing(folder: Path) -> bool:
    """Whether an artefact is perhaps just being replaced."""
    return bool(_beside(folder, ".old"))


def clear(folder: Path) -> None:
    """Delete what killed jobs left beside a finished artefact. Needs its lock."""
    for path in remains(folder):
        discard(path)


def _beside(folder: Path, suffix: str) -> list[Path]:
    """The hidden entries beside an artefact's folder that belong to it."""
    if not folder.parent.is_dir():
        return []
    name = re.compile(rf"\.{re.escape(folder.name)}(\.{TOKEN})?{re.escape(suffix)}")
    return [path for path in folder.parent.iterdir() if name.fullmatch(path.name)]
