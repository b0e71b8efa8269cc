"""SHA-256 digests of configs, files, folders and checkpoints, of which keys are made."""

import functools
import glob
import hashlib
import json
from pathlib import Path
from typing import Any

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

    For a file it is that of its content; for a folder, over the contents and relative names of all
    its files; for a checkpoint, given by the prefix of its files' names or by its .index file, over
    its .index and .data-* files.

    Raises:
        FileNotFoundError: nothing is there.
    """
    files = files_of(path)
    if list(files) == [""]:
        return file_digest(path)
    return key({name: file_digest(file) for name, file in files.items()})


def files_of(path: Path) -> dict[str, Path]:
    """The files that count, by their names within a folder or a checkpoint; a file's own is empty.

    A file need not be there.
    """
    return _inside(path) if path.is_dir() else checkpoint(path) or {"": path}


def stamp(path: Path) -> Stamp:
    """What changes whenever a file's content may have changed."""
    about = path.stat()
    return about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino


def file_digest(path: Path) -> str:
    """SHA-256, in hex, of a file's content."""
    now = stamp(path)
    read = _digest_of_large if now[0] >= LARGE else _digest
    return read(path.resolve(), now)


def _digest(path: Path, now: Stamp) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_digest_of_large = functools.lru_cache(maxsize=4096)(_digest)
"""The digest of a large file is cached while its stamp is the same."""


def _inside(folder: Path) -> dict[str, Path]:
    """All files below a folder, by their names within it."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path for path in files}


def checkpoint(path: Path) -> dict[str, Path] | None:
    """The files of a checkpoint, by what follows their prefix; None if there is no checkpoint."""
    prefix = path.with_suffix("") if path.suffix == ".index" else path
    index = prefix.with_name(f"{prefix.name}.index")
    data = list(prefix.parent.glob(f"{glob.escape(prefix.name)}.data-*"))
    if not (index.is_file() and data) or (path.is_file() and path != index):
        return None
    return {file.name.removeprefix(prefix.name): file for file in (index, *data)}
