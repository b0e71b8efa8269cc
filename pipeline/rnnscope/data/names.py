"""Names of classes, sequences and groups: refused where two may be one, or one may be none."""

import logging
import math
import numbers
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from typing import Any

import numpy as np
import pandas as pd

from rnnscope.data.lines import place
from rnnscope.data.written import MISSING, NUMBER
from rnnscope.errors import UserError, brief, listed

log = logging.getLogger(__name__)

LONGEST = 1_000
"""Characters of a name."""
EXACT = 2**53
"""From this size on floats do not hold every whole number."""
FEWEST = 4
"""Rows from which on the last one may hold totals."""
NONE = MISSING | {"NaT"}
"""What a missing value may have become that was made into text."""


def refuse_unclear(values: "pd.Series[Any]", at: str) -> None:
    """Raise where it is not clear which names in a column are the same, or are names at all.

    Args:
        values: a column of labels, of names of sequences, or of groups.
        at: what to call the table in an error.

    Raises:
        UserError: floats past 2^53, which are not exact; numbers beside text; or names that
            ``refuse_unclear_names`` refuses.
    """
    where = f"{at}: column '{values.name}'"
    _refuse_containers(values, where)
    if pd.api.types.is_float_dtype(values):
        past = np.flatnonzero(np.abs(values.to_numpy(np.float64, na_value=0)) >= EXACT)
        if len(past):
            raise UserError(
                f"{where}, {place(values.index, int(past[0]))}: {values.iloc[past[0]]:g} is a "
                "float past 2^53, whose last digits are lost: write whole numbers or names"
            )
    known: pd.Series[Any] = values.dropna()
    if isinstance(known.dtype, pd.CategoricalDtype):
        known = known.astype(known.cat.categories.dtype)
    _refuse_mixed(known, where)
    if pd.api.types.is_numeric_dtype(known) or not pd.api.types.is_string_dtype(known):
        return
    refuse_unclear_names(
        known.unique().astype(str),
        where,
        lambda text: place(known.index, int((known == text).to_numpy().argmax())),
        [place(values.index, len(values) - 1)] if len(values) >= FEWEST else [],
    )


def refuse_ranks(labels: "pd.Series[Any]", at: str) -> None:
    """Raise for ordered categories whose order is not that in which names are numbered, sorted.

    Args:
        labels: a column of classes.
        at: what to call the table in an error.
    """
    kind = labels.dtype
    if not isinstance(kind, pd.CategoricalDtype) or not kind.ordered:
        return
    categories = list(map(str, kind.categories))
    occurring = set(labels.dropna().astype(str))
    if [each for each in categories if each in occurring] != sorted(occurring):
        raise UserError(
            f"{at}: column '{labels.name}' is categorical, in the order "
            f"{listed(map(repr, categories))}, and names are numbered from 0 as they occur, "
            "sorted: write .cat.codes of it if the model's outputs are in that order, "
            "else .astype(str)"
        )


def refuse_unclear_names(
    names: Iterable[str], where: str, place_of: Callable[[str], str], last: Collection[str] = ()
) -> None:
    """Raise where it is not clear which names are the same, or are names at all.

    Args:
        names: each once.
        where: what to call them in an error.
        place_of: where a name stands first, in words.
        last: the places that come last, and may hold totals.

    Raises:
        UserError: names that are blank or too long; that differ in blanks alone, look alike, or are
            the same number or truth value; that may be missing values; or the last of all, where
            all others are numbers.
    """
    names = list(names)
    _refuse_total(names, where, place_of, last)
    for name in names:
        if len(name) > LONGEST or not _seen(name):
            what = "is blank" if not _seen(name) else f"has {len(name):,} characters"
            raise UserError(f"{where}: a name {what} ({place_of(name)}): write a shorter one")
    _refuse_alike(names, _words, f"{where}: {{}} differ in blanks alone", place_of)
    _refuse_alike(names, _seen, f"{where}: {{}} look alike, written in other characters", place_of)
    for name in names:
        if name.strip() in NONE:
            raise UserError(
                f"{where}: '{name}' ({place_of(name)}) may be a missing value or a name: "
                "write the name in another way, or leave out the row"
            )
    _refuse_alike(names, _number, f"{where}: {{}} are the same number", place_of)
    if {_truth(name) for name in names} <= {"0", "1"}:
        first = {name.casefold(): name for name in reversed(names)}
        says = f"{where}: {{}} may be the same truth value"
        _refuse_alike(first.values(), _truth, says, place_of)
    for one, other in _alike(names, str.casefold):
        log.warning(
            f"{where}: '{brief(one)}' and '{brief(other)}' differ in case alone and stay two names"
        )
        break


