"""The exception for mistakes that a user can correct, and how its line names many things."""

from collections.abc import Iterable
from typing import Any

MOST = 12
"""How many names a message spells out."""
LONGEST = 60
"""Characters of a name that a message spells out."""


class UserError(Exception):
    """One line: what is wrong, where, and what would be right. The command line exits with 2."""

    status = 2
    """The command line's exit status."""


def listed(names: Iterable[Any]) -> str:
    """Names for a message: at most a dozen of them, and how many there are."""
    known = [briefly(name, LONGEST) for name in names]
    if len(known) <= MOST:
        return ", ".join(known)
    return f"{', '.join(known[: MOST - 1])}, … and {len(known) - MOST + 1} more"


def briefly(said: object, most: int = 100) -> str:
    """What an error or a file says, in one line of at most so many printable characters."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(said)).split())
    if not text and isinstance(said, BaseException):
        return type(said).__name__
    return text if len(text) <= most else f"{text[: most - 1]}…"
