"""From which other sequence a state is taken: the donor of each sequence."""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.integer]
NONE = -1
"""In the place of a donor, where there is none."""


def donors(
    groups: Numbers, lengths: Numbers, random: np.random.Generator, *, same: bool
) -> Numbers:
    """The number of a donor of each sequence [N], or NONE: at least as long, and another sequence.

    It is drawn evenly from all that fit, with replacement.

    Args:
        groups: the class of each sequence [N].
        lengths: its timesteps [N].
        random: draws.
        same: whether the donor is of the same class, and not of another.
    """
    found = np.full(len(groups), NONE, np.int64)
    order = np.argsort(-lengths, kind="stable")  # the longest first
    for group in np.unique(groups):
        of_group = groups[order] == group
        there = order[of_group if same else ~of_group]
        here = np.flatnonzero(groups == group)
        fit = np.searchsorted(-lengths[there], -lengths[here], side="right")
        if not same:
            some = fit > 0
            found[here[some]] = there[random.integers(0, fit[some])]
            continue
        place = np.empty(len(groups), np.int64)
        place[there] = np.arange(len(there))
        some = fit > 1
        # One of the others: those from its own place on move up by one.
        drawn = random.integers(0, fit[some] - 1)
        found[here[some]] = there[drawn + (drawn >= place[here[some]])]
    return found


def any_other(lengths: Numbers, random: np.random.Generator) -> Numbers:
    """The same where sequences have no classes: any other sequence that is at least as long."""
    return donors(np.zeros(len(lengths), np.int64), lengths, random, same=True)
