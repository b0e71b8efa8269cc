"""The exception for mistakes that a user can correct, and how its line names many things."""

import re
from collections.abc import Iterable
from typing import Any

MOST = 12
"""How many names a message spells out."""
LONGEST = 60
"""Characters of a name that a message spells out."""
WORD, LINE = 400, 2000
"""Most characters of a word in a message, and of a message."""


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


def shortened(message: str) -> str:
    """A message without the middle of its overlong words: a label may have a million letters."""
    short = re.sub(rf"\S{{{WORD + 1},}}", lambda word: _without_middle(word[0], WORD), message)
    return _without_middle(short, LINE)


def _without_middle(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most // 2]} … {text[-(most // 3) :]}"
