"""Names of sequences that stand in two splits: one sequence in both, or numbers that start anew."""

import logging
import re
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.data.dataset import Split
from rnnscope.errors import UserError, brief

log = logging.getLogger(__name__)

NUMBERED = re.compile(r"(.*?)(\d+)", re.DOTALL)
"""A name that counts: a text, and a whole number behind it."""
PAIRS = (("train", "test"), ("train", "val"), ("val", "test"))
REMEDY = (
    "if it is one sequence, keep all its rows in one split; if these are different sequences, give "
    "them different names"
)


def refuse_shared(
    ids: dict[str, NDArray[Any]], at: str, *, first: "dict[str, NDArray[Any]] | None" = None
) -> None:
    """Raise where a sequence is in two splits, or cut between them.

    Names that count 0, 1, 2, … or s1, s2, s3, … in both of two splits start anew in each: they are
    of different sequences, which the log says; unless the timesteps tell that sequences go on.

    Args:
        ids: the names of each split's sequences.
        at: what to call the data in an error.
        first: the first timestep of each of these sequences.
    """
    for one, other in PAIRS:
        if one not in ids or other not in ids:
            continue
        shared = pd.Index(ids[one]).intersection(pd.Index(ids[other]))
        if not len(shared):
            continue
        name = brief(shared[0])
        both = f"{at}: sequence {name} is in {one} and in {other}"
        beside = [ids["val"]] if {one, other} == {"train", "test"} and "val" in ids else []
        if not _counts(ids[other], *beside) and not _counts(ids[other]):
            raise UserError(f"{both}: {REMEDY}")
        if not _counts(ids[one], *beside) and not _counts(ids[one]):
            raise UserError(f"{both}: {REMEDY}")
        if first is not None:
            begin = [pd.Series(first[part], ids[part]).loc[shared] for part in (one, other)]
            moved = np.flatnonzero(begin[0].to_numpy() != begin[1].to_numpy())
            if len(moved):
                raise UserError(
                    f"{at}: sequence {brief(shared[moved[0]])} begins at timestep "
                    f"{brief(begin[0].iloc[moved[0]])} in {one} and at "
                    f"{brief(begin[1].iloc[moved[0]])} in {other}: {REMEDY}"
                )
        log.info(
            f"{'':<10} sequences are numbered anew in {other}: {len(shared):,} of its names are "
            f"in {one} too, and are taken as other sequences"
        )


def _counts(*ids: NDArray[Any]) -> bool:
    """Whether names count all sequences from 0 or 1: numbers, alone or behind one text."""
    found = [NUMBERED.fullmatch(str(name)) for each in ids for name in each]
    if not all(found) or len({each[1] for each in found if each}) > 1:
        return False
    numbers = np.unique([float(each[2]) for each in found if each])
    return bool(numbers[0] in (0, 1) and numbers[-1] - numbers[0] + 1 == len(numbers))


def refuse_same(splits: dict[str, Split], at: str) -> None:
    """Raise where all sequences of one name in two splits are the same in all their values.

    Args:
        splits: with their ``ids``, in memory.
        at: what to call the data in an error.
    """
    for one, other in PAIRS:
        if one not in splits or other not in splits:
            continue
        first, second = splits[one], splits[other]
        if first.ids is None or second.ids is None:
            continue
        _, left, right = np.intersect1d(
            first.ids.astype(str), second.ids.astype(str), return_indices=True
        )
        if len(left) and _same(first, left, second, right):
            raise UserError(
                f"{at}: sequence {brief(first.ids[left[0]])} in {one} is the same in {other}, and "
                "so are all others of one name: a test set has other sequences than training"
            )


def _same(one: Split, left: NDArray[np.intp], other: Split, right: NDArray[np.intp]) -> bool:
    """Whether the sequences at ``left`` are those at ``right``."""
    lengths = [
        np.full(len(at), split.timesteps) if split.lengths is None else split.lengths[at]
        for split, at in ((one, left), (other, right))
    ]
    if (lengths[0] != lengths[1]).any():
        return False
    steps = int(lengths[0].max())
    for start in range(0, len(left), 1000):
        rows = slice(start, start + 1000)
        x = one.x[left[rows]][:, :steps], other.x[right[rows]][:, :steps]
        if not np.array_equal(*x, equal_nan=x[0].dtype.kind == "f"):
            return False
    return True
