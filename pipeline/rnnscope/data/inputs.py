"""Of several inputs: which is the main one, which have timesteps, whose the lengths are."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from rnnscope.errors import UserError, listed

Name = str | None
"""The model's name for an input; None for the plain x where that is not known."""
Shape = tuple[int | None, ...]
MASK = "mask"
"""Name of the input that tells a model which timesteps are valid."""


@dataclass(frozen=True)
class Roles:
    """What a model tells of its inputs."""

    names: tuple[str, ...]
    """All of them."""
    timed: tuple[frozenset[str], ...] | None
    """Those whose timesteps recurrent layers read. Inputs that a layer reads side by side, timestep
    by timestep, are in one set. None where the model has no graph to tell it, nor what follows."""
    output: frozenset[str] = frozenset()
    """Those whose timesteps the model's output has."""
    masked: frozenset[str] = frozenset()
    """Those that are read by layers whose mask is the input ``mask``."""
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    """The shape of one sequence of each, where it is known; None for any size."""
    masking: Mapping[str, float | None] | None = field(default=None, compare=False)
    """Those of which the model makes a mask, with the number that it leaves out, None where that is
    not known. None where nothing is known, as where no model is at hand."""

    def leaves_out(self, name: Name, value: float) -> bool:
        """Whether the model may leave out the timesteps of an input that are a number."""
        if self.masking is None:
            return True
        return self.masking.get(name or "", float("nan")) in (None, value)

    def wanted(self, given: Collection[Name]) -> list[str]:
        """The inputs that need an array; a mask beside others is made from the lengths."""
        names = [name for name in self.names if name != MASK or MASK in given]
        return names or list(self.names)

    def noted(self) -> dict[str, Any]:
        """Itself as JSON, to load the same data later without the model."""
        return {
            "names": list(self.names),
            "timed": None if self.timed is None else [sorted(names) for names in self.timed],
            "output": sorted(self.output),
            "masked": sorted(self.masked),
            "shapes": {name: list(shape) for name, shape in self.shapes.items()},
        }

    @classmethod
    def read(cls, noted: Mapping[str, Any]) -> "Roles":
        """What ``noted`` gave."""
        timed = noted["timed"]
        return cls(
            tuple(noted["names"]),
            None if timed is None else tuple(frozenset(names) for names in timed),
            frozenset(noted["output"]),
            frozenset(noted["masked"]),
            {name: tuple(shape) for name, shape in noted["shapes"].items()},
        )


@dataclass(frozen=True)
class Inputs:
    """The inputs of one split, by the model's names for them."""

    values: dict[Name, Any]
    """Arrays [N, ...]."""
    plain: Name
    """Which of them is the plain x; None too if none is."""
    roles: Roles | None
    """None where the data must do without."""
    part: str
    """Name of the split."""
    at: str
    """What errors begin with."""

    def key(self, name: Name, kind: str = "x") -> str:
        """The name of the array of an input, or of its lengths."""
        plain = name is None or name == self.plain
        return f"{kind}_{self.part}" if plain else f"{kind}_{name}_{self.part}"

    @property
    def timed(self) -> tuple[frozenset[Name], ...]:
        """Sets of inputs that have the same timesteps; each by itself where that is not known."""
        if self.roles is None or self.roles.timed is None:
            return tuple(frozenset([name]) for name in self.values)
        return tuple(frozenset[Name](names & self.values.keys()) for names in self.roles.timed)

    def may_end(self, name: Name) -> bool:
        """Whether NaN at the end of an input can be padding rather than a missing value."""
        if self.roles is None:
            return len(self.values) == 1 or name == self.plain
        return self.has_time(name)

    def has_time(self, name: Name) -> bool:
        """Whether an input has timesteps, as far as the model tells."""
        if self.roles is None:
            return True
        return any(name in names for names in (*self.timed, self.roles.output))

    def main(self, known: Collection[Name]) -> Name:
        """The input whose timesteps labels and annotations have.

        It is the one that the model's output follows, or else one that a recurrent layer reads; of
        several the plain x, or the first by name.

        Args:
            known: the inputs that have lengths.
        """
        roles = self.roles
        if roles is None:
            wanted = [name for name in self.values if len(self.values[name].shape) in (2, 3)]
            choices = [set(self.values) & {self.plain}, set(known), set(wanted)]
        else:
            choices = [set(roles.output), {name for names in self.timed for name in names}]
        found = next((each for each in choices if each & self.values.keys()), set(self.values))
        found = found & self.values.keys()
        return self.plain if self.plain in found else min(found, key=str)

    def owners(self, longest: int, taken: Collection[Name]) -> frozenset[Name]:
        """The inputs to which the plain lengths belong.

        Args:
            longest: the largest of the lengths.
            taken: the inputs that have lengths of their own.

        Raises:
            UserError: no input, or several inputs of different timesteps.
        """
        if len(self.values) == 1 and self.roles is None:
            return frozenset(self.values)
        where = f"{self.at}lengths_{self.part}"
        left = [names - set(taken) for names in self.timed]
        fitting = [
            frozenset(name for name in names if self.values[name].shape[1] >= longest)
            for names in left
        ]
        fitting = [names for names in fitting if names]
        if len(fitting) == 1:
            return fitting[0]
        for names in fitting:
            if self.plain in names and self.plain in self.values:
                return names
        if fitting:
            several = sorted((name for names in fitting for name in names), key=str)
            keys = [[self.key(name, kind) for name in several] for kind in ("x", "lengths")]
            each = "each" if self.roles else "each of them that has timesteps"
            raise UserError(
                f"{where} may belong to {_listed(keys[0])}: give {each} its own, {_listed(keys[1])}"
            )
        timed = sorted((name for names in left for name in names), key=str)
        if not timed:
            raise UserError(
                f"{where} belongs to no input: the model's recurrent layers read the timesteps of "
                f"none{' that has no lengths of its own' if taken else ''}; leave it out"
            )
        said = ", ".join(f"{self.key(name)} has {self.values[name].shape[1]}" for name in timed)
        raise UserError(f"{where} reaches {longest} timesteps; {said}")


