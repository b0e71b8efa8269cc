"""What lies in an artefact: the size and digest of each of its files, for its manifest.

Digests are XXH3 in 128 bits. They find damage, not forgery; keys are made of SHA-256 (`digests`).
"""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import xxhash

from rnnscope.errors import UserError

BLOCK = 2**22
"""Bytes that are read and digested at a time."""
THREADS = min(8, os.cpu_count() or 1)
"""Files that are read and digested at a time."""
NOT_OURS = ("Thumbs.db", "desktop.ini")
"""What systems leave in folders that people open, beside hidden files such as .DS_Store."""


class Damaged(UserError):  # noqa: N818 - the word for it everywhere
    """Files of an artefact are not what was written: "<path>: <what is wrong>; <remedy>"."""


@dataclass(frozen=True)
class Content:
    """What one file holds."""

    bytes: int
    xxh3: str
    """XXH3-128 of all bytes, in hex."""

    @property
    def plain(self) -> dict[str, Any]:
        """As a manifest has it."""
        return {"bytes": self.bytes, "xxh3": self.xxh3}


class Digesting:
    """A binary file to write to in one go, digested on the way; ``pyarrow`` and others take it."""

    def __init__(self, file: BinaryIO):
        self._file, self._hash, self._bytes = file, xxhash.xxh3_128(), 0

    @property
    def content(self) -> Content:
        """Of what was written so far."""
        return Content(self._bytes, self._hash.hexdigest())

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return self._file.closed

    def write(self, data: bytes | memoryview) -> int:
        """Write and digest some bytes."""
        self._hash.update(data)
        written = self._file.write(data)
        self._bytes += written
        return written

    def flush(self) -> None:
        """Flush the file."""
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def of_file(path: Path) -> Content:
    """The content of a file, which is read whole."""
    found, size = xxhash.xxh3_128(), 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            found.update(block)
            size += len(block)
    return Content(size, found.hexdigest())


def of_folder(folder: Path, known: Mapping[str, Content] | None = None) -> dict[str, Content]:
    """The contents of all files below a folder that are not hidden, by their names within it.

    Args:
        folder: where they lie.
        known: contents that were digested while they were written; these are not read again.

    Returns:
        Content by name, sorted by name.
    """
    known = known or {}
    names = sorted(name for name in inside(folder) if (folder / name).is_file())
    with ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(lambda name: known.get(name) or of_file(folder / name), names)
        return dict(zip(names, found, strict=True))


def inside(folder: Path) -> Iterator[str]:
    """The names of all files below a folder that are not hidden, and of folders without any file.

    Hidden files and folders are those of editors, file managers and file servers; no reader of
    Parquet folders sees them. Links to folders count as files.
    """
    for place, folders, files in os.walk(folder):
        linked = [name for name in folders if Path(place, name).is_symlink()]
        folders[:] = [name for name in folders if not name.startswith(".") and name not in linked]
        here = Path(place).relative_to(folder)
        names = [name for name in (*files, *linked) if _counts(name)]
        yield from ((here / name).as_posix() for name in names)
        if not names and not folders and here.parts:
            yield here.as_posix()


def prune(folder: Path) -> None:
    """Delete the folders below a folder that hold nothing."""
    for place, _, _ in os.walk(folder, topdown=False):
        if Path(place) != folder:
            with contextlib.suppress(OSError):  # it holds something
                Path(place).rmdir()


def fingerprint(contents: Mapping[str, Any]) -> str:
    """XXH3-128 over the contents of a manifest: the same where the same results lie."""
    return xxhash.xxh3_128_hexdigest(json.dumps(contents, sort_keys=True).encode())


def _counts(name: str) -> bool:
    return not name.startswith(".") and name not in NOT_OURS
