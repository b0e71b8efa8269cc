"""How many sequences, sources and classes a recording has."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnscope.states.listing import held
from rnnscope.states.parts import SEQUENCES, STEPS
from rnnscope.store import parquet


def sequence_count(folder: Path | str) -> int:
    """N, the recorded sequences."""
    count: int = parquet.metadata(held(Path(folder), SEQUENCES)).num_rows
    return count


def sources(folder: Path | str) -> NDArray[np.intp]:
    """The number of the source of each recorded sequence [N], from 0.

    Sequences of one source, such as one patient, are not independent: they share a ``group`` in
    sequences.parquet. Without that column each sequence is a source of its own.
    """
    path = held(Path(folder), SEQUENCES)
    if "group" not in parquet.schema(path).names:
        return np.arange(sequence_count(folder))
    column = parquet.read(path, ["group"])["group"].combine_chunks()
    codes: NDArray[np.intp] = column.dictionary_encode().indices.to_numpy().astype(np.intp)
    return codes


def class_count(folder: Path | str) -> int:
    """K, the number of classes: of the model's scores, or of the labels if these have more.

    0 where the data has no labels and the model no scores.
    """
    k = 0
    for path in (held(Path(folder), name) for name in (SEQUENCES, STEPS)):
        if path.is_file():
            file = parquet.metadata(path)
            names = file.schema.to_arrow_schema().names
            k = max(k, sum(re.fullmatch(r"p_\d+", name) is not None for name in names))
            if "label" in names:
                groups = (file.row_group(number) for number in range(file.num_row_groups))
                at = names.index("label")
                k = max([k, *(group.column(at).statistics.max + 1 for group in groups)])
    return k
