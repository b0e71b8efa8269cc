"""What a data set is: sequences of one length or many, split into train, validation and test."""

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope.data.classes import Classes, only_occurring, places
from rnnscope.data.mapped import LazyArray, chosen, read, recoded, release


@dataclass(frozen=True)
class Batch:
    """Sequences ready for a model."""

    x: NDArray[Any]
    """Inputs [B, T, F], [B, T], or of further axes such as frames [B, T, H, W, C], zero beyond a
    sequence's length: float32, float64 if the data is, or whole numbers [B, T], which are
    tokens."""
    y: NDArray[Any] | None
    """Classes (int32) or numeric targets (float32) of the sequences [B] or of each timestep [B, T],
    or D numeric targets of each timestep [B, T, D]; those of timesteps are zero beyond a sequence's
    length."""
    lengths: NDArray[np.int32] | None
    """Valid timesteps of each sequence [B]; None where all have T."""
    others: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Further inputs [B, ...], by the names that the model has for them."""
    name: str | None = None
    """The model's name for x; None if x goes to the one input that is not in ``others``."""
    steps: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Annotations of single timesteps [B, T] by name: int32, or float32 with NaN where unknown.
    They are not given to the model."""
    other_lengths: dict[str, NDArray[np.int32]] = field(default_factory=dict)
    """Valid timesteps [B] of those further inputs that differ in length, which are zero beyond."""

    def lengths_of(self, name: str | None) -> NDArray[np.int32] | None:
        """Valid timesteps [B] of a further input, or of x for None; None where all have all."""
        return self.lengths if name is None else self.other_lengths.get(name)

    def timesteps_of(self, name: str | None) -> int:
        """T of a further input, or of x for None."""
        return int((self.x if name is None else self.others[name]).shape[1])

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Which timesteps are not padding [B, T]."""
        count, timesteps = self.x.shape[:2]
        if self.lengths is None:
            return np.ones((count, timesteps), bool)
        return np.asarray(np.arange(timesteps) < self.lengths[:, np.newaxis])

    def cut(self, part: slice | NDArray[np.integer]) -> "Batch":
        """Some of the sequences, or copies of them."""
        return replace(
            self,
            x=self.x[part],
            y=None if self.y is None else self.y[part],
            lengths=None if self.lengths is None else self.lengths[part],
            others={name: values[part] for name, values in self.others.items()},
            steps={name: values[part] for name, values in self.steps.items()},
            other_lengths={name: each[part] for name, each in self.other_lengths.items()},
        )


@dataclass(frozen=True)
class Split:
    """N sequences in the form of the data; they are read and converted batch by batch."""

    x: LazyArray
    """Inputs [N, T, F], [N, T], or of further axes such as frames [N, T, H, W, C]; uint8 of three
    axes or more are pixels, which batches scale to [0, 1]."""
    y: LazyArray | None = None
    """Labels or targets of the sequences [N] or of each timestep [N, T]: whole numbers are classes
    from 0, floats are numeric targets, of which a timestep may have D [N, T, D]. Values beyond a
    sequence's length are ignored."""
    lengths: NDArray[np.int32] | None = None
    """Valid timesteps [N], each from 1 to T; None where all sequences have T."""
    ids: NDArray[np.object_] | NDArray[np.int64] | None = None
    """The data's own names for the sequences [N], where it has them."""
    others: dict[str, LazyArray] = field(default_factory=dict)
    """Further inputs [N, ...], by the names that the model has for them."""
    name: str | None = None
    """The model's name for x; None if x goes to the one input that is not in ``others``."""
    steps: dict[str, LazyArray] = field(default_factory=dict)
    """Annotations of single timesteps [N, T] by name; NaN where unknown."""
    other_lengths: dict[str, NDArray[np.int32]] = field(default_factory=dict)
    """Valid timesteps [N] of those further inputs that differ in length."""
    groups: NDArray[Any] | None = None
    """Group of each sequence [N], whole numbers or text; sequences of one group share a source."""

    def __len__(self) -> int:
        return len(self.x)

    @property
    def timesteps(self) -> int:
        """T: the length of the longest sequence."""
        return int(self.x.shape[1])

    @property
    def features(self) -> int:
        """F: how many values a timestep has."""
        return math.prod(self.x.shape[2:])

    @property
    def numeric(self) -> bool:
        """Whether y holds numeric targets."""
        return self.y is not None and self.y.dtype.kind == "f"

    @property
    def per_timestep(self) -> bool:
        """Whether y belongs to single timesteps."""
        return self.y is not None and len(self.y.shape) > 1

    @property
    def targets(self) -> int:
        """D: how many numeric targets a sequence or a timestep has; 0 without any."""
        if self.y is None or not self.numeric:
            return 0
        return int(self.y.shape[2]) if len(self.y.shape) == 3 else 1

    @property
    def labels(self) -> str | None:
        """What y holds, in words: class, number or vector, per sequence or per timestep."""
        if self.y is None:
            return None
        what = "number" if self.numeric else "class"
        if self.targets > 1:
            what = f"vector of {self.targets:,} numbers"
        return f"{what} per {'timestep' if self.per_timestep else 'sequence'}"

    def take(self, index: slice | NDArray[np.integer]) -> Batch:
        """The sequences at ``index`` [B], in the types that models take; no others are read."""
        batch = Batch(
            _ready(self.x, index),
            None if self.y is None else _known(self.y, index),
            None if self.lengths is None else self.lengths[index],
            {name: _ready(values, index) for name, values in self.others.items()},
            self.name,
            {name: _known(values, index) for name, values in self.steps.items()},
            {name: lengths[index] for name, lengths in self.other_lengths.items()},
        )
        of_timesteps = [batch.x, *batch.steps.values()]
        if batch.y is not None and self.per_timestep:
            of_timesteps.append(batch.y)
        for values in of_timesteps:
            _clear(values, batch.lengths)
        for name, lengths in batch.other_lengths.items():
            _clear(batch.others[name], lengths)
        return batch

    def select(self, index: NDArray[np.integer]) -> "Split":
        """The split of the sequences at ``index`` [N']; files are not read yet."""
        return replace(
            self,
            x=chosen(self.x, index),
            y=None if self.y is None else chosen(self.y, index),
            lengths=None if self.lengths is None else self.lengths[index],
            ids=None if self.ids is None else self.ids[index],
            others={name: chosen(values, index) for name, values in self.others.items()},
            steps={name: chosen(values, index) for name, values in self.steps.items()},
            other_lengths={name: each[index] for name, each in self.other_lengths.items()},
            groups=None if self.groups is None else self.groups[index],
        )


