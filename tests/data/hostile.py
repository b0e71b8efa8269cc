"""Data files that are damaged, senseless or meant to harm: arrays in .npz, .npy, .mat and HDF5.

Each case writes its files into an empty folder and returns the options of data=files; ``says`` is a
pattern of the one line that refuses it, or None where it is to be accepted.
"""

import gzip
import io
import os
import pickle
import socket
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
import scipy.sparse
from numpy.typing import NDArray

Arrays = dict[str, Any]
N, T, F = 12, 5, 3


@dataclass(frozen=True)
class Case:
    """One data set."""

    name: str
    make: Callable[[Path], list[str]]
    """Writes it into a folder; returns the options, such as data.path=mine.npz."""
    says: str | None
    """A pattern of what refuses it; None: it is accepted."""
    large: bool = False
    """Whether it takes much memory or time where sizes are believed."""


def good(**changes: Any) -> Arrays:
    """Arrays that are accepted, with changes; None leaves one out."""
    random = np.random.default_rng(0)
    made: Arrays = {}
    for part in ("train", "test"):
        made[f"x_{part}"] = random.normal(size=(N, T, F)).astype(np.float32)
        made[f"y_{part}"] = np.arange(N) % 3
    return {name: each for name, each in (made | changes).items() if each is not None}


def saved(folder: Path, options: tuple[str, ...] = (), **changes: Any) -> list[str]:
    """As .npz."""
    np.savez(folder / "mine.npz", **good(**changes))
    return [f"data.path={folder / 'mine.npz'}", *options]


def written(folder: Path, content: bytes, name: str = "mine.npz") -> list[str]:
    """As a file of these bytes."""
    (folder / name).write_bytes(content)
    return [f"data.path={folder / name}"]


def npy(header: str | bytes, values: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    """A file in NumPy's format with any header."""
    text = header.encode("latin1") if isinstance(header, str) else header
    size = struct.pack("<H" if version == (1, 0) else "<I", len(text) % 2**16)
    if version != (1, 0):
        size = struct.pack("<I", len(text))
    return b"\x93NUMPY" + bytes(version) + size + text + values


def described(shape: str, kind: str = "'<f4'", fortran: str = "False") -> str:
    """The header of an array."""
    return f"{{'descr': {kind}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n"


def of(array: NDArray[Any]) -> bytes:
    """A good .npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def zipped(members: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of any members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def with_member(content: bytes, name: str = "x_test.npy", how: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of good arrays, one of which is this."""
    members = {f"{key}.npy": of(array) for key, array in good().items()}
    return zipped(members | {name: content}, how)


def in_folder(folder: Path, members: dict[str, bytes | None]) -> list[str]:
    """As a folder of .npy files, good ones but for these; None leaves one out."""
    here = folder / "arrays"
    here.mkdir()
    known: dict[str, bytes | None] = {f"{key}.npy": of(array) for key, array in good().items()}
    for name, content in (known | members).items():
        if content is not None:
            (here / name).write_bytes(content)
    return [f"data.path={here}"]


def bomb(folder: Path, gigabytes: float) -> list[str]:
    """Zeros that are compressed a thousand times."""
    shape = (int(gigabytes * 2**30 / 4 / 1000), 100, 10)
    header = described(str(shape))
    with (
        zipfile.ZipFile(folder / "mine.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x_test.npy", "w", force_zip64=True) as file,
    ):
        file.write(npy(header))
        left = int(np.prod(shape)) * 4
        while left:
            left -= file.write(bytes(min(left, 2**24)))
    return [f"data.path={folder / 'mine.npz'}"]


def lying(folder: Path) -> list[str]:
    """An archive whose directory claims that a stored member has 4 GB."""
    content = bytearray(with_member(npy(described("(1000, 1000, 1000)"), b"\0" * 400)))
    at = content.index(b"PK\x01\x02")
    while content[at + 46 : at + 56] != b"x_test.npy":
        at = content.index(b"PK\x01\x02", at + 4)
    struct.pack_into("<I", content, at + 24, 4 * 10**9 + 128)
    return written(folder, bytes(content))


def h5(folder: Path, change: Callable[[h5py.File], Any], **changes: Any) -> list[str]:
    """As HDF5, changed."""
    with h5py.File(folder / "mine.h5", "w") as file:
        for name, each in good(**changes).items():
            file[name] = each
        change(file)
    return [f"data.path={folder / 'mine.h5'}"]


def replaced(name: str, **how: Any) -> Callable[[h5py.File], Any]:
    """Put another array in an HDF5 file's place."""

    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, **how)

    return change


def put(name: str, value: Any) -> Callable[[h5py.File], Any]:
    """Put a link in an HDF5 file's place."""

    def change(file: h5py.File) -> None:
        if name in file:
            del file[name]
        file[name] = value

    return change


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((N, T, F), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (N, T, F))
    del file["x_test"]
    file.create_virtual_dataset("x_test", layout)


