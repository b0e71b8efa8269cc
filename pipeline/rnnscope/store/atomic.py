"""Files that appear complete or not at all, also if several processes write the same one.

What has its name is on the disk, and not only in the system's memory: a file is synced before it is
renamed and its folder afterwards. Without this, a file may be empty after the power was lost though
it was renamed long before.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CANNOT = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF}
"""What file systems answer that cannot sync a folder. A failure to write is none of these."""
AT_ONCE = 8
"""Files that are synced at a time: a disk or file server that is asked for many writes them
together."""


@contextlib.contextmanager
def written(path: Path) -> Iterator[Path]:
    """A hidden, unique path beside ``path`` to write to, which is renamed to ``path`` at the end.

    If writing fails nothing is left; if the process is killed, the hidden file is. After a loss of
    power the file is there whole, or is what it was before.
    """
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield unfinished
        sync(unfinished)
        unfinished.replace(path)
        sync(path.parent)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def sync(path: Path) -> None:
    """Wait until a file's content, or the names in a folder, are on the disk.

    Raises:
        OSError: they could not be written.
    """
    number = os.open(path, os.O_RDONLY)
    try:
        if hasattr(fcntl, "F_FULLFSYNC"):  # of macOS, whose fsync does not reach the disk itself
            fcntl.fcntl(number, fcntl.F_FULLFSYNC)
        else:
            os.fsync(number)
    except OSError as error:
        if error.errno not in CANNOT:
            raise
    finally:
        os.close(number)


def sync_all(folder: Path) -> None:
    """Sync all files below a folder, then all folders, the folder itself last."""
    files, folders = [], []
    for place, _, names in os.walk(folder, topdown=False):
        files += [Path(place, name) for name in names]
        folders.append(Path(place))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(sync, (file for file in files if not file.is_symlink())))
    for each in folders:
        sync(each)


def sync_name(folder: Path) -> None:
    """Sync the name of an artefact's folder, and of its stage's folder and the root if new."""
    stage = folder.parent
    sync(stage)
    sync(stage.parent)
    with contextlib.suppress(PermissionError):
        sync(stage.parent.parent)


def remove(path: Path) -> None:
    """Delete a file or a folder, which loses its name first, in one step, and then what it holds.

    A process that is killed meanwhile leaves no half of a folder under its name; what it leaves is
    hidden, and deleted by ``clear`` or by the next run. Nothing happens if nothing is there.
    """
    gone = path.with_name(f".{uuid.uuid4().hex}{GONE}")
    try:
        path.rename(gone)
    except FileNotFoundError:
        return
    discard(gone)


GONE = ".gone"
"""Ends the names of what ``remove`` is deleting."""


def discard(path: Path) -> None:
    """Delete a file or a folder as far as that is possible; on NFS, open files may stay."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def clear(folder: Path) -> None:
    """Delete all that is hidden below a folder, which is what killed writers left there."""
    for place, folders, files in os.walk(folder):
        hidden = [name for name in (*folders, *files) if name.startswith(".")]
        for name in hidden:
            discard(Path(place, name))
        folders[:] = [name for name in folders if not name.startswith(".")]
