"""Hold out some sequences of a split, or whole groups of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupShuffleSplit, train_test_split

from rnnscope.data.dataset import Split
from rnnscope.errors import UserError

VALIDATION = "data.validation_fraction"


def hold_out(
    split: Split, fraction: float, seed: int, option: str = VALIDATION
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
    count = held(len(split), fraction, option=option)
    stratify = None
    if split.y is not None and not split.numeric and not split.per_timestep:
        _, counts = np.unique(split.y, return_counts=True)
        if counts.min() >= 2 and min(count, len(split) - count) >= len(counts):
            stratify = split.y
    kept, apart = train_test_split(index, test_size=count, random_state=seed, stratify=stratify)
    return split.select(np.sort(kept)), split.select(np.sort(apart))


def held(count: int, fraction: float, *, of: str = "sequences", option: str = VALIDATION) -> int:
    """How many of so many are held out.

    Args:
        count: of all.
        fraction: of them that is held out.
        of: what they are.
        option: that sets the fraction.

    Raises:
        UserError: none would be held out, or all.
    """
    found = round(fraction * count)
    if not 0 < found < count:
        raise UserError(
            f"{option}={fraction:g}: this fraction of {count} {of} leaves an empty split; choose "
            "another"
        )
    return found


def _hold_out_groups(
    split: Split, groups: NDArray[Any], fraction: float, seed: int, option: str
) -> tuple[Split, Split]:
    """Divide a split in two at random, by whole groups [N]."""
    count = held(len(np.unique(groups)), fraction, of="groups", option=option)
    divide = GroupShuffleSplit(1, test_size=count, random_state=seed)
    kept, apart = next(divide.split(groups, groups=groups))
    return split.select(np.sort(kept)), split.select(np.sort(apart))