def mat(folder: Path, **changes: Any) -> list[str]:
    """As MATLAB's file."""
    scipy.io.savemat(folder / "mine.mat", good(**changes))
    return [f"data.path={folder / 'mine.mat'}"]


def cut(folder: Path, ending: str, share: float) -> list[str]:
    """A good file of which the end is missing."""
    match ending:
        case ".h5":
            (option,) = h5(folder, lambda file: None)
        case ".mat":
            (option,) = mat(folder)
        case _:
            (option,) = saved(folder)
    path = Path(option.partition("=")[2])
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    return [option]


def special(folder: Path, kind: str, ending: str = ".npz") -> list[str]:
    """What is no regular file."""
    path = folder / f"mine{ending}"
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "socket":
            here = Path.cwd()
            os.chdir(folder)  # the paths of sockets are short
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(path.name)
            os.chdir(here)
        case "loop":
            path.symlink_to(path.name)
        case "nowhere":
            path.symlink_to("missing")
        case "device":
            path.symlink_to("/dev/zero")
        case "null":
            path.symlink_to("/dev/null")
        case "folder":
            path.mkdir()
        case "empty":
            path.touch()
    return [f"data.path={path}"]


def member_special(folder: Path, kind: str) -> list[str]:
    """A folder of .npy files, one of which is none."""
    options = in_folder(folder, {"x_test.npy": None})
    special(folder / "arrays", kind)
    (folder / "arrays" / "mine.npz").rename(folder / "arrays" / "x_test.npy")
    return options


def at(place: tuple[int, ...], value: Any, dtype: Any = np.float32, shape: Any = (N, T, F)) -> Any:
    """Random values, one of which is another."""
    values = np.random.default_rng(1).normal(size=shape).astype(dtype)
    values[place] = value
    return values


def ints(*values: Any, dtype: Any = np.int64) -> NDArray[Any]:
    """Labels that repeat these values."""
    return np.resize(np.array(values, dtype), N)


X = good()
NOT_READ = r"not an \.npz file that can be read"
SIZE = r"x_test.* says that it is .* are there"

HEADERS: dict[str, tuple[str | bytes, str]] = {
    "4 PB": (described("(1000000, 1000000, 1000)"), SIZE),
    "more than 2^63": (described("(9223372036854775807, 9223372036854775807, 2)"), SIZE),
    "a number of 3,000 digits": (described("(" + "9" * 3000 + ",)"), SIZE),
    "a number of 5,000 digits": (described("(" + "9" * 5000 + ",)"), NOT_READ),
    "negative": (described("(-1, 5, 3)"), "claims the shape"),
    "two negatives": (described("(-4, -15, 3)"), "claims the shape"),
    "true": (described("(True, 5, 3)"), "claims the shape"),
    "a float": (described("(12.0, 5, 3)"), NOT_READ),
    "a list": (described("[12, 5, 3]"), NOT_READ),
    "no shape": ("{'descr': '<f4', 'fortran_order': False}\n", NOT_READ),
    "an extra key": (described("(12, 5, 3)").replace("}", "'a': 1}"), NOT_READ),
    "keys twice": (described("(12, 5, 3)").replace("}", "'shape': (1, 1), }"), SIZE),
    "code": ("__import__('os').system('touch harmed')\n", NOT_READ),
    "an expression": (described("(10**9,)"), NOT_READ),
    "nested brackets": ("(" * 4000 + ")" * 4000, NOT_READ),
    "nested minus": ("-" * 9000 + "1", NOT_READ),
    "empty": ("", NOT_READ),
    "bytes": (b"\xff\x00" * 40, NOT_READ),
    "10 MB": (described("(12, 5, 3)") + " " * 10**7, NOT_READ),
    "objects": (described("(12,)", "'|O'"), "Python objects.*run code"),
    "objects in a struct": (described("(12,)", "[('a', 'O'), ('b', '<f4')]"), "Python objects"),
    "a struct": (described("(12,)", "[('a', '<f4'), ('b', '<i4')]"), "structs"),
    "a struct of no fields": (described("(12,)", "[]"), "structs|" + NOT_READ),
    "a type of a billion letters": (described("(12,)", "'<U1000000000'"), NOT_READ),
    "a type of 10^12 letters": (described("(12,)", "'<U1000000000000'"), NOT_READ),
    "void": (described("(12,)", "'|V12'"), "structs"),
    "an unknown type": (described("(12, 5, 3)", "'<q9'"), NOT_READ),
    "a subarray": (described("(12, 5)", "('<f4', (3,))"), f"structs|{NOT_READ}|{SIZE}"),
    "a type that is a number": (described("(12, 5, 3)", "7"), NOT_READ),
    "Fortran order that is text": (described("(12, 5, 3)", fortran="'no'"), NOT_READ),
    "no sequences": (described("(0, 5, 3)"), r"x_test|must be"),
    "no values": (described("(12, 5, 3)"), SIZE),
    "0-d": (described("()"), SIZE),
    "a list of dtype": (described("(12, 5, 3)", "['<f4']"), NOT_READ),
}
"""Headers of x_test without values, and what refuses each."""


