"""Stage collect: the tables of all runs in one, with the options that differ beside each row.

Beside them it writes a page over all runs. Runs are read one at a time, so that memory does not
grow with their number.
"""

import contextlib
import re
import typing
from collections.abc import Iterable, Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from rnnscope.config import KINDS, Config
from rnnscope.report.sweep import SWEEP
from rnnscope.report.sweep import page as sweep
from rnnscope.report.sweep.collected import Collected
from rnnscope.stages.columns import KEY, MEMORY, RUNS, SECONDS, TABLES
from rnnscope.stages.table import COLLECTED
from rnnscope.store import parquet
from rnnscope.store.inputs import Inputs
from rnnscope.store.runs import OVER, Run
from rnnscope.store.stage import Figures
from rnnscope.store.tables import by_column, table_file

__all__ = ["TABLES", "differing_options", "run", "table"]

ROWS = 100_000
"""Fewest rows of a row group but the last: many small ones are slow to read."""

OF_UNIT = re.compile(r"[hc]_\d{3,}")
"""The names of columns that hold a state unit by unit, of which runs need not have the same."""
DTYPES = {
    bool: ("bool", "boolean"),
    int: ("int64", "Int64"),
    float: ("float64", "float64"),
    str: ("str", "str"),
}
"""The pandas types of a column of each type, without nulls and with some."""


def run(config: Config, inputs: Inputs, folder: Path) -> Figures:
    """Write ``runs.parquet``, the other tables and the page into ``folder``; returns the figures.

    ``runs.parquet`` has one row per run: its options, scores, costs and keys. Every other table is
    that of its stage, of all runs that have it, with the run and the options that differ between
    runs in front of each row. Of columns that depend on the data or the network, those that all
    these runs have are kept, and coordinates of single units are left out.

    Args:
        config: the run's config.
        inputs: the runs below the root, and the folder of stage compare if it has compared some.
        folder: where to write.
    """
    assert inputs.survey is not None
    found = inputs.survey
    runs = table(found.runs)
    RUNS.write(runs, folder)
    differ = differing_options(found.runs)
    beside = _beside(runs, differ)
    rows = {
        f"{stage}.parquet": _write(table_file(folder, stage), _tables(found.runs, beside, stage))
        for stage in COLLECTED
        if any(stage in each.stages for each in found.runs)
    }
    collected = Collected(found.runs, runs, RUNS, differ)
    compared = inputs.folders.get(f"{OVER}/compare")
    sweep.write(collected, compared, config.collect.runs, folder)
    return {
        "page": SWEEP,
        "rows": len(runs),
        "tables": rows,
        "null": {RUNS.name: by_column(RUNS.nulls(runs, runs))},
        "runs": list(runs["run"]),
        "differing": differ,
        "left_out": [str(each) for each in found.left_out],
        "headline": {
            "runs": len(runs),
            "left out": len(found.left_out),
            "rows of units": rows.get("units.parquet", 0),
        },
    }


def table(runs: list[Run]) -> pd.DataFrame:
    """One row per run: its name, options, scores, costs and keys."""
    types = _types()
    options = [each.config for each in runs]
    outcomes = [_outcome(each) for each in runs]
    columns = {"run": _column([each.name for each in runs], str)}
    for name in _names(options):
        columns[name] = _column([each.get(name) for each in options], types.get(name, str))
    for name in _names(outcomes):
        values = [each.get(name) for each in outcomes]
        kind = next((type(value) for value in values if value is not None), float)
        columns[name] = _column(values, kind)
    return pd.DataFrame(columns)


def differing_options(runs: list[Run]) -> list[str]:
    """The options that have different values in those runs that have them."""
    options = [each.config for each in runs]
    return [
        name
        for name in _names(options)
        if len({str(each[name]) for each in options if name in each}) > 1
    ]


def _outcome(run: Run) -> dict[str, Any]:
    """A run's scores, costs and keys."""
    manifests = {name: each.manifest for name, each in run.stages.items()}
    scores = manifests["extract"]["headline"]
    seconds = {name: float(each["seconds"]) for name, each in manifests.items()}
    memory = {name: int(each["peak_memory_bytes"]) for name, each in manifests.items()}
    return {
        "accuracy": scores.get("accuracy"),
        "loss": scores.get("loss", scores.get("squared error")),
        "seconds": sum(seconds.values()),
        "peak_memory_bytes": max(memory.values()),
        **{SECONDS.named(name): value for name, value in seconds.items()},
        **{MEMORY.named(name): value for name, value in memory.items()},
        **{KEY.named(name): each["key"] for name, each in manifests.items()},
    }


