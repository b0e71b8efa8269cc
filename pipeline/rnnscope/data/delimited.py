"""Tables in text files: their separator, decimal comma and header are found out."""

import contextlib
import csv
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rnnscope.data.headers import (
    header_of,
    refuse_many,
    refuse_uneven,
    warn_of_end,
    without_blank,
)
from rnnscope.data.lines import SPACES, lines_of, refuse_binary
from rnnscope.data.written import MISSING
from rnnscope.errors import UserError, brief

ENDINGS = (".csv", ".tsv", ".txt", ".data", "")
"""Of text files; some archives have none."""
SAMPLE = 40
"""Lines that are looked at."""
ENOUGH = 2**22
"""Characters from which on fewer lines are enough."""
FRAGMENTS = 100
"""Columns from which on pandas warns of a table that is kept column by column."""
EXCEL = re.compile(r'"?sep=.?"?', re.IGNORECASE)
COMMENT = "#"
"""What lines above the table begin with that are no rows of it."""
EMPTY = {"", "nan", "na", "n/a", "null", "none", "?", "-nan"}
"""What stands for a missing value in the first row, which may be a header."""
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?inf(?:inity)?", re.IGNORECASE)
FUSED = re.compile(r"[-+]?\d*\.\d+:\S+")
"""A value and a label, as sktime writes the end of a row."""
COMMA = re.compile(r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?")
TOKENS = (
    "a model reads text as tokens: make them with the layer in front of it, "
    "tokens = vectorization(texts).numpy(), save them as x_test in an .npz file, and the model "
    "behind that layer for model.path"
)


@dataclass(frozen=True)
class Form:
    """How a text file writes its table."""

    separator: str
    decimal: str
    header: bool
    skip: int = 0
    """Lines before the table: comments, which begin with #."""
    names: tuple[str, ...] = ()
    """Of the columns, where the last comment holds them."""


@dataclass(frozen=True)
class Read:
    """A table as a text file holds it."""

    frame: pd.DataFrame
    """Its index is the number of each row's line. The columns that were asked for are text."""
    named: bool
    """Whether columns have names; else they are 0, 1, …."""
    short: int | None = None
    """A line with fewer fields than others, where there is one."""
    texts: frozenset[Any] = frozenset()
    """The columns that are text, as the file writes them."""


def read_delimited(path: Path, at: str, texts: Iterable[str] = (), *, ends: bool = True) -> Read:
    """The table of a text file.

    Args:
        path: the file.
        at: what to call it in an error, such as ``data.path=mine.csv``.
        texts: names of columns to be read as text.
        ends: whether the first and the last column are too, either of which may be the label.

    Raises:
        UserError: a file that cannot be read, one that holds prose, or whose form is not clear.
    """
    quoted = refuse_binary(path, at)
    comments, lines = _lines(path, at)
    form = _form(lines, comments, path, at)
    found = lines_of(path, form.separator, form.skip, at, quoted=quoted)
    refuse_many(found, at)
    names: list[Any] = list(form.names) or list(range(int(found.fields.max())))
    if form.header:
        names = header_of(path, form.separator, form.skip, at)
        found = found.after(1)
    short = refuse_uneven(found, len(names), path, at, named=form.header or bool(form.names))
    others = [_fields(line, form.separator)[-1] for line in lines[form.header :]]
    warn_of_end(path, found, len(names), others[: len(found.numbers) - 1], form.separator, at)
    if ends and not {"sequence", "timestep"} <= {*names}:  # these make a long table
        texts = {names[0], names[-1], *texts}
    apart = {*texts}.intersection(names)
    try:
        frame = pd.read_csv(
            path,
            sep=form.separator,
            decimal=form.decimal,
            header=0 if form.header else None,
            names=names,
            skiprows=form.skip,
            encoding="utf-8-sig",
            compression=None,
            skipinitialspace=True,
            index_col=False,
            dtype=dict.fromkeys(apart, "str"),
            keep_default_na=False,
            na_values={name: MISSING for name in names if name not in apart},
            low_memory=False,
        )
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{at}: cannot be read as a table ({reason})") from error
    if len(frame) != len(found.numbers):
        raise UserError(
            f"{at}: it has {len(found.numbers)} lines but {len(frame)} rows: are quotation marks, "
            "blanks and line ends in order?"
        )
    if len(names) > FRAGMENTS:
        frame = frame.copy()
    frame.index = found.index
    if form.decimal == ",":
        for name in apart:
            frame[name] = frame[name].map(
                lambda text: text.replace(",", ".") if COMMA.fullmatch(text) else text
            )
    named = form.header or bool(form.names)
    if named:
        frame = without_blank(frame, at)
    return Read(frame, named, short, frozenset(apart.intersection(frame)))


def _lines(path: Path, at: str) -> tuple[list[str], list[str]]:
    """The lines up to the last comment at the top, and the first ones below that are not blank."""
    above: list[str] = []
    lines: list[str] = []
    length = 0
    try:
        with path.open(encoding="utf-8-sig") as file:
            for line in file:
                if not lines and not above and EXCEL.fullmatch(line.strip()):
                    above.append("")  # it tells Excel the separator
                elif not lines and line.startswith(COMMENT):
                    above.append(line.rstrip("\n"))
                elif line.strip():
                    if lines and lines[-1].count('"') % 2 and lines[-1].count("\n") < SAMPLE:
                        line = f"{lines.pop()}\n{line}"  # within quotes
                    lines.append(line.rstrip("\n"))
                elif not lines:
                    above.append("")
                length += len(line)
                if len(lines) == SAMPLE or (len(lines) > 2 and length > ENOUGH):
                    break
    except (OSError, ValueError) as error:
        raise UserError(f"{at}: cannot be read as a table ({error})") from error
    if not lines:
        raise UserError(f"{at}: cannot be read as a table (it is empty)")
    return above, lines


def _form(lines: list[str], above: list[str], path: Path, at: str) -> Form:
    if any(line.startswith("@") for line in lines):
        raise UserError(
            f"{at}: lines with @ are of ARFF or sktime's form: read it with scipy.io.arff.loadarff "
            "or sktime.datasets.load_from_tsfile, and write the table with to_csv(index=False)"
        )
    separator = _separator(lines)
    if separator is None:
        raise UserError(
            f"{at}: no separator (comma, tab, semicolon, |, spaces) parts lines into columns of "
            f"numbers; {TOKENS}"
        )
    rows = [_fields(line, separator) for line in lines]
    if fused := [field for row in rows for field in row if FUSED.fullmatch(field)]:
        raise UserError(
            f"{at}: '{fused[0]}' holds a value and a label: write a separator between them"
        )
    commas = sum(COMMA.fullmatch(field) is not None for row in rows[1:] for field in row)
    points = sum("." in field and _number(field) for row in rows[1:] for field in row)
    if separator != "," and commas and points:
        raise UserError(f"{at}: numbers are written with a comma and with a point; write one")
    decimal = "," if separator != "," and commas else "."
    if separator != "," and (commas or (points and separator == ";")):
        _refuse_thousands(rows[1:], decimal, path, at)
    header = _has_header(rows, f"{at}: line {len(above) + 1}")
    names = () if header else _names_in(above, rows, separator)
    return Form(separator, decimal, header, len(above), names)


def _refuse_thousands(rows: list[list[str]], mark: str, path: Path, at: str) -> None:
    """Raise where each mark may part thousands: 1,234 is 1234 or 1.234."""
    thousands = re.compile(rf"[-+]?[1-9]\d{{0,2}}{re.escape(mark)}\d{{3}}")
    marked = [field for row in rows for field in row if mark in field and _number(field)]
    if not marked or not all(map(thousands.fullmatch, marked)):
        return
    decimal = re.compile(
        rf"(?<![\d{mark}])(?:0\d*{re.escape(mark)}\d|\d*{re.escape(mark)}(?:\d{{1,2}}|\d{{4,}})(?!\d)"
        rf"|\d{{4,}}{re.escape(mark)}\d)".encode()
    )
    with path.open("rb") as file:
        if any(decimal.search(line) for line in file):
            return
    raise UserError(
        f"{at}: is '{marked[0]}' {marked[0].replace(mark, '')} or {marked[0].replace(mark, '.')}? "
        "Write numbers without marks of thousands, and with more or fewer than three decimals"
    )


def _names_in(above: list[str], rows: list[list[str]], separator: str) -> tuple[str, ...]:
    """The names of the columns in the last comment above the rows; none if it says other things."""
    fields = _fields(above[-1].lstrip(COMMENT).strip(), separator) if above else []
    fit = {len(fields)} == {len(row) for row in rows} and not all(map(_number, fields))
    return tuple(fields) if fit else ()


def _separator(lines: list[str]) -> str | None:
    """What parts the lines into the same number of columns; None where nothing does."""
    for separator in ("\t", ";", ",", "|", SPACES):
        rows = [_fields(line, separator) for line in lines]
        counts = Counter(len(row) for row in rows)
        (usual, often), *_ = counts.most_common(1)
        if (
            usual < 2
            or (min(counts) < 2 and often < 0.8 * len(rows))
            or not any(_number(field) for row in rows for field in row)
        ):
            continue
        inner = [field for row in rows[1:] for field in row[1:-1]]
        if separator == "," and inner and all(re.fullmatch(r"\d+\s+[-+]?\d+", f) for f in inner):
            continue  # these are decimal commas, between spaces
        share = sum(_number(field) for row in rows[1:] or rows for field in row)
        if len(counts) == 1 or share > 0.8 * sum(map(len, rows[1:] or rows)):
            return separator
    if all(_number(line) for line in lines[1:]):
        return ","  # a single column
    return None


def _fields(line: str, separator: str) -> list[str]:
    if separator == SPACES:
        return line.split()
    row = line.split(separator)
    if '"' in line:
        with contextlib.suppress(csv.Error):  # the whole file is judged in ``lines``
            row = next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    return [field.strip() for field in row]


def _number(text: str) -> bool:
    text = text.strip()
    return bool(NUMBER.fullmatch(text) or COMMA.fullmatch(text))


def _has_header(rows: list[list[str]], at: str) -> bool:
    """Whether the first row names the columns."""
    first, rest = rows[0], rows[1:]
    numbers = [field for field in first if _number(field)]
    if len(numbers) < len([field for field in first if field.lower() not in EMPTY]) / 2:
        return True
    for place, field in enumerate(first):
        below = [row[place] for row in rest if place < len(row) and row[place] not in EMPTY]
        if field.lower() not in EMPTY and not _number(field) and below and all(map(_number, below)):
            _refuse_wrong_cell(first, place, at)
            return True
    counted = [float(f) for f in numbers if NUMBER.fullmatch(f)]
    whole = [f for f in numbers if f.isdigit()]
    run = len(counted) > 2 and len(whole) == len(counted)
    if run and counted == [counted[0] + n for n in range(len(counted))] and counted[0] in (0, 1):
        if rest and any(not f.lstrip("+-").isdigit() for row in rest for f in row if _number(f)):
            return True
        raise UserError(
            f"{at} counts {whole[0]}, {whole[1]}, {whole[2]}, …: it may be a "
            "header or a row; give the columns names such as label,t0,t1,t2, or remove the line"
        )
    return False


def _refuse_wrong_cell(first: list[str], place: int, at: str) -> None:
    """Raise where the first row may be a header or a row with a text among its numbers.

    Numbers that name columns, such as 0, 1, 2, … or wavelengths, rise or fall.
    """
    numbers = [float(field.replace(",", ".")) for field in first if _number(field)]
    steps = np.diff(numbers)
    if len(numbers) > len(first) / 2 and not (steps > 0).all() and not (steps < 0).all():
        raise UserError(
            f"{at} holds '{brief(first[place])}' in column {place} (from 0), else numbers as "
            "the rows below: correct that cell if it is a row; if it is a header, give "
            "the columns names such as label,t0,t1,t2"
        )
