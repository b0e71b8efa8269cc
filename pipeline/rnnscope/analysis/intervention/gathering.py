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

    def levels(self, targets: Mapping[tuple[str, str], Sequence[Target]]) -> AllLevels:
        """The means and deviations of every state, by place and state.

        Args:
            targets: by place and state.
        """
        adds = "add" in self.options.methods
        found: AllLevels = {}
        for _, given in self.batches():
            recorded = self.passes.recorded(given)
            for place, signals in recorded.signals.items():
                valid = recorded.valid[place]
                if not valid.any():
                    continue
                for state, values in signals.items():
                    key = place, state
                    more = levels.levels(values, valid, targets[key] if adds else ())
                    found[key] = levels.merge(found[key], more) if key in found else more
        return found

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
                given,
                recorded,
                patches,
                self._moved(given, recorded, patches),
                every,
                self.options.add,
                self.options.integrate,
                self.split.y is not None and not self.split.numeric,
                backwards,
                None if self.sources is None else self.sources[rows],
                groups,
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


def donors_of(options: Intervention, split: Split, count: int) -> dict[str, Numbers]:
    """The donors of the first ``count`` sequences, by method.

    Where sequences have no classes, a donor of method patch is any other, and there is no control.
    """
    if "patch" not in options.methods:
        return {}
    random = np.random.default_rng(options.seed)
    lengths = np.full(count, split.timesteps) if split.lengths is None else split.lengths[:count]
    if split.y is None or split.numeric or split.per_timestep:
        return {"patch": donors.any_other(lengths, random)}
    classes = np.asarray(read(split.y, slice(0, count)))
    return {
        "patch": donors.donors(classes, lengths, random, same=False),
        "patch_same": donors.donors(classes, lengths, random, same=True),
    }
