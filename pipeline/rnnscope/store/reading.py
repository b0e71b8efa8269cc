"""Read a finished artefact as one, though another job may replace it meanwhile.

A forced run that comes to other files puts another folder in the place of a finished one. Files
that are opened one after the other, by their names, may then come from both. Here, what was read is
used only if the same folder stood there before and afterwards; else it is read again.
"""

import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from rnnscope.store import partials
from rnnscope.store.artefacts import MANIFEST

Read = TypeVar("Read", bound=Callable[..., Any])

Identity = tuple[int, int, Any] | None
"""Device and inode of a folder, and what its manifest says is in it; None if it is not there."""
TRIES, PAUSE = 40, 0.05
"""Looks for a folder that is just being replaced, and seconds between them."""


def identity(folder: Path) -> Identity:
    """What tells an artefact from another that takes its place."""
    for _ in range(TRIES):
        try:
            about = folder.stat()
        except OSError:
            if not partials.replacing(folder):
                return None
            time.sleep(PAUSE)
        else:
            return about.st_dev, about.st_ino, _contents(folder)
    return None


def consistently(read: Read) -> Read:
    """A function that reads a folder, such that all that it reads is of the same artefact.

    A link such as ``latest/extract`` is followed once.
    """

    @functools.wraps(read)
    def whole(folder: Path | str, *args: Any, **kwargs: Any) -> Any:
        while True:
            place = Path(folder).resolve()
            before = identity(place)
            try:
                found = read(place, *args, **kwargs)
            except Exception:
                if identity(place) == before:
                    raise
                continue
            if identity(place) == before:
                return found

    return cast(Read, whole)


def _contents(folder: Path) -> Any:
    """What a manifest says of the files; if it does not, the whole manifest."""
    try:
        text = (folder / MANIFEST).read_text()
    except (OSError, ValueError):
        return None
    try:
        return json.loads(text)["contents"]
    except (ValueError, KeyError, TypeError):
        return text
