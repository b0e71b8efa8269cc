"""Names of the axes of an array in HDF5, as far as they contradict [sequence, timestep, feature].

They are labels and scales of dimensions, which netCDF and xarray write too, and attributes such as
``_ARRAY_DIMENSIONS``. Names that say nothing of the order are passed over.
"""

import re
from typing import Any

import h5py
import numpy as np

from rnnscope.errors import UserError, brief

TIME = re.compile(r"time.*|t|(time)?steps?|frames?|(time)?bins?|ticks?", re.IGNORECASE)
"""What people call the axis of timesteps."""
SEQUENCE = re.compile(
    r"seq(uence)?s?|trials?|batch(es)?|episodes?|subjects?|patients?|sessions?|examples?",
    re.IGNORECASE,
)
"""And that of sequences."""
FEATURE = re.compile(
    r"feat(ure)?s?|units?|neurons?|cells?|channels?|electrodes?|hidden", re.IGNORECASE
)
"""And that of features or units."""
ATTRIBUTES = ("_ARRAY_DIMENSIONS", "DIMENSION_NAMES", "dims", "dimensions", "axes", "axis_names")
"""Attributes of an array in which programs write the names of its axes."""
ODD = (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, MemoryError)
"""What h5py raises of names that cannot be read: an array is read without them too."""


def refuse_dims(node: h5py.Dataset, where: str) -> None:
    """Raise where the names of an array's axes tell another order than the one that is taken.

    Args:
        node: the array.
        where: what to call it.

    Raises:
        UserError: with the names, and the order in which the axes must be.
    """
    if len(node.shape) < 2:
        return
    for names in _names(node):
        odd = [name for axis, name in enumerate(names) if _elsewhere(name, axis, len(names))]
        if odd:
            raise UserError(
                f"{where} has the axes {brief(', '.join(name or '?' for name in names), 60)} by "
                "their names, and is read as [sequence, timestep, feature or unit]: save it with "
                f"the axes in this order ('{brief(odd[0], 20)}' stands elsewhere), or without names"
            )


def _elsewhere(name: str, axis: int, axes: int) -> bool:
    """Whether an axis of this name belongs at another place.

    Each unit may be a sequence, [unit, timestep], and each number of y that of a unit [N, unit].
    """
    if TIME.fullmatch(name):
        return axis != 1
    if SEQUENCE.fullmatch(name):
        return axis > 0
    return FEATURE.fullmatch(name) is not None and axis == 1 and axes > 2


def _names(node: h5py.Dataset) -> list[list[str]]:
    """Names of all axes, once for each way in which they are written; "" where one has none."""
    found = []
    try:
        found.append([str(dim.label) for dim in node.dims])
        found.append([_of_scales(dim) for dim in node.dims])
    except ODD:
        pass
    for attribute in ATTRIBUTES:
        try:
            found.append(_texts(node.attrs[attribute]) if attribute in node.attrs else [])
        except ODD:
            continue
    return [[name.strip() for name in names] for names in found if len(names) == len(node.shape)]


def _of_scales(dim: Any) -> str:
    """The name of the first scale of a dimension: its own, or that of the array which it is."""
    for name, scale in dim.items():
        path = str(scale.name or "").rpartition("/")[2]
        return path if name.startswith("This is a netCDF dimension") or not name else str(name)
    return ""


def _texts(value: Any) -> list[str]:
    """The texts in an attribute: a list, or one text with separators."""
    values = [each.decode() if isinstance(each, bytes) else each for each in np.ravel(value)]
    if not all(isinstance(each, str) for each in values):
        return []
    return re.split(r"[\s,;:]+", values[0].strip("[]() ")) if len(values) == 1 else values
