"""For which timesteps a state is changed."""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rnnscope.errors import UserError


class Window(NamedTuple):
    """Timesteps from ``start`` up to ``stop``, which is not among them, in input time."""

    start: int
    stop: int

    @property
    def timesteps(self) -> int:
        """How many."""
        return self.stop - self.start


def windows(asked: Sequence[str], timesteps: int) -> list[Window]:
    """The windows that the option asks for, each once, by their start.

    Args:
        asked: ``intervention.windows``.
        timesteps: T of the layer.

    Raises:
        UserError: a window that is empty, or ends after the last timestep.
    """
    return sorted(set(itertools.chain.from_iterable(_asked(each, timesteps) for each in asked)))


def _asked(text: str, timesteps: int) -> Iterator[Window]:
    if text == "each":
        yield from (Window(start, start + 1) for start in range(timesteps))
    elif text == "onward":
        yield from (Window(start, timesteps) for start in range(timesteps))
    elif text.startswith("sliding:"):
        width = int(text.removeprefix("sliding:"))
        if width > timesteps:
            raise UserError(f"intervention.windows={text}: there are {timesteps} timesteps")
        yield from (Window(start, start + width) for start in range(timesteps - width + 1))
    else:
        start, stop = map(int, text.split(":"))
        if not start < stop <= timesteps:
            raise UserError(
                f"intervention.windows={text}: must end after it starts, and there are {timesteps} "
                f"timesteps, so that the longest window is 0:{timesteps}"
            )
        yield Window(start, stop)
