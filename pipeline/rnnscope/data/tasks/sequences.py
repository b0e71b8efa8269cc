"""Generated sequences as a data set: kept in memory where they are small, else made when read."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnscope.config import Generated
from rnnscope.data.dataset import Dataset, Split
from rnnscope.data.holding import held
from rnnscope.data.mapped import LazyArray
from rnnscope.data.tasks.numbers import uniform

Float = NDArray[np.float64]

TRAIN, TEST, VALIDATION = 0, 1, 2
"""Numbers of the splits: each has random numbers to itself, so that the size of one changes no
other."""
KEPT = 2**26
"""Bytes up to which all sequences of a split are made at once and kept."""
AT_ONCE = 2**22
"""Random numbers that are drawn at a time to find lengths."""


@dataclass(frozen=True)
class Made:
    """B sequences of a task."""

    x: NDArray[Any]
    """[B, T, F]"""
    y: NDArray[Any]
    """[B], [B, T] or [B, T, D], as in ``Split``."""
    steps: dict[str, NDArray[Any]]
    """Annotations [B, T] by name."""


@dataclass(frozen=True)
class Recipe:
    """How the sequences of a task are made."""

    draws: int
    """Random numbers that a sequence takes."""
    make: Callable[[Float], Made]
    """From the numbers of B sequences [B, draws], evenly from (0, 1)."""
    lengths: Callable[[Float], NDArray[np.int32]] | None = None
    """From the same the valid timesteps [B]; None where all have T."""


@dataclass(frozen=True)
class Sequences:
    """The sequences of one split, of which any can be made."""

    recipe: Recipe
    seed: int
    split: int
    newest: threading.local = field(default_factory=threading.local)
    """What a thread made last: the arrays of a batch are read one after the other."""

    def made(self, numbers: NDArray[np.integer]) -> Made:
        """The sequences of these numbers [B]."""
        newest: tuple[NDArray[np.integer], Made] | None = getattr(self.newest, "made", None)
        if newest is not None and np.array_equal(newest[0], numbers):
            return newest[1]
        made = self.recipe.make(self.drawn(numbers))
        self.newest.made = np.array(numbers), made
        return made

    def drawn(self, numbers: NDArray[np.integer]) -> Float:
        """The random numbers of these sequences [B, draws]."""
        return uniform(self.seed, self.split, numbers, self.recipe.draws)

    def lengths(self, count: int) -> NDArray[np.int32] | None:
        """Valid timesteps of the first so many [N]; None where all have T."""
        if self.recipe.lengths is None:
            return None
        found = np.empty(count, np.int32)
        size = max(1, AT_ONCE // self.recipe.draws)
        for start in range(0, count, size):
            numbers = np.arange(start, min(start + size, count))
            found[numbers] = self.recipe.lengths(self.drawn(numbers))
        return found


@dataclass(frozen=True)
class Drawn:
    """One array of generated sequences [N, ...], whose rows are made when they are read."""

    rows: Callable[[NDArray[np.integer]], NDArray[Any]]
    """From numbers of sequences [B]."""
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: slice | NDArray[np.integer]) -> NDArray[Any]:
        return self.rows(
            np.arange(*index.indices(len(self))) if isinstance(index, slice) else index
        )


def split_of(recipe: Recipe, seed: int, split: int, count: int) -> Split:
    """A split of so many sequences.

    Args:
        recipe: how they are made.
        seed: of their random numbers.
        split: number of the split.
        count: N.
    """
    sequences = Sequences(recipe, seed, split)
    one = sequences.made(np.arange(1))
    small = count * sum(each.nbytes for each in (one.x, one.y, *one.steps.values())) <= KEPT

    def array(get: Callable[[Made], NDArray[Any]]) -> LazyArray:
        values = get(one)
        shape = (count, *values.shape[1:])
        made = Drawn(lambda numbers: get(sequences.made(numbers)), shape, values.dtype)
        return made[:] if small else made

    def step(name: str) -> LazyArray:
        return array(lambda made: made.steps[name])

    return Split(
        array(lambda made: made.x),
        array(lambda made: made.y),
        sequences.lengths(count),
        steps={name: step(name) for name in one.steps},
    )


def dataset_of(
    options: Generated,
    train: Recipe,
    test: Recipe | None = None,
    *,
    classes: tuple[str, ...] = (),
    symbols: tuple[str, ...] = (),
) -> Dataset:
    """The splits of a task.

    Args:
        options: how many sequences, and the seed.
        train: how training and validation sequences are made.
        test: how those of the test split are made, if otherwise.
        classes: as in ``Dataset``.
        symbols: likewise.
    """
    seed, count, val = options.split_seed, options.sequences, None
    if options.validation_fraction:
        apart = held(count, options.validation_fraction)
        count, val = count - apart, split_of(train, seed, VALIDATION, apart)
    known = split_of(train, seed, TRAIN, count)
    tested = split_of(test or train, seed, TEST, options.test_sequences)
    return Dataset(tested, known, val, classes, symbols=symbols)


def one_hot(codes: NDArray[np.integer], count: int) -> NDArray[np.int8]:
    """Codes [...] as vectors [..., count] with a 1 in their place; all 0 of a code below 0."""
    return (codes[..., np.newaxis] == np.arange(count)).astype(np.int8)


def named(values: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """The features [B, T, F] as annotations: value of a single one, else value_0, value_1, …."""
    features = values.shape[2]
    names = ["value"] if features == 1 else [f"value_{number}" for number in range(features)]
    return {name: values[..., number] for number, name in enumerate(names)}


def targets(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Numeric targets of timesteps [B, T, D]; of a single one [B, T]."""
    return values[..., 0] if values.shape[2] == 1 else values
