"""What fits a page: which signals, how many sequences, how many of their timesteps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rnnscope.figures.tables import STATES
from rnnscope.states.signals import Signal

MOST = 300
"""Most sequences whose states are on the page."""
CODES = 4_000_000
"""Most values of states on the page."""
FEWEST, SHORTEST = 24, 8
"""With fewer sequences than the first, gates are left out; than the second, late timesteps."""
CLASSES = 20
"""With more classes, means and histograms are over all sequences."""


@dataclass(frozen=True)
class Plan:
    """What fits the page."""

    shown: dict[str, list[Signal]]
    """Layer -> the signals whose states are shown."""
    count: int
    """Sequences."""
    timesteps: int
    """The first so many of each."""
    left_out: list[str]
    """Signals that were recorded and do not fit, as layer/signal."""

    @property
    def signals(self) -> list[Signal]:
        """All signals that are shown, layer by layer."""
        return [signal for named in self.shown.values() for signal in named]


def planned(signals: Mapping[str, Sequence[Signal]], sequences: int) -> Plan:
    """Which signals, how many sequences and timesteps fit the page.

    Args:
        signals: of each layer, all that were recorded.
        sequences: how many.
    """
    shown = {layer: list(named) for layer, named in signals.items()}
    timesteps = max(each.timesteps for named in shown.values() for each in named)
    count = min(sequences, MOST)
    if CODES // _values(shown, timesteps) < min(FEWEST, count):
        shown = {
            layer: [each for each in named if each.name in states_of(named)]
            for layer, named in shown.items()
        }
    if CODES // _values(shown, timesteps) < min(SHORTEST, count):
        count = min(SHORTEST, count)
        timesteps = max(1, CODES // (count * _values(shown, 1)))
    fit = max(1, CODES // _values(shown, timesteps))
    return Plan(shown, min(count, fit), timesteps, _left_out(signals, shown))


def states_of(signals: Sequence[Signal]) -> list[str]:
    """The names of a layer's states, of which the page says what drives a unit.

    They are h and c; of other cells the first signal.
    """
    names = [each.name for each in signals]
    return [name for name in STATES if name in names] or names[:1]


def name_of(signal: Signal) -> str:
    """What a signal is called in the page's arrays."""
    return f"{signal.layer}/{signal.name}"


def _values(shown: Mapping[str, Sequence[Signal]], timesteps: int) -> int:
    """Values of one sequence."""
    return sum(
        len(each.units) * min(each.timesteps, timesteps)
        for named in shown.values()
        for each in named
    )


def _left_out(
    signals: Mapping[str, Sequence[Signal]], shown: Mapping[str, Sequence[Signal]]
) -> list[str]:
    there = {name_of(each) for named in shown.values() for each in named}
    every = [name_of(each) for named in signals.values() for each in named]
    return [name for name in every if name not in there]
