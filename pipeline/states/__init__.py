"""The recorded states: how they lie on disk, and how they are read."""

from pipeline.states.frames import read_sequences, read_states, read_steps
from pipeline.states.parts import (
    KEYS,
    SEQUENCES,
    STEPS,
    Rows,
    class_count,
    columns,
    layers,
    part_file,
    parts,
    read_part,
    row_count,
    rows_of,
    sequence_count,
    timesteps,
    unit_numbers,
    unit_of,
    write_part,
)
from pipeline.states.steps import annotations, read_annotations

__all__ = [
    "KEYS",
    "SEQUENCES",
    "STEPS",
    "Rows",
    "annotations",
    "class_count",
    "columns",
    "layers",
    "part_file",
    "parts",
    "read_annotations",
    "read_part",
    "read_sequences",
    "read_states",
    "read_steps",
    "row_count",
    "rows_of",
    "sequence_count",
    "timesteps",
    "unit_numbers",
    "unit_of",
    "write_part",
]
