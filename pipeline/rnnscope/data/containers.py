"""Arrays under Keras' names in files of other programs: MATLAB's .mat, and HDF5."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
from numpy.typing import NDArray
from scipy.io.matlab import MatReadError

from rnnscope.errors import UserError, listed

Arrays = dict[str, NDArray[Any]]
CLASS = "MATLAB_class"
"""The attribute by which MATLAB 7.3 marks its arrays in HDF5."""
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
            arrays = scipy.io.loadmat(path, mat_dtype=False, chars_as_strings=True)
            for name, _, kind in scipy.io.whosmat(path):
                if kind == "logical":  # SciPy reads it as bytes, which are pixels elsewhere
                    arrays[name] = arrays[name].astype(bool)
        except (OSError, ValueError, TypeError, NotImplementedError, MatReadError) as error:
            raise UserError(f"{at}: not a .mat file that can be read ({error})") from error
    arrays = {name: values for name, values in arrays.items() if not name.startswith("__")}
    return {name: _from_matlab(name, values, at) for name, values in arrays.items()}


def read_hdf5(path: Path) -> Arrays:
    """The arrays at the top of an HDF5 file, or of its only group.

    Raises:
        UserError: a file that cannot be read, or that holds a Keras model.
    """
    at = f"data.path={path}"
    try:
        with h5py.File(path) as file:
            if {"model_weights", "layer_names"} & {*file.keys(), *file.attrs} or "layers" in file:
                raise UserError(
                    f"{at}: the file holds a Keras model: give it as model=file model.path={path}, "
                    "and as data.path a file with x_test"
                )
            found = {name: node for name, node in file.items() if isinstance(node, h5py.Dataset)}
            if not found and len(file) == 1:
                (group,) = file.values()
                found = {n: node for n, node in group.items() if isinstance(node, h5py.Dataset)}
            if not found:
                raise UserError(f"{at}: no arrays at its top; it has {listed(file)}")
            if any(CLASS in node.attrs for node in found.values()):
                raise UserError(
                    f"{at}: MATLAB wrote this file, with its axes reversed: give it the ending .mat"
                )
            return {name: _text_or_numbers(node) for name, node in found.items()}
    except OSError as error:
        raise UserError(f"{at}: not an HDF5 file that can be read ({error})") from error


def _text_or_numbers(node: Any) -> NDArray[Any]:
    if h5py.check_string_dtype(node.dtype) is not None:
        return np.array(node.asstr()[()]).astype("U")
    return np.asarray(node[()])


def _read_mat73(path: Path, at: str) -> Arrays:
    """The arrays of a .mat file of version 7.3: HDF5, with the axes in the reverse order."""
    arrays: Arrays = {}
    try:
        with h5py.File(path) as file:
            for name, node in file.items():
                if name.startswith("#"):  # what cell arrays refer to
                    continue
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
    except OSError as error:
        raise UserError(f"{at}: not a .mat file that can be read ({error})") from error
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
        values = np.char.rstrip(values)
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
