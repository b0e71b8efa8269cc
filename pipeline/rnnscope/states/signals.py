"""A recorded signal on disk, described by one scan of its files' footers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rnnscope.states.parts import KEYS, RowKeys, is_backward, read_part, unit_of


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

    def read(
        self, units: Sequence[int] | None = None
    ) -> Iterator[tuple[RowKeys, NDArray[np.float32]]]:
        """Part by part, the keys of r rows and the values [U, r] of some units, or of all.

        Args:
            units: their places among ``self.units``.
        """
        return (read_part(file, units) for file in self.files)


def open_signal(folder: Path, layer: str, name: str) -> Signal:
    """Open a signal of an extract stage's output; reads the footers of its files alone."""
    rows, timesteps, backward = 0, 0, False
    names: list[str] = []
    found: list[tuple[int, Path]] = []
    for file in sorted((folder / layer / name).glob("part-*.parquet")):
        footer = pq.read_metadata(file)
        if not footer.num_rows:
            continue
        names, backward = footer.schema.names, is_backward(footer)
        groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
        sequence, timestep = (
            [group.column(names.index(key)).statistics for group in groups]
            for key in ("sequence", "timestep")
        )
        found.append((min(each.min for each in sequence), file))
        rows += footer.num_rows
        timesteps = max(timesteps, *(each.max + 1 for each in timestep))
    return Signal(
        layer,
        name,
        tuple(file for _, file in sorted(found)),
        tuple(unit_of(column) for column in names if column not in KEYS),
        rows,
        timesteps,
        "label" in names,
        backward,
    )
