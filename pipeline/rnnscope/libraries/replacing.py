"""What is replaced for a pass is replaced for the thread that makes it, and by one at a time.

Methods of layers and of Keras' classes are shared by all threads of a process. Another thread that
uses the same model meanwhile must have its own numbers; two that record would restore each other's
replacements.
"""

import contextlib
import threading
from collections.abc import Callable
from typing import Any

REPLACING = threading.RLock()
"""Held while anything is replaced. Replacements of one thread may lie within each other."""


class Mine:
    """A replacement that the thread which made it calls; any other calls what was there before."""

    def __init__(self, own: Callable[..., Any], others: Callable[..., Any]):
        self.own, self.others = own, others
        self.thread = threading.get_ident()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What this thread has of it."""
        chosen = self.own if threading.get_ident() == self.thread else self.others
        return chosen(*args, **kwargs)

    def method(self) -> Callable[..., Any]:
        """The same as a method of a class, which is given its object first."""

        def method(*args: Any, **kwargs: Any) -> Any:
            return self(*args, **kwargs)

        return method


def restore(of: Any, name: str, before: Any) -> None:
    """Give an object's attribute back what it was; None for one that only its class had."""
    if before is not None:
        object.__setattr__(of, name, before)
    else:
        with contextlib.suppress(AttributeError):
            object.__delattr__(of, name)
