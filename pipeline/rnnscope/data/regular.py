"""What may be opened as data: regular files, and folders of them."""

import errno
import os
import stat
from pathlib import Path

from rnnscope.errors import UserError

MOST = 100_000
"""Files and folders below a folder that are looked at; data sets are folders of fewer."""
KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
WHY = {
    errno.ENOENT: "no such file or folder",
    errno.ENOTDIR: "no such file or folder",
    errno.ELOOP: "a symbolic link that leads back to itself",
    errno.EACCES: "no permission to read it",
    errno.EPERM: "no permission to read it",
    errno.ENAMETOOLONG: "a name that is too long",
}
"""Errors of the system in words."""


def why_unusable(path: Path, *, empty: bool = False) -> str | None:
    """Why a path is no data: a device, a pipe, a loop of links, empty or unreadable; None if it is.

    Nothing is opened, which a pipe would answer by waiting.

    Args:
        path: of a file or folder.
        empty: whether a file without content is data.
    """
    try:
        about = path.stat()
    except (OSError, ValueError) as error:  # a zero byte in a name is a ValueError
        return why_not_read(error)
    for is_kind, words in KINDS:
        if is_kind(about.st_mode):
            return f"{words}, not a regular file or folder"
    if not os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0)):
        return WHY[errno.EACCES]
    return "an empty file" if not empty and path.is_file() and about.st_size == 0 else None


def refuse_unusable(path: Path, option: str) -> None:
    """Raise where a path is no data.

    Args:
        path: of a file or folder.
        option: that names it, or what to call it.

    Raises:
        UserError: a device, a pipe, a loop of links, an empty or unreadable file, or nothing.
    """
    if why := why_unusable(path):
        raise UserError(f"{option}={path}: {why}; give a file, or a folder of files, with data")


def why_not_read(error: OSError | ValueError) -> str:
    """An error of the system in a few words."""
    number = error.errno if isinstance(error, OSError) else errno.ENOENT
    known = WHY.get(number or 0)
    return known or f"it cannot be read ({os.strerror(number or errno.EIO)})"


def below(folder: Path) -> list[Path]:
    """The files below a folder, at most ``MOST``; links to folders are not followed.

    Raises:
        UserError: more than that, as a home folder has.
    """
    found: list[Path] = []
    seen = 0
    for here, folders, files in os.walk(folder):
        seen += len(folders) + len(files)
        if seen > MOST:
            raise UserError(
                f"data.path={folder}: more than {MOST:,} files lie below this folder; "
                "give the one that holds the data"
            )
        found += [Path(here, name) for name in files]
    return sorted(found)
