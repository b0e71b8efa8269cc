"""Names and numbers as a text file writes them: what differs there stays different here."""

import csv
import io
import logging
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from rnnscope.data.lines import LINE, place
from rnnscope.errors import UserError, brief

log = logging.getLogger(__name__)

MISSING = frozenset({
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "?", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
})  # fmt: skip
"""What stands for a missing value in a column of numbers: pandas' own, and the question mark."""
LONGEST = 1_000
"""Characters of a name."""
NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
EXACT = 2**53
"""From this size on floats do not hold every whole number."""


def settled(frame: pd.DataFrame, names: Iterable[Any]) -> pd.DataFrame:
    """The table, its texts as numbers where all are and no number is spelled in two ways.

    Args:
        frame: a table.
        names: of the columns that were read as text; those that are not there are passed over.
    """
    frame = frame.copy(deep=False)
    for name in names:
        if name in frame and len(frame):
            frame[name] = _settled(frame[name])
    return frame


def _settled(texts: "pd.Series[Any]") -> "pd.Series[Any]":
    codes, distinct = pd.factorize(texts)
    values = parsed(distinct)
    if values is None or _spelled_twice(distinct, values):
        values = pd.Series(distinct).mask(distinct == "")
    return values.take(codes).set_axis(texts.index)


def parsed(texts: Iterable[str]) -> "pd.Series[Any] | None":
    """Texts as the numbers or truth values that pandas reads; None if one of them is none.

    Whole numbers past int64 are none.
    """
    lines = [text or "NaN" for text in texts]
    if any(mark in text for text in lines for mark in '\n\r"\x01'):
        return None
    values = pd.read_csv(
        io.StringIO("\n".join(lines)),
        header=None,
        sep="\x01",
        quoting=csv.QUOTE_NONE,
        keep_default_na=False,
        na_values=list(MISSING),
        low_memory=False,
    )[0]
    return values if values.dtype.kind in "fib" and len(values) == len(lines) else None


def _spelled_twice(texts: Iterable[str], values: "pd.Series[Any]") -> bool:
    """Whether two texts are the same whole number, or truth value; fractions may be."""
    known = values.dropna()
    if known.dtype.kind == "f" and (known != np.rint(known)).any():
        return False
    return bool(known.duplicated().any())


def in_numbers(frame: pd.DataFrame, names: Iterable[Any]) -> pd.DataFrame:
    """The table, with numbers in columns that kept their texts for their spellings alone."""
    frame = frame.copy(deep=False)
    for name in names:
        if pd.api.types.is_string_dtype(frame[name]):
            codes, distinct = pd.factorize(frame[name].fillna(""))
            if (values := parsed(distinct)) is not None:
                frame[name] = values.take(codes).set_axis(frame.index)
    return frame


def refuse_unclear(values: "pd.Series[Any]", at: str) -> None:
    """Raise where it is not clear which names in a column are the same, or are names at all.

    Args:
        values: a column of labels, of names of sequences, or of groups.
        at: what to call the table in an error.

    Raises:
        UserError: floats past 2^53, which are not exact; names that are blank or too long, or
            differ in blanks alone; and in text files names that may be missing values, or are the
            same number.
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
    if pd.api.types.is_numeric_dtype(values) or not pd.api.types.is_string_dtype(values):
        return
    texts = values.dropna().unique().astype(str)
    _refuse_total(values, where)
    for text in texts:
        if len(text) > LONGEST or not text.strip():
            what = "is blank" if not text.strip() else f"has {len(text):,} characters"
            raise UserError(f"{where}: a name {what} ({_line(values, text)}): write a shorter one")
    _refuse_alike(values, texts, str.strip, f"{where}: {{}} differ in blanks alone")
    if LINE in values.index.names:
        for text in MISSING.intersection(texts):
            raise UserError(
                f"{where}: '{text}' ({_line(values, text)}) may be a missing value or a name: "
                "write the name in another way, or leave out the row"
            )
        _refuse_alike(values, texts, _number, f"{where}: {{}} are the same number")
    for one, other in _alike(texts, str.casefold):
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


def _refuse_total(values: "pd.Series[Any]", where: str) -> None:
    """Raise where all are numbers but the last, as under a table with a row of totals."""
    *others, last = values.astype(str)
    if len(others) > 2 and not NUMBER.fullmatch(last) and all(map(NUMBER.fullmatch, others)):
        raise UserError(
            f"{where}: '{brief(last)}' ({place(values.index, len(others))}) is the last, and all "
            "before are numbers: leave out that row if it holds totals, else name it by a number"
        )


def not_numeric(values: "pd.Series[Any]") -> str:
    """What is wrong with a column that holds other things than numbers, and where it begins."""
    said = f"column '{brief(values.name)}' is not numeric"
    if values.dtype.kind != "O" and not pd.api.types.is_string_dtype(values):
        return said
    known = values.map(lambda value: value if isinstance(value, str) else "").astype(object)
    strange = ~known.map(lambda text: text in MISSING or NUMBER.fullmatch(text.strip()) is not None)
    if not strange.any() or strange.all():
        return said
    number = int(strange.to_numpy().argmax())
    said += f": {place(values.index, number)} holds '{brief(known.iloc[number])}'"
    if strange.iloc[1:].all():
        return said
    if known.iloc[number].strip() == str(values.name).strip():
        return f"{said}, its name: the header stands there again"
    return f"{said}, a row of units?" if number == 0 else said


def _refuse_alike(
    values: "pd.Series[Any]", texts: Iterable[str], key: Callable[[str], Any], says: str
) -> None:
    """Raise with the first two texts that have the same key."""
    for one, other in _alike(texts, key):
        both = f"'{brief(one)}' and '{brief(other)}' ({_line(values, other)})"
        raise UserError(
            f"{says.format(both)}: write them alike if they are one name, else name them apart, "
            "such as a and b"
        )


def _alike(texts: Iterable[str], key: Callable[[str], Any]) -> list[tuple[str, str]]:
    """Pairs of texts that have the same key."""
    found: dict[Any, list[str]] = defaultdict(list)
    for text in texts:
        found[key(text)].append(text)
    return [(same[0], same[1]) for same in found.values() if len(same) > 1]


def _number(text: str) -> Any:
    """The number that a text is, else the text."""
    if not NUMBER.fullmatch(text.strip()):
        return text
    return int(text) if re.fullmatch(r"\s*[-+]?\d+\s*", text) else float(text)


def _line(values: "pd.Series[Any]", text: str) -> str:
    """Where a text stands first."""
    return place(values.index, int((values == text).to_numpy().argmax()))
