"""Hold out some sequences of a split, or whole groups of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupShuffleSplit, train_test_split

from rnnscope.data.dataset import Split
from rnnscope.errors import UserError


def hold_out(
    split: Split, fraction: float, seed: int, option: str = "data.validation_fraction"
) -> tuple[Split, Split]:
    """Divide a split in two at random, stratified by class where sequences have classes.

    Where a class has too few sequences for that, it is not stratified. Where sequences have groups,
    whole groups are divided, and not stratified.

    Args:
        split: N sequences.
        fraction: share of N, or of the groups, in the second part; above 0.
        seed: of the random choice.
        option: that sets the fraction.
    """
    if split.groups is not None:
        return _hold_out_groups(split, split.groups, fraction, seed, option)
    index = np.arange(len(split))
    count = round(fraction * len(split))
    if not 0 < count < len(split):
        raise UserError(
            f"{option}={fraction:g}: this fraction of {len(split)} sequences leaves an empty "
            "split; choose another"
        )
    stratify = None
    if split.y is not None and not split.numeric and not split.per_timestep:
        _, counts = np.unique(split.y, return_counts=True)
        if counts.min() >= 2 and min(count, len(split) - count) >= len(counts):
            stratify = split.y
    kept, held = train_test_split(index, test_size=count, random_state=seed, stratify=stratify)
    return split.select(np.sort(kept)), split.select(np.sort(held))


def _hold_out_groups(
    split: Split, groups: NDArray[Any], fraction: float, seed: int, option: str
) -> tuple[Split, Split]:
    """Divide a split in two at random, by whole groups [N]."""
    count = len(np.unique(groups))
    held = round(fraction * count)
    if not 0 < held < count:
        raise UserError(
            f"{option}={fraction:g}: this fraction of {count} groups leaves an empty split; choose "
            "another"
        )
    divide = GroupShuffleSplit(1, test_size=held, random_state=seed)
    kept, apart = next(divide.split(groups, groups=groups))
    return split.select(np.sort(kept)), split.select(np.sort(apart))
