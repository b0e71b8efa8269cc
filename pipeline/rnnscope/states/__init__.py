"""The recorded states: their layout on disk, and how they are written and read."""

from rnnscope.states.counts import class_count, sequence_count, sources
from rnnscope.states.frames import read_sequences, read_states, read_steps, recording
from rnnscope.states.listing import by_layer, layers, places
from rnnscope.states.naming import folders
from rnnscope.states.opening import footers_of
from rnnscope.states.parts import (
    KEYS,
    SEQUENCES,
    STEPS,
    Origin,
    RowKeys,
    columns,
    part_file,
    place_of,
    read_part,
    row_keys,
    unit_of,
    write_part,
)
from rnnscope.states.signals import Signal, open_signal
from rnnscope.states.steps import annotations, has_other_time, of_other_time, read_annotations

__all__ = [
    "KEYS",
    "SEQUENCES",
    "STEPS",
    "Origin",
    "RowKeys",
    "Signal",
    "annotations",
    "by_layer",
    "class_count",
    "columns",
    "folders",
    "footers_of",
    "has_other_time",
    "layers",
    "of_other_time",
    "open_signal",
    "part_file",
    "place_of",
    "places",
    "read_annotations",
    "read_part",
    "read_sequences",
    "read_states",
    "read_steps",
    "recording",
    "row_keys",
    "sequence_count",
    "sources",
    "unit_of",
    "write_part",
]
