"""What a data set is: sequences of one length or many, split into train, validation and test."""

import mmap
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from pipeline.errors import UserError

Rows = Any
"""An array [N, ...], or what stands in for one that is too large for memory: it has shape, dtype,
len(), and [slice or index array], which reads those rows and no others."""

SCATTERED = 16
"""Rows of a memory map that are read from here and there at a time: around each, the system may
map 2 MB of the file."""


@dataclass(frozen=True)
class Batch:
    """Sequences ready for a model."""

    x: NDArray[Any]
    """Inputs [B, T, F] or [B, T], zero beyond a sequence's length: float32 (float64 where the data
    is), or where the data is whole numbers [B, T] those, as tokens."""
    y: NDArray[np.int32] | None
    """Classes [B]."""
    lengths: NDArray[np.int32] | None
    """Valid timesteps of each sequence [B]; None where all have T."""
    others: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Further inputs [B, ...], by the names that the model has for them."""
    name: str | None = None
    """The model's name for x; None where x is the one input that ``others`` leave."""

    def cut(self, part: slice) -> "Batch":
        """Some of the sequences."""
        return replace(
            self,
            x=self.x[part],
            y=None if self.y is None else self.y[part],
            lengths=None if self.lengths is None else self.lengths[part],
            others={name: values[part] for name, values in self.others.items()},
        )


@dataclass(frozen=True)
class Split:
    """N sequences, kept as they came: bytes and files stay so until a batch is asked for."""

    x: Rows
    """Inputs [N, T, F] or [N, T]; uint8 [N, T, F] are pixels, scaled to [0, 1] on the way out."""
    y: NDArray[np.int32] | None = None
    """Classes [N], from 0."""
    lengths: NDArray[np.int32] | None = None
    """Valid timesteps [N], each from 1 to T; None where all sequences have T."""
    ids: NDArray[np.object_] | NDArray[np.int64] | None = None
    """The data's own names for the sequences [N], where it has them."""
    others: dict[str, Rows] = field(default_factory=dict)
    """Further inputs [N, ...], by the names that the model has for them."""
    name: str | None = None
    """The model's name for x; None where x is the one input that ``others`` leave. With a name,
    lengths are those of all inputs of T timesteps; without, those of x alone."""

    def __len__(self) -> int:
        return len(self.x)

    @property
    def timesteps(self) -> int:
        """T: the length of the longest sequence."""
        return int(self.x.shape[1])

    @property
    def features(self) -> int:
        """F."""
        return int(self.x.shape[2]) if len(self.x.shape) == 3 else 1

    def take(self, index: slice | NDArray[np.integer]) -> Batch:
        """The sequences at ``index`` [B], as a model takes them; no others are read."""
        lengths = None if self.lengths is None else self.lengths[index]
        others = {name: _ready(values, index) for name, values in self.others.items()}
        batch = Batch(
            _ready(self.x, index),
            None if self.y is None else self.y[index],
            lengths,
            others,
            self.name,
        )
        if lengths is not None:
            padding = np.arange(self.timesteps) >= lengths[:, np.newaxis]
            batch.x[padding] = 0
            for values in others.values() if self.name is not None else ():
                if values.shape[1] == self.timesteps:
                    values[padding] = 0
        return batch

    def select(self, index: NDArray[np.integer]) -> "Split":
        """The split made of the sequences at ``index`` [N']; files stay unread."""
        return replace(
            self,
            x=_chosen(self.x, index),
            y=None if self.y is None else self.y[index],
            lengths=None if self.lengths is None else self.lengths[index],
            ids=None if self.ids is None else self.ids[index],
            others={name: _chosen(values, index) for name, values in self.others.items()},
        )


@dataclass(frozen=True)
class Chosen:
    """The rows ``index`` [N'] of rows that lie in a file."""

    source: Rows
    index: NDArray[np.integer]

    @property
    def shape(self) -> tuple[int, ...]:
        """[N', ...]."""
        return (len(self.index), *self.source.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values as they lie in the file."""
        return np.dtype(self.source.dtype)

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, index: slice | NDArray[np.integer]) -> NDArray[Any]:
        return read(self.source, self.index[index])


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


def read(rows: Rows, index: slice | NDArray[np.integer]) -> NDArray[Any]:
    """Some rows [B, ...]; a slice of an array is a view of it."""
    if isinstance(index, slice) or not isinstance(rows, np.memmap):
        values: NDArray[Any] = rows[index]
        return values
    values = np.empty((len(index), *rows.shape[1:]), rows.dtype)
    for start in range(0, len(index), SCATTERED):
        piece = slice(start, start + SCATTERED)
        values[piece] = rows[index[piece]]
        release(rows)
    return values


def release(rows: Rows) -> None:
    """Let go of what was read through a memory map; the system counts it as ours until then."""
    base: Any = rows.base if isinstance(rows, np.memmap) else None
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
        base.madvise(mmap.MADV_DONTNEED)


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


def _chosen(rows: Rows, index: NDArray[np.integer]) -> Rows:
    if isinstance(rows, Chosen):
        return Chosen(rows.source, rows.index[index])
    return rows[index] if type(rows) is np.ndarray else Chosen(rows, index)


def _ready(rows: Rows, index: slice | NDArray[np.integer]) -> NDArray[Any]:
    """A copy of some rows, in the type in which a model takes them."""
    values = read(rows, index)
    bytes_, whole = values.dtype == np.uint8, values.dtype.kind in "iub"
    if whole and values.ndim == 2:
        ready: NDArray[Any] = np.array(values, np.uint8 if bytes_ else np.int32)
    else:
        ready = np.array(values, np.float64 if values.dtype == np.float64 else np.float32)
        if bytes_:
            ready /= np.float32(255)
    release(rows)
    return ready
