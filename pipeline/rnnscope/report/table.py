"""The unit table on the page, from the declarations of its columns."""

import math
from dataclasses import replace
from typing import Any

import pandas as pd

from rnnscope.analysis.ablation.columns import ABLATION
from rnnscope.analysis.units.columns import UNITS
from rnnscope.store.tables import Column

ROWS = 20_000
"""Most rows on a page; with more the file is too large to open quickly."""
CHANGES = ("loss_change", "accuracy_change")
"""Columns of ablation that stand in the unit table, of the rows with h or c clamped at 0."""
FIRST = (
    *("layer", "signal", "unit", "eta2", "selectivity", "preferred_class"),
    *("p_value", "q_value", *CHANGES),
)
"""The columns that come first; the others follow in the order of their declarations."""
COLUMNS = {
    column.name: column
    for column in (
        *UNITS.columns,
        *(
            replace(column, meaning=f"{column.meaning}; here with its h or c clamped at 0")
            for column in ABLATION.columns
            if column.name in CHANGES
        ),
    )
}
ORDER = (*FIRST, *(name for name in COLUMNS if name not in FIRST))


def contents(units: pd.DataFrame, classes: list[str]) -> dict[str, Any]:
    """The table as JSON: columns of plain values, null where there is none, and how to show them.

    Left out are columns without any value, and columns whose ``beside`` is left out. Rows are in
    descending order of eta2, or of std where there are no classes.
    """
    known = units.loc[:, units.notna().any()]
    columns = [
        COLUMNS[name] for name in ORDER if name in known and (COLUMNS[name].beside or name) in known
    ]
    by = next((name for name in ("eta2", "std") if name in known), "unit")
    first = known.sort_values(by, ascending=False, kind="stable").head(ROWS)
    if len(units["layer"].unique()) == 1:
        columns = [replace(each, main=each.main and each.name != "layer") for each in columns]
    return {
        "columns": [_column(column, first[column.name]) for column in columns],
        "classes": classes,
        "rows": len(first),
        "left_out": len(units) - len(first),
        "sorted": by,
    }


def _column(column: Column, values: "pd.Series[Any]") -> dict[str, Any]:
    """One column: how it is shown, what it means, and its values."""
    kind = column.kind or _kind(values)
    plain = values.astype(object).where(values.notna(), None).tolist()
    if kind not in ("text", "truth", "class", "count"):
        # Six digits are more than the page shows, and a third of the size.
        plain = [None if value is None else _number(value) for value in plain]
    source = f" ({column.source})" if column.source else ""
    return {
        "name": column.name,
        "kind": kind,
        "main": column.main,
        "help": column.meaning.replace("`", "") + source,
        "values": plain,
    }


def _number(value: float) -> float | str:
    """A value as JSON can hold it, which has no infinity: the page reads it from its name."""
    return float(f"{value:.6g}") if math.isfinite(value) else f"{'-' * (value < 0)}Infinity"


def _kind(values: "pd.Series[Any]") -> str:
    """How values of a type are shown: text, truth, count or number."""
    if pd.api.types.is_bool_dtype(values):
        return "truth"
    if pd.api.types.is_integer_dtype(values):
        return "count"
    return "number" if pd.api.types.is_float_dtype(values) else "text"
