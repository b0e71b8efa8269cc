"""From which other sequence a state is taken: the donor of each sequence."""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.integer]
NONE = -1
"""In the place of a donor, where there is none."""


def donors(
    groups: Numbers,
    lengths: Numbers,
    random: np.random.Generator,
    *,
    same: bool,
    sources: Numbers | None = None,
) -> Numbers:
    """The number of a donor of each sequence [N], or NONE: at least as long, and another sequence.

    It is drawn evenly from all that fit, with replacement; from those of the sequence's own source
    only where no other fits.

    Args:
        groups: the class of each sequence [N].
        lengths: its timesteps [N].
        random: draws.
        same: whether the donor is of the same class, and not of another.
        sources: the number of each one's source, from 0 [N]; None if each is one of its own.
    """
    found = np.full(len(groups), NONE, np.int64)
    order = np.argsort(-lengths, kind="stable")  # the longest first
    for group in np.unique(groups):
        of_group = groups[order] == group
        there = order[of_group if same else ~of_group]
        here = np.flatnonzero(groups == group)
        fit = np.searchsorted(-lengths[there], -lengths[here], side="right")
        for apart in (np.arange(len(groups)), sources):
            if apart is not None:
                drawn = _drawn(apart[there], apart[here], fit, random)
                some = drawn != NONE
                found[here[some]] = there[drawn[some]]
    return found


def _drawn(there: Numbers, here: Numbers, fit: Numbers, random: np.random.Generator) -> Numbers:
    """For each of H sequences the place of one of those that fit, not of its own kind; or NONE.

    Args:
        there: the kind of each that may be drawn, from 0 [D].
        here: the kind of each that one is drawn for [H].
        fit: how many of ``there`` fit, the first ones [H].
        random: draws.
    """
    places = np.argsort(there, kind="stable")  # of each kind, in their order
    kinds, span = there[places].astype(np.int64), len(there) + 1
    first = np.searchsorted(kinds, here)
    own = np.searchsorted(kinds * span + places, here * span + fit) - first  # that fit
    some = fit > own
    found = np.full(len(here), NONE, np.int64)
    number = random.integers(0, (fit - own)[some])
    # The n-th that is not of the kind is as many places on as places of the kind come before it.
    rank = np.arange(len(kinds)) - np.searchsorted(kinds, kinds)
    before = np.searchsorted(kinds * span + places - rank, here[some] * span + number, side="right")
    found[some] = number + before - first[some]
    return found


def any_other(
    lengths: Numbers, random: np.random.Generator, sources: Numbers | None = None
) -> Numbers:
    """The same where sequences have no classes: any other sequence that is at least as long."""
    same_class = np.zeros(len(lengths), np.int64)
    return donors(same_class, lengths, random, same=True, sources=sources)