def _headers() -> list[Case]:
    cases = []
    for name, (header, says) in HEADERS.items():
        content = npy(header, version=(1, 0) if len(header) < 2**16 else (2, 0))
        in_zip = partial(written, content=with_member(content))
        cases.append(Case(f"npz: header, {name}", in_zip, says))
        alone = partial(in_folder, members={"x_test.npy": content})
        says = says.replace(NOT_READ, "x_test.npy is not an .npy file")
        cases.append(Case(f"npy: header, {name}", alone, says))
    return cases


VALUES: dict[str, tuple[Arrays, str | None]] = {
    "good": ({}, None),
    "Fortran order": ({"x_test": np.asfortranarray(X["x_test"])}, None),
    "big-endian": ({"x_test": X["x_test"].astype(">f4"), "y_test": ints(0, 1, dtype=">i4")}, None),
    "float16": ({"x_test": X["x_test"].astype(np.float16)}, None),
    "float64": ({"x_test": X["x_test"].astype(np.float64)}, None),
    "long double": ({"x_test": X["x_test"].astype(np.longdouble)}, None),
    "float64 past float32": ({"x_test": at((3, 2, 1), 1e300, np.float64)}, r"x_test\[3, 2\]"),
    "an infinity": ({"x_test": at((3, 2, 1), np.inf)}, r"x_test\[3, 2\] is not a finite"),
    "minus infinity in float16": ({"x_test": at((3, 2, 1), -np.inf, np.float16)}, r"x_test\[3, 2"),
    "a NaN": ({"x_test": at((3, 2, 1), np.nan)}, r"x_test\[3, 2\] is not a finite"),
    "all NaN": ({"x_test": np.full((N, T, F), np.nan, np.float32)}, r"x_test\[0\] is NaN"),
    "one sequence NaN": ({"x_test": at((4,), np.nan)}, r"x_test\[4\] is NaN"),
    "complex": ({"x_test": X["x_test"] * 1j}, "x_test has type complex"),
    "dates as inputs": (
        {"x_test": np.full((N, T, F), "2016", "M8[D]")},
        "x_test has type datetime",
    ),
    "times as inputs": ({"x_test": np.ones((N, T, F), "m8[s]")}, "x_test has type timedelta"),
    "text as inputs": ({"x_test": np.full((N, T), "a")}, "x_test has type <U1"),
    "bytes as inputs": ({"x_test": np.full((N, T), b"a")}, r"x_test has type \|S1"),
    "0-d": ({"x_test": np.float32(1)}, "x_test is a single value"),
    "1-d": ({"x_test": np.ones(N)}, "x_test has shape"),
    "2-d beside 3-d": ({"x_test": np.ones((N, T))}, "a timestep of train|features"),
    "5-d beside 3-d": ({"x_test": np.ones((N, T, 2, 2, 2))}, "timestep of train has shape"),
    "5-d": (
        {"x_train": at((), 0.5, shape=(N, T, 2, 2, 2)), "x_test": np.ones((N, T, 2, 2, 2))},
        None,
    ),
    "no sequences": ({"x_test": np.ones((0, T, F))}, "x_test has shape"),
    "no timesteps": ({"x_test": np.ones((N, 0, F))}, "x_test has shape"),
    "no features": ({"x_test": np.ones((N, T, 0))}, "x_test has shape"),
    "other features": ({"x_test": np.ones((N, T, F + 1))}, "train has 3 features, test has 4"),
    "other timesteps": ({"x_test": np.ones((N, T + 2, F))}, None),
    "one sequence": ({"x_test": at((), 0.5, shape=(1, T, F)), "y_test": np.zeros(1, int)}, None),
    "fewer labels": ({"y_test": np.zeros(N - 1, int)}, "y_test has shape"),
    "more labels": ({"y_test": np.zeros(N + 1, int)}, "y_test has shape"),
    "labels of 0-d": ({"y_test": np.int64(1)}, "y_test has shape"),
    "labels in three axes": ({"y_test": np.zeros((N, 2, 2), int)}, "y_test has shape"),
    "y without x": ({"x_val": None, "y_val": ints(0, 1)}, "y_val has no x_val"),
    "x_val without y_val": ({"x_val": at((), 0.5)}, "x_val has no y_val"),
    "x_train without y_train": ({"y_train": None}, "x_train has no y_train"),
    "no x_test": ({"x_test": None, "y_test": None}, "no test sequences"),
    "no x_test, but y_test": ({"x_test": None}, "y_test has no x_test"),
    "only x_test": ({"x_train": None, "y_train": None, "y_test": None}, None),
    "lengths without x": ({"lengths_val": ints(3)}, "lengths_val has no x_val"),
    "an unknown array": ({"z_test": np.ones(N)}, "unknown arrays z_test"),
    "capitals": ({"X_test": X["x_test"]}, "unknown arrays X_test"),
    "lengths 0": ({"lengths_test": ints(1, 0)}, r"lengths_test\[1\] is 0"),
    "lengths -1": ({"lengths_test": ints(1, -1)}, r"lengths_test\[1\] is -1"),
    "lengths past T": ({"lengths_test": ints(1, T + 1)}, r"lengths_test\[1\] is 6|reaches 6"),
    "lengths of halves": ({"lengths_test": ints(1, 2.5, dtype=float)}, r"lengths_test\[1\] is 2.5"),
    "lengths NaN": ({"lengths_test": ints(1, np.nan, dtype=float)}, r"lengths_test\[1\] is nan"),
    "lengths infinite": (
        {"lengths_test": ints(1, np.inf, dtype=float)},
        r"lengths_test\[1\] is inf",
    ),
    "lengths past int64": ({"lengths_test": ints(1, 2**64 - 1, dtype=np.uint64)}, r"lengths_test"),
    "lengths as text": ({"lengths_test": ints("1", "2", dtype=str)}, "lengths_test has type"),
    "too few lengths": ({"lengths_test": np.ones(N - 1, int)}, "lengths_test has shape"),
    "lengths true": ({"lengths_test": np.ones(N, bool)}, "lengths_test has type bool"),
    "lengths float": ({"lengths_test": ints(1, 5, dtype=float)}, None),
    "train bytes, test floats": (
        {"x_train": np.full((N, T, F), 200, np.uint8)},
        "x_train holds bytes.*x_test holds float32",
    ),
    "train floats, test bytes": (
        {"x_test": np.full((N, T, F), 200, np.uint8)},
        "x_test holds bytes.*x_train holds float32",
    ),
    "0 to 255 in floats beside 0 to 1": (
        {"x_train": np.abs(X["x_train"]) % 1, "x_test": np.resize(np.arange(256.0), (N, T, F))},
        "x_test holds whole numbers from 0 to 179, and x_train values from",
    ),
    "int16 0 to 255 beside 0 to 1": (
        {"x_test": np.abs(X["x_test"]) % 1, "x_train": np.resize(np.arange(256), (N, T, F))},
        "x_train holds whole numbers from 0 to 179, and x_test",
    ),
    "other scales that may be meant": ({"x_test": X["x_test"] * 255}, None),
    "test is train": ({"x_test": X["x_train"]}, "every test sequence is in train too"),
    "test is in train, as float64": (
        {"x_test": X["x_train"][5:7].astype(float), "y_test": ints(0, 1)[:2]},
        r"every test sequence is in train too \(x_test\[0\] is x_train\[5\]\)",
    ),
    "tokens that are all in train": (
        {"x_train": np.arange(60).reshape(N, T), "x_test": np.arange(60).reshape(N, T)},
        None,
    ),
    "constant": ({"x_test": np.full((N, T, F), 0.5)}, None),
    "huge tokens": (
        {"x_train": None, "y_train": None, "x_test": np.full((N, T), 2**40)},
        r"x_test\[",
    ),
    "tokens in uint64": (
        {"x_train": None, "y_train": None, "x_test": np.full((N, T), 2**64 - 1, np.uint64)},
        r"x_test\[",
    ),
    "an empty name": ({"": np.ones(N)}, "unknown arrays"),
    "a name of dots": ({"../x_test": np.ones(N)}, "unknown arrays"),
    "a name of 20,000 letters": ({"a" * 20_000: np.ones(N)}, "unknown arrays"),
    "a name with a line break": ({"a\nb": np.ones(N)}, "unknown arrays"),
    "a name that colours the terminal": ({"\x1b[31mred": np.ones(N)}, "unknown arrays"),
}
"""Changes of good arrays, and what refuses each."""

