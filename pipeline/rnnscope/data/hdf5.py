"""Arrays under Keras' names in HDF5: one file, all in it, nothing that it points to elsewhere."""

import logging
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from rnnscope.data.conventions import refuse_conventions
from rnnscope.data.dims import refuse_dims
from rnnscope.data.memory import refuse_bomb, refuse_unfit
from rnnscope.errors import UserError, brief, listed

Arrays = dict[str, NDArray[Any]]
CLASS = "MATLAB_class"
"""The attribute by which MATLAB 7.3 marks its arrays in HDF5."""
log = logging.getLogger(__name__)

BROKEN = (OSError, ValueError, KeyError, TypeError, RuntimeError, MemoryError, AttributeError)
"""What h5py raises of a damaged file, whichever part of it is."""


def read_hdf5(path: Path) -> Arrays:
    """The arrays at the top of an HDF5 file, or of its only group.

    Raises:
        UserError: a file that cannot be read, or that holds a Keras model; an array that lies in
            another file, is stored in next to nothing, or does not fit in memory.
    """
    at = f"data.path={path}"
    try:
        with h5py.File(path) as file:
            if {"model_weights", "layer_names"} & {*file.keys(), *file.attrs} or "layers" in file:
                raise UserError(
                    f"{at}: the file holds a Keras model: give it as model=file model.path={path}, "
                    "and as data.path a file with x_test"
                )
            found = _arrays(file, at)
            if not found and len(file) == 1:
                (group,) = dict(within(file, at)).values()
                found = _arrays(group, at)
            if not found:
                raise UserError(f"{at}: no arrays at its top; it has {brief(listed(file))}")
            if any(CLASS in node.attrs for node in found.values()):
                raise UserError(
                    f"{at}: MATLAB wrote this file, with its axes reversed: give it the ending .mat"
                )
            refuse_claims(found, at)
            return {name: _text_or_numbers(node) for name, node in found.items()}
    except BROKEN as error:
        raise UserError(f"{at}: not an HDF5 file that can be read ({brief(error)})") from error


def within(group: h5py.Group, at: str) -> Iterator[tuple[str, Any]]:
    """What lies in a group, by name.

    Raises:
        UserError: a link to another file, or to nothing.
    """
    for name in group:
        link = group.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            raise UserError(_elsewhere(name, link.filename, at))
        try:
            node = group[name]
        except (KeyError, OSError, RuntimeError, ValueError) as error:
            raise UserError(
                f"{at}: {brief(name, 40)} leads to nothing in the file; write it again"
            ) from error
        if node.file.filename != group.file.filename:  # behind a link within the file
            raise UserError(_elsewhere(name, node.file.filename, at))
        yield name, node


def _elsewhere(name: str, file: str, at: str) -> str:
    said = f"{at}: {brief(name, 40)} is a link to another file, {brief(file, 60)}"
    return f"{said}; copy the array into this one"


def refuse_claims(nodes: Mapping[str, h5py.Dataset], at: str) -> None:
    """Raise where arrays lie in other files, or claim more than is stored or fits in memory.

    Args:
        nodes: the arrays by name.
        at: what they lie in.
    """
    sizes = {}
    for name, node in nodes.items():
        said = brief(name, 40)
        if node.is_virtual or node.external:
            raise UserError(f"{at}: {said} lies in another file; copy it into this one")
        if node.shape is None or (node.size and not node.id.get_storage_size()):
            raise UserError(f"{at}: {said} was never written; write its values")
        if node.dtype.kind not in "biufcSUO" or node.dtype.subdtype is not None:
            raise UserError(f"{at}: {said} holds structs; save each field as an array of its own")
        _warn_of_gaps(node, f"{at}: {said}")
        sizes[said] = math.prod(node.shape) * node.dtype.itemsize
        refuse_bomb(said, sizes[said], node.id.get_storage_size(), at)
    if sizes:
        refuse_unfit(sizes, at)
    for name, node in nodes.items():
        refuse_conventions(node, f"{at}: {brief(name, 40)}")
        if CLASS not in node.attrs:  # whose axes are reversed on reading
            refuse_dims(node, f"{at}: {brief(name, 40)}")


def _warn_of_gaps(node: h5py.Dataset, where: str) -> None:
    """Log where parts of an array were never written, which are read as its fill value."""
    if node.chunks:
        whole = math.prod(-(-n // c) for n, c in zip(node.shape, node.chunks, strict=True))
        if (there := node.id.get_num_chunks()) < whole:
            log.warning(
                f"{where}: {whole - there} of its {whole} chunks were never written and are read "
                f"as {node.fillvalue}"
            )


def _arrays(group: Any, at: str) -> dict[str, h5py.Dataset]:
    if not isinstance(group, h5py.Group):
        return {}
    return {name: node for name, node in within(group, at) if isinstance(node, h5py.Dataset)}


def _text_or_numbers(node: Any) -> NDArray[Any]:
    if h5py.check_string_dtype(node.dtype) is not None:
        return np.array(node.asstr()[()]).astype("U")
    values = np.asarray(node[()])
    if values.dtype.kind == "O":
        raise TypeError("lists of different lengths, or references, are no arrays of numbers")
    return values
