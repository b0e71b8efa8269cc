"""Files that appear complete or not at all, also if several processes write the same one."""

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def written(path: Path) -> Iterator[Path]:
    """A hidden, unique path beside ``path`` to write to, which is renamed to ``path`` at the end.

    If writing fails nothing is left; if the process is killed, the hidden file is.
    """
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield unfinished
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def clear(folder: Path) -> None:
    """Delete the hidden files that killed writers left anywhere below a folder."""
    for left in folder.rglob(".*"):
        with contextlib.suppress(OSError):  # on NFS, a file that is still open; it is harmless
            left.unlink()