LABELS: dict[str, tuple[Any, str | None]] = {
    "dates": (ints(20240131, 20240201, 20231231), None),
    "10^8": (ints(0, 1, 10**8), None),
    "-1 and 1": (ints(-1, 1), None),
    "sparse": (ints(3, 1000, 10**9), None),
    "int64's ends": (ints(-(2**63), 2**63 - 1), None),
    "past int64": (ints(0, 2**63, dtype=np.uint64), r"y_\w+\[1\] is 9223372036854775808"),
    "neighbours past 2^53": (ints(2**60, 2**60 + 1), None),
    "neighbours past 2^53 in uint64": (ints(2**60, 2**60 + 1, dtype=np.uint64), None),
    "whole floats": (ints(0, 1, 2, dtype=float), None),
    "dates in float64": (ints(20240131, 20240201, dtype=float), None),
    "dates in float32": (ints(20240131, 20240133, dtype=np.float32), "merges neighbouring"),
    "large in float16": (ints(4096, 1, dtype=np.float16), "merges neighbouring"),
    "fractions": (ints(0.5, 1.5, dtype=float), None),
    "a NaN": (ints(0, np.nan, dtype=float), r"y_\w+\[1\] is nan"),
    "an infinity": (ints(0, np.inf, dtype=float), r"y_\w+\[1\] is inf"),
    "past float32": (ints(0.5, 1e300, dtype=float), r"y_\w+\[1\] is 1e\+300"),
    "complex": (ints(1j, 2, dtype=complex), "y_train has type complex"),
    "true and false": (ints(True, False, dtype=bool), None),
    "text": (ints("walk", "run", dtype=str), None),
    "text of numbers": (ints("01", "1", "001", dtype=str), "are the same number"),
    "an empty text": (ints("walk", "", dtype=str), "holds ''"),
    "bytes": (ints(b"walk", b"run", dtype="S4"), None),
    "bytes that are no text": (ints(b"\xff\xfe", b"run", dtype="S4"), "no text in UTF-8"),
    "dates as dates": (ints("2024-01-31", "2024-02-01", dtype="M8[D]"), None),
    "a date that is none": (ints("2024-01-31", "NaT", dtype="M8[D]"), "holds 'NaT'"),
    "durations": (ints(1, 2, dtype="m8[s]"), "y_train has type timedelta64"),
    "one class": (ints(7), None),
    "numbers that are a count of rows": (np.arange(N), None),
    "horizons": (np.random.default_rng(0).normal(size=(N, 4)), "4 numbers for each sequence"),
    "a negative class of timesteps": (np.full((N, T), -1), "count from 0"),
    "huge classes of timesteps": (np.resize([0, 10**12], (N, T)), None),
    "text of a million letters": (ints("a" * 100_000, "b", dtype=str), "has 100,000 characters"),
    "escapes": (ints("\x1b[31mred", "b\nc", dtype=str), None),
}
"""Labels of both splits, and what refuses each."""


