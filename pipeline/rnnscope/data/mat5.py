"""The structure of MATLAB's files of version 5 to 7, checked before SciPy reads them.

SciPy trusts types and sizes in them, and a damaged one ends the whole process. The format is
MathWorks' "MAT-File Format", chapter 1.
"""

import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

WIDTHS = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}
"""Bytes of a number by the type of its element."""
TEXTS = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 16: 1, 17: 2, 18: 4}
"""Of a letter; in UTF-8 there may be several."""
MATRIX, COMPRESSED = 14, 15
CELL, CHAR, SPARSE = 1, 4, 5
NUMBERS = range(6, 16)
"""Classes of arrays."""
COMPLEX = 0x0800
HEADER = 128
PIECE = 2**20

Read = Callable[[int], bytes]


class NotAnArrayError(Exception):
    """A sound file holds a struct, an object or a function; the message is its name."""


def refuse_damaged(path: Path) -> None:
    """Raise where a file of version 5 to 7 is not as the format wants it; others are passed over.

    Raises:
        ValueError: what is damaged.
        zlib.error: a compressed array that cannot be read.
        NotAnArrayError: there is a struct, an object or a function.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(HEADER)
        if header[126:128] not in (b"IM", b"MI"):
            return  # version 4, or no such file, of which SciPy reads no types
        order = "<" if header[126:128] == b"IM" else ">"
        while file.tell() < size:
            kind, length = struct.unpack(f"{order}II", _exactly(file.read, 8))
            end = file.tell() + length
            if kind not in (MATRIX, COMPRESSED) or end > size:
                raise ValueError(f"an element of type {kind} and {length} bytes is not all there")
            if kind == MATRIX:
                _Walk(file.read, order).matrix(length)
            else:
                inflate = _Inflated(file, length)
                kind, length = struct.unpack(f"{order}II", _exactly(inflate.read, 8))
                if kind != MATRIX:
                    raise ValueError(f"a compressed element of type {kind}")
                _Walk(inflate.read, order).matrix(length)
                inflate.finish()
            file.seek(end)


def _exactly(read: Read, count: int) -> bytes:
    found = read(count)
    if len(found) != count:
        raise ValueError("it ends within an array")
    return found


class _Inflated:
    """A compressed element, read in pieces; at its end its checksum is compared."""

    def __init__(self, file: BinaryIO, length: int):
        self._file, self._left, self._zlib = file, length, zlib.decompressobj()

    def read(self, count: int) -> bytes:
        found = b""
        while len(found) < count and not self._zlib.eof:
            source = self._zlib.unconsumed_tail or self._more()
            new = self._zlib.decompress(source, count - len(found))
            if not new and not source:
                break
            found += new
        return found

    def finish(self) -> None:
        """Raise where the stream goes on, or has no end."""
        if self.read(1) or not self._zlib.eof:
            raise ValueError("a compressed array is longer or shorter than it says")

    def _more(self) -> bytes:
        found = self._file.read(min(PIECE, self._left))
        self._left -= len(found)
        return found


class _Walk:
    """The elements of one array, one after another."""

    def __init__(self, read: Read, order: str):
        self._read, self._order = read, order

    def matrix(self, length: int, depth: int = 0) -> None:
        """Pass over an array of so many bytes."""
        if not length:  # an empty cell
            return
        kind, flags = self._element(length)
        if kind != 6 or len(flags) != 8:
            raise ValueError("an array without its class")
        (bits,) = struct.unpack(f"{self._order}I", flags[:4])
        what = bits & 0xFF
        kind, sizes = self._element(length)
        if kind != 5 or len(sizes) % 4 or len(sizes) < 8:
            raise ValueError("an array without its sizes")
        shape = struct.unpack(f"{self._order}{len(sizes) // 4}i", sizes)
        if min(shape) < 0:
            raise ValueError(f"an array of the sizes {list(shape)}"[:60])
        kind, name = self._element(length)
        if kind not in (1, 2):
            raise ValueError("an array without its name")
        if what not in (CELL, CHAR, SPARSE, *NUMBERS):
            raise NotAnArrayError(name.decode("latin1"))
        self._values(what, shape, bool(bits & COMPLEX), length, depth)

    def _values(
        self, what: int, shape: tuple[int, ...], pairs: bool, length: int, depth: int
    ) -> None:
        count = math.prod(shape)
        if what == CELL and depth < 2:
            for _ in range(count):
                kind, size = struct.unpack(f"{self._order}II", _exactly(self._read, 8))
                if kind != MATRIX or size > length:
                    raise ValueError("a cell that is no array")
                self.matrix(size, depth + 1)
        elif what == SPARSE:
            rows, columns = self._element(length), self._element(length)
            if rows[0] != 5 or columns[0] != 5 or len(columns[1]) != 4 * (shape[-1] + 1):
                raise ValueError("a sparse array without its places")
            starts = struct.unpack(f"{self._order}{shape[-1] + 1}i", columns[1])
            places = struct.unpack(f"{self._order}{len(rows[1]) // 4}i", rows[1])
            rise = list(starts) == sorted(starts) and starts[0] == 0 and starts[-1] <= len(places)
            if not rise or (places and not 0 <= min(places) <= max(places) < shape[0]):
                raise ValueError("a sparse array whose places are not in it")
            for _ in range(1 + pairs):
                self._skip(starts[-1], WIDTHS, length, more=True)
        elif what != CELL:
            for _ in range(1 + pairs):
                self._skip(count, TEXTS if what == CHAR else WIDTHS, length, more=what == CHAR)
        else:
            raise ValueError("cells within cells within cells")

    def _element(self, most: int) -> tuple[int, bytes]:
        """The type and content of a short element."""
        kind, size, inside = self._tag()
        if inside is not None:
            return kind, inside
        if size > most:
            raise ValueError("an element is longer than its array")
        return kind, _exactly(self._read, size + -size % 8)[:size]

    def _tag(self) -> tuple[int, int, bytes | None]:
        """The type and bytes of an element, and its content if it lies in the tag."""
        tag = _exactly(self._read, 8)
        kind, size = struct.unpack(f"{self._order}II", tag)
        if small := kind >> 16:
            if small > 4:
                raise ValueError("a short element of more than 4 bytes")
            return kind & 0xFFFF, small, tag[4 : 4 + small]
        return kind, size, None

    def _skip(self, count: int, widths: dict[int, int], most: int, *, more: bool) -> None:
        """Pass over the values of an array: so many, or if ``more`` at least."""
        kind, size, inside = self._tag()
        if kind not in widths:
            raise ValueError(f"values of type {kind}")
        wanted = count * widths[kind]
        if size > most or size % widths[kind] or (size < wanted if more else size != wanted):
            raise ValueError(f"{size} bytes of values, not {wanted}")
        left = size + -size % 8 if inside is None else 0
        while left:
            left -= len(_exactly(self._read, min(left, PIECE)))
