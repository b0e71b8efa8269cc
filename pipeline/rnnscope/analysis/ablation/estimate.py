"""How long the passes of a stage will take, from the first of them; too long is refused."""

import contextlib
import logging
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

from rnnscope.config import Ablation, Intervention
from rnnscope.errors import UserError
from rnnscope.terminal import in_words

log = logging.getLogger(__name__)

WARM = 4
"""Passes that are not timed: the first of each graph is slower. There are at most four methods."""
TIMED = 4
"""Least number of passes that are timed, each worker's first two not among them."""
SPARE = 0.8
"""Part of the limit that a remedy uses."""

R = TypeVar("R")


@dataclass(frozen=True)
class Work:
    """What a stage does: each pass goes over all sequences, batch by batch."""

    passes: int
    sequences: int
    batch: int
    """Sequences of the first batch."""
    options: Ablation | Intervention
    stage: str = "ablation"
    reduced_by: tuple[str, ...] = ("units", "layers", "methods")
    """The options that reduce it, besides max_sequences."""

    def seconds(self, each: float) -> float:
        """Seconds of all passes, if one takes ``each`` seconds for the first batch."""
        return each * self.passes * self.sequences / self.batch


def watched(
    results: Generator[R, None, None],
    work: Work,
    workers: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Generator[R, None, None]:
    """The results of the passes over the first batch; once some are there, log what all will take.

    Args:
        results: in order, as they become available.
        work: all there is to do.
        workers: passes at a time.
        clock: seconds.

    Raises:
        UserError: longer than the option ``hours``, with the figures and what reduces it.
    """
    warm = WARM + 2 * workers
    stop = warm + max(TIMED, workers)
    started = clock()
    with contextlib.closing(results):  # passes that wait are not begun, if this raises
        for number, result in enumerate(results, 1):
            if number == warm:
                started = clock()
            elif number == stop:
                judge(work, work.seconds((clock() - started) / (stop - warm)))
            yield result


def judge(work: Work, seconds: float) -> None:
    """Log what the stage will take, and raise if it is longer than its option ``hours``."""
    said = f"{work.passes:,} passes over {work.sequences:,} sequences"
    most = work.options.hours
    if most is None or seconds <= most * 3_600:
        log.info(f"{'':<10} {said}, about {in_words(seconds)}")
        return
    fewer, stage = int(work.sequences * SPARE * most * 3_600 / seconds), work.stage
    options = ", ".join(f"{stage}.{name}" for name in work.reduced_by)
    raise UserError(
        f"{stage} would take about {in_words(seconds)}, {said}; {stage}.hours={most:g} is the "
        f"limit: choose less with {options} or {stage}.max_sequences"
        + (f"={fewer}" if fewer > 1 else "")
        + f", or allow it with {stage}.hours={_allowing(seconds)}"
    )


def _allowing(seconds: float) -> str:
    """A limit that such an estimate does not reach, also where it varies; null above the bound."""
    hours = int(1.5 * seconds / 3_600) + 1
    return str(hours) if hours <= 10_000 else "null"
