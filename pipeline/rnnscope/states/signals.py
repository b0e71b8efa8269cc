"""A recorded signal on disk, described by one scan of its files' footers."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnscope.states.opening import part_files
from rnnscope.states.parts import KEYS, RowKeys, read_part, unit_of
from rnnscope.store import parquet
from rnnscope.store.contents import Damaged


@dataclass(frozen=True)
class Signal:
    """One signal of one layer over all recorded sequences: U units, R rows."""

    layer: str
    name: str
    """Its letter: h, c, i, f, o, g, z, r, s0, ..."""
    files: tuple[Path, ...]
    """The parts that have rows, in the order of their sequences. Where only some timesteps were
    recorded, all sequences of a part may end before them."""
    units: tuple[int, ...]
    """The recorded units' numbers [U], in the order of ``read``'s lines."""
    rows: int
    """R, over all parts."""
    timesteps: int
    """T, one more than the largest timestep."""
    labelled: bool
    """Whether its rows have classes."""
    backward: bool = False
    """Whether the layer reads its sequences backwards."""
    spans: tuple[tuple[int, int, int], ...] = ()
    """First and last sequence of each file, and its rows."""
    every: tuple[Path, ...] = ()
    """All parts, those without rows too."""
    classes: NDArray[np.int32] | None = None
    """Of the sequences [N] or of their timesteps [N, T], in place of those in the files."""

    def read(
        self, units: Sequence[int] | None = None
    ) -> Iterator[tuple[RowKeys, NDArray[np.float32]]]:
        """Part by part, the keys of r rows and the values [U, r] of some units, or of all.

        Args:
            units: their places among ``self.units``.
        """
        for file in self.files:
            rows, values = read_part(file, units)
            if self.classes is not None:
                of_rows = rows.sequence, rows.timestep
                label = self.classes[of_rows[: self.classes.ndim]]
                rows = replace(rows, label=label)
            yield rows, values


def open_signal(folder: Path, layer: str, name: str) -> Signal:
    """Open a signal of an extract stage's output; reads the footers of its files alone.

    Raises:
        Damaged: a file is missing, from elsewhere, of another size, or cannot be read.
    """
    every = part_files(folder, layer, name)
    parts = [part for part in every if part.rows]
    names = parts[0].names if parts else ()
    return Signal(
        layer,
        name,
        tuple(part.path for part in parts),
        tuple(unit_of(column) for column in names if column not in KEYS),
        sum(part.rows for part in parts),
        max((part.timesteps for part in parts), default=0),
        "label" in names,
        any(part.backward for part in parts),
        tuple((part.first, part.last, part.rows) for part in parts),
        tuple(part.path for part in every),
    )


def refuse_unequal(signals: Sequence[Signal]) -> None:
    """Raise where signals of one layer do not have the same rows, part by part.

    Raises:
        Damaged: with the first part that differs.
    """
    first: dict[str, Signal] = {}
    for signal in signals:
        known = first.setdefault(signal.layer, signal)
        pairs = itertools.zip_longest(known.spans, signal.spans)
        for number, (one, other) in enumerate(pairs):
            if one != other:
                at = (signal if other is not None else known).files[number]
                raise Damaged(
                    f"{at}: does not have the rows that {known.name} and {signal.name} of one "
                    f"layer share; {parquet.AGAIN}"
                )
