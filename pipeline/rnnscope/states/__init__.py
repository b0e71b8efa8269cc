"""The recorded states: their layout on disk, and how they are written and read."""

from rnnscope.states.frames import read_sequences, read_states, read_steps
from rnnscope.states.parts import (
    KEYS,
    SEQUENCES,
    STEPS,
    RowKeys,
    class_count,
    columns,
    layers,
    part_file,
    place_of,
    read_part,
    row_keys,
    sequence_count,
    sources,
    unit_of,
    write_part,
)
from rnnscope.states.signals import Signal, open_signal
from rnnscope.states.steps import annotations, of_other_time, read_annotations

__all__ = [
    "KEYS",
    "SEQUENCES",
    "STEPS",
    "RowKeys",
    "Signal",
    "annotations",
    "class_count",
    "columns",
    "layers",
    "of_other_time",
    "open_signal",
    "part_file",
    "place_of",
    "read_annotations",
    "read_part",
    "read_sequences",
    "read_states",
    "read_steps",
    "row_keys",
    "sequence_count",
    "sources",
    "unit_of",
    "write_part",
]
