"""The exception for mistakes that a user can correct, and how its line names many things."""

from collections.abc import Iterable
from typing import Any

MOST = 12
"""How many names a message spells out."""
LONGEST = 60
"""Characters of a name that a message shows."""


class UserError(Exception):
    """One line: what is wrong, where, and what would be right. The command line exits with 2."""


def listed(names: Iterable[Any]) -> str:
    """Names for a message: at most a dozen of them, and how many there are."""
    known = [shown(name) for name in names]
    if len(known) <= MOST:
        return ", ".join(known)
    return f"{', '.join(known[: MOST - 1])}, … and {len(known) - MOST + 1} more"


def shown(value: Any) -> str:
    """A value of the user's data for a message: shortened, and without control characters."""
    text = str(value)
    short = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in short)
