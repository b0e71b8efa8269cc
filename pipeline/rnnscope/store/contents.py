"""What lies in an artefact: the size and digest of each of its files, for its manifest.

Digests are XXH3 in 128 bits. They find damage, not forgery; keys are made of SHA-256 (`digests`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import xxhash

from rnnscope.errors import UserError

BLOCK = 2**24
"""Bytes that are read and digested at a time."""


class Damaged(UserError):  # noqa: N818 - what it says of the file
    """A file of an artefact is not what was written: <path>: <fault>; <remedy>."""


@dataclass(frozen=True)
class Content:
    """What one file holds."""

    bytes: int
    xxh3: str
    """XXH3-128 of all bytes, in hex."""


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
    """The contents of all files below a folder, by their names within it, sorted.

    Args:
        folder: where they lie.
        known: contents that were digested while they were written; these are not read again.
    """
    there = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in there}
    return {name: (known or {}).get(name) or of_file(path) for name, path in names.items()}
