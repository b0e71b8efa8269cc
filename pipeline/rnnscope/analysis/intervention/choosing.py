"""What of a model's recurrent layers the options ask for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras

from rnnscope.analysis.intervention import earlier
from rnnscope.analysis.intervention.changes import changeable
from rnnscope.analysis.intervention.earlier import Key
from rnnscope.analysis.intervention.targets import Float, Target, directions_of, sets, targets
from rnnscope.config import Intervention
from rnnscope.config.intervention import CLUSTERS
from rnnscope.errors import UserError, listed
from rnnscope.states import selection
from rnnscope.trace import loops
from rnnscope.trace.places import Place, places

USUAL = ("h", "c")
"""The states that are changed unless others are asked for: a cell without c is then as wanted."""
UNKNOWN = "states whose place in the equations is not known"


@dataclass(frozen=True)
class Chosen:
    """What is changed."""

    places: dict[str, Place]
    """The cells, by name."""
    states: dict[str, list[str]]
    """Place -> its states and gates, at least one."""
    targets: dict[Key, list[Target]]
    """Place and state -> units, sets of them and directions."""
    left_out: dict[str, str]
    """What was asked for and a cell does not have, by place, in words."""


def chosen(model: keras.Model, options: Intervention, folders: Mapping[str, Path]) -> Chosen:
    """What the options ask for.

    Args:
        model: any.
        options: what is asked for.
        folders: the artefacts of stages population and decoding, where they are read.

    Raises:
        UserError: a layer that does not exist or cannot be changed; a unit, set of units or
            direction that no layer has.
    """
    every = selection.only("intervention.layers", places(model), options.layers)
    found: dict[str, Place] = {}
    states: dict[str, list[str]] = {}
    left_out = {}
    for name, place in every.items():
        # What changes start from is kept of whole layers, and known of all their cells or none.
        known = all(changeable(cell) for cell in loops.cells_of(place.layer))
        there = changeable(place.cell) if known else ()
        if not there and options.layers is not None:
            raise UserError(f"intervention.layers: {name} has {UNKNOWN}")
        lacking = sorted(set(options.states) - set(there))
        if not there:
            left_out[name] = f"all: {UNKNOWN}"
        elif lacking and set(options.states) != set(USUAL):
            left_out[name] = f"{', '.join(lacking)}: the cell has no such state"
        if asked := [state for state in there if state in options.states]:
            found[name], states[name] = place, asked
    directions = directions_of(options)
    by_place = {name: targets(options, place.units, directions) for name, place in found.items()}
    _refuse_missing(options, directions, by_place, {n: p.units for n, p in found.items()})
    for name, place in found.items():
        if none := _lacking(options, directions, place.units):
            before = f"{left_out[name]}; " if name in left_out else ""
            left_out[name] = f"{before}{none}: there are {place.units} units"
    keys = [(name, state) for name, some in states.items() for state in some]
    whole = {key: [*by_place[key[0]]] for key in keys}
    sizes = {key: found[key[0]].units for key in keys}
    for key, more in _found_earlier(options, folders, sizes, left_out):
        names = {each.key for each in whole[key]}  # label and label:3 may be asked for
        whole[key] += [each for each in more if each.key not in names]
    return Chosen(found, states, whole, left_out)


def _found_earlier(
    options: Intervention,
    folders: Mapping[str, Path],
    units: Mapping[Key, int],
    left_out: dict[str, str],
) -> Iterator[tuple[Key, list[Target]]]:
    """The targets that earlier stages found, by place and state; what is not there is noted."""
    if CLUSTERS in (options.groups or ()):
        joined = earlier.clusters(folders["population"], units)
        yield from joined.items()
        for place, state in (key for key in units if key not in joined):
            left_out[f"clusters of {place}/{state}"] = earlier.NO_CLUSTERS
    if options.decoded is None or not units:
        return
    decoders = earlier.Decoders(folders["decoding"])
    for asked in options.decoded:
        directions = decoders.targets(asked, units)
        yield from directions.items()
        for place, state in (key for key in units if key not in directions):
            left_out[f"decoder {asked} of {place}/{state}"] = "stage decoding has none"


def _lacking(options: Intervention, directions: Float | None, units: int) -> str:
    """The targets that a layer of so many units does not have, in words; empty if it has all."""
    missing = [f"unit {unit}" for unit in options.units or () if unit >= units]
    missing += [group for group in sets(options) if max(map(int, group.split("+"))) >= units]
    if directions is not None and directions.shape[1] != units:
        missing.append("directions")
    return listed(missing) if missing else ""


def _refuse_missing(
    options: Intervention,
    directions: Float | None,
    by_place: Mapping[str, Sequence[Target]],
    units: Mapping[str, int],
) -> None:
    """Raise for targets that no layer has."""
    if not units:
        return
    most = max(units.values())
    there = f"there are {most}, from 0 to {most - 1}"
    if options.units and max(options.units) >= most:
        raise UserError(f"intervention.units={options.units}: {there}")
    names = {each.name for some in by_place.values() for each in some}
    for group in sets(options):
        if group not in names:
            raise UserError(f"intervention.groups: {group}: {there}")
    if directions is not None and directions.shape[1] not in units.values():
        sizes = ", ".join(f"{name} has {count}" for name, count in units.items())
        raise UserError(
            f"intervention.directions_path={options.directions_path}: directions of "
            f"{directions.shape[1]} units, and {sizes}"
        )
