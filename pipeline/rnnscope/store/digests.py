"""SHA-256 digests of configs, files, folders and checkpoints, of which keys are made."""

import glob
import hashlib
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rnnscope.errors import UserError
from rnnscope.store.listing import inside
from rnnscope.terminal import bar

BLOCK = 2**20
"""Bytes that are read at a time."""
LARGE = 2**24
"""Size in bytes from which a file is not read again while its `Stamp` is the same. Smaller files
are always read, since times of files are coarse."""

Stamp = tuple[int, int, int, int]
"""Size, times of modification and of change in ns, and inode of a file: it changes when the file
is written to, and when another takes its place, also one of the same size and modification time."""


def key(identity: dict[str, Any]) -> str:
    """SHA-256, in hex, over a JSON-like value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def digest(path: Path) -> str:
    """SHA-256, in hex, of a file, a folder, or a TensorFlow checkpoint.

    For a file it is that of its content; for a folder, over the contents and relative names of the
    files that ``inside`` gives; for a checkpoint, given by the prefix of its files' names or by its
    .index file, over its .index and .data-* files. A bar appears once it takes more than a second.

    Raises:
        FileNotFoundError: nothing is there.
        UserError: a device, pipe or socket, or a folder that is not one of data.
    """
    files = files_of(path)
    size = sum(regular(file).st_size for file in files.values())
    with bar(
        desc=f"hash {path.name}", total=size, unit="B", unit_scale=True, delay=1.0
    ) as progress:
        found = {name: file_digest(file, progress.update) for name, file in files.items()}
    return found[""] if list(found) == [""] else key(found)


def files_of(path: Path) -> dict[str, Path]:
    """The files that count, by their names within a folder or a checkpoint; a file's own is empty.

    A file need not be there.
    """
    return inside(path) if path.is_dir() else checkpoint(path) or {"": path}


def stamp(path: Path) -> Stamp:
    """What changes whenever a file's content may have changed."""
    return _stamp(path.stat())


def _stamp(about: os.stat_result) -> Stamp:
    return about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino


def file_digest(path: Path, read: Callable[[int], Any] = lambda _: None) -> str:
    """SHA-256, in hex, of a file's content; ``read`` is called with each number of bytes read.

    Raises:
        UserError: a device, pipe or socket.
    """
    about = regular(path)
    version = str(path.resolve()), _stamp(about)
    if version not in _of_large:
        found = _digest(path, read)
        if about.st_size < LARGE:
            return found
        _of_large[version] = found
    return _of_large[version]


_of_large: dict[tuple[str, Stamp], str] = {}
"""Digests of large files while their stamps are the same."""


def regular(path: Path) -> os.stat_result:
    """What the system tells of a file.

    Raises:
        UserError: it is no file, and reading it might never end.
    """
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):
        kind = next((word for test, word in KINDS.items() if test(about.st_mode)), "no file")
        raise UserError(f"{path}: {kind}, which cannot be read twice; save its content to a file")
    return about


KINDS = {
    stat.S_ISDIR: "a folder",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
    stat.S_ISFIFO: "a pipe",
    stat.S_ISSOCK: "a socket",
}


def _digest(path: Path, read: Callable[[int], Any]) -> str:
    found, buffer = hashlib.sha256(), memoryview(bytearray(BLOCK))
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(buffer):
            found.update(buffer[:size])
            read(size)
    return found.hexdigest()


def checkpoint(path: Path) -> dict[str, Path] | None:
    """The files of a checkpoint, by what follows their prefix; None if there is no checkpoint."""
    prefix = path.with_suffix("") if path.suffix == ".index" else path
    index = prefix.with_name(f"{prefix.name}.index")
    data = list(prefix.parent.glob(f"{glob.escape(prefix.name)}.data-*"))
    if not (index.is_file() and data) or (path.is_file() and path != index):
        return None
    return {file.name.removeprefix(prefix.name): file for file in (index, *data)}
