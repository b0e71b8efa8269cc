"""What is changed, row by row of the table, and in which passes."""

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
    targets: Mapping[str, Sequence[Target]],
    windows: Mapping[str, Sequence[Window]],
) -> list[Block]:
    """All blocks, in the order of the table.

    Args:
        states: those that are changed, by place.
        methods: of METHODS.
        targets: by place, units before directions.
        windows: by place.
    """
    found: list[Block] = []
    first = 0
    for place, names in states.items():
        for state in names:
            for method in methods:
                block = Block(place, state, method, targets[place], windows[place], first)
                if count := len(block.targets) * len(block.windows):
                    first += count
                    found.append(block)
    return found
