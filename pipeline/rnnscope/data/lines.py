"""A text file as an editor shows it: that it is text, its lines, and how many fields each has."""

import codecs
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.data.regular import why_unusable
from rnnscope.errors import UserError

SPACES = r"\s+"
"""The separator of files whose columns are parted by spaces or tabs, in any number."""
CHUNK = 2**24
"""Bytes that are looked at at a time."""
LONGEST = 2**26
"""Bytes of a line: a million timesteps take about a third of it."""
LINE, ROW = "line", "row"
"""Names of a table's index: lines of a text file count from 1, rows of any other from 0."""
FORMATS = {
    b"\x1f\x8b": "is compressed by gzip: unpack it first, with gunzip",
    b"PK\x03\x04": "is a zip archive, as Excel's .xlsx is: unpack it, or save the sheet as CSV",
    b"BZh": "is compressed by bzip2: unpack it first, with bunzip2",
    b"\xfd7zXZ": "is compressed by xz: unpack it first, with unxz",
    b"\x28\xb5\x2f\xfd": "is compressed by zstd: unpack it first, with unzstd",
    b"PAR1": "is in the format Parquet: end its name in .parquet",
    b"\xff\xfe": "is written in UTF-16: save it as UTF-8",
    b"\xfe\xff": "is written in UTF-16: save it as UTF-8",
}
"""First bytes of files that are no text, or not in UTF-8."""


@dataclass(frozen=True)
class Lines:
    """The lines of a text file that hold fields; blank ones are left out."""

    numbers: NDArray[np.int64]
    """Of each line, or the first line of a row with line ends within quotes, from 1 [L]."""
    fields: NDArray[np.int64]
    """How many fields it has [L]."""

    def after(self, count: int) -> "Lines":
        """Without the first ``count``."""
        return Lines(self.numbers[count:], self.fields[count:])

    @property
    def index(self) -> pd.Index:
        """The numbers as the index of a table."""
        if len(self.numbers) and self.numbers[-1] - self.numbers[0] + 1 == len(self.numbers):
            return pd.RangeIndex(self.numbers[0], self.numbers[-1] + 1, name=LINE)
        return pd.Index(self.numbers, name=LINE)


def place(index: pd.Index, number: int) -> str:
    """What to call a row of a table, by its place in the frame: line 7, or row 5.

    The index may name the file too, in a level before.
    """
    *file, row = index[number] if isinstance(index, pd.MultiIndex) else (index[number],)
    kind = index.names[-1] if index.names[-1] in (LINE, ROW) else ROW
    return " of ".join([f"{kind} {row}", *map(str, file)])


def refuse_special(path: Path, at: str) -> None:
    """Raise where a path is a device, a pipe or a socket, which may have no end, or unreadable."""
    if why := why_unusable(path, empty=True):
        raise UserError(f"{at}: {why}; save the table as a file")


def refuse_binary(path: Path, at: str) -> bool:
    """Raise where a file is no text in UTF-8; else tell whether it holds quotation marks.

    Args:
        path: the file, of any size; it is read in pieces.
        at: what to call it in an error.
    """
    refuse_special(path, at)
    quoted, offset, line = False, 0, 0
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                if offset == 0:
                    _refuse_format(chunk, at)
                if (nul := chunk.find(b"\0")) >= 0:
                    where = _line_at(path, offset + nul)
                    raise UserError(
                        f"{at}: line {where} holds a NUL byte, so it is no text: is the file whole?"
                    )
                decoder.decode(chunk)
                quoted |= b'"' in chunk
                end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
                line = len(chunk) - end - 1 if end >= 0 else line + len(chunk)
                offset += len(chunk)
                if line > LONGEST:
                    raise UserError(
                        f"{at}: line {_line_at(path, offset)} has more than {LONGEST:,} bytes: put "
                        "one row on each line, or save arrays in an .npz file"
                    )
            decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        where = _line_at(path, max(0, offset - 3) + error.start)
        raise UserError(
            f"{at}: line {where} is not in UTF-8 (byte 0x{error.object[error.start]:02x}): save "
            "the file as UTF-8"
        ) from error
    except OSError as error:
        raise UserError(f"{at}: cannot be read as a table ({error})") from error
    return quoted


def _refuse_format(head: bytes, at: str) -> None:
    for first, says in FORMATS.items():
        if head.startswith(first):
            raise UserError(f"{at}: {says}")


