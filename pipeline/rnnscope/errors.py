"""The exceptions whose message is one line, and how such a line names many things."""

from collections.abc import Iterable
from typing import Any

MOST = 12
"""How many names a message spells out."""


class UserError(Exception):
    """One line: what is wrong, where, and what would be right. The command line exits with 2."""


class Failed(Exception):  # noqa: N818
    """One line: what failed while a stage ran, and what may help. The command line exits with 1."""


def listed(names: Iterable[Any]) -> str:
    """Names for a message: at most a dozen of them, and how many there are."""
    known = list(map(str, names))
    if len(known) <= MOST:
        return ", ".join(known)
    return f"{', '.join(known[: MOST - 1])}, … and {len(known) - MOST + 1} more"
