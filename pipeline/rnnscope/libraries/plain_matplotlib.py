"""Matplotlib as it comes, whatever matplotlibrc lies in the working folder or the home."""

import contextlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAME = "matplotlib"


@contextlib.contextmanager
def without_matplotlib() -> Iterator[None]:
    """Let Keras be imported as if Matplotlib were not installed.

    Its gallery of images would import pyplot, which reads styles from the home beside matplotlibrc,
    and ends in an error where one is broken.
    """
    modules: dict[str, Any] = sys.modules
    absent = NAME not in modules
    if absent:
        modules[NAME] = None  # how Python is told so
    try:
        yield
    finally:
        if absent:
            del modules[NAME]


def load_matplotlib() -> None:
    """Import Matplotlib with its own defaults, for a stage that draws.

    A notebook imports it with those of its user, and ``rnnscope.figures`` leaves them as they are.
    """
    with _own_defaults():
        import matplotlib  # noqa: F401


@contextlib.contextmanager
def _own_defaults() -> Iterator[None]:
    """Have Matplotlib read its own matplotlibrc if it is imported inside.

    It looks in the working folder before anywhere else, so that is where its own lies meanwhile.
    """
    spec = None if NAME in sys.modules else importlib.util.find_spec(NAME)
    if spec is None or spec.origin is None:
        yield
        return
    backend = os.environ.pop("MPLBACKEND", None)  # figures are written, not shown
    # Without permissions or a name: the folder may be one that cannot be listed, or be gone.
    before = os.open(".", getattr(os, "O_PATH", os.O_RDONLY))
    try:
        os.chdir(Path(spec.origin).parent / "mpl-data")
        yield
    finally:
        os.fchdir(before)
        os.close(before)
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
