"""The exception for mistakes that a user can correct, and how its line names many things."""

from collections.abc import Iterable
from typing import Any

MOST = 12
"""How many names a message spells out."""
LONGEST = 80
"""How many characters of a value a message shows."""


class UserError(Exception):
    """One line: what is wrong, where, and what would be right. The command line exits with 2."""


def listed(names: Iterable[Any]) -> str:
    """Names for a message: at most a dozen of them, and how many there are."""
    known = list(map(str, names))
    if len(known) <= MOST:
        return ", ".join(known)
    return f"{', '.join(known[: MOST - 1])}, … and {len(known) - MOST + 1} more"


def brief(text: str, longest: int = LONGEST) -> str:
    """A text for a message: in one line, without control characters, and not longer than that."""
    shown = text if text.isprintable() else repr(text)[1:-1]
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
