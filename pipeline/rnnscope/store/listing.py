"""Which files below a folder of data or of a model count: those that may be read, and no others."""

from collections.abc import Iterator
from pathlib import Path

from rnnscope.errors import UserError

DATA = (".npy", ".parquet")
"""Endings of the files of which a folder of data consists."""
OTHERS = 10_000
"""Files of other endings from which a folder is not one of data, nor of a model."""
BYSTANDERS = {"thumbs.db", "desktop.ini", "__pycache__", "__macosx"}
"""What systems and editors leave in folders."""


def inside(folder: Path) -> dict[str, Path]:
    """The files below a folder that may be read, by their names within it, sorted.

    Where there are files of data, these alone. Hidden files, backups of editors, and whatever is no
    regular file are left out. Links to folders are followed, not in circles.

    Raises:
        UserError: thousands of files that are no data, such as a home folder has.
        OSError: a folder that cannot be read.
    """
    data: dict[str, Path] = {}
    others: dict[str, Path] = {}
    for path in _below(folder, ()):
        found = data if path.suffix in DATA and not path.name.startswith("_") else others
        found[path.relative_to(folder).as_posix()] = path
        if len(others) > OTHERS:
            raise UserError(
                f"{folder}: holds over {OTHERS:,} files that are neither .npy nor .parquet; give "
                "the file, or the folder that holds nothing else"
            )
    return data or others


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder, without bystanders, sorted."""
    return sorted(path for path in folder.iterdir() if not _bystander(path.name))


def _below(folder: Path, above: tuple[tuple[int, int], ...]) -> Iterator[Path]:
    """All regular files below a folder; ``above`` are the folders that it lies in."""
    about = folder.stat()
    here = (about.st_dev, about.st_ino)
    if here in above:
        return
    for path in _entries(folder):
        if path.is_dir():
            yield from _below(path, (*above, here))
        elif path.is_file():
            yield path


def _bystander(name: str) -> bool:
    return (
        name.startswith(".")
        or name.endswith("~")
        or (name.startswith("#") and name.endswith("#"))
        or name.lower() in BYSTANDERS
    )
