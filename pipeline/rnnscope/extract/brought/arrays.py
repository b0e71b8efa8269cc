"""The arrays <layer>/<signal> [N, T, U] of states that were recorded elsewhere, not read yet."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from natsort import natsorted
from numpy.typing import NDArray

from rnnscope.config.options import SIGNALS, UNITS
from rnnscope.data.hdf5 import BROKEN, refuse_claims, within
from rnnscope.data.mapped import LazyArray
from rnnscope.data.npy import mapped, read_npz
from rnnscope.data.regular import refuse_unusable
from rnnscope.errors import UserError, brief, listed
from rnnscope.store.listing import inside

SAVE = "np.savez('states.npz', **{'lstm/h': h, 'lstm/c': c})"
ORDER = ("h", "c", "i", "f", "o", "z", "r", "g")
"""Signals of a layer in the order in which they are recorded; then s0, s1, ..."""
HDF5 = (".h5", ".hdf5")


@dataclass(frozen=True)
class Given:
    """All states, by layer and signal."""

    arrays: Mapping[str, Mapping[str, LazyArray]]
    """Layer -> signal -> [N, T, U]; layers in their own order."""
    where: str
    """How messages begin."""

    @property
    def shape(self) -> tuple[int, int]:
        """N and T."""
        first = next(iter(next(iter(self.arrays.values())).values()))
        return int(first.shape[0]), int(first.shape[1])


def given(path: Path) -> Given:
    """The arrays in an .npz or HDF5 file, or in a folder of .npy files.

    Those of a folder and of HDF5 are read when they are asked for.

    Raises:
        UserError: a file that cannot be read; an array that is not named <layer>/<signal>, has no
            numbers, is not [N, T, U], or differs from another in N or T.
    """
    where = f"model.path={path}"
    refuse_unusable(path, "model.path")
    if path.is_dir():
        arrays: dict[str, LazyArray] = _of_folder(path, where)
    elif path.suffix.lower() == ".npz":
        arrays = dict(read_npz(path, "model.path"))
    elif path.suffix.lower() in HDF5:
        arrays = _of_hdf5(path, where)
    else:
        raise UserError(
            f"{where}: must be an .npz file, an HDF5 file (.h5, .hdf5) or a folder of files "
            f"<layer>/<signal>.npy, with the recorded states: {SAVE}"
        )
    if not arrays:
        raise UserError(f"{where}: it holds no arrays; where the states are: {SAVE}")
    found: dict[str, dict[str, LazyArray]] = {}
    for name, array in arrays.items():
        layer, signal = _named(name, where)
        _refuse_form(name, array, where)
        found.setdefault(layer, {})[signal] = array
    ordered = {layer: _in_order(signals) for layer, signals in found.items()}
    _refuse_unequal(ordered, where)
    return Given(ordered, where)


def _named(name: str, where: str) -> tuple[str, str]:
    """The layer and the signal in an array's name."""
    layer, _, signal = name.rpartition("/")
    shown = brief(name, 60)
    if name.split("_")[-1] in ("train", "val", "test") and not layer:
        raise UserError(
            f"{where}: {shown} is of the data, not a state: put it into another file, and give "
            "that as data=files data.path=labels.npz"
        )
    if not layer or layer.strip(". ") == "" or "/" in layer or "\\" in layer:
        raise UserError(
            f"{where}: {shown} is not named <layer>/<signal>, such as lstm/c (of a layer within "
            f"another, encoder.lstm/c): {SAVE}"
        )
    if not layer.isprintable():
        raise UserError(f"{where}: {shown}: the layer's name has control characters; rename it")
    if re.fullmatch(SIGNALS, signal) is None:
        raise UserError(
            f"{where}: {shown}: '{brief(signal, 40)}' is no signal: name it h (hidden state), c "
            "(cell state), i, f, o, z, r (gates, from 0 to 1), g (candidate), or s0, s1, ... for "
            "anything else"
        )
    return layer, signal


