"""Which files of an artefact were verified, so that they need not be read each time.

Beside an artefact ``<name>`` lies ``.<name>.checked``: for each file whose digest was verified, its
size, times and inode then. A file of which these are unchanged has not been written to since, as in
git's index. It is a cache: without it, or where it cannot be read, all files are read again.

A file may be written to twice within one tick of the file system's clock, the second time after it
was verified, and then shows the same times. So a file that changed shortly before it was read is
not noted (git calls it racily clean).
"""

import contextlib
import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path

from rnnscope.store.contents import Content

TICK = 2_000_000_000
"""Nanoseconds between two times that the coarsest file systems tell apart (FAT: 2 s)."""

Seen = tuple[int, int, int, int]
"""Size, modification time and change time in nanoseconds, inode."""


def beside(folder: Path) -> Path:
    """The sidecar of an artefact's folder."""
    return folder.with_name(f".{folder.name}.checked")


def seen(about: os.stat_result) -> Seen:
    """What of a file changes whenever it is written to."""
    return about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino


def verified(folder: Path, contents: Mapping[str, Content]) -> dict[str, Seen]:
    """What the files were like when they were last seen to have these contents, as far as noted."""
    try:
        noted = json.loads(beside(folder).read_bytes())
        return {
            name: (size, modified, changed, inode)
            for name, (digest, size, modified, changed, inode) in noted.items()
            if name in contents and contents[name].xxh3 == digest
        }
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def note(
    folder: Path,
    contents: Mapping[str, Content],
    files: Mapping[str, Seen],
    now: int | None = None,
) -> None:
    """Write the sidecar, where that is possible.

    Args:
        folder: of the artefact.
        contents: what its files hold.
        files: those verified, as they were before they were read.
        now: the time by ``clock`` before they were read; by default this moment's.
    """
    now = clock(folder) if now is None else now
    if now is None:
        return
    settled = {
        name: [contents[name].xxh3, *each]
        for name, each in files.items()
        if max(each[1], each[2]) < now - TICK
    }
    if not settled:
        return
    fresh = beside(folder).with_name(f"{beside(folder).name}.{uuid.uuid4().hex}")
    with contextlib.suppress(OSError):  # a root that may only be read, or a full disk
        try:
            fresh.write_text(json.dumps(settled))
            fresh.replace(beside(folder))
        finally:
            fresh.unlink(missing_ok=True)


def forget(folder: Path) -> None:
    """Have all files of an artefact read again, where that can be noted."""
    with contextlib.suppress(OSError):
        beside(folder).unlink(missing_ok=True)


def clock(folder: Path) -> int | None:
    """The time of the file system that holds an artefact, in nanoseconds; None if it is read-only.

    It may differ from this machine's.
    """
    probe = beside(folder).with_name(f"{beside(folder).name}.{uuid.uuid4().hex}")
    try:
        probe.touch()
        try:
            return probe.stat().st_mtime_ns
        finally:
            probe.unlink(missing_ok=True)
    except OSError:
        return None
