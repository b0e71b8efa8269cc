"""Which rows of a table a figure is of; a table that does not fit is refused in one line."""

from collections.abc import Collection, Sequence
from typing import Any

import pandas as pd

from rnnscope.errors import UserError, brief, listed

STAGES = {
    "states": "extract",
    "history": "train",
    "sequences": "extract",
    "tuning": "units",
    "units": "units",
    "timesteps": "units",
    "population": "population",
    "trajectories": "population",
    "correlation": "population",
    "decoding": "decoding",
    "memory": "decoding",
    "ablation": "ablation",
    "intervention": "intervention",
    "fixed_points": "fixed_points",
    "modes": "fixed_points",
}
"""Table -> the stage that writes it."""
STATES = ("h", "c")
"""The states among the signals; of other cells the first signal counts as one."""
GATES = {"i": "input", "f": "forget", "o": "output", "z": "update", "r": "reset"}
"""Signals between 0 and 1, with their names."""


def checked(table: Any, name: str, columns: Collection[str]) -> pd.DataFrame:
    """The table, if it is one and has the columns and rows, of one run.

    Raises:
        UserError: it does not.
    """
    if not isinstance(table, pd.DataFrame):
        raise UserError(f"{name} is a {type(table).__name__}, not a DataFrame; {_given(name)}")
    if missing := [column for column in columns if column not in table]:
        raise UserError(f"{name} has no column {listed(missing)}; {_given(name)}")
    if not len(table):
        raise UserError(f"{name} has no rows; {_given(name)}")
    if "run" in table and (runs := list(table["run"].unique()))[1:]:
        raise UserError(f"{name} is of the runs {listed(runs)}; give the rows of one")
    return table


def _given(name: str) -> str:
    """What to give in its place."""
    stage = STAGES[name]
    return f"give {name}.parquet of outputs/latest/{stage}, as pd.read_parquet reads it"


def of_layer(
    table: Any, name: str, columns: Collection[str], layer: str | None
) -> tuple[pd.DataFrame, str]:
    """The rows of one layer, and its name for the title: empty where it was not asked for.

    Raises:
        UserError: the table does not fit, has several layers of which none was named, or has no
            layer of that name.
    """
    names = checked(table, name, ("layer", *columns))["layer"].astype(str)
    there = list(names.unique())
    if layer is None and len(there) > 1:
        raise UserError(f"{name} has the layers {listed(there)}; give layer= one of them")
    chosen = there[0] if layer is None else str(layer)
    if chosen not in there:
        raise UserError(f"{name} has no layer {brief(chosen)}; it has {listed(there)}")
    return table[names == chosen], "" if layer is None else chosen


def signals_of(rows: pd.DataFrame) -> list[str]:
    """The signals of some rows, in their order."""
    return list(rows["signal"].astype(str).unique())


def states_of(rows: pd.DataFrame) -> list[str]:
    """The states among the signals of a layer's rows, h and c; of other cells, the first signal."""
    there = signals_of(rows)
    return [name for name in STATES if name in there] or there[:1]


def of_signal(rows: pd.DataFrame, signal: str, name: str) -> pd.DataFrame:
    """The rows of one signal.

    Raises:
        UserError: there are none.
    """
    found = rows[rows["signal"].astype(str) == signal]
    if not len(found):
        there = listed(signals_of(rows))
        raise UserError(f"{name} has no signal {brief(signal)} here; it has {there}")
    return found


def by_signal(
    rows: pd.DataFrame, signals: Sequence[str], name: str
) -> list[tuple[str, pd.DataFrame]]:
    """Each of the signals with its rows."""
    return [(signal, of_signal(rows, signal, name)) for signal in signals]


def wanted(signals: Sequence[str] | str | None, rows: pd.DataFrame) -> list[str]:
    """The signals that were asked for; the states where none were."""
    if signals is None:
        return states_of(rows)
    return [signals] if isinstance(signals, str) else list(signals)


def class_name(number: int, classes: Sequence[str] | None) -> str:
    """A class by its name, or by its number where it has none."""
    named = classes is not None and number < len(classes)
    return str(classes[number]) if classes is not None and named else str(number)