def _line_at(path: Path, offset: int) -> int:
    """The number of the line that holds a byte."""
    count, last = 1, b""
    with path.open("rb") as file:
        while offset > 0 and (chunk := file.read(min(CHUNK, offset))):
            offset -= len(chunk)
            both = chunk.count(b"\r\n") + (last == b"\r" and chunk[:1] == b"\n")
            count += chunk.count(b"\n") + chunk.count(b"\r") - both
            last = chunk[-1:]
    return count


def lines_of(path: Path, separator: str, skip: int, at: str, *, quoted: bool) -> Lines:
    """The lines of a table and their numbers of fields.

    Args:
        path: a text file.
        separator: of its fields.
        skip: lines above the table, which are left out.
        at: what to call the file in an error.
        quoted: whether it holds quotation marks, which takes longer.

    Raises:
        UserError: a quotation mark that is not closed, or only behind other fields.
    """
    found = list(_quoted(path, separator, skip, at) if quoted else _plain(path, separator, skip))
    numbers, fields = ([each[n] for each in found] for n in (0, 1))
    return Lines(np.concatenate([np.zeros(0, np.int64), *numbers]), np.concatenate([[], *fields]))


Piece = tuple[NDArray[np.int64], NDArray[np.int64]]


def _plain(path: Path, separator: str, skip: int) -> Iterator[Piece]:
    """The numbers and fields of some lines, block by block; without quotation marks."""
    first = 1
    for block in _blocks(path):
        text = np.frombuffer(block, np.uint8)
        ends = np.flatnonzero(text == ord("\n"))
        if separator == SPACES:
            fields = _words(text, ends, " \t\n")
        else:
            marks = np.flatnonzero(text == ord(separator))
            fields = 1 + np.diff(np.searchsorted(marks, ends), prepend=0)
        numbers = np.arange(first, first + len(ends))
        kept = numbers > skip
        if (fields <= 1).any():
            kept &= _words(text, ends, " \n" if separator == "\t" else " \t\n") > 0
        first += len(ends)
        yield numbers[kept], fields[kept]


def _words(text: NDArray[np.uint8], ends: NDArray[np.intp], blanks: str) -> NDArray[np.int64]:
    """How many words each line has, parted by the blanks."""
    white = np.isin(text, np.frombuffer(blanks.encode(), np.uint8))
    begins = np.flatnonzero(~white & np.append(True, white[:-1]))
    return np.diff(np.searchsorted(begins, ends), prepend=0)


def _blocks(path: Path) -> Iterator[bytes]:
    """The file in blocks of whole lines, whose ends are all a single newline."""
    rest = b""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            whole = (rest + chunk).removeprefix(codecs.BOM_UTF8)
            held = b"\r" if whole.endswith(b"\r") else b""
            text = whole[: len(whole) - len(held)]
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            cut = text.rfind(b"\n") + 1
            rest = text[cut:] + held
            if cut:
                yield text[:cut]
    if rest:
        yield rest.removesuffix(b"\r") + b"\n"


def _quoted(path: Path, separator: str, skip: int, at: str) -> Iterator[Piece]:
    """The same of a file with quotation marks."""
    numbers, fields = [], []
    with path.open(encoding="utf-8-sig") as file:
        for _ in range(skip):
            file.readline()
        spaced = separator == SPACES
        lines = (line.replace("\t", " ").strip(" ") for line in file) if spaced else file
        delimiter = " " if spaced else separator
        reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
        begin = skip + 1
        try:
            for row in reader:
                end = skip + reader.line_num
                if end > begin:
                    _refuse_swallowed(row, begin, end, delimiter, at)
                if len(row) > 1 or (row and row[0].strip()):
                    numbers.append(begin)
                    fields.append(len(row))
                begin = end + 1
        except csv.Error as error:
            raise _unclosed(begin, None, at) from error
    yield np.array(numbers, np.int64), np.array(fields, np.int64)


def _refuse_swallowed(row: list[str], begin: int, end: int, delimiter: str, at: str) -> None:
    """Raise where a quoted text of several lines holds separators: these were rows."""
    if any("\n" in field and delimiter in field for field in row):
        raise _unclosed(begin, end, at)


def _unclosed(begin: int, end: int | None, at: str) -> UserError:
    until = "not closed" if end is None else f"closed only in line {end}, behind other fields"
    return UserError(
        f"{at}: a quotation mark in line {begin} is {until}: correct that line; within quotes a "
        'quotation mark is written twice, ""'
    )


def widths(lines: Lines) -> set[Any]:
    """The numbers of fields that lines have."""
    return {int(count) for count in np.unique(lines.fields)}