def _values() -> list[Case]:
    cases = [
        Case(f"npz: {name}", partial(saved, **changes), says)
        for name, (changes, says) in VALUES.items()
    ]
    return cases + [
        Case(f"labels: {name}", partial(saved, y_train=y, y_test=y), says)
        for name, (y, says) in LABELS.items()
    ]


def _random(folder: Path, count: int, *options: str) -> list[str]:
    """Sequences with a label each that no other has."""
    x = np.random.default_rng(0).normal(size=(count, 2, 1))
    np.savez(folder / "mine.npz", x_test=x, y_test=np.random.default_rng(1).permutation(count) * 7)
    return [f"data.path={folder / 'mine.npz'}", *options]


GROUPS = ("data.groups=patient",)
NOTES = ("data.annotations=[depth]",)
OTHERS = [
    Case(
        "groups: NaN",
        partial(
            saved, options=GROUPS, patient_train=ints(1), patient_test=ints(1, np.nan, dtype=float)
        ),
        r"patient_test\[1\] is nan",
    ),
    Case(
        "groups: an empty text",
        partial(
            saved,
            options=GROUPS,
            patient_train=ints("a", dtype=str),
            patient_test=ints("a", "", dtype=str),
        ),
        r"patient_test\[1\] is empty",
    ),
    Case(
        "groups: too few",
        partial(saved, options=GROUPS, patient_train=ints(1), patient_test=np.ones(3)),
        "patient_test has shape",
    ),
    Case(
        "groups: complex",
        partial(saved, options=GROUPS, patient_train=ints(1), patient_test=ints(1, dtype=complex)),
        "patient_test has type",
    ),
    Case("groups: none", partial(saved, options=GROUPS), "no array 'patient_test'"),
    Case(
        "groups: of test alone",
        partial(saved, options=GROUPS, patient_test=ints(1)),
        "no array 'patient_train'",
    ),
    Case(
        "annotations: infinite",
        partial(saved, options=NOTES, depth_test=at((2, 1), np.inf, shape=(N, T))),
        r"depth_test\[2, 1\] is inf",
    ),
    Case(
        "annotations: past int32",
        partial(saved, options=NOTES, depth_test=np.full((N, T), 2**40)),
        r"depth_test\[0, 0\]",
    ),
    Case(
        "annotations: of other timesteps",
        partial(saved, options=NOTES, depth_test=np.ones((N, T + 1))),
        "depth_test has shape",
    ),
    Case(
        "annotations: text",
        partial(saved, options=NOTES, depth_test=np.full((N, T), "a")),
        "depth_test has type",
    ),
    Case("annotations: none", partial(saved, options=NOTES), "no array 'depth_test'"),
    Case(
        "annotations: of a split without x",
        partial(saved, options=NOTES, depth_test=np.ones((N, T)), depth_val=np.ones((N, T))),
        "depth_val has no x_val",
    ),
    Case(
        "annotations: reserved",
        partial(saved, options=("data.annotations=[label]",)),
        "reserved name",
    ),
    Case(
        "classes: as many as sequences",
        lambda to: _random(to, 10_001),
        "10,001 different values.*data.task=regression.*data.max_classes=10001",
    ),
    Case(
        "classes: as many as allowed",
        lambda to: _random(to, 10_001, "data.max_classes=100000"),
        None,
    ),
    Case(
        "classes: fewer allowed",
        partial(saved, options=("data.max_classes=2",)),
        "3 different values.*data.max_classes=3",
    ),
    Case(
        "one class with labels of timesteps",
        partial(saved, y_train=np.zeros((N, T), int), y_test=np.zeros((N, T), int)),
        None,
    ),
    Case(
        "labels of timesteps past int64",
        partial(saved, y_train=np.full((N, T), 2**63, np.uint64), y_test=np.zeros((N, T), int)),
        r"y_train\[0, 0\] is 9223372036854775808",
    ),
    Case("text beside numbers", partial(saved, y_test=ints("a", "b", dtype=str)), "holds names"),
    Case("a class that train lacks", partial(saved, y_test=ints(7, 8)), None),
    Case(
        "text of two kinds",
        partial(saved, y_train=ints("a", dtype=str), y_test=ints(b"a", dtype="S1")),
        None,
    ),
]

