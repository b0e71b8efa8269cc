"""Sequences from arrays under Keras' names: an .npz file, or a folder of .npy files."""

import re
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope.config import Files
from rnnscope.data.dataset import Split
from rnnscope.data.labels import annotation_from, labels_from
from rnnscope.data.lengths import measured, refuse_large
from rnnscope.errors import UserError

PARTS = ("train", "val", "test")
INPUT = re.compile(rf"x_(?:(.+)_)?({'|'.join(PARTS)})")
"""The name of an array of inputs: the model's name for it, if any, and its split."""


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


def map_npy(folder: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a folder of .npy files, memory-mapped; pickled objects are refused."""
    return {path.stem: _map(path, folder) for path in sorted(folder.glob("*.npy"))}


def _map(path: Path, folder: Path) -> NDArray[Any]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            array.close()
            raise ValueError("it holds several arrays")
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(
            f"data.path={folder}: {path.name} is not an .npy file that can be read ({error})"
        ) from error
    return array


def splits_from_arrays(
    arrays: dict[str, NDArray[Any]], options: Files
) -> tuple[dict[str, Split], tuple[str, ...]]:
    """Those of the splits train, val and test that the arrays have, and the names of the classes.

    Arrays: ``x_<split>`` [N, T, F], [N, T] (one feature, or tokens) or of any further axes, such as
    frames [N, T, H, W, C]; ``y_<split>`` [N], or with
    ``labels=timestep`` [N, T], classes as whole numbers from 0 or targets as floats;
    ``lengths_<split>`` [N], where sequences are padded on the right with anything but NaN;
    ``<annotation>_<split>`` [N, T]; and for a model of several inputs ``x_<input>_<split>``
    [N, ...], beside or instead of ``x_<split>``.
    """
    annotations = options.annotations or []
    _refuse_unknown(arrays, annotations, options)
    inputs: dict[str, dict[str | None, NDArray[Any]]] = {}
    for name in sorted(arrays):
        if match := INPUT.fullmatch(name):
            inputs.setdefault(match[2], {})[match[1]] = arrays[name]
    at = f"data.path={options.path}: "
    splits, largest = {}, []
    for part in (part for part in PARTS if part in inputs):
        split = _split(inputs[part], arrays.get(f"lengths_{part}"), part, at)
        x, lengths = split.x, split.lengths
        if (y := arrays.get(f"y_{part}")) is not None:
            each = options.labels == "timestep"
            y, highest = labels_from(y, x, lengths, f"{at}y_{part}", each=each)
            largest += [] if highest is None else [highest]
        steps = {
            name: annotation_from(arrays[f"{name}_{part}"], x, lengths, f"{at}{name}_{part}")
            for name in annotations
            if f"{name}_{part}" in arrays
        }
        splits[part] = replace(split, y=y, steps=steps)
    return splits, tuple(map(str, range(max(largest) + 1))) if largest else ()


def _refuse_unknown(
    arrays: dict[str, NDArray[Any]], annotations: list[str], options: Files
) -> None:
    """Raise where an array has an unknown name, or an annotation has no array."""
    known = {f"{kind}_{part}" for kind in ("x", "y", "lengths", *annotations) for part in PARTS}
    if strange := sorted(name for name in set(arrays) - known if not INPUT.fullmatch(name)):
        raise UserError(
            f"data.path={options.path}: unknown arrays {strange}; "
            f"known are {sorted(known)}, x_<input>_<split> and those named in data.annotations"
        )
    for name in annotations:
        option = f"data.annotations=[{','.join(annotations)}]"
        if name in ("y", "lengths") or INPUT.fullmatch(f"{name}_test"):
            raise UserError(f"{option}: '{name}_test' is reserved for another array")
        if f"{name}_test" not in arrays:
            raise UserError(f"{option}: no array '{name}_test' in {options.path}")


def _split(
    inputs: dict[str | None, NDArray[Any]], given: NDArray[Any] | None, part: str, at: str
) -> Split:
    """All inputs of one split; without a plain x the first by name takes its place."""
    name = None if None in inputs else min(filter(None, inputs))
    x = inputs[name]
    where = at + _array(name, part)
    if x.ndim < 2 or 0 in x.shape:
        raise UserError(
            f"{where} has shape {x.shape}; it must be [sequences, timesteps, features], or of each "
            "timestep whatever the model takes"
        )
    _refuse_text(x, where)
    lengths = None
    if given is not None:
        lengths = _lengths(given, x, f"{at}lengths_{part}")
    lengths = measured(x, lengths, where)
    others = {other: values for other, values in inputs.items() if other and other != name}
    for other, values in others.items():
        shared = name is not None and values.shape[1:2] == x.shape[1:2]
        _check_other(values, x, lengths if shared else None, at + _array(other, part))
    return Split(x, None, lengths, others=others, name=name)


def _check_other(
    values: NDArray[Any], x: NDArray[Any], lengths: NDArray[np.int32] | None, where: str
) -> None:
    """Raise where a further input has another N than x, or a valid value is not finite."""
    if values.ndim < 2 or 0 in values.shape or len(values) != len(x):
        raise UserError(f"{where} has shape {values.shape}; it must be [{len(x)}, ...], as x")
    _refuse_text(values, where)
    whole = np.full(len(x), values.shape[1], np.int32)
    measured(values, whole if lengths is None else lengths, where)


def _array(name: str | None, part: str) -> str:
    return f"x_{part}" if name is None else f"x_{name}_{part}"


def _refuse_text(x: NDArray[Any], where: str) -> None:
    if x.dtype.kind not in "fiub":
        raise UserError(f"{where} has type {x.dtype}; it must hold numbers")
    if x.dtype.kind in "iu" and x.ndim == 2:
        refuse_large(x, where)


def _lengths(values: NDArray[Any], x: NDArray[Any], where: str) -> NDArray[np.int32]:
    """The given lengths [N], checked."""
    if values.shape != x.shape[:1]:
        raise UserError(f"{where} has shape {values.shape}; it must be [{len(x)}], as x")
    if values.dtype.kind not in "iub":
        raise UserError(f"{where} has type {values.dtype}; it must hold whole numbers")
    wrong = np.flatnonzero((values < 1) | (values > x.shape[1]))
    if len(wrong):
        raise UserError(
            f"{where}[{wrong[0]}] is {values[wrong[0]]}; a length is from 1 to {x.shape[1]}"
        )
    return np.array(values, np.int32)
