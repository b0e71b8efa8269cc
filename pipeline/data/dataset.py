"""What a data set is: sequences of one length or many, split into train, validation and test."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from pipeline.errors import UserError


@dataclass(frozen=True)
class Batch:
    """Sequences ready for a model."""

    x: NDArray[np.float32]
    """Inputs [B, T, F]; zero beyond a sequence's length."""
    y: NDArray[np.int32] | None
    """Classes [B]."""
    lengths: NDArray[np.int32] | None
    """Valid timesteps of each sequence [B]; None where all have T."""


@dataclass(frozen=True)
class Split:
    """N sequences, kept as they came: bytes stay bytes until a batch of them is asked for."""

    x: NDArray[np.float32] | NDArray[np.uint8]
    """Inputs [N, T, F]; uint8 values are pixels, scaled to [0, 1] on the way out."""
    y: NDArray[np.int32] | None = None
    """Classes [N], from 0."""
    lengths: NDArray[np.int32] | None = None
    """Valid timesteps [N], each from 1 to T; None where all sequences have T."""
    ids: NDArray[np.object_] | NDArray[np.int64] | None = None
    """The data's own names for the sequences [N], where it has them."""

    def __len__(self) -> int:
        return len(self.x)

    @property
    def timesteps(self) -> int:
        """T: the length of the longest sequence."""
        return int(self.x.shape[1])

    @property
    def features(self) -> int:
        """F."""
        return int(self.x.shape[2])

    def take(self, index: slice | NDArray[np.integer]) -> Batch:
        """The sequences at ``index`` [B], as a model takes them."""
        x = self.x[index].astype(np.float32)
        if self.x.dtype == np.uint8:
            x /= np.float32(255)
        y = None if self.y is None else self.y[index]
        lengths = None if self.lengths is None else self.lengths[index]
        if lengths is not None:
            x[np.arange(self.timesteps) >= lengths[:, np.newaxis]] = 0
        return Batch(x, y, lengths)

    def select(self, index: NDArray[np.integer]) -> "Split":
        """The split made of the sequences at ``index`` [N']."""
        arrays = (self.x, self.y, self.lengths, self.ids)
        return Split(*(None if array is None else array[index] for array in arrays))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Dataset:
    """The splits of a data set; only the test split is always there."""

    test: Split
    train: Split | None = None
    val: Split | None = None
    classes: tuple[str, ...] = ()
    """Names of the K classes; empty where the data has no labels."""

    @property
    def padded(self) -> bool:
        """Whether sequences differ in length, within a split or from one to another."""
        splits = [split for split in (self.test, self.train, self.val) if split is not None]
        return len({split.timesteps for split in splits}) > 1 or any(
            split.lengths is not None for split in splits
        )


def hold_out(split: Split, fraction: float, seed: int) -> tuple[Split, Split]:
    """Part a split in two at random, each class in proportion where that can be done.

    Args:
        split: N sequences.
        fraction: share of N in the second part; above 0.
        seed: of the choice.
    """
    index = np.arange(len(split))
    count = round(fraction * len(split))
    if not 0 < count < len(split):
        raise UserError(
            f"a fraction of {fraction:g} of {len(split)} sequences leaves an empty split: "
            "change data.validation_fraction or data.test_fraction"
        )
    stratify = None
    if split.y is not None:
        _, counts = np.unique(split.y, return_counts=True)
        if counts.min() >= 2 and min(count, len(split) - count) >= len(counts):
            stratify = split.y
    kept, held = train_test_split(index, test_size=count, random_state=seed, stratify=stratify)
    return split.select(np.sort(kept)), split.select(np.sort(held))
