"""The exceptions whose message is one line, and how such a line names many things."""

import re
from collections.abc import Iterable
from typing import Any

MOST, NAME = 12, 60
"""How many names a message spells out, and how many characters of each."""
LONGEST = 80
"""How many characters of a value a message shows."""
WORD, LINE = 400, 2000
"""Most characters of a word in a message, and of a message."""


class UserError(Exception):
    """One line: what is wrong, where, and what would be right. The command line exits with 2."""

    status = 2
    """The command line's exit status."""


class Failed(UserError):  # noqa: N818 - the word for it
    """One line: what failed while a stage ran, and what may help. The command line exits with 1."""

    status = 1


def listed(names: Iterable[Any]) -> str:
    """Names for a message: at most a dozen of them, and how many there are."""
    known = [brief(name, NAME) for name in names]
    if len(known) <= MOST:
        return ", ".join(known)
    return f"{', '.join(known[: MOST - 1])}, … and {len(known) - MOST + 1} more"


def brief(said: object, longest: int = LONGEST) -> str:
    """What is shown of a value or an error: one line, without control characters, not longer."""
    text = " ".join(str(said).split())
    if not text and isinstance(said, BaseException):
        return type(said).__name__
    shown = text if text.isprintable() else repr(text)[1:-1]
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def shortened(message: str) -> str:
    """A message without the middle of its overlong words: a label may have a million letters."""
    short = re.sub(rf"\S{{{WORD + 1},}}", lambda word: _without_middle(word[0], WORD), message)
    return _without_middle(short, LINE)


def _without_middle(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most // 2]} … {text[-(most // 3) :]}"
