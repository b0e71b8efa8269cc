"""Standard output and error: what is printed commands no terminal, and losing it ends no run.

A run of days goes on when the pipe that it prints to closes or the terminal hangs up; its log file
has every message. A disk that is full under a redirected output does not stop it either, but the
command's status then says that output is missing.
"""

import atexit
import contextlib
import errno
import io
import logging
import multiprocessing
import os
import select
import sys
from typing import Any, NoReturn, TextIO

CONTROLS = {
    *(code for code in range(0x20) if chr(code) not in "\t\n"),
    *range(0x7F, 0xA0),
    *(0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)),
}
"""Characters that move the cursor, colour or rename a terminal, or turn the order of a text."""
_ESCAPES = {
    code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in sorted(CONTROLS)
}
CLOSED = (errno.EPIPE, errno.EIO, errno.ECONNRESET)
"""Errors of writing to a pipe whose reader has ended, or to a terminal that hung up."""


def printable(text: str) -> str:
    r"""The text with control characters as escapes, such as ``\x1b``; lines and tabs stay."""
    return text.translate(_ESCAPES)


class Printable(logging.Formatter):
    """Another formatter's messages, made printable: names and labels in them are the user's."""

    def __init__(self, inner: logging.Formatter | None):
        super().__init__()
        self.inner = inner or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        """Format the message, with its traceback if it has one."""
        return printable(self.inner.format(record))


class Lasting(io.FileIO):
    """An open descriptor that takes everything, also after nothing more can be written to it."""

    def __init__(self, descriptor: int):
        super().__init__(descriptor, "w", closefd=False)
        self.lost: OSError | None = None
        """Why some output is lost."""

    def write(self, data: Any, /) -> int:
        """Write, or forget the data if that has become impossible."""
        view = memoryview(data)
        while self.lost is None:
            try:
                written: int | None = super().write(view)
                if written is not None:
                    return written
                select.select([], [self], [])  # a terminal that another program made non-blocking
            except OSError as error:
                self.lost = error
        return view.nbytes


class Screen(io.TextIOWrapper):
    """Text on a lasting descriptor, with control characters as escapes."""

    def __init__(self, descriptor: int, like: TextIO):
        self.lasting = Lasting(descriptor)
        super().__init__(
            io.BufferedWriter(self.lasting),
            encoding=like.encoding,
            errors="backslashreplace",  # in whatever encoding the terminal has
            line_buffering=descriptor == 2 or like.isatty(),
        )

    def write(self, text: str, /) -> int:
        """Write the text, made printable."""
        super().write(printable(text))
        return len(text)

    @property
    def bars(self) -> TextIO:
        """The same descriptor for progress bars, which move the cursor themselves."""
        own = io.BufferedWriter(Lasting(self.fileno()))  # closed with the bar, this one is not
        return io.TextIOWrapper(own, self.encoding, "backslashreplace", write_through=True)


def protect() -> None:
    """Put standard output and error of this process behind a ``Screen`` each.

    A descriptor that was closed (``>&-``) is opened on the null device first: else the next file to
    be opened, part of an artefact, would take its number and receive what libraries print.
    """
    with contextlib.suppress(OSError):
        while (null := os.open(os.devnull, os.O_RDWR)) < 3:
            pass
        os.close(null)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        # A stream that is another's own, such as a test's or a notebook's, stays.
        if stream is None or (stream is getattr(sys, f"__{name}__") and _of(stream, descriptor)):
            like = stream or open(os.devnull, "w")  # noqa: SIM115, PTH123
            setattr(sys, name, Screen(descriptor, like))
    logging.raiseExceptions = False  # a log file that cannot be written is no reason to print


def escape_logs() -> None:
    """Make the messages of all handlers printable."""
    for name in (None, "rnnscope", "traceback"):
        for handler in logging.getLogger(name).handlers:
            if not isinstance(handler.formatter, Printable):
                handler.setFormatter(Printable(handler.formatter))
            if type(handler) is logging.StreamHandler and isinstance(sys.stdout, Screen):
                handler.setStream(sys.stdout)  # made before, by Hydra in a job's own process


def missing() -> str | None:
    """Why output of this process is missing; None if it is all there, or nobody reads it."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, Screen):
            stream.flush()
            lost = stream.lasting.lost
            if lost is not None and lost.errno not in CLOSED:
                of = "output" if name == "stdout" else "error"
                return f"standard {of}: {lost.strerror}; what was printed is incomplete"
    return None


def _of(stream: TextIO, descriptor: int) -> bool:
    try:
        return stream.fileno() == descriptor
    except (OSError, ValueError):
        return False


def shown(error: BaseException) -> tuple[int, None]:
    """Print the traceback of an error, as Python does before it ends; its exit status, no line."""
    sys.excepthook(type(error), error, error.__traceback__)
    return 1, None


def leave(status: int) -> NoReturn:
    """End this process at once, whatever its threads are doing.

    A stage that fails may leave threads at work in Arrow or TensorFlow. Python's own end waits for
    some of them, and aborts where others return to an interpreter that is gone. Processes that a
    sweep started are idle by now, and would be waited for until they give up, after five minutes.
    """
    for child in multiprocessing.active_children():
        child.terminate()
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(status)
