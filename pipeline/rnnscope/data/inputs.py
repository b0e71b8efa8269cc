"""Of several inputs: which is the main one, which have timesteps, whose the lengths are."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from rnnscope.errors import UserError

Name = str | None
"""The model's name for an input; None for the plain x where that is not known."""
MASK = "mask"
"""Name of the input that tells a model which timesteps are valid."""


@dataclass(frozen=True)
class Roles:
    """What a model's graph tells of its inputs."""

    names: tuple[str, ...]
    """All of them."""
    timed: tuple[frozenset[str], ...]
    """Those whose timesteps recurrent layers read. Inputs that a layer reads side by side, timestep
    by timestep, are in one set."""
    output: frozenset[str] = frozenset()
    """Those whose timesteps the model's output has."""
    masked: frozenset[str] = frozenset()
    """Those that are read by layers whose mask is the input ``mask``."""


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
        if self.roles is None:
            return tuple(frozenset([name]) for name in self.values)
        return tuple(frozenset[Name](names & self.values.keys()) for names in self.roles.timed)

    def may_end(self, name: Name) -> bool:
        """Whether NaN at the end of an input can be padding rather than a missing value."""
        if self.roles is None:
            return len(self.values) == 1 or name == self.plain
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
            raise UserError(
                f"{where} may belong to {_listed(keys[0])}: give each its own, {_listed(keys[1])}"
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

    Where names are not those of the model, which is found out when it is fed, it tells nothing.

    Args:
        values: arrays [N, ...]; that of None is the plain x.
        roles: what the model tells.
        part: name of the split.
        at: what errors begin with.
    """
    if roles is not None:
        names = [name for name in roles.names if name != MASK or MASK in values]
        names = names or list(roles.names)
        left = [name for name in names if name not in values]
        renamed = {left[0] if each is None and left else each: v for each, v in values.items()}
        if set(renamed) == set(names):
            plain = left[0] if None in values else None
            return Inputs(renamed, plain, roles, part, at)
    return Inputs(values, None, None, part, at)


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