@dataclass(frozen=True)
class Dataset:
    """The splits of a data set, of which only test is required."""

    test: Split
    train: Split | None = None
    val: Split | None = None
    classes: tuple[str, ...] = ()
    """Names of the K classes; empty where the data has no labels, or numbers."""
    occurring: tuple[int, ...] = ()
    """Where the data's labels are whole numbers: each of them once, rising."""
    columns: int = 0
    """Where they are one-hot, for a model that was trained elsewhere: of how many columns."""
    symbols: tuple[str, ...] = ()
    """Where x is one-hot, of symbols such as characters: what each of its features stands for."""

    @property
    def counted(self) -> bool:
        """Whether the names of the classes are their numbers, 0 to K - 1."""
        return Classes(self.classes).counted

    def as_outputs(self, k: int) -> "Dataset":
        """The data set with its classes numbered as the K outputs of a model, where that fits."""
        return self._numbered(
            places(Classes(self.classes, self.occurring, self.columns), k), self.columns
        )

    def as_trained(self) -> "Dataset":
        """The data set for a model that is trained on it: with only the classes that occur."""
        return self._numbered(only_occurring(Classes(self.classes, self.occurring)), 0)

    def _numbered(self, new: Classes, columns: int) -> "Dataset":
        """The data set with other numbers of its classes, and other ``columns``."""
        old = Classes(self.classes, self.occurring)
        if old.names == new.names:
            return self if columns == self.columns else replace(self, columns=columns)

        def renumbered(split: Split | None) -> Split | None:
            if split is None or split.y is None:
                return split
            y = recoded(
                split.y, lambda y: new.numbers(old.labels(y)), tuple(split.y.shape), np.int32
            )
            return replace(split, y=y)

        test = renumbered(self.test)
        assert test is not None
        train, val = renumbered(self.train), renumbered(self.val)
        named = replace(self, classes=new.names, occurring=new.occurring, columns=columns)
        return replace(named, test=test, train=train, val=val)

    @property
    def labelled(self) -> Split | None:
        """A split with labels or targets, whose kind all splits share; None if no split has any."""
        splits = (self.test, self.train, self.val)
        return next((split for split in splits if split is not None and split.y is not None), None)

    @property
    def padded(self) -> bool:
        """Whether sequences differ in length, within a split or from one to another."""
        splits = [split for split in (self.test, self.train, self.val) if split is not None]
        return len({split.timesteps for split in splits}) > 1 or any(
            split.lengths is not None or split.other_lengths for split in splits
        )


def _clear(values: NDArray[Any], lengths: NDArray[np.int32] | None) -> None:
    """Set values [B, T, ...] beyond the lengths [B] to 0."""
    if lengths is not None:
        values[np.arange(values.shape[1]) >= lengths[:, np.newaxis]] = 0


def _ready(rows: LazyArray, index: slice | NDArray[np.integer]) -> NDArray[Any]:
    """A copy of some rows, in the type that models take."""
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


def _known(rows: LazyArray, index: slice | NDArray[np.integer]) -> NDArray[Any]:
    """A copy of some labels, targets or annotations, whose padding may hold any value."""
    values = read(rows, index)
    with np.errstate(over="ignore"):
        ready: NDArray[Any] = np.array(values, np.float32 if values.dtype.kind == "f" else np.int32)
    release(rows)
    return ready
