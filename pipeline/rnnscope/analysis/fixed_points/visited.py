"""The states of a layer that the network visited, as stage extract recorded them, read in parts.

Rows are those of the first sequences, in order of sequence and timestep, so that what is drawn from
them does not depend on how they were cut into parts.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnscope import states
from rnnscope.analysis.fixed_points.by_class import Sums
from rnnscope.states import RowKeys, Signal

Float = NDArray[np.float64]

AT_ONCE = 200
"""Points that are held against all states of a part at a time."""


@dataclass(frozen=True)
class Visited:
    """The recorded states of one layer, of all its state tensors behind each other: S numbers."""

    signals: tuple[Signal, ...]
    """h, or h and c."""
    sequences: int
    """Rows of sequences from this number on are left out."""
    of_timesteps: bool = False
    """Whether classes, if rows have any, are those of timesteps and not of whole sequences."""

    @property
    def labelled(self) -> bool:
        """Whether its rows have classes."""
        return self.signals[0].labelled

    def row_keys(self) -> Iterator[RowKeys]:
        """The keys of the rows, part by part."""
        for rows, _ in self.signals[0].read([]):
            here = rows.sequence < self.sequences
            if here.any():
                yield _cut(rows, here)
            if not here.all():
                return  # of parts in their order, no later one has any

    def read(self) -> Iterator[tuple[RowKeys, NDArray[np.bool_], Float]]:
        """Part by part the keys of r rows, which of them are final steps, and the states [r, S]."""
        for parts in zip(*(signal.read() for signal in self.signals), strict=True):
            rows = parts[0][0]
            here = rows.sequence < self.sequences
            if here.any():
                values = np.concatenate([values[:, here] for _, values in parts])
                yield _cut(rows, here), rows.final[here], values.T.astype(np.float64)
            if not here.all():
                return


def _cut(rows: RowKeys, here: NDArray[np.bool_]) -> RowKeys:
    label = None if rows.label is None else rows.label[here]
    return replace(rows, sequence=rows.sequence[here], timestep=rows.timestep[here], label=label)


@dataclass(frozen=True)
class ClassMeans:
    """The mean states of K classes: at the final step, of classes of timesteps at all of these."""

    label: NDArray[np.int32]
    """[K], those that occur, rising."""
    mean: Float
    """[K, S]"""


def drawn(visited: Visited, count: int, noise: float, seed: int) -> tuple[Float, ClassMeans | None]:
    """States drawn at random without replacement [n, S], with noise; and the means of classes.

    Args:
        visited: the states of a layer.
        count: how many are drawn; all if there are fewer.
        noise: the standard deviation of normal noise that is added, in standard deviations of each
            number over the drawn states.
        seed: of both.
    """
    total = sum(len(rows.sequence) for rows in visited.row_keys())
    random = np.random.default_rng(seed)
    chosen = np.sort(random.choice(total, min(count, total), replace=False))
    found, sums, start = [], Sums(), 0
    for rows, final, values in visited.read():
        stop = start + len(values)
        found.append(values[chosen[(chosen >= start) & (chosen < stop)] - start])
        start = stop
        if rows.label is not None:
            told: slice | NDArray[np.bool_] = slice(None) if visited.of_timesteps else final
            sums.add(values[told], rows.label[told])
    starts = np.concatenate(found)
    starts += noise * starts.std(axis=0) * random.normal(size=starts.shape)
    return starts, _means(sums)


def _means(sums: Sums) -> ClassMeans | None:
    """The means of the classes; None where there are none."""
    found = sums.of_classes()
    if not found:
        return None
    return ClassMeans(np.array(list(found), np.int32), np.array(list(found.values())))


@dataclass(frozen=True)
class Nearest:
    """Of each of P points the visited state that is nearest."""

    distance: Float
    """Euclidean [P]."""
    sequence: NDArray[np.int32]
    """[P]"""
    timestep: NDArray[np.int32]
    """[P]"""

    def only(self, part: slice) -> "Nearest":
        """Of some of the points."""
        return Nearest(self.distance[part], self.sequence[part], self.timestep[part])


def nearest(visited: Visited, points: Float) -> Nearest:
    """The visited state nearest to each point [P, S]; of equally near ones the first."""
    best = np.full(len(points), np.inf)
    sequence, timestep = np.zeros((2, len(points)), np.int32)
    for rows, _, values in visited.read():
        # By the binomial formula one product tells which is nearest; its distance is then exact.
        squares, place = (values**2).sum(axis=1), np.zeros(len(points), np.intp)
        for start in range(0, len(points), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            place[some] = (squares - 2 * points[some] @ values.T).argmin(axis=1)
        distance = np.linalg.norm(values[place] - points, axis=1)
        closer = distance < best
        best[closer] = distance[closer]
        sequence[closer] = rows.sequence[place[closer]]
        timestep[closer] = rows.timestep[place[closer]]
    return Nearest(best, sequence, timestep)


def annotations(folder: Path, layer: str, at: Nearest) -> dict[str, Float]:
    """The annotations at the nearest visited states, by name [P]; NaN where there is none."""
    names = states.annotations(folder)
    if not names or not len(at.sequence):
        return {name: np.full(len(at.sequence), np.nan) for name in names}
    pairs = np.stack([at.sequence, at.timestep], axis=1)
    once, place = np.unique(pairs, axis=0, return_inverse=True)
    rows = RowKeys(once[:, 0], once[:, 1], None)
    found = states.read_annotations(folder, rows, names, layer)
    return dict(zip(names, found[:, place.reshape(-1)], strict=True))
