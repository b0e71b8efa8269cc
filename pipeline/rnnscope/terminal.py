"""The terminal: progress bars, short paths, and imports without libraries' messages."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm


def bar(**options: Any) -> "tqdm[Any]":
    """A progress bar on a terminal, silent elsewhere; it vanishes when done."""
    return tqdm(disable=None, leave=False, dynamic_ncols=True, **options)


def short_path(path: Path) -> str:
    """A path relative to the working folder, if it is below it."""
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def in_words(seconds: float) -> str:
    """A time in the unit that fits: 40 s, 12 min, 14 h, 3 days."""
    for unit, size, least in (("days", 86_400, 172_800), ("h", 3_600, 5_400), ("min", 60, 90)):
        if seconds >= least:
            return f"{seconds / size:,.0f} {unit}"
    return f"{max(1, seconds):.0f} s"


@contextlib.contextmanager
def without_greeting() -> Iterator[None]:
    """Hold back what a library prints while it is imported, unless the import fails.

    TensorFlow reports the processor's features on every start, before its own log level applies. It
    writes to the file descriptor, so the descriptor itself is redirected.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception:
            held.seek(0)
            os.write(terminal, held.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
