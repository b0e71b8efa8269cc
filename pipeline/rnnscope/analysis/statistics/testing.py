"""p-values of many tests at once."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy.special
import scipy.stats
from numpy.typing import NDArray

from rnnscope.store.tables import Table

Float = NDArray[np.float64]

SMALL = 1e-290
"""Probabilities below this lose digits in float64, and underflow below 1e-308."""
TERMS = 500
"""Most terms of a continued fraction; it is far from its limit only where nothing underflows."""


def q_values(p: Float) -> Float:
    """Benjamini & Hochberg's (1995) adjusted p-values [U]; NaN stays NaN and is not counted."""
    q = np.full_like(p, np.nan)
    known = ~np.isnan(p)
    if known.any():
        q[known] = scipy.stats.false_discovery_control(p[known])
    return q


def log10_f_sf(f: Float, df_between: float, df_within: Float) -> Float:
    """log10 of the probability of a larger F [U], right also where the probability underflows.

    With z = df_within / (df_within + df_between F), a = df_within / 2 and b = df_between / 2 the
    probability is the incomplete beta function I_z(a, b) = z^a (1 - z)^b / (a B(a, b)) · C, C the
    continued fraction of the NIST handbook, 8.17.22.
    """
    p = scipy.stats.f.sf(f, df_between, df_within)
    with np.errstate(divide="ignore"):
        found: Float = np.log10(p)
    small = p < SMALL
    if small.any():
        x, n = f[small], np.broadcast_to(df_within, f.shape)[small]
        odds = df_between * x / n
        a, b, z = n / 2, df_between / 2, 1 / (1 + odds)
        logarithm = -a * np.log1p(odds) + b * (np.log(odds) - np.log1p(odds))
        logarithm += np.log(_fraction(a, b, z)) - np.log(a) - scipy.special.betaln(a, b)
        found[small] = logarithm / np.log(10)
    return found


def _fraction(a: Float, b: float, z: Float) -> Float:
    """The continued fraction 1/(1 + d1/(1 + d2/(1 + ...))) of I_z(a, b), by Lentz' method."""
    c, d = np.ones_like(z), 1 / (1 - (a + b) * z / (a + 1))
    found = d.copy()
    for m in range(1, TERMS):
        even = m * (b - m) * z / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * z / ((a + 2 * m) * (a + 2 * m + 1))
        before = found.copy()
        for term in (even, odd):
            d = 1 / (1 + term * d)
            c = 1 + term / c
            found = found * c * d
        if (np.abs(found - before) <= 1e-15 * np.abs(found)).all():
            break
    return found


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