def _refuse_containers(values: "pd.Series[Any]", where: str) -> None:
    """Raise where a column holds lists, tables or bytes."""
    if values.dtype.kind == "O":
        for kind in {type(value) for value in values}:
            if issubclass(kind, dict | list | tuple | set | bytes | np.ndarray):
                raise UserError(f"{where} holds {kind.__name__}; names are numbers or text")


def _refuse_mixed(known: "pd.Series[Any]", where: str) -> None:
    """Raise where some are text and others are not: 1 and "1" would be one name, or two."""
    if known.dtype.kind != "O":
        return
    types = set(map(type, known))
    if len({_kind(each) for each in types}) > 1:
        kinds = {_kind(type(value)): value for value in known.iloc[::-1]}
        (one, first), (other, second) = sorted(kinds.items())[:2]
        raise UserError(
            f"{where} holds {one} ({brief(repr(first))}) and {other} ({brief(repr(second))}): "
            "write all in one type, such as frame[column].astype(str)"
        )


def _kind(of: type) -> str:
    """What a name of some type is, in a word."""
    if issubclass(of, bool | np.bool_):
        return "truth values"
    if issubclass(of, numbers.Number):
        return "numbers"
    return "text" if issubclass(of, str) else f"values of type {of.__name__}"


def _refuse_total(
    names: list[str], where: str, place_of: Callable[[str], str], last: Collection[str]
) -> None:
    """Raise where all are numbers but the last, as under a table with a row of totals."""
    others = [name for name in names if not NUMBER.fullmatch(name)]
    if len(others) == 1 < len(names) and last and place_of(others[0]) in last:
        raise UserError(
            f"{where}: '{brief(others[0])}' ({place_of(others[0])}) is the last, and all "
            "before are numbers: leave out that row if it holds totals, else name it by a number"
        )


def _refuse_alike(
    names: Iterable[str], key: Callable[[str], Any], says: str, place_of: Callable[[str], str]
) -> None:
    """Raise with the first two names that have the same key."""
    for one, other in _alike(names, key):
        both = f"'{brief(one)}' and '{brief(other)}' ({place_of(other)})"
        raise UserError(
            f"{says.format(both)}: write them alike if they are one name, else name them apart, "
            "such as a and b"
        )


def _alike(names: Iterable[str], key: Callable[[str], Any]) -> list[tuple[str, str]]:
    """Pairs of names that have the same key."""
    found: dict[Any, list[str]] = defaultdict(list)
    for name in names:
        found[key(name)].append(name)
    return [(same[0], same[1]) for same in found.values() if len(same) > 1]


def _words(name: str) -> str:
    """A name with single blanks between its words."""
    return " ".join(name.split())


def _seen(name: str) -> str:
    """A name as it is seen: é is one letter however it is composed, and some have no width."""
    if name.isascii():
        return _words(name)
    whole = unicodedata.normalize("NFC", name)
    return _words("".join(each for each in whole if unicodedata.category(each) != "Cf"))


def _truth(name: str) -> str:
    """A name as 1 or 0 if it is a truth value in a word."""
    return {"true": "1", "false": "0"}.get(name.strip().casefold(), name.strip())


def _number(name: str) -> Any:
    """The number that a name is, else the name."""
    if not NUMBER.fullmatch(name.strip()):
        return name
    if re.fullmatch(r"\s*[-+]?\d+\s*", name):
        return int(name)
    return float(name) if math.isfinite(float(name)) else name
