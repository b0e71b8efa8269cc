"""Arrays under Keras' names in MATLAB's .mat files."""

import math
import struct
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
from numpy.typing import NDArray

from rnnscope.data.hdf5 import BROKEN, CLASS, Arrays, refuse_claims, within
from rnnscope.data.mat5 import NotAnArrayError, refuse_damaged
from rnnscope.data.memory import refuse_bomb, refuse_unfit
from rnnscope.errors import UserError, brief

BYTES = {"double": 8, "int64": 8, "uint64": 8, "single": 4, "int32": 4, "uint32": 4, "char": 4}
"""Of a value of each kind; of others at least one."""
CELLS = (
    "is a cell array or struct; sequences of different lengths go in one array "
    "[sequences, timesteps, features], padded with NaN"
)


def read_mat(path: Path) -> Arrays:
    """The arrays of a .mat file, in the orientation that MATLAB shows them in.

    MATLAB has no vectors and stores whole numbers as doubles: y and lengths of one row or column
    become [N], whole numbers [N, T] stay whole.

    Raises:
        UserError: a file that cannot be read; a cell array that does not hold names; an HDF5 file
            under this ending that MATLAB did not write, whose orientation is unknown.
    """
    at = f"data.path={path}"
    if h5py.is_hdf5(path):
        arrays = _read_mat73(path, at)
    else:
        try:
            refuse_damaged(path)
        except NotAnArrayError as error:
            raise UserError(f"{at}: {brief(error, 40)} {CELLS}") from error
        except (OSError, ValueError, zlib.error, struct.error) as error:
            raise UserError(f"{at}: not a .mat file that can be read ({brief(error)})") from error
        try:
            kinds = _claimed(path, at)
            arrays = scipy.io.loadmat(path, mat_dtype=False, chars_as_strings=True)
            for name, kind in kinds.items():
                if kind == "logical":  # SciPy reads it as bytes, which are pixels elsewhere
                    arrays[name] = arrays[name].astype(bool)
        except UserError:
            raise
        except Exception as error:  # SciPy raises many kinds, whichever part is damaged
            raise UserError(f"{at}: not a .mat file that can be read ({brief(error)})") from error
    arrays = {name: values for name, values in arrays.items() if not name.startswith("__")}
    return {name: _from_matlab(name, values, at) for name, values in arrays.items()}


def _claimed(path: Path, at: str) -> dict[str, str]:
    """The kinds of the arrays by name, whose headers claim no more than fits and is stored."""
    found = scipy.io.whosmat(path)
    kinds = {name: kind for name, _, kind in found}
    if len(kinds) < len(found):
        raise UserError(f"{at}: it holds two arrays of one name; save it again")
    size = path.stat().st_size
    sizes = {}
    for name, shape, kind in found:
        said = brief(name, 40)
        if min(shape, default=0) < 0:
            raise UserError(f"{at}: {said} claims the shape {list(shape)}; save it again")
        sizes[said] = math.prod(shape) * BYTES.get(kind, 1)
        if kind != "sparse":
            refuse_bomb(said, sizes[said], size, at)
    if sizes:
        refuse_unfit(sizes, at)
    return kinds


def _read_mat73(path: Path, at: str) -> Arrays:
    """The arrays of a .mat file of version 7.3: HDF5, with the axes in the reverse order."""
    arrays: Arrays = {}
    try:
        with h5py.File(path) as file:
            nodes = {n: node for n, node in within(file, at) if not n.startswith("#")}
            refuse_claims({n: v for n, v in nodes.items() if isinstance(v, h5py.Dataset)}, at)
            for name, node in nodes.items():  # those with # are what cell arrays refer to
                kind = node.attrs.get(CLASS, b"")
                if not isinstance(node, h5py.Dataset) or kind == b"struct":
                    raise UserError(f"{at}: {name} {CELLS}")
                if not kind:
                    raise UserError(
                        f"{at}: not written by MATLAB, so the order of its axes is unknown: "
                        "give it the ending .h5 if it is [sequences, timesteps, features]"
                    )
                values = np.asarray(node[()]).T
                match kind:
                    case b"cell":
                        values = _cells(values, file, name, at)
                    case b"char":
                        codes = values.astype(np.uint16)
                        values = np.array(["".join(map(chr, row)).rstrip() for row in codes])
                    case b"logical":
                        values = values.astype(bool)
                arrays[name] = values
    except BROKEN as error:
        raise UserError(f"{at}: not a .mat file that can be read ({brief(error)})") from error
    return arrays


def _cells(references: NDArray[Any], file: Any, name: str, at: str) -> NDArray[Any]:
    """The names in a cell array of texts."""
    texts = []
    for reference in references.ravel():
        node = file[reference]
        if node.attrs.get(CLASS) != b"char":
            raise UserError(f"{at}: {name} {CELLS}")
        texts.append("".join(map(chr, np.asarray(node[()]).T.ravel().astype(int))))
    return np.array(texts)


def _from_matlab(name: str, values: Any, at: str) -> NDArray[Any]:
    """An array in the form that arrays have elsewhere."""
    if scipy.sparse.issparse(values):
        size = math.prod(values.shape) * values.dtype.itemsize
        refuse_bomb(name, size, values.nnz * values.dtype.itemsize, at)
        values = values.toarray()
    if not isinstance(values, np.ndarray) or values.dtype.names is not None:
        raise UserError(f"{at}: {name} {CELLS}")
    if values.dtype == object:
        cells = list(values.ravel())
        if not all(
            isinstance(c, np.ndarray) and c.dtype.kind == "U" and c.size <= 1 for c in cells
        ):
            raise UserError(f"{at}: {name} {CELLS}")
        values = np.array(["".join(cell.ravel()) for cell in cells])
    if values.dtype.kind == "U":
        stripped = np.char.rstrip(values)
        if len(np.unique(stripped)) == len(np.unique(values)):  # else they differ in blanks alone
            values = stripped
    vector = name.startswith(("y_", "lengths_")) and values.ndim == 2 and 1 in values.shape
    if vector:
        values = values.ravel()
    tokens = name.startswith("lengths_") or (name.startswith("x_") and values.ndim == 2)
    if tokens and values.dtype.kind == "f" and _whole(values):
        values = values.astype(np.int64)
    return values


def _whole(values: NDArray[np.floating]) -> bool:
    """Whether all are whole numbers that float32 also holds."""
    return bool(np.isfinite(values).all() and (values == np.rint(values)).all()) and bool(
        (np.abs(values) <= 2**24).all()
    )
