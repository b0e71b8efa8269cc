"""Files that appear whole or not at all, whoever else writes the same one."""

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def written(path: Path) -> Iterator[Path]:
    """A name beside ``path`` to write to, hidden and nobody else's; in the end it becomes ``path``.

    What fails leaves nothing; what is killed leaves the hidden file.
    """
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield unfinished
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def clear(folder: Path) -> None:
    """Delete the hidden files of writers that were killed, wherever they are in a folder."""
    for left in folder.rglob(".*"):
        with contextlib.suppress(OSError):  # still open somewhere, on NFS; it does no harm
            left.unlink()
