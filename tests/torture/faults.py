"""What a chapter of faults consists of, and what became of its tries."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Verdict = Literal["survived", "lost", "wrong", "traceback"]
VERDICTS: tuple[Verdict, ...] = ("survived", "lost", "wrong", "traceback")


@dataclass(frozen=True)
class Outcome:
    """What became of one try."""

    verdict: Verdict
    """``lost``: finished work is gone, or the same command does not finish; ``wrong``: other bytes
    than undisturbed, or a fault that nobody was told of; ``traceback``: told, but not in a line."""
    detail: str = ""
    """What happened, unless it survived."""


SURVIVED = Outcome("survived")


@dataclass(frozen=True)
class Fault:
    """One kind of fault and the tries of it."""

    name: str
    tries: Sequence[Callable[[Path], Outcome]]
    """Each is given an empty folder of its own, deleted afterwards."""
    alone: bool = False
    """Whether no other try may run meanwhile."""
    each: int = 1
    """How many faults a try makes; it survives only if it survives all of them."""


@dataclass
class Tally:
    """A row of the table."""

    fault: str
    counts: Counter[Verdict] = field(default_factory=Counter)
    details: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def line(self) -> str:
        """The row in Markdown."""
        cells = [self.fault, self.counts.total(), *(self.counts[each] for each in VERDICTS)]
        return f"| {' | '.join(map(str, cells))} |"


HEADER = "| fault | tried | survived | lost | wrong | traceback |\n|---|--:|--:|--:|--:|--:|"
