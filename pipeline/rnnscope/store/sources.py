"""The files of the user's that went into a key, held against what is there when they were read.

A file that is replaced between hashing and reading would give a result under the key of another.
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rnnscope.errors import UserError
from rnnscope.store import digests
from rnnscope.store.digests import Stamp

Stamps = tuple[tuple[str, Stamp], ...]
"""Of each file its name and stamp."""


@dataclass(frozen=True)
class Source:
    """A file, folder or checkpoint that an option names, as it was when it was hashed."""

    option: str
    path: Path
    digest: str
    stamps: Stamps
    """From before it was hashed."""


class ChangedError(UserError):
    """A file changed while it was being read."""


def source(option: str, path: Path) -> Source:
    """Hash what an option names.

    Raises:
        FileNotFoundError: nothing is there.
    """
    before = _stamps(path)
    return Source(option, path.resolve(), digests.digest(path), before)


def check(sources: Iterable[Source], *, anew: bool = False) -> None:
    """Raise if a source is not what it was when it was hashed.

    Args:
        sources: what a result is made from.
        anew: also hash small files again whose stamps are the same: times of files are coarse.

    Raises:
        ChangedError: it is another.
    """
    for each in sources:
        try:
            now = _stamps(each.path)
            small = sum(stamp[0] for _, stamp in now) < digests.LARGE
            as_hashed = now == each.stamps or _digest(each.path, now) == each.digest
            if as_hashed and anew and small:
                as_hashed = digests.digest(each.path) == each.digest
        except OSError:  # it is gone
            as_hashed = False
        if not as_hashed:
            raise ChangedError(
                f"{each.option}={each.path}: changed while it was being read; run again"
            )


@functools.lru_cache(maxsize=64)
def _digest(path: Path, stamps: Stamps) -> str:
    """The digest of what has these stamps; kept, as every part asks for it."""
    return digests.digest(path)


def _stamps(path: Path) -> Stamps:
    return tuple((name, digests.stamp(file)) for name, file in digests.files_of(path).items())
