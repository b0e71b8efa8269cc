"""The conventions of netCDF in HDF5: numbers that mean others, which h5py gives as stored."""

import math
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from rnnscope.errors import UserError, brief

PIECE = 2**22
"""Values that are read at a time, of an array that is not stored in chunks."""


def refuse_conventions(node: h5py.Dataset, where: str) -> None:
    """Raise for values that are to be scaled, or among which one stands for missing values.

    Args:
        node: an array whose size is known to fit in memory.
        where: what to call it.

    Raises:
        UserError: with the attribute that says so.
    """
    if node.dtype.kind not in "iuf":
        return
    for name, nothing in (("scale_factor", 1.0), ("add_offset", 0.0)):
        if any(value != nothing for value in _numbers(node, name)):
            raise UserError(
                f"{where} has the attribute {name}={brief(node.attrs[name], 40)}: its values are "
                "packed, as in netCDF; save value * scale_factor + add_offset, which xarray's "
                "open_dataset gives, without that attribute"
            )
    if node.dtype.kind == "i" and str(node.attrs.get("_Unsigned", "")).lower() == "true":
        raise UserError(
            f"{where} has the attribute _Unsigned: its values are whole numbers from 0; save them "
            f"in the type u{node.dtype.name}, without that attribute"
        )
    stands = {
        value: name
        for name in ("_FillValue", "missing_value")
        for value in _numbers(node, name)
        if not math.isnan(value)
    }
    if stands and (found := _occurring(list(stands), node)) is not None:
        raise UserError(
            f"{where} holds {found:g}, which stands for missing values by its attribute "
            f"{stands[found]}: save NaN in their place, or leave those sequences out"
        )


def _numbers(node: h5py.Dataset, name: str) -> list[float]:
    """The numbers in an attribute, also where they are written as text; none in anything else."""
    given = node.attrs.get(name)
    if isinstance(given, h5py.Empty | h5py.Reference) or given is None:
        return []
    try:
        return [float(value) for value in np.ravel(given)]
    except (TypeError, ValueError):
        return []


def _occurring(values: list[float], node: h5py.Dataset) -> float | None:
    """The first of some values that an array holds, in the array's own precision."""
    with np.errstate(over="ignore", invalid="ignore"):
        own = np.array(values).astype(node.dtype)
    exact = own.astype(np.float64) == values if node.dtype.kind in "iu" else np.isfinite(values)
    wanted = {own[place]: values[place] for place in np.flatnonzero(exact)}
    if not wanted:
        return None
    for piece in _pieces(node):
        for stored, value in wanted.items():
            if (piece == stored).any():
                return value
    return None


def _pieces(node: h5py.Dataset) -> Iterator[NDArray[Any]]:
    """All values, a piece at a time, each chunk once."""
    if not node.shape or not node.size:
        yield np.asarray(node[()])
    elif node.chunks:
        for place in node.iter_chunks():
            yield np.asarray(node[place])
    else:
        step = max(1, PIECE // math.prod(node.shape[1:]))
        for start in range(0, len(node), step):
            yield np.asarray(node[start : start + step])
