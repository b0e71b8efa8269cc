"""The unit table on the page, from the declarations of its columns."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from rnnscope.analysis.ablation.columns import ABLATION
from rnnscope.analysis.units.columns import UNITS
from rnnscope.store.tables import Column

ROWS = 20_000
"""Most rows on a page; with more the file is too large to open quickly."""
CHANGES = {
    "loss_change": "loss_change",
    "loss_change_low": "loss_change_low",
    "loss_change_high": "loss_change_high",
    "q_value": "loss_change_q",
    "accuracy_change": "accuracy_change",
}
"""Columns of ablation that stand in the unit table, of the rows with h or c clamped at 0, and their
names there."""
FIRST = (
    *("layer", "signal", "unit", "eta2", "selectivity", "preferred_class", "q_value"),
    *("loss_change", "loss_change_q", "timescale", "timescale_fit"),
)
"""The columns that come first; the others follow in the order of their declarations."""
SIGNED = {"preferred_class": "dprime"}
"""Columns of names, and what tells by its sign whether the unit is high or low for them."""
ARROWS = "\N{UPWARDS ARROW} high, \N{DOWNWARDS ARROW} low for it"


def _of_ablation(column: Column) -> Column:
    """A column of ablation as it stands among those of units."""
    name = CHANGES[column.name]
    meaning = f"{column.meaning}; here with its h or c clamped at 0"
    return replace(column, name=name, meaning=meaning, main=name in FIRST)


COLUMNS = {
    column.name: column
    for column in (
        *UNITS.columns,
        *(_of_ablation(column) for column in ABLATION.columns if column.name in CHANGES),
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
        "columns": [_column(column, first) for column in columns],
        "classes": classes,
        "rows": len(first),
        "left_out": len(units) - len(first),
        "sorted": by,
    }


def _column(column: Column, rows: pd.DataFrame) -> dict[str, Any]:
    """One column: how it is shown, what it means, and its values.

    Where it has an interval, that is shown behind the value, and its ends by themselves only among
    all columns.
    """
    values = rows[column.name]
    kind = column.kind or _kind(values)
    source = f" ({column.source})" if column.source else ""
    signs = SIGNED.get(column.name)
    arrows = f"; {ARROWS}" if signs in rows else ""
    of, _, end = column.name.rpartition("_")
    is_end = end in ("low", "high") and of in rows
    return {
        "name": column.name,
        "kind": kind,
        "main": column.main and not is_end,
        "help": column.meaning.replace("`", "") + arrows + source,
        "values": _plain(values, kind),
        "interval": f"{column.name}_low" in rows and f"{column.name}_high" in rows,
        "signs": _plain(np.sign(rows[signs]), "number") if signs in rows else None,
    }


def _plain(values: "pd.Series[Any]", kind: str) -> list[Any]:
    """Values as JSON has them: null for none, ∞ and −∞ as text, six digits of a number.

    Six digits are more than the page shows, and a third of the size.
    """
    plain = values.astype(object).where(values.notna(), None).tolist()
    if kind in ("text", "truth", "class", "count"):
        return plain
    return [None if value is None else _number(value) for value in plain]


def _number(value: float) -> float | str:
    if math.isinf(value):
        return "\N{INFINITY}" if value > 0 else "\N{MINUS SIGN}\N{INFINITY}"
    return float(f"{value:.6g}")


def _kind(values: "pd.Series[Any]") -> str:
    """How values of a type are shown: text, truth, count or number."""
    if pd.api.types.is_bool_dtype(values):
        return "truth"
    if pd.api.types.is_integer_dtype(values):
        return "count"
    return "number" if pd.api.types.is_float_dtype(values) else "text"
