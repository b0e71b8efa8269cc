"""The hidden folders beside an artefact, in which its output is written.

    .<slug>-<key>.<token>.partial     of the job whose lock has that token
    .<slug>-<key>.partial             of no lock

Each holder of the lock writes to a folder of its own name. Whoever takes a lock over takes the
folder too, by one rename: from then on a job that lost its lock, and may not know it yet, finds
nothing to write to and nothing to commit.
"""

import re
from pathlib import Path

from rnnscope.store import atomic
from rnnscope.store.locks import LostLockError

TOKEN = r"[0-9a-f]{32}"


def place(named: Path, token: str | None) -> Path:
    """Where the holder of a token writes an artefact's output.

    Args:
        named: the artefact's folder with the key in full.
        token: of the holder; None if there is none.
    """
    return named.with_name(f".{named.name}{f'.{token}' if token else ''}.partial")


def of_holder(named: Path, token: str | None) -> Path:
    """Where the holder of a token has written; of no lock if it did not name itself."""
    mine = place(named, token)
    return mine if mine.is_dir() else place(named, None)


def named_in(partial: Path) -> Path:
    """The artefact's folder, with the key in full, to which an unfinished one belongs."""
    return partial.with_name(re.sub(rf"^\.(.*?)(\.{TOKEN})?\.partial$", r"\1", partial.name))


def left(named: Path) -> list[Path]:
    """The unfinished folders of an artefact, those with the most files first."""
    if not named.parent.is_dir():
        return []
    name = re.compile(rf"\.{re.escape(named.name)}(\.{TOKEN})?\.partial")
    there = (path for path in named.parent.iterdir() if name.fullmatch(path.name))
    found = [path for path in there if path.is_dir()]
    if len(found) > 1:
        found.sort(key=lambda path: (-sum(1 for _ in path.rglob("*")), path.name))
    return found


def opened(named: Path, token: str | None, *, resume: bool) -> Path:
    """The holder's folder: with what an interrupted job left if ``resume``, else empty."""
    mine = place(named, token)
    others = left(named)
    if resume and others and others[0] != mine:
        others.pop(0).rename(mine)
    for other in others:
        if not (resume and other == mine):
            atomic.remove(other)
    mine.mkdir(parents=True, exist_ok=True)
    return mine


def check(partial: Path) -> None:
    """Raise if a folder that this job is writing to was taken from it; any process can ask.

    Raises:
        LostLockError: it is gone.
    """
    if not partial.is_dir():
        name = re.sub(r"(-[0-9a-f]{8})[0-9a-f]+$", r"\1", named_in(partial).name)
        raise LostLockError(
            f"{name}: another job took it over while this job was suspended or "
            "cut off from the disk; this job stops, run it again"
        )


def clear(named: Path) -> None:
    """Delete what killed jobs left of an artefact that is finished. Needs its lock."""
    for path in left(named):
        atomic.remove(path)
