"""Numbers as a text file writes them: what differs there stays different here."""

import csv
import io
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from rnnscope.data.lines import place
from rnnscope.errors import brief

MISSING = frozenset({
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "?", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
})  # fmt: skip
"""What stands for a missing value in a column of numbers: pandas' own, and the question mark."""
NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")


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
    """The table, with numbers in columns that kept their texts for their spellings alone.

    Columns of pandas' nullable types become NumPy's, with NaN for what is missing.
    """
    frame = frame.copy(deep=False)
    for name in names:
        if pd.api.types.is_numeric_dtype(frame[name]) and not isinstance(
            frame[name].dtype, np.dtype
        ):
            frame[name] = _plain(frame[name])
        if pd.api.types.is_string_dtype(frame[name]):
            codes, distinct = pd.factorize(frame[name].fillna(""))
            if (values := parsed(distinct)) is not None:
                frame[name] = values.take(codes).set_axis(frame.index)
    return frame


def _plain(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """Numbers or truth values of a nullable type in NumPy's own."""
    if values.isna().any():
        return pd.Series(values.to_numpy(np.float64, na_value=np.nan), values.index)
    return pd.Series(values.to_numpy(), values.index)


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
