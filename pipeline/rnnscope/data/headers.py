"""The names of a table's columns, and lines with more or fewer fields than names, or cut off."""

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rnnscope.data.lines import SPACES, Lines
from rnnscope.errors import UserError, brief, listed

log = logging.getLogger(__name__)

LONGEST = 1_000
"""Characters of a name."""
PLAIN = re.compile(r"[-+]?\d*[.,](\d+)")
"""A number with decimals and no exponent."""
MOST = 50_000
"""Columns of a table in a text file."""
NAMELESS = "Unnamed: "
"""What a column without a name is called here, in front of its number, as pandas does."""


def header_of(path: Path, separator: str, skip: int, at: str) -> list[str]:
    """The names of the columns, which all differ; ``NAMELESS`` and a number where there is none.

    Args:
        path: a text file.
        separator: of its fields.
        skip: lines above the header.
        at: what to call the file in an error.

    Raises:
        UserError: a name that is there twice, or is too long.
    """
    try:
        first = pd.read_csv(
            path,
            sep=separator,
            header=None,
            skiprows=skip,
            nrows=1,
            encoding="utf-8-sig",
            compression=None,
            skipinitialspace=True,
            dtype="str",
            keep_default_na=False,
        )
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{at}: cannot be read as a table ({reason})") from error
    names = [str(name) for name in first.iloc[0]]
    seen: dict[str, int] = {}
    for number, name in enumerate(names):
        if len(name) > LONGEST:
            raise UserError(
                f"{at}: the name of column {number} has {len(name):,} characters, '{brief(name)}': "
                "give it a shorter one"
            )
        key = name.strip()
        if key and key in seen:
            raise UserError(
                f"{at}: columns {seen[key]} and {number} (from 0) are both named '{brief(key)}': "
                "rename one, or leave it out"
            )
        seen[key] = number
    return [name if name.strip() else f"{NAMELESS}{n}" for n, name in enumerate(names)]


def refuse_many(lines: Lines, at: str) -> None:
    """Raise where there are more columns than can be read in seconds."""
    if (count := int(lines.fields.max(initial=0))) > MOST:
        raise UserError(
            f"{at}: {count:,} columns, and a text file may have {MOST:,}: save arrays in an .npz "
            "file"
        )


def refuse_uneven(lines: Lines, count: int, path: Path, at: str, *, named: bool) -> int | None:
    """The first line with fewer fields than there are columns; None where all have as many.

    Args:
        lines: below the header.
        count: columns.
        path: of the file.
        at: what to call it in an error.
        named: whether columns have names, so that a line must not have more fields.

    Raises:
        UserError: more fields than columns; or a last line that is cut off.
    """
    fields = lines.fields
    if not len(fields):
        return None
    if (named and (fields == count - 1).all()) or (named and (fields > count).any()):
        widest = int(fields.max()) if (fields > count).any() else count - 1
        if (fields == fields[0]).all():
            raise UserError(
                f"{at}: the first line has {count} names, the lines below {widest} values: give "
                "each column one name, without row names and without a # in front"
            )
        line = lines.numbers[int((fields > count).argmax())]
        raise UserError(
            f"{at}: line {line} has {int(fields[fields > count][0])} fields, the first line "
            f"{count} names: correct that line; a text with separators stands within quotes"
        )
    short = np.flatnonzero(fields < count)
    if len(short) == 1 and short[0] == len(fields) - 1 > 0 and not _ends(path):
        raise UserError(
            f"{at}: line {lines.numbers[-1]}, the last one, has {fields[-1]} fields where all "
            f"others have {count}, and no line end: the file is cut off; copy it again"
        )
    return int(lines.numbers[short[0]]) if len(short) else None


def warn_of_end(
    path: Path, lines: Lines, count: int, others: list[str], separator: str, at: str
) -> None:
    """Log where the file may be cut off within its last field: it has no line end behind it.

    It is whole where it is quoted, has as many letters or decimals as all others, or is one of
    them and not the beginning of another.

    Args:
        path: of a file, all of whose lines have fields.
        lines: below the header.
        count: columns.
        others: the last fields of some other lines.
        separator: of fields.
        at: what to call the file in an error.
    """
    if not len(lines.fields) or _ends(path):
        return
    with path.open("rb") as file:
        file.seek(-min(path.stat().st_size, LONGEST), 2)
        tail = file.read().decode(errors="replace").splitlines()[-1].rstrip(" ")
    last = re.split(SPACES if separator == SPACES else re.escape(separator), tail)[-1].strip()
    short = lines.fields[-1] < count
    if tail and (short or not (last.endswith('"') or _whole(last, others))):
        log.warning(
            f"{at}: line {lines.numbers[-1]}, the last one, ends in '{brief(last)}' without a line "
            "end: if the file is cut off, copy it again; if not, end that line"
        )


def _whole(last: str, others: list[str]) -> bool:
    """Whether a field that ends a file is whole, by those that end other lines."""
    if not others:
        return False
    numbers = [PLAIN.fullmatch(each) for each in (last, *others)]
    if len({len(number[1]) if number else 0 for number in numbers}) == 1 and all(numbers):
        return True
    longer = any(each.startswith(last) and each != last for each in others)
    return len({len(each) for each in (last, *others)}) == 1 or (last in others and not longer)


def _ends(path: Path) -> bool:
    """Whether the last line has an end."""
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) in b"\r\n"


def without_blank(frame: pd.DataFrame, at: str) -> pd.DataFrame:
    """The table without columns that have neither a name nor a value.

    Raises:
        UserError: a column that has values and no name, as the index of pandas or R.
    """
    empty = []
    for number, name in enumerate(frame):
        if not str(name).startswith(NAMELESS):
            continue
        values = frame[name]
        if len(values) and not (values.isna() | (values.astype(str) == "")).all():
            raise UserError(f"{at}: column {number} has no name and holds {_some(values)}: {INDEX}")
        empty.append(name)
    return frame.drop(columns=empty)


INDEX = (
    "if it counts or names the rows, as the index of pandas and R does, write the file with "
    "index=False (in R row.names=FALSE); else give it a name, such as sequence"
)


def _some(values: "pd.Series[Any]") -> str:
    return listed([*values.iloc[:3], "…"])
