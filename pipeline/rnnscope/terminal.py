"""The terminal: progress bars, short paths, and imports without libraries' messages."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from rnnscope.streams import Screen, printable
from rnnscope.trouble import explained

if TYPE_CHECKING:
    from tqdm.auto import tqdm


def bar(*, desc: str, **options: Any) -> "tqdm[Any]":
    """A progress bar on a terminal, silent elsewhere; it vanishes when done."""
    from tqdm.auto import tqdm  # which fails where a variable of its is wrong

    screen = sys.stderr
    return tqdm(
        disable=None,
        leave=False,
        dynamic_ncols=True,
        desc=printable(desc),
        file=screen.bars if isinstance(screen, Screen) else screen,
        **options,
    )


def short_path(path: Path) -> str:
    """A path relative to the working folder, if it is below it."""
    with contextlib.suppress(ValueError, OSError):  # the working folder may be gone
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
    writes to the file descriptor, so the descriptor itself is redirected. Of flags that it does not
    know it says so and ends the process, as other libraries do: what was said is then printed too.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    terminal = os.dup(2)
    with _aside() as held, _printed_if_this_process_ends(held):
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException as error:
            held.seek(0)
            if not isinstance(error, KeyboardInterrupt) and explained(error) is None:
                os.write(terminal, held.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


@contextlib.contextmanager
def _printed_if_this_process_ends(held: BinaryIO) -> Iterator[None]:
    """Have a shell print a file to standard error, if this process ends inside.

    It waits at a pipe: a line means that all is well, an end without one that this process is gone.
    Where there is no shell or no /proc, nothing is printed.
    """
    file = f"/proc/self/fd/{held.fileno()}"  # opened anew, to be read from its start
    last = "rnnscope: a library ended this process while it was imported; it said what is above"
    waits = f"trap '' INT HUP TERM; read -r _ || {{ cat {file}; echo '{last}'; }} >&2"
    try:
        shell = subprocess.Popen(
            ["/bin/sh", "-c", waits],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=[held.fileno()],
        )
    except OSError:
        yield
        return
    try:
        yield
    finally:
        shell.communicate(b"\n")


def _aside() -> BinaryIO:
    """A file in memory, where the system has such: the temporary folder may be full or missing."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("rnnscope"), "w+b")
    return cast(BinaryIO, tempfile.TemporaryFile())
