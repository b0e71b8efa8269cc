"""Errors of the rooms below in the words of someone who called a function, not the command line.

They name options as the command line has them, ``extract.tolerance=1e-4``, and arrays as files
have them, ``x_test``. Here both are keyword arguments.
"""

import contextlib
import logging
import re
import sys
import threading
import warnings
from collections.abc import Collection, Iterator

from rnnscope.data.missing import INTERPOLATE, REMEDY
from rnnscope.errors import UserError

PATH = "-"
"""What stands for the path of the data, which no file holds."""

_OF_LABELS = (
    (r"give data\.labels=sequence", "give labels.argmax(axis=-1)"),
    (r"(give )?data\.labels=timestep", r"\1labels[..., None], [N, T, 1]"),
    (r"give data\.task=regression", "give labels as floats"),
    (r"data\.task=classification takes", "classes are"),
    (r"data\.task=regression takes", "numeric targets are"),
    (r"data\.max_classes=([\d,]+)", r"at most \1 classes"),
)
_WORDS = (
    (rf"data\.path={re.escape(PATH)}:? ?", ""),
    (re.escape(REMEDY), "put numbers there, such as a pandas interpolate() gives"),
    (re.escape(INTERPOLATE), "put numbers there, such as a pandas interpolate() gives"),
    *_OF_LABELS,
    (r"data\.annotations=(\[[^]]*\])", r"annotations: \1"),
    (r"(?<!['/\w.-])(extract|units|data|train|model)\.([a-z_]+)", r"\2"),
    (r"\bx_<(input|split)>(_<split>)?", "x"),
    (r"\blengths_<(input|split)>(_<split>)?", "lengths"),
    (r"\by_test\b", "labels"),
    (r"\b(x|lengths)_test\b", r"\1"),
    (r" of the test split", ""),
    (r", then save it\b", ""),
    (r", or null\b", ", or None"),
    (r"; add (x\S+), and likewise for each split", r"; add \1"),
    (r" and those named in annotations and groups", ""),
)


def spoken(message: str, inputs: Collection[str] = (), annotations: Collection[str] = ()) -> str:
    """A message in terms of keyword arguments.

    Args:
        message: of a room below.
        inputs: the names of the model's inputs.
        annotations: the names of the annotations.
    """
    for name in sorted(inputs, key=len, reverse=True):
        for kind in ("x", "lengths"):
            message = message.replace(f"{kind}_{name}_test", f"{kind}['{name}']")
    for name in sorted(annotations, key=len, reverse=True):
        found = rf"'{re.escape(name)}_test'|(?<!\w){re.escape(name)}_test\b"
        message = re.sub(found, f"annotations['{name}']", message)
    for pattern, words in _WORDS:
        message = re.sub(pattern, words, message)
    return message


@contextlib.contextmanager
def in_keywords(inputs: Collection[str] = (), annotations: Collection[str] = ()) -> Iterator[None]:
    """While open, the message of a UserError is put in terms of keyword arguments."""
    try:
        yield
    except UserError as error:
        said = spoken(str(error), inputs, annotations)
        if said == str(error):
            raise
        raise type(error)(said).with_traceback(error.__traceback__) from error.__cause__


def outside() -> int:
    """How many frames up the caller of this package is, for a warning's place."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("rnnscope."):
        frame, level = frame.f_back, level + 1
    return level


@contextlib.contextmanager
def logged_as_warnings(annotations: Collection[str] = ()) -> Iterator[None]:
    """While open, what reading the data logs as a warning is one of Python's, in such terms."""
    log, thread = logging.getLogger("rnnscope.data"), threading.get_ident()
    told: list[str] = []

    class Telling(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if threading.get_ident() == thread:
                told.append(record.getMessage())

    handler, propagates = Telling(logging.WARNING), log.propagate
    log.addHandler(handler)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.propagate = propagates
    for line in told:
        warnings.warn(spoken(line, (), annotations), stacklevel=outside())
