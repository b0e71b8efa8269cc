"""The order of sequences: that in which they stand in a table, and that of their names."""

from typing import Any

import pandas as pd

from rnnscope.errors import UserError, listed

SHOWN = 3
"""Names of each order that a message has."""


def other_order(frame: pd.DataFrame) -> tuple[list[Any], list[Any]] | None:
    """Names of sequences as they stand in a table, and sorted, up to the first that differ.

    Args:
        frame: with a column sequence, and maybe a column split.

    Returns:
        None where both orders are one.
    """
    parts = frame.groupby("split") if "split" in frame else [("test", frame)]
    for _, rows in parts:
        seen = list(pd.unique(rows["sequence"].dropna()))
        if len({isinstance(name, str) for name in seen}) > 1:
            continue  # which is refused elsewhere
        names = sorted(seen)
        if differ := [place for place, name in enumerate(names) if seen[place] != name]:
            shown = slice(max(0, differ[0] + 1 - SHOWN), differ[0] + 1)
            return seen[shown], names[shown]
    return None


def refuse_other_order(frame: pd.DataFrame, at: str) -> None:
    """Raise where it is not clear in which order a table has its sequences.

    Args:
        frame: the table.
        at: what to call it.
    """
    if orders := other_order(frame):
        seen, names = (listed(str(name) for name in order) for order in orders)
        raise UserError(
            f"{at}: column 'sequence' has {seen} where it has {names} once it is sorted: which "
            "order is that of the states? Name the sequences so that both are one, such as by "
            "whole numbers from 0"
        )
