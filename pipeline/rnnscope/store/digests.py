"""What a result is made from, as one number: hashes of configs, files, folders and checkpoints."""

import functools
import glob
import hashlib
import json
from pathlib import Path
from typing import Any

LARGE = 2**24
"""Bytes from which on a file is not read again to know that it is the same; a time of change is
too coarse to trust where reading costs little."""


def key(identity: dict[str, Any]) -> str:
    """SHA-256, in hex, over a JSON-like value; the order of its keys does not count."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def digest(path: Path) -> str:
    """SHA-256, in hex, of what is at a path: a file, a folder, or a TensorFlow checkpoint.

    A file counts by its content alone; a folder by the contents of all its files and by their
    names within it; a checkpoint, which goes by the prefix of its files' names or by its .index
    file, by its .index and .data-* files.

    Raises:
        FileNotFoundError: nothing is there.
    """
    files = _inside(path) if path.is_dir() else checkpoint(path)
    if files is None:
        return file_digest(path)
    return key({name: file_digest(file) for name, file in files.items()})


def file_digest(path: Path) -> str:
    """SHA-256, in hex, of a file's content."""
    about = path.stat()
    read = _digest_of_large if about.st_size >= LARGE else _digest
    return read(path.resolve(), about.st_size, about.st_mtime_ns)


def _digest(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_digest_of_large = functools.lru_cache(maxsize=4096)(_digest)
"""Of a large file the digest is kept, as long as its size and time of change stay the same."""


def _inside(folder: Path) -> dict[str, Path]:
    """All files below a folder, by their names within it."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path for path in files}


def checkpoint(path: Path) -> dict[str, Path] | None:
    """The files of a checkpoint, by what follows their prefix; None where there is none."""
    prefix = path.with_suffix("") if path.suffix == ".index" else path
    index = prefix.with_name(f"{prefix.name}.index")
    data = list(prefix.parent.glob(f"{glob.escape(prefix.name)}.data-*"))
    if not (index.is_file() and data) or (path.is_file() and path != index):
        return None
    return {file.name.removeprefix(prefix.name): file for file in (index, *data)}
