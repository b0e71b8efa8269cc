"""The batches of sequences with their donors, ready for their changes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from rnnscope import models
from rnnscope.analysis.ablation.rerun import Given, given_batches
from rnnscope.analysis.intervention import donors, levels, recovery
from rnnscope.analysis.intervention.levels import Levels
from rnnscope.analysis.intervention.measuring import Here, Patches
from rnnscope.analysis.intervention.passes import Passes, Recorded
from rnnscope.analysis.intervention.recovery import Moved
from rnnscope.analysis.intervention.targets import Target
from rnnscope.config import Intervention
from rnnscope.data import Split
from rnnscope.data.mapped import read

Numbers = NDArray[np.integer]
AllLevels = dict[tuple[str, str], Levels]
"""By place and state."""


@dataclass(frozen=True)
class Gathering:
    """The sequences that a stage passes."""

    passes: Passes
    options: Intervention
    count: int
    """N: the first so many of the test split."""
    donors: Mapping[str, Numbers]
    """By method, of ``plan.PATCHES``, the number of each sequence's donor [N], or ``NONE``."""
    sources: Numbers | None
    """The number of each sequence's source [N]; None if each is one of its own."""

    @property
    def split(self) -> Split:
        """The test split."""
        return self.passes.dataset.test

    def batches(self) -> Iterator[tuple[int, Given]]:
        """The sequences batch by batch, with the number of the first."""
        start = 0
        for given in given_batches(
            self.passes.model, self.split, self.count, self.options.batch_size
        ):
            yield start, given
            start += len(given.batch.x)

    def levels(
        self, targets: Mapping[tuple[str, str], Sequence[Target]]
    ) -> tuple[AllLevels, Numbers]:
        """The means and deviations of every state, and the timesteps read of each sequence [N].

        Of several places the timesteps are added up, so that a layer that reads all of them hides
        none that another leaves out.

        Args:
            targets: by place and state.
        """
        adds = "add" in self.options.methods
        found: AllLevels = {}
        timesteps = np.zeros(self.count, np.int64)
        for start, given in self.batches():
            recorded = self.passes.recorded(given)
            for place, signals in recorded.signals.items():
                valid = recorded.valid[place]
                timesteps[start : start + len(valid)] += valid.sum(axis=1)
                if not valid.any():
                    continue
                for state, values in signals.items():
                    key = place, state
                    more = levels.levels(values, valid, targets[key] if adds else ())
                    found[key] = levels.merge(found[key], more) if key in found else more
        return found, timesteps

    def here(self, every: AllLevels) -> Iterator[Here]:
        """The batches, with what their changes are made of."""
        backwards = {
            name: bool(place.layer.go_backwards) for name, place in self.passes.places.items()
        }
        groups = 0 if self.sources is None else int(self.sources.max()) + 1
        for start, given in self.batches():
            rows = slice(start, start + len(given.batch.x))
            recorded = self.passes.recorded(given)
            patches = {name: self._patches(each[rows], start) for name, each in self.donors.items()}
            yield Here(
                given=given,
                recorded=recorded,
                patches=patches,
                moved=self._moved(given, recorded, patches),
                levels=every,
                add=self.options.add,
                integrate=self.options.integrate,
                classes=self.split.y is not None and not self.split.numeric,
                backwards=backwards,
                sources=None if self.sources is None else self.sources[rows],
                count=groups,
            )

    def _patches(self, numbers: Numbers, start: int) -> Patches:
        """The donors of a batch, whose first sequence has this number."""
        there = numbers != donors.NONE
        own = np.arange(start, start + len(numbers))
        taken = np.where(there, numbers, own)
        batch = self.split.take(taken)
        fed = tf.nest.map_structure(tf.constant, models.inputs(self.passes.model, batch))
        return Patches(there, self.passes.recorded(Given(fed, batch, taken)), batch.y)

    def _moved(
        self, given: Given, recorded: Recorded, patches: Mapping[str, Patches]
    ) -> Moved | None:
        """What recovery is computed from; None without donors, or where nothing can be said."""
        if "patch" not in patches or self.split.per_timestep:
            return None
        scores, other = self.passes.scores, patches["patch"]
        clean, donor = (each.made.outputs[scores.output] for each in (recorded, other.recorded))
        y, of_donor = given.batch.y, other.y
        classes = None
        if y is not None and of_donor is not None and not self.split.numeric:
            classes = y, of_donor
        return recovery.moved(clean, donor, scores.kind, classes)


def donors_of(
    options: Intervention, split: Split, count: int, timesteps: Numbers | None = None
) -> dict[str, Numbers]:
    """The donors of the first ``count`` sequences, by method, where possible of another source.

    Where sequences have no classes, a donor of method patch is any other, and there is no control.

    Args:
        options: the methods, and the seed of the draw.
        split: the sequences.
        count: N.
        timesteps: how many layers read of each [N], which tells how long it is where the split has
            no lengths and a mask of the model's own leaves padding out; None if they read all.
    """
    if "patch" not in options.methods:
        return {}
    random = np.random.default_rng(options.seed)
    lengths = np.zeros(count, np.int64) if timesteps is None else timesteps
    if split.lengths is not None:
        lengths = split.lengths[:count]
    sources = None
    if split.groups is not None:
        sources = np.unique(split.groups[:count], return_inverse=True)[1]
    if split.y is None or split.numeric or split.per_timestep:
        return {"patch": donors.any_other(lengths, random, sources)}
    classes = np.asarray(read(split.y, slice(0, count)))
    return {
        name: donors.donors(classes, lengths, random, same=same, sources=sources)
        for name, same in (("patch", False), ("patch_same", True))
    }