CONTAINERS = [
    Case("npz: text", lambda to: written(to, b"x,y\n1,2\n"), NOT_READ),
    Case("npz: empty", lambda to: written(to, b""), "empty file"),
    Case("npz: a single array", lambda to: written(to, of(np.ones(3))), "single array"),
    Case("npz: pickle", lambda to: written(to, pickle.dumps({"x_test": [1]})), "pickle.*run code"),
    Case(
        "npz: gzip", lambda to: written(to, gzip.compress(with_member(of(X["x_test"])))), "gunzip"
    ),
    Case("npz: HDF5", lambda to: written(to, b"\x89HDF\r\n\x1a\n" + bytes(99)), "ending .h5"),
    Case("npz: Parquet", lambda to: written(to, b"PAR1" + bytes(99) + b"PAR1"), "ending .parquet"),
    Case(
        "npz: PyTorch",
        lambda to: written(to, zipped({"a/data.pkl": b"\x80\x02}q\x00."})),
        "a/data.pkl, which is no array",
    ),
    Case(
        "npz: an archive in it",
        lambda to: written(to, with_member(zipped({"a.npy": of(np.ones(3))}), "x.npz")),
        "x.npz, which is no array",
    ),
    Case(
        "npz: an archive as an array",
        lambda to: written(to, with_member(zipped({"a.npy": of(np.ones(3))}))),
        "x_test: .*magic",
    ),
    Case(
        "npz: a pickle as an array",
        lambda to: written(to, with_member(pickle.dumps([1]))),
        "x_test: ",
    ),
    Case("npz: an empty member", lambda to: written(to, with_member(b"")), "x_test: "),
    Case("npz: no members", lambda to: written(to, zipped({})), "no test sequences"),
    Case(
        "npz: trailing bytes",
        lambda to: written(to, with_member(of(X["x_test"]) + b"\0" * 8)),
        SIZE,
    ),
    Case(
        "npz: two arrays in a member",
        lambda to: written(to, with_member(of(X["x_test"]) * 2)),
        SIZE,
    ),
    Case(
        "npz: a folder in it",
        lambda to: written(to, with_member(b"", "deep/")),
        "deep/, which is no array",
    ),
    Case(
        "npz: an absolute name",
        lambda to: written(to, with_member(of(np.ones(3)), "/etc/passwd.npy")),
        "unknown arrays",
    ),
    Case(
        "npz: what macOS adds",
        lambda to: written(to, with_member(b"\0" * 9, "__MACOSX/._x_test.npy")),
        "__MACOSX/._x_test: ",
    ),
    Case(
        "npz: version 9",
        lambda to: written(to, with_member(npy(described("(12, 5, 3)"), bytes(720), (9, 0)))),
        "version \\(9, 0\\)|version",
    ),
    Case(
        "npz: version 3",
        lambda to: written(to, with_member(npy(described("(12, 5, 3)"), bytes(720), (3, 0)))),
        None,
    ),
    Case(
        "npz: version 2",
        lambda to: written(to, with_member(npy(described("(12, 5, 3)"), bytes(720), (2, 0)))),
        None,
    ),
    Case(
        "npz: compressed",
        lambda to: written(to, with_member(of(X["x_test"]), how=zipfile.ZIP_DEFLATED)),
        None,
    ),
    Case(
        "npz: compressed by bzip2",
        lambda to: written(to, with_member(of(X["x_test"]), how=zipfile.ZIP_BZIP2)),
        None,
    ),
    Case(
        "npz: compressed by LZMA",
        lambda to: written(to, with_member(of(X["x_test"]), how=zipfile.ZIP_LZMA)),
        None,
    ),
    Case(
        "npz: a bomb",
        lambda to: bomb(to, 0.3),
        "says that it takes 322.1 MB, and .* kB are stored",
        large=True,
    ),
    Case("npz: a size that is a lie", lying, "x_test", large=True),
    Case("npz: names twice", lambda to: twice(to), "x_test.npy twice"),
    Case("npz: encrypted", lambda to: flagged(to, 1), "x_test.npy is encrypted"),
    Case("npz: an unknown compression", lambda to: method(to, 98), "x_test: "),
    Case(
        "npz: Zip64 sizes",
        lambda to: written(to, with_member(of(X["x_test"])).replace(b"\x2d\x00", b"\x14\x00")),
        None,
    ),
    *[
        Case(
            f"{ending}: {share:.0%} of it", partial(cut, ending=ending, share=share), "can be read"
        )
        for ending in (".npz", ".h5", ".mat")
        for share in (0.02, 0.3, 0.9)
    ],
    *[
        Case(
            f"{ending}: a {kind}",
            partial(special, kind=kind, ending=ending),
            "a pipe|a socket|a device|leads back|no such file|empty file|a folder|no files",
        )
        for ending in (".npz", ".h5", ".mat", "")
        for kind in ("pipe", "socket", "loop", "nowhere", "device", "null", "folder", "empty")
        if ((kind, ending) != ("empty", "") and ending) or kind == "folder"
    ],
    *[
        Case(
            f"npy: a member that is a {kind}",
            partial(member_special, kind=kind),
            r"x_test\.npy is not an \.npy file",
        )
        for kind in ("pipe", "socket", "loop", "nowhere", "device", "folder", "empty")
    ],
    Case("npy: good", lambda to: in_folder(to, {}), None),
    Case(
        "npy: without x_test",
        lambda to: in_folder(to, {"x_test.npy": None}),
        "y_test has no x_test",
    ),
    Case(
        "npy: an archive as an array",
        lambda to: in_folder(to, {"x_test.npy": zipped({"a.npy": of(np.ones(3))})}),
        "several arrays",
    ),
    Case("npy: cut off", lambda to: in_folder(to, {"x_test.npy": of(X["x_test"])[:-5]}), SIZE),
    Case(
        "npy: trailing bytes",
        lambda to: in_folder(to, {"x_test.npy": of(X["x_test"]) + b"\0"}),
        SIZE,
    ),
    Case("npy: text", lambda to: in_folder(to, {"x_test.npy": b"hello"}), "x_test.npy is not an"),
    Case("npy: beside Parquet", lambda to: in_folder(to, {"a.parquet": b"PAR1"}), "not both"),
    Case("npy: a folder without any", lambda to: [f"data.path={to}"], "no files"),
    Case(
        "npy: a single file",
        lambda to: written(to, of(np.ones(3)), "x_test.npy"),
        "'.npy' is none of",
    ),
    Case("h5: good", lambda to: h5(to, lambda file: None), None),
    Case("h5: text", lambda to: written(to, b"hello", "mine.h5"), "not an HDF5 file"),
    Case(
        "h5: an .npz",
        lambda to: written(to, with_member(of(X["x_test"])), "mine.h5"),
        "not an HDF5 file",
    ),
    Case(
        "h5: 4 PB that were never written",
        lambda to: h5(
            to, replaced("x_test", shape=(10**6, 10**6, 10**3), dtype="f4", chunks=(1, 1, 1000))
        ),
        "x_test was never written",
    ),
    Case(
        "h5: 4 PB with a single chunk",
        lambda to: h5(to, lambda file: sparse(file)),
        "x_test says that it takes 4.0 PB",
    ),
    Case(
        "h5: a bomb of chunks",
        lambda to: h5(
            to,
            replaced(
                "x_test",
                data=np.zeros((4000, 200, 100), np.float32),
                chunks=(4000, 200, 100),
                compression="gzip",
            ),
        ),
        "x_test says that it takes 320.0 MB",
        large=True,
    ),
    Case(
        "h5: compressed",
        lambda to: h5(
            to, replaced("x_test", data=X["x_test"], chunks=True, compression="gzip", shuffle=True)
        ),
        None,
    ),
    Case("h5: partly written", lambda to: h5(to, lambda file: partly(file)), None),
    Case(
        "h5: a link to another file",
        lambda to: h5(to, put("x_test", h5py.ExternalLink("/etc/passwd", "/x"))),
        "x_test is a link to another file",
    ),
    Case("h5: a link through a group to another file", lambda to: behind(to), "another file"),
    Case(
        "h5: a link to nothing",
        lambda to: h5(to, put("x_test", h5py.SoftLink("/nothing"))),
        "x_test leads to nothing",
    ),
    Case(
        "h5: a link to itself",
        lambda to: h5(to, put("x_test", h5py.SoftLink("/x_test"))),
        "x_test leads to nothing",
    ),
    Case("h5: a virtual array", lambda to: h5(to, virtual), "x_test lies in another file"),
    Case(
        "h5: values in another file",
        lambda to: h5(
            to,
            replaced(
                "x_test", shape=(N, T, F), dtype="f4", external=[("/etc/passwd", 0, N * T * F * 4)]
            ),
        ),
        "x_test lies in another file",
    ),
    Case(
        "h5: no values",
        lambda to: h5(to, put("x_test", h5py.Empty("f4"))),
        "x_test was never written",
    ),
    Case(
        "h5: a struct",
        lambda to: h5(to, put("x_test", np.zeros(3, [("a", "f4")]))),
        "x_test holds structs",
    ),
    Case(
        "h5: lists of different lengths",
        lambda to: h5(to, ragged),
        "lists of different lengths|x_test",
    ),
    Case("h5: a scalar", lambda to: h5(to, put("x_test", 3.0)), "x_test is a single value"),
    Case(
        "h5: text as labels",
        lambda to: h5(
            to,
            lambda file: None,
            y_train=ints("a", "b", dtype="S1"),
            y_test=ints("a", "b", dtype="S1"),
        ),
        None,
    ),
    Case("mat: good", mat, None),
    Case("mat: text", lambda to: written(to, b"hello", "mine.mat"), "not a .mat file"),
    Case("mat: zeros", lambda to: written(to, bytes(400), "mine.mat"), "not a .mat file"),
    Case(
        "mat: a sparse bomb",
        lambda to: mat(to, x_test=scipy.sparse.coo_matrix(([1.0], ([0], [0])), (10**6, 10**6))),
        "x_test says that it takes|its arrays take",
        large=True,
    ),
    Case(
        "mat: a cell array",
        lambda to: mat(to, x_test=np.array([np.ones(3), np.ones(4)], object)),
        "x_test is a cell array",
    ),
    Case("mat: a struct", lambda to: mat(to, x_test={"a": 1.0}), "x_test is a cell array"),
    Case("mat: compressed bomb", lambda to: matbomb(to), "x_test says that it takes", large=True),
    Case("mat: complex", lambda to: mat(to, x_test=X["x_test"] * 1j), "x_test has type complex"),
]


