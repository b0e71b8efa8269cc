"""The text of tokens, from a file of the user's."""

import json
from pathlib import Path

import numpy as np

from rnnscope.errors import UserError
from rnnscope.report.explorer.inputs import Shown

LARGEST = 50_000_000
"""Bytes of a file of texts."""
LONGEST = 60
"""Characters of a token that are shown."""


def of_input(path: Path, given: Shown) -> dict[str, str]:
    """The text of each token that occurs, by its number.

    Args:
        path: a text file in UTF-8 with a line for each token from 0 on, or a JSON list of texts.
        given: inputs.

    Raises:
        UserError: inputs that are no tokens, a file that is neither, or one with fewer texts than
            there are tokens.
    """
    at = f"report.vocabulary={path}"
    if given.kind != "tokens":
        raise UserError(f"{at}: the inputs are no tokens; leave it out")
    tokens = given.cells
    every = _json(path, at) if path.suffix.lower() == ".json" else _lines(path, at)
    numbers = np.unique(tokens[tokens >= 0]).tolist()
    if numbers and numbers[-1] >= len(every):
        raise UserError(
            f"{at}: has {len(every):,} texts, and token {numbers[-1]:,} occurs in the data; it "
            "must have one for each token, from 0 on"
        )
    return {str(number): every[number][:LONGEST] for number in numbers}


def of_symbols(symbols: tuple[str, ...]) -> dict[str, str]:
    """The text of each symbol by its number, with line ends that can be seen, and other signs."""
    return {str(number): _seen(symbol) for number, symbol in enumerate(symbols)}


def _seen(symbol: str) -> str:
    if symbol == "\n":
        return "↵\n"
    return symbol if symbol.isprintable() else symbol.encode("unicode_escape").decode()


def _text(path: Path, at: str) -> str:
    if path.stat().st_size > LARGEST:
        raise UserError(f"{at}: has {path.stat().st_size:,} bytes; that is no vocabulary")
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{at}: is no text in UTF-8 (byte {error.start})") from error


def _lines(path: Path, at: str) -> list[str]:
    """The lines of a text file; characters such as a form feed are tokens, and end no line."""
    return _text(path, at).removesuffix("\n").split("\n")


def _json(path: Path, at: str) -> list[str]:
    try:
        found = json.loads(_text(path, at))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{at}: is no JSON ({error})") from error
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise UserError(f"{at}: must be a JSON list of texts, the first of token 0")
    return found
