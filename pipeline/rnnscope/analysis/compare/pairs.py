"""Which layers and signals of two runs are compared with each other."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

Side = tuple[str, str, str]
"""Run, layer and signal."""
Layers = Mapping[str, Collection[str]]
"""Layer -> its signals."""


@dataclass(frozen=True)
class Pair:
    """The same signal of a layer in each of two runs."""

    a: Side
    b: Side

    @property
    def layer(self) -> str:
        """The layer's name; both names, joined by a slash, where they differ."""
        return self.a[1] if self.a[1] == self.b[1] else f"{self.a[1]}/{self.b[1]}"


def paired(layers: Mapping[str, Layers], one: str, other: str) -> list[Pair]:
    """The signals that two runs have in common, in layers that correspond.

    Layers of the same name correspond; so do the remaining ones, in their order, where both runs
    have equally many.

    Args:
        layers: run -> its layers by name, each with its signals.
        one: name of a run.
        other: name of another.
    """
    a, b = layers[one], layers[other]
    rest = [name for name in a if name not in b], [name for name in b if name not in a]
    partner = {name: name for name in a if name in b}
    if len(rest[0]) == len(rest[1]):
        partner |= dict(zip(*rest, strict=True))
    return [
        Pair((one, name, signal), (other, partner[name], signal))
        for name in a
        if name in partner
        for signal in a[name]
        if signal in b[partner[name]]
    ]
