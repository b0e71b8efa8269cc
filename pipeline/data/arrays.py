"""Sequences from .npz files: arrays under Keras' names."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Split
from pipeline.errors import UserError


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file; pickled objects are refused."""
    try:
        with path.open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise ValueError("it holds a single array")
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"data.path={path}: not an .npz file that can be read ({error})") from error


def splits_from_npz(path: Path) -> dict[str, Split]:
    """The splits train, val and test of an .npz file, as far as it has them.

    Arrays: ``x_<split>`` [N, T, F] or [N, T] (one feature); ``y_<split>`` [N] whole numbers from 0;
    ``lengths_<split>`` [N], where sequences are padded on the right.
    """
    arrays = read_npz(path)
    parts = ("train", "val", "test")
    known = {f"{kind}_{part}" for kind in ("x", "y", "lengths") for part in parts}
    if strange := sorted(set(arrays) - known):
        raise UserError(f"data.path={path}: unknown arrays {strange}; known are {sorted(known)}")
    return {part: _split(arrays, part, path) for part in parts if f"x_{part}" in arrays}


def _split(arrays: dict[str, NDArray[Any]], part: str, path: Path) -> Split:
    x = arrays[f"x_{part}"]
    where = f"data.path={path}: x_{part}"
    if x.ndim == 2:
        x = x[:, :, np.newaxis]
    if x.ndim != 3 or 0 in x.shape:
        raise UserError(f"{where} has shape {x.shape}; it must be [sequences, timesteps, features]")
    if x.dtype.kind not in "fiub":
        raise UserError(f"{where} has type {x.dtype}; it must hold numbers")
    if x.dtype != np.uint8:
        x = x.astype(np.float32, copy=False)
    y = _column(arrays.get(f"y_{part}"), f"data.path={path}: y_{part}", len(x))
    if y is not None and y.min() < 0:
        raise UserError(f"data.path={path}: y_{part} has class {y.min()}; classes count from 0")
    lengths = _column(arrays.get(f"lengths_{part}"), f"data.path={path}: lengths_{part}", len(x))
    if lengths is not None:
        wrong = np.flatnonzero((lengths < 1) | (lengths > x.shape[1]))
        if len(wrong):
            raise UserError(
                f"data.path={path}: lengths_{part}[{wrong[0]}] is {lengths[wrong[0]]}; "
                f"a length is from 1 to {x.shape[1]}"
            )
    _refuse_gaps(x, lengths, where)
    return Split(x, y, lengths)


def _column(values: NDArray[Any] | None, where: str, count: int) -> NDArray[np.int32] | None:
    """One whole number per sequence."""
    if values is None:
        return None
    if values.shape != (count,):
        raise UserError(f"{where} has shape {values.shape}; it must be [{count}], as x")
    if values.dtype.kind not in "iub":
        raise UserError(f"{where} has type {values.dtype}; it must hold whole numbers")
    if values.max(initial=0) > np.iinfo(np.int32).max:
        raise UserError(f"{where} has {values.max()}; must be below 2^31")
    return values.astype(np.int32)


def _refuse_gaps(x: NDArray[Any], lengths: NDArray[np.int32] | None, where: str) -> None:
    """Raise where a valid input is not a number."""
    if x.dtype.kind != "f":
        return
    bad = ~np.isfinite(x).all(axis=2)
    if lengths is not None:
        bad &= np.arange(x.shape[1]) < lengths[:, np.newaxis]
    if bad.any():
        sequence, timestep = np.argwhere(bad)[0]
        raise UserError(f"{where}[{sequence}, {timestep}] is not a finite number")
