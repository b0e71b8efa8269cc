"""What every change does, summed over all sequences batch by batch."""

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope import engine
from rnnscope.analysis.ablation import sums
from rnnscope.analysis.ablation.estimate import Work, watched
from rnnscope.analysis.ablation.sums import SUMMED, Sums
from rnnscope.analysis.intervention import ratios
from rnnscope.analysis.intervention.attribution import Attributed, attribute
from rnnscope.analysis.intervention.gathering import AllLevels, Gathering
from rnnscope.analysis.intervention.gradients import Float, Gradients
from rnnscope.analysis.intervention.losses import LOSS, MEASURES
from rnnscope.analysis.intervention.measuring import Found, Here, estimated, held, measured
from rnnscope.analysis.intervention.plan import Block, Job
from rnnscope.analysis.intervention.ratios import Ratio
from rnnscope.config import Config

REDUCED_BY = ("units", "layers", "states", "methods", "windows")
"""The options that reduce the number of passes."""


@dataclass
class Totals:
    """The sums over all sequences so far."""

    rows: int
    """R, of the table."""
    intact: Sums | None = None
    """Of the model without a change."""
    sums: list[Sums | None] = field(init=False)
    """Of each row [R]."""
    ratios: list[Ratio | None] = field(init=False)
    """How far patches moved the output [R]."""
    estimates: NDArray[np.float64] = field(init=False)
    """The sum of the estimated changes of the loss [R]."""
    estimated: NDArray[np.int64] = field(init=False)
    """Over how many sequences that is [R]."""
    count: NDArray[np.int64] = field(init=False)
    """Sequences that each row is of [R]."""

    attributed: dict[tuple[str, str], Attributed] = field(default_factory=dict)
    """By place and state, what its units are worth to first order."""

    def __post_init__(self) -> None:
        self.sums, self.ratios = [None] * self.rows, [None] * self.rows
        self.estimates = np.zeros(self.rows)
        self.estimated, self.count = np.zeros((2, self.rows), np.int64)

    def add(self, row: int, found: Found) -> None:
        """Add what was found of a row in one more batch."""
        if found is None:
            return
        more, reached = found
        known, so_far = self.sums[row], self.ratios[row]
        self.sums[row] = more if known is None else sums.merge(known, more)
        if reached is not None:
            self.ratios[row] = reached if so_far is None else ratios.merge(so_far, reached)

    def baseline(self) -> dict[str, float]:
        """The mean loss and accuracy of the model without a change, where there are any."""
        assert self.intact is not None
        means = zip(SUMMED[:2], self.intact.moments.mean, strict=False)
        return {name: float(mean) for name, mean in means if mean == mean}

    @property
    def estimate(self) -> NDArray[np.float64]:
        """The mean estimated change of the loss [R]; NaN where there is none."""
        found = np.full(self.rows, np.nan)
        return np.divide(self.estimates, self.estimated, out=found, where=self.estimated > 0)


def summed(
    gathering: Gathering, every: AllLevels, planned: Sequence[Block], config: Config
) -> Totals:
    """The sums over all sequences.

    Args:
        gathering: the sequences and the model.
        every: the levels of all states.
        planned: what is changed.
        config: the engine and the options.

    Raises:
        UserError: the passes would take longer than ``intervention.hours``.
    """
    totals = Totals(sum(len(block.targets) * len(block.windows) for block in planned))
    gradients = Gradients(gathering.passes)
    for number, here in enumerate(gathering.here(every), 1):
        _intact(totals, here)
        for block in planned:
            for place, window in enumerate(block.windows):
                totals.count[_rows(block, place)] += here.taking(block, window).sum()
        scored = not np.isnan(here.recorded.made.loss).all()
        _estimate(totals, gradients, here, planned, scored=scored)
        if config.intervention.exact:
            _run(totals, gathering, here, planned, config, number)
    return totals


def _rows(block: Block, window: int) -> slice:
    """The rows of one of a block's windows."""
    start = block.first + window * len(block.targets)
    return slice(start, start + len(block.targets))


def _intact(totals: Totals, here: Here) -> None:
    made = here.recorded.made
    zeros = np.zeros_like(made.loss)
    values = np.stack([made.loss, made.accuracy, zeros, zeros, zeros])
    more = sums.summed(values, None, 0)
    totals.intact = more if totals.intact is None else sums.merge(totals.intact, more)


def _estimate(
    totals: Totals, gradients: Gradients, here: Here, planned: Sequence[Block], *, scored: bool
) -> None:
    """Add the first-order estimates of a batch, with one backward pass for each place."""
    asked = MEASURES if here.classes else (LOSS,)
    for place, blocks in itertools.groupby(planned, lambda block: block.place):
        derived: dict[str, dict[str, Float]] = {}
        if scored:
            derived = gradients.of_states(here.given, here.recorded.kept, place, asked)
        for state, some in itertools.groupby(blocks, lambda block: block.state):
            attribute(totals.attributed, gradients, here, (place, state), derived)
            for block in some if scored else ():
                total, count = estimated(here, block, derived[LOSS][state])
                rows = slice(block.first, block.first + total.size)
                totals.estimates[rows] += total.ravel()
                totals.estimated[rows] += count.ravel()


def _run(
    totals: Totals,
    gathering: Gathering,
    here: Here,
    planned: Sequence[Block],
    config: Config,
    number: int,
) -> None:
    """Add what the passes of a batch find."""
    options, size = config.intervention, len(here.given.batch.x)
    jobs = [job for block in planned for job in block.jobs(max(1, options.rows // size))]
    if number == 1:
        _trace(gathering, here, jobs)
    # In no order, so that the first of them, which are timed, are as long as all.
    order = np.random.default_rng(0).permutation(len(jobs))
    measure: Any = functools.partial(measured, gathering.passes, here)
    results = engine.run(
        measure,
        [jobs[each] for each in order],
        config.engine,
        what=f"intervention, batch {number}",
        unit="pass",
    )
    if number == 1:
        work = Work(len(jobs), gathering.count, size, options, "intervention", REDUCED_BY)
        results = watched(results, work, engine.workers(config.engine))
    for each, found in zip(order, results, strict=True):
        for place, one in enumerate(found):
            totals.add(jobs[each].first + place, one)


def _trace(gathering: Gathering, here: Here, jobs: Sequence[Job]) -> None:
    """Run one pass of each kind, so that every graph is traced before several threads run it."""
    kinds: dict[Any, Job] = {}
    for job in jobs:
        block, window = job.block, job.window
        ends = window.start == 0, window.stop == len(here.state(block))
        kind = block.place, block.state, block.method, job.targets[0].directed, *ends
        kinds.setdefault(kind, job)
    for job in kinds.values():
        gathering.passes.changed(here.given, here.recorded.kept, held(here, job))