def _refuse_form(name: str, array: Any, where: str) -> None:
    """Raise where an array holds no real numbers, or is not [N, T, U]."""
    said = f"{where}: {brief(name, 60)}"
    if array.dtype.kind not in "fiub":
        more = "; save its real part, its absolute value or both" if array.dtype.kind == "c" else ""
        raise UserError(f"{said} has type {brief(array.dtype, 40)}; it must hold numbers{more}")
    if len(array.shape) != 3 or 0 in array.shape:
        raise UserError(
            f"{said} has shape {brief(tuple(array.shape), 60)}; it must be [sequences, timesteps, "
            "units], none of them 0; of a single unit [..., None], of more axes "
            "reshape(N, T, -1)"
        )
    if array.shape[2] > UNITS:
        raise UserError(
            f"{said} has {array.shape[2]:,} units, the last axis of [sequences, timesteps, units], "
            f"and at most {UNITS:,} can be recorded: are its axes in this order?"
        )


def _in_order(signals: dict[str, LazyArray]) -> dict[str, LazyArray]:
    ranks = {name: (ORDER.index(name), 0) if name in ORDER else (len(ORDER), int(name[1:]))
             for name in signals}  # fmt: skip
    return {name: signals[name] for name in sorted(signals, key=ranks.__getitem__)}


def _refuse_unequal(found: dict[str, dict[str, LazyArray]], where: str) -> None:
    """Raise where arrays differ in their sequences or timesteps."""
    shapes = {
        f"{layer}/{signal}": tuple(array.shape)
        for layer, signals in found.items()
        for signal, array in signals.items()
    }
    first, shape = next(iter(shapes.items()))
    for name, other in shapes.items():
        if other[:2] != shape[:2]:
            raise UserError(
                f"{where}: {brief(first, 60)} has shape {shape} and {brief(name, 60)} {other}: all "
                "must have the same sequences and timesteps; pad shorter sequences with NaN, and "
                "bring a layer of another time by itself"
            )


def _of_folder(folder: Path, where: str) -> dict[str, LazyArray]:
    """The arrays of a folder, memory-mapped."""
    files = inside(folder)
    if foreign := [name for name in files if not name.endswith(".npy")]:
        ours = "; states that rnnscope wrote are read by read_states" if any(
            name.endswith(".parquet") for name in foreign
        ) else ""  # fmt: skip
        raise UserError(
            f"{where}: it holds {listed(foreign)}; it must hold files <layer>/<signal>.npy{ours}"
        )
    return {
        name.removesuffix(".npy"): mapped(files[name], f"{where}: {brief(name, 60)}")
        for name in natsorted(files)
    }


def _of_hdf5(path: Path, where: str) -> dict[str, LazyArray]:
    """The data sets of an HDF5 file's groups; it stays open."""
    found: dict[str, h5py.Dataset] = {}
    try:
        file = h5py.File(path)
        if {"model_weights", "layer_names"} & {*file.keys(), *file.attrs}:
            raise UserError(f"{where}: a Keras model, no states: give it as model=file")
        for layer, group in within(file, where):
            if isinstance(group, h5py.Dataset):
                found[layer] = group
                continue
            for signal, node in within(group, where):
                if not isinstance(node, h5py.Dataset):
                    raise UserError(
                        f"{where}: {brief(f'{layer}/{signal}', 60)} is a group; data sets must be "
                        "named <layer>/<signal>, such as encoder.lstm/c"
                    )
                found[f"{layer}/{signal}"] = node
        refuse_claims(found, where)
    except BROKEN as error:
        raise UserError(f"{where}: not an HDF5 file that can be read ({brief(error)})") from error
    return {name: found[name] for name in natsorted(found)}


def rows(array: LazyArray, start: int, stop: int, where: str) -> NDArray[Any]:
    """The values of sequences start <= number < stop [B, T, U].

    Raises:
        UserError: they cannot be read.
    """
    try:
        return np.asarray(array[start:stop])
    except BROKEN as error:
        raise UserError(f"{where} cannot be read ({brief(error)}): copy or save it again") from (
            error
        )
