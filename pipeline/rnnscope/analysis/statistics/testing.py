"""p-values of many tests at once."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import NDArray

from rnnscope.store.tables import Table

Float = NDArray[np.float64]


def q_values(p: Float) -> Float:
    """Benjamini & Hochberg's (1995) adjusted p-values [U]; NaN stays NaN and is not counted."""
    q = np.full_like(p, np.nan)
    known = ~np.isnan(p)
    if known.any():
        q[known] = scipy.stats.false_discovery_control(p[known])
    return q


def with_q_values(table: Table, frame: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """The frame with the q-values that its table declares, columns in the declared order.

    Args:
        table: its columns that adjust others are filled.
        frame: all rows of the table, with every other column.
        keys: the p-values of rows that agree in these columns are adjusted together; of all rows
            if there are none.
    """
    same = [frame[key] for key in keys] or np.zeros(len(frame))
    groups = frame.groupby(same, observed=True)
    q = {
        column.name: groups[column.adjusts].transform(lambda p: q_values(p.to_numpy()))
        for column in table.columns
        if column.adjusts
    }
    return frame.assign(**q)[[column.name for column in table.columns]]
