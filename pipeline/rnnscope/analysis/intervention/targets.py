"""What of a layer's state is changed: one unit, a set of units, or a direction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope.config import Intervention
from rnnscope.config.intervention import CLUSTERS
from rnnscope.errors import UserError

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Target:
    """A part of the state of U units."""

    name: str
    """``17``, ``3+4+17``, ``cluster 0``, ``direction 0`` or ``decoder label:3``."""
    along: NDArray[Any]
    """True at the units [U], bool; or a unit vector [U], float64."""
    timestep: int | None = None
    """Of a decoder's direction: when the decoder was fitted."""

    @property
    def key(self) -> tuple[str, int | None]:
        """What tells it from the other targets of a state."""
        return self.name, self.timestep

    @property
    def unit(self) -> int | None:
        """The number of the unit, where it is one."""
        single = not self.directed and self.along.sum() == 1
        return int(self.along.argmax()) if single else None

    @property
    def directed(self) -> bool:
        """Whether it is a direction."""
        return self.along.dtype != np.bool_


def targets(options: Intervention, units: int, directions: Float | None) -> list[Target]:
    """The targets that the options ask for in a layer, units first.

    Args:
        options: what is asked for.
        units: U of the layer; units that it does not have are left out.
        directions: [D, U'], for the layers that have U' units.
    """
    numbers = range(units) if options.units is None else sorted(options.units)
    found = [_of_units(str(unit), [unit], units) for unit in numbers if unit < units]
    for group in sets(options):
        members = list(map(int, group.split("+")))
        if max(members) < units:
            found.append(_of_units(group, members, units))
    if directions is not None and directions.shape[1] == units:
        found += [Target(f"direction {n}", each) for n, each in enumerate(directions)]
    return _once(found)


def sets(options: Intervention) -> list[str]:
    """The sets of units that are given by their numbers."""
    return [group for group in options.groups or () if group != CLUSTERS]


def _of_units(name: str, members: Sequence[int], units: int) -> Target:
    return Target(name, np.isin(np.arange(units), members))


def _once(found: list[Target]) -> list[Target]:
    """Each name once: a group of one unit may be asked for as a unit too."""
    return list({each.name: each for each in found}.values())


def directions_of(options: Intervention) -> Float | None:
    """The directions of the file [D, U], each of length 1; None without a file.

    Raises:
        UserError: no .npy file of numbers [D, U], or a direction that is not finite or is 0.
    """
    if options.directions_path is None:
        return None
    said = f"intervention.directions_path={options.directions_path}: "
    try:
        values = np.load(Path(options.directions_path), allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{said}no .npy file of numbers, {error}") from error
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iuf" or values.ndim != 2:
        raise UserError(f"{said}must be an array of numbers [directions, units]")
    found = values.astype(np.float64)
    largest = np.abs(found).max(axis=1, initial=0.0, keepdims=True)
    if not found.size or not np.isfinite(found).all() or not largest.all():
        raise UserError(f"{said}each direction must be finite and not 0")
    found /= largest  # whose squares are neither past float64 nor 0
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def chunks(every: Sequence[Target], most: int) -> Iterator[list[Target]]:
    """Targets that may go through one pass, at most ``most``: directions apart from units."""
    for directed in (False, True):
        same = [each for each in every if each.directed == directed]
        for start in range(0, len(same), most):
            yield same[start : start + most]
