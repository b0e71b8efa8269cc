"""What the changes of one batch of sequences do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope.analysis.ablation import sums
from rnnscope.analysis.ablation.rerun import Given, Made
from rnnscope.analysis.ablation.sums import Sums
from rnnscope.analysis.intervention import ratios
from rnnscope.analysis.intervention.changes import ADD, FREEZE, SET
from rnnscope.analysis.intervention.first_order import products
from rnnscope.analysis.intervention.levels import Float, Levels
from rnnscope.analysis.intervention.passes import Held, Passes, Recorded
from rnnscope.analysis.intervention.plan import PATCHES, Block, Job
from rnnscope.analysis.intervention.ratios import Ratio
from rnnscope.analysis.intervention.recovery import Moved
from rnnscope.analysis.intervention.windows import Window

Truth = NDArray[np.bool_]


@dataclass(frozen=True)
class Patches:
    """The donors of a batch of sequences."""

    there: Truth
    """Which sequences have one [B]."""
    recorded: Recorded
    """What is recorded of the donors; of a sequence that has none, of itself."""
    y: NDArray[Any] | None
    """Their classes or targets [B, ...]."""


@dataclass(frozen=True)
class Here:
    """A batch of B sequences with all that its changes are made of."""

    given: Given
    recorded: Recorded
    patches: Mapping[str, Patches]
    """By method, of PATCHES."""
    moved: Moved | None
    """What recovery is computed from, towards donors of method patch."""
    levels: Mapping[tuple[str, str], Levels]
    """By place and state, over the sequences of all batches."""
    add: float
    """Standard deviations that method add adds."""
    integrate: int
    """Points of the path of integrated gradients; 0 for none."""
    classes: bool
    """Whether the labels are classes."""
    backwards: Mapping[str, bool]
    """By place, whether its layer reads from the last timestep to the first."""
    sources: NDArray[np.integer] | None
    """The number of each sequence's source [B]; None if it is one of its own."""
    count: int
    """How many sources there are in all batches."""

    def state(self, block: Block) -> NDArray[Any]:
        """The recorded state [T, B, U]."""
        return self.recorded.signals[block.place][block.state]

    def before(self, block: Block) -> NDArray[Any]:
        """The state one timestep earlier [T, B, U]; of gates NaN before the first."""
        return self.recorded.before[block.place][block.state]

    def shift(self, block: Block) -> Float:
        """What method add adds, for each target of a block [K, U]."""
        return self.add * self.levels[block.place, block.state].deviations(block.targets)

    def just_before(self, block: Block, window: Window) -> NDArray[Any]:
        """The state just before the window, in the order of reading [B, U]."""
        backwards = self.backwards[block.place]
        return self.before(block)[window.stop - 1 if backwards else window.start]

    def taking(self, block: Block, window: Window) -> Truth:
        """Which sequences the change is made in [B]: those that have a timestep of the window.

        For freeze they have a value before it, and for patch a donor with the same timesteps.
        """
        valid = self.recorded.valid[block.place]
        some = valid[:, window.start : window.stop].any(axis=1)
        if block.method == "freeze" and block.state not in ("h", "c"):
            first = window.stop - 1 if self.backwards[block.place] else window.start
            there = np.isfinite(self.just_before(block, window)).all(axis=1)
            return np.asarray(valid[:, first] & there)
        if block.method in PATCHES:
            patches = self.patches[block.method]
            read = patches.recorded.valid[block.place] | ~valid
            return np.asarray(
                some & patches.there & read[:, window.start : window.stop].all(axis=1)
            )
        return np.asarray(some)

    def made_of(self, block: Block) -> NDArray[Any]:
        """What zero, mean and patches set the state to, at each timestep [T, B or 1, U]."""
        if block.method == "mean":
            return self.levels[block.place, block.state].mean[:, np.newaxis]
        if block.method in PATCHES:
            return self.patches[block.method].recorded.signals[block.place][block.state]
        return np.zeros_like(self.state(block)[:, :1])


def held(here: Here, job: Job) -> Held:
    """The change of a pass."""
    block, window = job.block, job.window
    along = np.array([each.along for each in job.targets])
    value = here.made_of(block)[window.start : window.stop]
    shift, way = np.zeros(along.shape), SET
    if block.method == "add":
        way, names = ADD, [each.name for each in block.targets]
        shift = here.shift(block)[[names.index(each.name) for each in job.targets]]
    elif block.method == "freeze" and block.state in ("h", "c"):
        way = FREEZE
    elif block.method == "freeze":
        frozen = np.nan_to_num(here.just_before(block, window))
        value = np.broadcast_to(frozen, (window.timesteps, *frozen.shape))
    place = block.place, block.state, way
    return Held(*place, along, value, shift, window.start, window.stop)


Found = tuple[Sums, Ratio | None] | None
"""The sums over the sequences of a batch that a change is made in; None if there are none."""


def measured(passes: Passes, here: Here, job: Job) -> list[Found]:
    """The sums over a batch, for each target of a pass."""
    taking = here.taking(job.block, job.window)
    if not taking.any():
        return [None] * len(job.targets)
    whole = passes.changed(here.given, here.recorded.kept, held(here, job))
    size = len(taking)
    return [
        _sums(here, job.block, _part(whole, slice(n * size, (n + 1) * size)), taking, passes)
        for n in range(len(job.targets))
    ]


def _part(made: Made, rows: slice) -> Made:
    return Made([each[rows] for each in made.outputs], made.loss[rows], made.accuracy[rows])


def _sums(here: Here, block: Block, made: Made, taking: Truth, passes: Passes) -> Found:
    clean = here.recorded.made
    changes = made.loss - clean.loss, made.accuracy - clean.accuracy
    distance = made.distance(clean, here.given.batch.valid)
    values = np.stack([made.loss, made.accuracy, *changes, distance])[:, taking]
    sources = None if here.sources is None else here.sources[taking]
    reached = None
    if block.method in PATCHES and here.moved is not None:
        taking = taking & here.patches["patch"].there
        of = None if here.sources is None else here.sources[taking]
        steps = here.moved.patched(made.outputs[passes.scores.output])[taking]
        whole, signed = here.moved.whole[taking], here.moved.signed
        reached = ratios.ratio(steps, whole, of, here.count, signed=signed)
    return sums.summed(values, sources, here.count), reached


def estimated(here: Here, block: Block, gradient: Float) -> tuple[Float, NDArray[np.int64]]:
    """The estimated change of the loss, summed over a batch, and the sequences of it [W, K] each.

    Both are 0 of windows of several timesteps, but with method add.

    Args:
        here: the batch.
        block: W windows and K targets.
        gradient: of each sequence's loss with respect to the state [T, B, U].
    """
    shape = len(block.windows), len(block.targets)
    total, count = np.zeros(shape), np.zeros(shape, np.int64)
    if block.method == "add":
        every = np.moveaxis(gradient @ here.shift(block).T, 2, 0)
    else:
        wanted = here.before(block) if block.method == "freeze" else here.made_of(block)
        change = np.nan_to_num(wanted.astype(np.float64) - here.state(block))
        every = products(gradient, change, block.targets)
    for number, window in enumerate(block.windows):
        if window.timesteps > 1 and block.method != "add":
            continue
        taking = here.taking(block, window)
        part = every[:, window.start : window.stop, taking]
        total[number], count[number] = part.sum(axis=(1, 2)), taking.sum()
    return total, count