def twice(folder: Path) -> list[str]:
    """Two members of one name."""
    content = with_member(of(np.ones((N, T, F))), "y_best.npy").replace(b"y_best", b"x_test")
    return written(folder, content)


def flagged(folder: Path, flag: int) -> list[str]:
    """A flag of the first central entry of x_test."""
    return _central(folder, 8, flag)


def method(folder: Path, number: int) -> list[str]:
    """Another method of compression for x_test."""
    return _central(folder, 10, number)


def _central(folder: Path, offset: int, value: int) -> list[str]:
    content = bytearray(with_member(of(X["x_test"])))
    where = content.rindex(b"x_test.npy") - 46
    struct.pack_into("<H", content, where + offset, value)
    return written(folder, bytes(content))


def sparse(file: h5py.File) -> None:
    """An array of which a single chunk is stored."""
    del file["x_test"]
    shape = (10**6, 10**6, 10**3)
    made = file.create_dataset("x_test", shape, "f4", chunks=(1, 1, 1000))
    made[0, 0] = 1


def behind(folder: Path) -> list[str]:
    """A link within the file to a link that leads out of it."""
    with h5py.File(folder / "other.h5", "w") as other:
        other["x"] = good()["x_test"]

    def change(file: h5py.File) -> None:
        file.create_group("inner")["x"] = h5py.ExternalLink("other.h5", "/x")
        put("x_test", h5py.SoftLink("/inner/x"))(file)

    return h5(folder, change)


def partly(file: h5py.File) -> None:
    """An array of which one of two chunks is stored."""
    del file["x_test"]
    made = file.create_dataset("x_test", (N, T, F), "f4", chunks=(N // 2, T, F))
    made[: N // 2] = X["x_test"][: N // 2]


def ragged(file: h5py.File) -> None:
    """Lists of different lengths."""
    del file["x_test"]
    made = file.create_dataset("x_test", (N,), h5py.vlen_dtype(np.float32))
    for number in range(N):
        made[number] = np.ones(number + 1)


def matbomb(folder: Path) -> list[str]:
    """Zeros that are compressed a thousand times."""
    zeros = np.zeros((4000, 100, 100))
    scipy.io.savemat(folder / "mine.mat", good(x_test=zeros), do_compression=True)
    return [f"data.path={folder / 'mine.mat'}"]


CASES: list[Case] = [*_headers(), *_values(), *OTHERS, *CONTAINERS]