def _names(rows: list[dict[str, Any]]) -> list[str]:
    """All names that occur in any row, in order of first occurrence."""
    return list(dict.fromkeys(name for row in rows for name in row))


def _types() -> dict[str, type]:
    """The type of each option, by its dotted name."""
    found: dict[str, type] = {}
    for group, section in typing.get_type_hints(Config).items():
        if not is_dataclass(section):
            found[group] = _type(section)
            continue
        for kind in KINDS.get(group, {"": section}).values():
            hints = typing.get_type_hints(kind).items()
            found |= {f"{group}.{name}": _type(hint) for name, hint in hints}
    return found


def _type(hint: Any) -> type:
    """The type of an option's values, without None; of a list, text."""
    kinds = typing.get_args(hint) or (hint,)
    plain = (kind for kind in (bool, int, float) if kind in kinds)
    return str if typing.get_origin(hint) is list else next(plain, str)


def _column(values: list[Any], kind: type) -> "pd.Series[Any]":
    """Values of one type as a column; integers remain integers beside nulls."""
    plain, nullable = DTYPES[kind]
    if kind is str:
        values = [None if value is None else _text(value) for value in values]
    return pd.Series(values, dtype=nullable if None in values else plain)


def _text(value: Any) -> str:
    """A value as the command line takes it."""
    return f"[{','.join(map(str, value))}]" if isinstance(value, list) else str(value)


def _beside(runs: pd.DataFrame, differ: list[str]) -> pd.DataFrame:
    """The columns in front of a run's tables, one row per run; text as categories."""
    beside = runs[["run", *differ]].copy()
    for name in beside:
        if beside[name].dtype == "str":
            order = list(beside[name].dropna().unique())
            beside[name] = pd.Categorical(beside[name], categories=order)
    return beside


def _tables(runs: list[Run], beside: pd.DataFrame, stage: str) -> Iterator[pa.Table]:
    """One stage's table of each run that has it, with the run's columns in front."""
    files = {
        number: table_file(each.stages[stage].artefact.folder, stage)
        for number, each in enumerate(runs)
        if stage in each.stages
    }
    # The columns of an empty table may have no type, and it may have fewer.
    about = {number: parquet.metadata(file) for number, file in files.items()}
    filled = {number: each.schema.names for number, each in about.items() if each.num_rows}
    shared = [
        name
        for name in next(iter(filled.values()), [])
        if all(name in names for names in filled.values()) and not OF_UNIT.fullmatch(name)
    ]
    for number in filled:
        rows = parquet.frame(files[number], columns=shared)
        same = beside.iloc[np.full(len(rows), number)].reset_index(drop=True)
        yield pa.Table.from_pandas(pd.concat([same, rows], axis=1), preserve_index=False)


def _write(path: Path, tables: Iterable[pa.Table]) -> int:
    """Write tables into one file, one at a time; returns its rows. Without tables, no file."""
    count = 0
    with contextlib.ExitStack() as stack:
        writer = None
        for joined in _joined(tables):
            if writer is None:
                opened = pq.ParquetWriter(path, joined.schema, write_page_checksum=True)
                writer = stack.enter_context(opened)
            writer.write_table(joined)
            count += len(joined)
    return count


def _joined(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Tables joined into row groups of the first one's schema; memory holds one row group.

    Codes of categories are widened, as later tables may have more categories than the first.
    """
    held: list[pa.Table] = []
    schema = None
    for table in tables:
        if schema is None:
            schema = pa.schema(map(_wide, table.schema), table.schema.metadata)
        held.append(table.cast(schema))
        if sum(map(len, held)) >= ROWS:
            yield pa.concat_tables(held).unify_dictionaries()
            held = []
    if held:
        yield pa.concat_tables(held).unify_dictionaries()


def _wide(field: pa.Field) -> pa.Field:
    """A column of categories with 32-bit codes; any other column unchanged."""
    if not pa.types.is_dictionary(field.type):
        return field
    return field.with_type(
        pa.dictionary(pa.int32(), field.type.value_type, ordered=field.type.ordered)
    )
