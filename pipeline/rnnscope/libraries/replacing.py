"""Methods that are replaced for the thread that asks for it; others keep what was there.

Methods of layers and of Keras' classes are shared by all threads of a process. Another thread that
uses the same model meanwhile must have its own numbers, and two that record must not restore each
other's replacements. No lock is held while anything is replaced, so that threads that wait for each
other do not hang.
"""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

_CHANGING = threading.Lock()
"""Held while a replacement is put in place or taken away."""
_REPLICA = "_MirroredReplicaThread"
"""The threads in which a strategy of TensorFlow runs a replica for the thread that waits for it."""


class PerThread:
    """What stands in a method's place: each thread calls its latest replacement, or the method."""

    def __init__(self, method: Callable[..., Any], before: Any):
        self.method, self.before = method, before
        self.own: dict[int, list[Callable[..., Any]]] = {}
        """By thread, the latest last."""

    def current(self) -> Callable[..., Any] | None:
        """The replacement that this thread calls; None if there is none."""
        own = self.own.get(threading.get_ident())
        if own is None and type(threading.current_thread()).__name__ == _REPLICA:
            own = next(iter(self.own.values()), None)
        return own[-1] if own else None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What this thread has of it."""
        return (self.current() or self.method)(*args, **kwargs)


def replacement(of: Any, name: str) -> Callable[..., Any] | None:
    """What this thread calls in place of a method; None if it is the method."""
    there = _there(of, name)
    return None if there is None else there.current()


def as_it_is(of: Any, name: str) -> Callable[..., Any]:
    """What this thread calls now, also once something else is put in its place."""
    there = _there(of, name)
    if there is None:
        found: Callable[..., Any] = getattr(of, name)
        return found
    return there.current() or there.method


@contextlib.contextmanager
def replaced(parts: Iterable[tuple[Any, str, Callable[..., Any]]]) -> Iterator[None]:
    """While open, this thread calls other functions in place of methods.

    Args:
        parts: objects or classes, names of their methods, and what is called instead; of a class it
            takes the object first.
    """
    thread, done = threading.get_ident(), []
    try:
        for of, name, own in parts:
            with _CHANGING:
                there = _there(of, name) or _put(of, name)
                there.own.setdefault(thread, []).append(own)
                done.append((of, name, there, own))
        yield
    finally:
        with _CHANGING:
            for of, name, there, own in reversed(done):
                _take(of, name, there, own, thread)


def _there(of: Any, name: str) -> PerThread | None:
    found = vars(of).get(name)
    found = getattr(found, "per_thread", found)
    return found if isinstance(found, PerThread) else None


def _put(of: Any, name: str) -> PerThread:
    made = PerThread(getattr(of, name), vars(of).get(name))
    if not isinstance(of, type):
        # Bypasses Keras' attribute tracking, which would leave traces in the layer.
        object.__setattr__(of, name, made)
        return made

    def method(*args: Any, **kwargs: Any) -> Any:  # which Python binds, as it does no other object
        return made(*args, **kwargs)

    method.per_thread = made  # type: ignore[attr-defined]
    setattr(of, name, method)
    return made


def _take(of: Any, name: str, there: PerThread, own: Callable[..., Any], thread: int) -> None:
    stack = there.own[thread]
    del stack[max(place for place, each in enumerate(stack) if each is own)]
    if not stack:
        del there.own[thread]
    if there.own or _there(of, name) is not there:
        return
    if isinstance(of, type):
        setattr(of, name, there.before)
    elif there.before is not None:
        object.__setattr__(of, name, there.before)
    else:
        with contextlib.suppress(AttributeError):
            object.__delattr__(of, name)
