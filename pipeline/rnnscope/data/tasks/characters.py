"""Annotations of each character of a text: its kind, its place in line, word and quotation."""

import unicodedata
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

KINDS: dict[str, Callable[[str], bool]] = {
    "uppercase": str.isupper,
    "lowercase": str.islower,
    "digit": str.isdigit,
    "space": lambda each: each.isspace() and each != "\n",
    "newline": lambda each: each == "\n",
    "punctuation": lambda each: unicodedata.category(each)[0] in "PS",
}
"""Annotation -> whether a character is of that kind."""
QUOTES = '"“”„«»'
"""Marks that begin a quotation outside of one, and end it inside: which of them does which differs
between languages."""


def annotations(characters: tuple[str, ...], codes: NDArray[np.integer]) -> dict[str, NDArray[Any]]:
    """The annotations of all R characters of a text, each [R].

    Args:
        characters: the different ones.
        codes: which of them each character is [R].
    """

    def are(kind: Callable[[str], bool]) -> NDArray[np.bool_]:
        return np.array([kind(each) for each in characters])[codes]

    found: dict[str, NDArray[Any]] = {name: are(kind) for name, kind in KINDS.items()}
    newline, in_word = found["newline"], are(str.isalnum)
    place = _since(in_word & ~_before(in_word)).astype(np.float32)
    empty_line = newline & _before(newline)
    quotes = are(lambda each: each in QUOTES)
    return found | {
        "line_position": _since(_before(newline)),
        "word_position": np.where(in_word, place, np.float32(np.nan)),
        "in_quotes": inside(quotes, quotes, empty_line),
        "in_parentheses": inside(are("(".__eq__), are(")".__eq__), empty_line),
    }


def inside(
    opens: NDArray[np.bool_], closes: NDArray[np.bool_], ends: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Whether something is open after each of R characters [R].

    Args:
        opens: which characters open it.
        closes: which close the innermost; of one that does both, where any is open.
        ends: which close all.
    """
    found = np.zeros(len(opens), bool)
    events = np.flatnonzero(opens | closes | ends)
    if not len(events):
        return found
    depth, after = 0, []
    for opening, closing, end in zip(
        opens[events].tolist(), closes[events].tolist(), ends[events].tolist(), strict=True
    ):
        if end:
            depth = 0
        elif closing and depth:
            depth -= 1
        elif opening:
            depth += 1
        after.append(depth > 0)
    found[events[0] :] = np.repeat(after, np.diff(events, append=len(found)))
    return found


def _before(values: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether the character before is one; the first has none."""
    return np.concatenate([[False], values[:-1]])


def _since(begins: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Characters since the last beginning up to each [R]; the text itself is one."""
    places = np.arange(len(begins), dtype=np.int32)
    return places - np.maximum.accumulate(np.where(begins, places, np.int32(0)))