def inputs_of(values: dict[Name, Any], roles: Roles | None, part: str, at: str) -> Inputs:
    """The inputs of a split, where a plain x takes the name of the model's input that is left.

    Args:
        values: arrays [N, ...]; that of None is the plain x.
        roles: what the model tells.
        part: name of the split.
        at: what errors begin with.

    Raises:
        UserError: an array that is of none of the model's inputs, or an input that has none.
    """
    if roles is None:
        return Inputs(values, None, None, part, at)
    names = roles.wanted(values.keys())
    left = [name for name in names if name not in values]
    plain = left[0] if None in values and len(left) == 1 else None
    renamed = {plain if each is None else each: array for each, array in values.items()}
    _refuse_misnamed(renamed, names, part, at)
    if roles.timed is None:
        return Inputs(values, None, None, part, at)
    return Inputs(renamed, plain, roles, part, at)


def _refuse_misnamed(values: Collection[Name], names: list[str], part: str, at: str) -> None:
    """Raise where the arrays of inputs are not those that the model has."""
    missing = [name for name in names if name not in values]
    strange = [name for name in values if name not in names]
    have = listed(f"x_{name}_{part}" if name else f"x_{part}" for name in values)
    if missing and strange == [None]:
        raise UserError(
            f"{at}x_{part} may be any of the model's inputs {', '.join(missing)}: give "
            f"{_listed([f'x_{name}_{part}' for name in missing])}"
        )
    if missing:
        key = f"x_{missing[0]}_{part}"
        wrong = f"x_{strange[0]}_{part}" if strange and strange[0] else f"x_{part}"
        mend = f"give {wrong} that name: {key}, or add {key}" if strange else f"add {key}"
        raise UserError(
            f"{at}the model has an input '{missing[0]}', for which the data has no array: it has "
            f"{have}; {mend}"
        )
    if strange:
        key = f"x_{strange[0]}_{part}" if strange[0] else f"x_{part}"
        raise UserError(
            f"{at}{key} is of no input of the model, whose inputs are {', '.join(names)}: "
            "leave it out"
        )


def refuse_misshapen(inputs: Inputs, shapes: Mapping[str, Shape]) -> None:
    """Raise where an array does not have the shape of its input.

    Args:
        inputs: the arrays of a split.
        shapes: of the model's inputs.
    """
    given = {name: tuple(values.shape[1:]) for name, values in inputs.values.items()}
    if len(shapes) == 1 and inputs.roles is None:  # it takes the one array, whatever its name
        given = dict.fromkeys(shapes, next(iter(given.values())))
    for name, wanted in shapes.items():
        shape = given.get(name)
        if shape is None or as_wanted(shape, wanted) is not None:
            continue
        fits = [other for other in given if other != name and as_wanted(given[other], wanted)]
        hint = f"; that of {inputs.key(fits[0])} fits: are the arrays swapped?" if fits else ""
        raise UserError(
            f"{inputs.at}{inputs.key(name)} has {shape} for each sequence, the model takes "
            f"{wanted} for its input '{name}'{hint}"
        )


def as_wanted(shape: Shape, wanted: Shape) -> Shape | None:
    """The shape that a sequence is given to a model in; None if it does not fit.

    A single feature may lack its axis, or have one where the input has none.

    Args:
        shape: of a sequence in the data.
        wanted: of the model's input.
    """
    if shape and len(wanted) == len(shape) + 1:
        shape = (*shape, 1)
    elif len(shape) > 1 and len(wanted) == len(shape) - 1 and shape[-1] == 1:
        shape = shape[:-1]
    pairs = zip(shape, wanted, strict=False)
    fits = len(shape) == len(wanted) and all(want in (None, size) for size, want in pairs)
    return shape if fits else None


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
