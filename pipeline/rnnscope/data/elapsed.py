"""How far timesteps are apart, where missing values are interpolated over time."""

import datetime
import re
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.data.numbered import dates_of
from rnnscope.data.timesteps import IS_DATE, readings_of, steps_within
from rnnscope.errors import UserError, brief

WRITTEN = {6: "%Y%m", 8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
"""Dates that are written as whole numbers, by their digits."""
COMPACT = re.compile(r"((?:19|20)\d{4,12})(?:\.0)?")


def elapsed(keys: NDArray[Any]) -> NDArray[np.float64]:
    """Keys of rows [R], as ``in_time`` gives them, as numbers of some unit since the least one."""
    if keys.dtype.kind in "mM":
        keys = keys.astype(np.int64)
    if keys.dtype.kind in "iu":  # exact before it is a float
        return (keys.astype(np.uint64) - keys.min().astype(np.uint64)).astype(np.float64)
    if keys.dtype.kind != "O":
        return np.asarray(keys.astype(np.float64) - keys.min())
    if isinstance(keys[0], datetime.time):
        keys = np.array([datetime.datetime.combine(datetime.date.min, each) for each in keys])
    second, least = datetime.timedelta(seconds=1), keys.min()
    return np.array([(each - least) / second for each in keys], np.float64)


def refuse_unclear_steps(
    values: "pd.Series[Any]", keys: NDArray[Any], sequences: "pd.Series[Any]", where: str
) -> None:
    """Raise where the order of timesteps is known, but not how far they are apart.

    Args:
        values: the column of timesteps [R].
        keys: of its rows, as ``in_time`` gives them.
        sequences: the number of each row's sequence [R].
        where: what to call the column in an error.

    Raises:
        UserError: dates that may have the day or the month first, or whole numbers that may be
            dates, such as 20160304, where the steps depend on it.
    """
    text = pd.Series(values.astype(str).to_numpy()).str.strip()
    if not pd.api.types.is_numeric_dtype(values) and text.map(IS_DATE.fullmatch).notna().all():
        read = readings_of(text, where)
    else:
        read = _as_numbers(text, keys, sequences)
    since = [pd.Series(each) for each in read]
    since = [each - each.groupby(sequences.to_numpy()).transform("min") for each in since]
    if any((each != since[0]).any() for each in since[1:]):
        raise UserError(
            f"{where}: '{brief(text.iloc[0])}' and others may be other dates, or no dates, and "
            "data.missing=interpolate depends on how far they are apart: write dates with the year "
            "first, as 2016-03-04 00:55"
        )


def _as_numbers(
    text: "pd.Series[Any]", keys: NDArray[Any], sequences: "pd.Series[Any]"
) -> list[NDArray[np.float64]]:
    """Numbers in uneven steps as such, and as dates if all may be; else nothing."""
    found = text.str.extract(rf"^{COMPACT.pattern}$")[0]
    digits = found.str.len()
    if others := dates_of(keys):
        read = [elapsed(keys), *(each / 86_400 for each in others)]
        uneven = [len(np.unique(steps_within(each, sequences.to_numpy()))) > 1 for each in read]
        return read if any(uneven) else []
    if found.isna().any() or len(set(digits)) > 1 or digits.iloc[0] not in WRITTEN:
        return []
    if len(np.unique(steps_within(keys, sequences.to_numpy()))) < 2:
        return []
    dates = pd.to_datetime(found, format=WRITTEN[int(digits.iloc[0])], errors="coerce")
    if dates.isna().any():
        return []
    return [elapsed(keys), ((dates - dates.min()) / pd.Timedelta(days=1)).to_numpy(np.float64)]
