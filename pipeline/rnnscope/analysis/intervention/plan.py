"""What is changed, row by row of the table, and in which passes."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rnnscope.analysis.intervention.targets import Target, chunks
from rnnscope.analysis.intervention.windows import Window

PATCHES = ("patch", "patch_same")
"""From a donor of another class, and as control from one of the same class."""
METHODS = ("zero", "mean", "freeze", "add", *PATCHES)


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    layer: str
    state: str
    target: Target
    method: str
    """Of METHODS."""
    window: Window


@dataclass(frozen=True)
class Block:
    """Every target and window of a state and method: consecutive rows, by window and target."""

    place: str
    state: str
    method: str
    targets: Sequence[Target]
    windows: Sequence[Window]
    first: int
    """The number of its first row."""

    def rows(self) -> Iterator[Row]:
        """Its rows, in their order."""
        for window in self.windows:
            for target in self.targets:
                yield Row(self.place, self.state, target, self.method, window)

    def jobs(self, most: int) -> Iterator["Job"]:
        """Its passes, of at most ``most`` targets each."""
        for number, window in enumerate(self.windows):
            first = self.first + number * len(self.targets)
            for some in chunks(self.targets, most):
                yield Job(self, window, some, first)
                first += len(some)


@dataclass(frozen=True)
class Job:
    """A pass: some targets of a block in one window."""

    block: Block
    window: Window
    targets: Sequence[Target]
    first: int
    """The number of its first row."""


def blocks(
    states: Mapping[str, Sequence[str]],
    methods: Sequence[str],
    targets: Mapping[tuple[str, str], Sequence[Target]],
    windows: Mapping[str, Sequence[Window]],
) -> list[Block]:
    """All blocks, in the order of the table.

    Args:
        states: those that are changed, by place.
        methods: of METHODS.
        targets: by place and state, units before directions.
        windows: by place.
    """
    found: list[Block] = []
    first = 0
    for place, names in states.items():
        for state in names:
            parts = list(_together(targets[place, state], windows[place]))
            for method, (some, when) in itertools.product(methods, parts):
                found.append(Block(place, state, method, some, when, first))
                first += len(some) * len(when)
    return found


def _together(
    targets: Sequence[Target], windows: Sequence[Window]
) -> Iterator[tuple[list[Target], list[Window]]]:
    """Targets with the windows that all of them are changed in.

    Of decoders of one name, a window has the one that was fitted at the timestep nearest to its
    middle, of two that are as near the earlier one.
    """
    fixed = [each for each in targets if each.timestep is None]
    if fixed and windows:
        yield fixed, list(windows)
    by_name: dict[str, list[Target]] = {}
    for each in targets:
        if each.timestep is not None:
            by_name.setdefault(each.name, []).append(each)
    found: dict[tuple[int | None, ...], tuple[list[Target], list[Window]]] = {}
    for window in windows if by_name else ():
        middle = (window.start + window.stop - 1) / 2
        fitted = [_nearest(each, middle) for each in by_name.values()]
        when = tuple(each.timestep for each in fitted)
        found.setdefault(when, (fitted, []))[1].append(window)
    yield from found.values()


def _nearest(decoders: Sequence[Target], middle: float) -> Target:
    """Of the decoders of one name, the one that was fitted nearest to a point in time."""

    def far(each: Target) -> tuple[float, int]:
        assert each.timestep is not None
        return abs(each.timestep - middle), each.timestep

    return min(decoders, key=far)
