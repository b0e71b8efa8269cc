"""Which sequences a probe is fitted to and scored on, and their labels shuffled."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold


def deal(
    lengths: NDArray[np.integer],
    labels: NDArray[np.integer] | None,
    sources: NDArray[np.integer],
    folds: int,
    random: np.random.Generator,
) -> NDArray[np.intp]:
    """A fold for each sequence [N]; all sequences of one source get the same.

    Where each sequence is a source of its own, they are dealt to the folds in turn, class by class,
    from the shortest to the longest. So the folds hold equally many sequences of each class, and of
    those that reach any one timestep, give or take one. Larger sources are dealt whole, such that
    the folds have about the same shares of the classes.

    Args:
        lengths: of the sequences [N].
        labels: their classes [N], or None.
        sources: numbers of their sources [N].
        folds: F, how many.
        random: of the draws.
    """
    strata = np.zeros(len(lengths), np.intp) if labels is None else labels
    if len(np.unique(sources)) < len(sources):
        return _whole_sources(strata, sources, folds, random)
    order = np.lexsort((random.random(len(lengths)), lengths, strata))
    fold = np.empty(len(order), np.intp)
    fold[order] = np.arange(len(order)) % folds
    return fold


def _whole_sources(
    strata: NDArray[np.integer],
    sources: NDArray[np.integer],
    folds: int,
    random: np.random.Generator,
) -> NDArray[np.intp]:
    """A fold for each sequence [N], of its source; all 0 where there are fewer sources."""
    fold = np.zeros(len(sources), np.intp)
    if len(np.unique(sources)) < folds:
        return fold
    kinds, kind, counts = np.unique(strata, return_inverse=True, return_counts=True)
    # A class of fewer sequences than folds cannot have its share in each.
    kind = np.where(counts[kind] < folds, counts.argmax(), kind)
    if len(kinds) > 1 and counts.max() < folds:
        kind = np.zeros_like(kind)
    dealer = StratifiedGroupKFold(folds, shuffle=True, random_state=int(random.integers(2**31)))
    for number, (_, test) in enumerate(dealer.split(kind, kind, sources)):
        fold[test] = number
    return fold


def readable(
    y: NDArray[Any], step: NDArray[np.intp], fold: NDArray[np.intp], folds: int
) -> NDArray[np.bool_]:
    """Which of R rows a probe can be fitted to and scored on [R].

    A class that occurs in a single fold is unknown to the probe that is scored on that fold: it is
    left out at that timestep. A timestep needs two rows in every fold, and two values of y.
    """
    rows = pd.DataFrame({"y": y, "step": step, "fold": fold})
    taken = rows["y"].notna()
    if y.dtype.kind != "f":
        taken = rows.groupby(["step", "y"])["fold"].transform("nunique") > 1
    left = rows[taken]
    counts = pd.crosstab(left["step"], left["fold"])
    enough = (counts >= 2).sum(axis=1) == folds
    values = left.groupby("step")["y"]
    differ = values.max() > values.min()
    return (taken & rows["step"].isin(counts.index[enough & differ])).to_numpy()


def shuffled(
    y: NDArray[Any],
    fold: NDArray[np.intp],
    source: NDArray[np.integer],
    random: np.random.Generator,
) -> NDArray[Any]:
    """y [R] of the sequences at one timestep, shuffled within each fold.

    Where all sequences of any one source have the same y, sources exchange theirs: sequences that
    share their y for another reason than their states are no evidence of their own. A probe of the
    result can learn no more than the shares of the classes, which stay the same in every fold.
    """
    _, first, of = np.unique(source, return_index=True, return_inverse=True)
    if (y != y[first][of]).any():
        first = of = np.arange(len(y))
    own, at = y[first], fold[first]
    moved = np.empty_like(own)
    moved[np.argsort(at, kind="stable")] = own[np.lexsort((random.random(len(own)), at))]
    return moved[of]
