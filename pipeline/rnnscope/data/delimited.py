"""Tables in text files: their separator, decimal comma and header are found out."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from rnnscope.errors import UserError

ENDINGS = (".csv", ".tsv", ".txt", ".data", "")
"""Of text files; some archives have none."""
SAMPLE = 40
"""Lines that are looked at."""
SPACES = r"\s+"
MISSING = {"", "nan", "na", "n/a", "null", "none", "?", "-nan"}
"""What stands for a missing value, beside what pandas knows."""
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?inf(?:inity)?", re.IGNORECASE)
FUSED = re.compile(r"[-+]?\d*\.\d+:\S+")
"""A value and a label, as sktime writes the end of a row."""
COMMA = re.compile(r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?")
TOKENS = (
    "a model reads text as tokens: make them with the layer in front of it, "
    "tokens = vectorization(texts).numpy(), save them as x_test in an .npz file, and save the "
    "model behind that layer for model.path"
)


@dataclass(frozen=True)
class Form:
    """How a text file writes its table."""

    separator: str
    decimal: str
    header: bool


def read_delimited(path: Path, at: str) -> tuple[pd.DataFrame, bool]:
    """The table of a text file, and whether its columns have names; else they are 0, 1, ….

    Args:
        path: the file.
        at: what to call it in an error, such as ``data.path=mine.csv``.

    Raises:
        UserError: a file that cannot be read, one that holds prose, or whose form is not clear.
    """
    lines = _lines(path, at)
    form = _form(lines, at)
    width = None
    if not form.header:  # rows may differ in length
        with path.open(encoding="utf-8-sig") as file:
            width = max(len(_fields(line, form.separator)) for line in file)
    try:
        frame = pd.read_csv(
            path,
            sep=form.separator,
            decimal=form.decimal,
            header=0 if form.header else None,
            names=None if width is None else list(range(width)),
            encoding="utf-8-sig",
            skipinitialspace=True,
            na_values=["?"],
            low_memory=False,
        )
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{at}: cannot be read as a table ({reason})") from error
    _refuse_index(frame, at)
    return frame, form.header


def _lines(path: Path, at: str) -> list[str]:
    """The first lines that are not blank."""
    lines: list[str] = []
    try:
        with path.open(encoding="utf-8-sig") as file:
            for line in file:
                if line.strip():
                    lines.append(line.rstrip("\n"))
                if len(lines) == SAMPLE:
                    break
    except (OSError, ValueError) as error:
        raise UserError(f"{at}: cannot be read as a table ({error})") from error
    if not lines:
        raise UserError(f"{at}: cannot be read as a table (it is empty)")
    return lines


def _form(lines: list[str], at: str) -> Form:
    if any(line.startswith("@") for line in lines):
        raise UserError(
            f"{at}: lines with @ are of ARFF or sktime's form: read it with scipy.io.arff.loadarff "
            "or sktime.datasets.load_from_tsfile, and write the table with to_csv(index=False)"
        )
    separator = _separator(lines)
    if separator is None:
        raise UserError(
            f"{at}: no separator (comma, tab, semicolon, | or spaces) parts its lines into columns "
            f"of numbers; if it holds sentences, {TOKENS}"
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
    form = Form(separator, decimal, _has_header(rows, at))
    widths = {len(row) for row in rows[1:]}
    if form.header and widths and (max(widths) > len(rows[0]) or widths == {len(rows[0]) - 1}):
        raise UserError(
            f"{at}: the first line has {len(rows[0])} names, the lines below {max(widths)} values: "
            "give each column one name, without row names and without a # in front"
        )
    return form


def _separator(lines: list[str]) -> str | None:
    """What parts the lines into the same number of columns; None where nothing does."""
    for separator in ("\t", ";", ",", "|", SPACES):
        rows = [_fields(line, separator) for line in lines]
        counts = {len(row) for row in rows}
        if min(counts) < 2 or not any(_number(field) for row in rows for field in row):
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
    row = next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    return [field.strip() for field in row]


def _number(text: str) -> bool:
    text = text.strip()
    return bool(NUMBER.fullmatch(text) or COMMA.fullmatch(text))


def _has_header(rows: list[list[str]], at: str) -> bool:
    """Whether the first row names the columns."""
    first, rest = rows[0], rows[1:]
    numbers = [field for field in first if _number(field)]
    if len(numbers) < len([field for field in first if field.lower() not in MISSING]) / 2:
        return True
    for place, field in enumerate(first):
        below = [row[place] for row in rest if place < len(row) and row[place] not in MISSING]
        if (
            field.lower() not in MISSING
            and not _number(field)
            and below
            and all(map(_number, below))
        ):
            return True
    counted = [float(f) for f in numbers if NUMBER.fullmatch(f)]
    whole = [f for f in numbers if f.isdigit()]
    run = len(counted) > 2 and len(whole) == len(counted)
    if run and counted == [counted[0] + n for n in range(len(counted))] and counted[0] in (0, 1):
        if rest and any(not f.lstrip("+-").isdigit() for row in rest for f in row if _number(f)):
            return True
        raise UserError(
            f"{at}: the first line counts {whole[0]}, {whole[1]}, {whole[2]}, …: it may be a "
            "header or a row; give the columns names such as label,t0,t1,t2, or remove the line"
        )
    return False


def _refuse_index(frame: pd.DataFrame, at: str) -> None:
    """Raise where the first column has no name and counts the rows, as pandas writes its index."""
    name = frame.columns[0]
    if str(name) != "Unnamed: 0" or len(frame) < 2:
        return
    values = frame[name]
    if pd.api.types.is_integer_dtype(values) and (values.diff().dropna() == 1).all():
        raise UserError(
            f"{at}: the first column has no name and counts the rows, as pandas' index does: write "
            "the file with index=False, or give the column a name"
        )
