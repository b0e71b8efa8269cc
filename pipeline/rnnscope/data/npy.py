"""Arrays in NumPy's own files, .npz and folders of .npy, checked before they are read.

A header may claim any shape, and a compressed member any size: neither is believed.
"""

import math
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from rnnscope.data.folders import arrays_in
from rnnscope.data.memory import in_bytes, refuse_bomb, refuse_unfit
from rnnscope.data.regular import refuse_unusable, why_unusable
from rnnscope.errors import UserError, brief, listed

MAGIC = b"\x93NUMPY"
READABLE = "biufcSUMmO"
"""The kinds of types that are read; what each array may hold is checked where it is used."""
BROKEN = (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, NotImplementedError)
NAMES = (
    (b"\x1f\x8b", "it is compressed by gzip: gunzip it first"),
    (MAGIC, "it holds a single array: np.savez(path, x_test=..., y_test=...) keeps several"),
    (b"\x89HDF", "it is an HDF5 file: give it the ending .h5"),
    (b"PAR1", "it is a Parquet file: give it the ending .parquet"),
    (b"\x80", "it is a pickle, which may run code: save the arrays by np.savez"),
)
"""How files begin that are no .npz file, and what to do with them."""


@dataclass(frozen=True)
class Header:
    """What an array in NumPy's format says of itself."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    start: int
    """Bytes before the values."""

    @property
    def bytes(self) -> int:
        """Of the values."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(file: IO[bytes]) -> Header:
    """The header at the beginning of a file, which is then at the values.

    Raises:
        ValueError: no such header, or a type that is not read: objects, which are pickles, and
            structs.
    """
    try:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0), (3, 0)):
            raise ValueError(f"its format has the version {version}, which does not exist")
        long = version != (1, 0)  # versions 2 and 3 differ in the letters of a struct's names
        read = np.lib.format.read_array_header_2_0 if long else np.lib.format.read_array_header_1_0
        shape, _, dtype = read(file)
    except Exception as error:  # NumPy's parser of headers raises many kinds
        raise ValueError(f"its header cannot be read: {brief(error)}") from error
    if any(isinstance(size, bool) or size < 0 for size in shape):
        raise ValueError(f"its header claims the shape {_shown(shape)}")
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are pickled and may run code: save it as "
                         "numbers, or as texts by np.array(values, dtype=str)")  # fmt: skip
    if dtype.kind not in READABLE or dtype.subdtype is not None:
        raise ValueError("it holds structs: save each field as an array of its own")
    return Header(tuple(shape), dtype, file.tell())


def read_npz(path: Path, option: str = "data.path") -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file.

    Args:
        path: the file.
        option: that names it.

    Raises:
        UserError: a file that cannot be read; an array that is pickled, is not what its header
            says, is stored in next to nothing, or does not fit in memory.
    """
    where = f"{option}={path}"
    refuse_unusable(path, option)
    if path.is_dir():
        raise UserError(f"{where}: a folder; an .npz file is needed, or a folder of .npy files")
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, where)
            headers = {name: _header(archive, info, where) for name, info in members.items()}
            refuse_unfit({name: header.bytes for name, header in headers.items()}, where)
            return {name: _array(archive, info, where) for name, info in members.items()}
    except MemoryError as error:
        raise UserError(f"{where}: its arrays do not fit in memory; {brief(error)}") from error
    except BROKEN as error:
        raise UserError(f"{where}: not an .npz file that can be read ({_why(path, error)})") from (
            error
        )


def _why(path: Path, error: Exception) -> str:
    """Why a file is no .npz file, from how it begins."""
    with path.open("rb") as file:
        begin = file.read(8)
    return next((why for magic, why in NAMES if begin.startswith(magic)), brief(error))


def _members(archive: zipfile.ZipFile, where: str) -> dict[str, zipfile.ZipInfo]:
    """The members that hold arrays, by the arrays' names."""
    infos = archive.infolist()
    twice = [name for name, count in Counter(info.filename for info in infos).items() if count > 1]
    if twice:
        raise UserError(f"{where}: it holds {_named(twice[0])} twice; keep one of them")
    strange = [_named(info.filename) for info in infos if not info.filename.endswith(".npy")]
    if strange:
        raise UserError(
            f"{where}: it holds {strange[0]}, which is no array; np.savez(path, x_test=..., "
            "y_test=...) writes a file of arrays alone"
        )
    if locked := [info.filename for info in infos if info.flag_bits & 1]:
        raise UserError(f"{where}: {_named(locked[0])} is encrypted; save it without a password")
    return {info.filename.removesuffix(".npy"): info for info in infos}


def _header(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> Header:
    """The header of a member, whose size must be what the archive says."""
    name = _named(info.filename.removesuffix(".npy"))
    refuse_bomb(name, info.file_size, info.compress_size, where)
    try:
        with archive.open(info) as file:
            header = read_header(file)
    except (*BROKEN, RuntimeError) as error:
        raise UserError(
            f"{where}: not an .npz file that can be read ({name}: {brief(error, 140)})"
        ) from error
    _refuse_other_size(header, info.file_size, f"{where}: {name}")
    return header


def _refuse_other_size(header: Header, size: int, where: str) -> None:
    """Raise where a header claims more or less than there is."""
    if header.start + header.bytes != size:
        raise UserError(
            f"{where} says that it is {_shown(header.shape)} of {_kind(header.dtype)}, "
            f"{in_bytes(header.bytes)}, and {in_bytes(max(0, size - header.start))} are there: it "
            "is damaged or cut off; save it again"
        )


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> NDArray[Any]:
    try:
        with archive.open(info) as file:
            array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
            if file.read(1):  # at the end its checksum is compared
                raise ValueError("more is stored than its header says")
            return array
    except (*BROKEN, RuntimeError) as error:
        name = _named(info.filename.removesuffix(".npy"))
        raise UserError(
            f"{where}: not an .npz file that can be read ({name}: {brief(error)}): it is "
            "damaged; copy or save it again"
        ) from error


def map_npy(folder: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a folder of .npy files, memory-mapped.

    Raises:
        UserError: a file that cannot be read, is pickled, or is not what its header says; or what
            ``arrays_in`` refuses.
    """
    return {
        name: mapped(path, f"data.path={folder}: {_named(path.name)}")
        for name, path in arrays_in(folder).items()
    }


def mapped(path: Path, where: str) -> NDArray[Any]:
    """The array of an .npy file, memory-mapped.

    Args:
        path: the file.
        where: what to call it in an error.

    Raises:
        UserError: as for ``map_npy``.
    """
    try:
        if why := "a folder" if path.is_dir() else why_unusable(path):
            raise ValueError(why)
        with path.open("rb") as file:
            if file.read(2) == b"PK":
                raise ValueError("it holds several arrays: give it the ending .npz")
            file.seek(0)
            header = read_header(file)
        _refuse_other_size(header, path.stat().st_size, where)
        if not header.bytes:  # nothing to map
            return np.zeros(header.shape, header.dtype)
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except BROKEN as error:
        raise UserError(f"{where} is not an .npy file that can be read ({brief(error)})") from (
            error
        )
    return array


def _named(name: str) -> str:
    """A name from a file, in a form that may be printed."""
    return brief(name, 40)


def _shown(shape: tuple[int, ...]) -> str:
    return f"[{listed(shape)}]"[:80]


def _kind(dtype: np.dtype[Any]) -> str:
    return f"{dtype}"[:40]
