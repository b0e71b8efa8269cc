"""Annotations of single timesteps, among them targets that timesteps have of their own."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from numpy.typing import NDArray

from rnnscope.states.listing import held
from rnnscope.states.parts import KEYS, STEPS, RowKeys
from rnnscope.store import parquet

OUTCOME = ("prediction", "correct", "loss")
"""Columns of table steps that come from the model rather than from the data; where timesteps have D
numeric targets, also prediction_0 to prediction_D-1."""
NUMBERED = re.compile(r"(target|prediction)_\d+")
"""Names of columns that belong to one of several targets."""


OTHER_TIME = b"rnnscope.layers_of_other_time"
"""Key under which the schema of the tables names the layers to which steps do not belong."""


def is_outcome(name: str) -> bool:
    """Whether a column of table steps comes from the model."""
    numbered = NUMBERED.fullmatch(name)
    return name in OUTCOME or (numbered is not None and numbered[1] == "prediction")


def columns_of(name: str, values: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Values of rows [R] as a column of that name; of D values each [R, D] as name_0, name_1, …."""
    if values.ndim == 1:
        return {name: values}
    return {f"{name}_{number}": column for number, column in enumerate(values.T)}


def of_other_time(layers: list[str]) -> dict[bytes, bytes]:
    """What the schema of table steps says of layers whose timesteps are those of another input."""
    return {OTHER_TIME: json.dumps(layers).encode()} if layers else {}


def has_other_time(folder: Path, layer: str) -> bool:
    """Whether labels and annotations of timesteps are of other timesteps than a layer has."""
    path = held(folder, STEPS)
    said = (parquet.schema(path).metadata or {}) if path.is_file() else {}
    return layer in json.loads(said.get(OTHER_TIME, b"[]"))


def annotations(folder: Path) -> list[str]:
    """The names of the recorded annotations that are numbers, and of targets of timesteps."""
    path = held(folder, STEPS)
    fields = parquet.schema(path) if path.is_file() else []
    return [
        field.name
        for field in fields
        if field.name not in KEYS and not is_outcome(field.name) and _is_number(field.type)
    ]


def read_annotations(
    folder: Path, rows: RowKeys, names: list[str], layer: str
) -> NDArray[np.float64]:
    """The annotations [A, R] of R rows of a layer, given their rising keys.

    NaN where a row has none, as all rows of a layer that reads another input than the annotated.
    """
    found = np.full((len(names), len(rows.sequence)), np.nan)
    if not names or not len(rows.sequence):
        return found
    if has_other_time(folder, layer):
        return found
    path = held(folder, STEPS)
    sequence = ds.field("sequence")
    among = (sequence >= int(rows.sequence[0])) & (sequence <= int(rows.sequence[-1]))
    columns = ["sequence", "timestep", *names]
    table = parquet.rows([path], columns, among)
    width = 1 + max(int(rows.timestep.max()), int(table["timestep"].to_numpy().max(initial=0)))
    there = table["sequence"].to_numpy().astype(np.int64) * width + table["timestep"].to_numpy()
    wanted = rows.sequence.astype(np.int64) * width + rows.timestep
    place = np.searchsorted(there, wanted).clip(max=len(there) - 1)
    known = there[place] == wanted if len(there) else np.zeros(len(wanted), bool)
    for line, name in zip(found, names, strict=True):
        line[known] = table[name].to_numpy()[place[known]]
    return found


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    )
