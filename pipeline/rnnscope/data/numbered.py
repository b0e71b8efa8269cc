"""Numbers in a column of time that may be dates or clocks, and then have another order.

Written without separators, 01022016 may be a date with the day or the month in front, and 2359 a
clock that is followed by 0001. What numbers mean is not known from them: where another reading has
another order, they are refused.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.errors import UserError, brief

Keys = NDArray[Any]
Numbers = NDArray[np.int64]

CYCLES = (7, 12, 24, 60, 360, 365, 366, 1440, 2400)
"""After how much numbers of time begin again at 0 or 1: days of a week, months, hours, minutes,
degrees, days of a year, minutes of a day, and clocks as 2300."""
YEARS = 1900, 2099
LARGEST = 10**14
"""What a date with a clock to the second, 31122099235959, does not reach."""
RANKED = "if they are plain numbers, write their ranks 1, 2, 3, … in their place"


def refuse_other_readings(keys: Keys, sequences: "pd.Series[Any]", where: str) -> None:
    """Raise for numbers whose order is another one where they are dates, clocks or versions.

    Args:
        keys: the numbers of the rows [R], in the order of the file.
        sequences: the number of each row's sequence [R].
        where: what to call the column in an error.

    Raises:
        UserError: with one of the numbers, and what to write.
    """
    if len(keys) < 2 or keys.dtype.kind not in "iuf":
        return
    within = np.argsort(sequences.to_numpy(), kind="stable")
    number = sequences.to_numpy()[within]
    same = number[1:] == number[:-1]
    values = keys[within]
    falls = same & (values[1:] < values[:-1])
    whole = _whole(values)
    if whole is not None:
        order = np.lexsort((values, number))
        for read in _dates(whole):
            if (np.lexsort((read, number)) != order).any():
                raise _dated(keys[0], where)
    if not falls.any():
        return
    if whole is not None:
        for read in _short_dates(whole):
            if not (same & (read[1:] <= read[:-1])).any():
                raise _dated(keys[0], where)
    _refuse_versions(values, same, falls, where)
    _refuse_turns(values, same, falls, where)


def dates_of(keys: Keys) -> list[NDArray[Any]]:
    """Seconds [R] of these numbers [R] as dates with the day or the month in front, as all fit."""
    whole = _whole(keys) if len(keys) and keys.dtype.kind in "iuf" else None
    return [] if whole is None else list(_dates(whole))


def _dated(value: Any, where: str) -> UserError:
    shown = f"{value:.0f}" if isinstance(value, float | np.floating) else value
    return UserError(
        f"{where}: {brief(shown)} and others may be dates with the day or the month in front, and "
        f"the order of the timesteps depends on it: write them as 2016-03-04 00:55; {RANKED}"
    )


def _whole(values: Keys) -> Numbers | None:
    """Whole numbers that dates may be; None of others."""
    if values.min() < 0 or values.max() >= LARGEST or (values.dtype.kind == "f" and _cut(values)):
        return None
    return values.astype(np.int64)


def _cut(values: Keys) -> bool:
    return bool((values != np.trunc(values)).any())


def _dates(whole: Numbers) -> Iterator[NDArray[Any]]:
    """Seconds [R] of numbers that end in a year, or in a year and a clock, for all that fit.

    YYYYMMDD is never among them: its last four digits are no year from 1900 on.
    """
    for digits in (0, 2, 4, 6):
        date, clock = np.divmod(whole, 10**digits)
        day_month, year = np.divmod(date, 10_000)
        low, high = YEARS
        if not ((year >= low) & (year <= high) & (day_month > 0)).all():
            continue
        if (seconds := _seconds(clock, digits)) is None:
            continue
        first, second = np.divmod(day_month, 100)
        for day, month in ((first, second), (second, first)):
            if (days := _days(year, month, day)) is not None:
                yield days * 86_400 + seconds
        if not digits and (days := _days(year, day_month, np.ones_like(year))) is not None:
            yield days


def _short_dates(whole: Numbers) -> Iterator[NDArray[Any]]:
    """Days [R] of numbers such as 301215, 123015 and 3012, for all that fit; years are of 2000."""
    day_month, year = np.divmod(whole, 100)
    leap = np.full_like(whole, 2000)
    for pair, of in ((day_month, 2000 + year), (whole, leap)):
        first, second = np.divmod(pair, 100)
        for day, month in ((first, second), (second, first)):
            if (days := _days(of, month, day)) is not None:
                yield days


def _seconds(clock: Numbers, digits: int) -> Numbers | None:
    """Seconds since midnight of clocks of so many digits; None where one is no clock."""
    clock = clock * 10 ** (6 - digits)
    hour, minute, second = clock // 10_000, clock // 100 % 100, clock % 100
    if (hour > 23).any() or (minute > 59).any() or (second > 59).any():
        return None
    return np.asarray(hour * 3600 + minute * 60 + second)


def _days(year: Numbers, month: Numbers, day: Numbers) -> Numbers | None:
    """Days since 1970; None where one is no date."""
    if not ((month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)).all():
        return None
    months = (year - 1970).astype("M8[Y]").astype("M8[M]") + (month - 1)
    days = months.astype("M8[D]") + (day - 1)
    if (days.astype("M8[M]") != months).any():
        return None
    return np.asarray(days.astype(np.int64))


def _refuse_versions(
    values: Keys, same: NDArray[np.bool_], falls: NDArray[np.bool_], where: str
) -> None:
    """Raise where numbers fall only as 1.9 and 1.10 do, of which a number has no last 0."""
    whole = np.floor(values.astype(np.float64))
    behind = values - whole
    before, after = np.flatnonzero(falls), np.flatnonzero(falls) + 1
    tenth = (behind[after] > 0.1 - 1e-9) & (behind[after] < 0.2 - 1e-9)
    if (same & (np.diff(whole) < 0)).any() or not tenth.all():
        return
    if (whole[before] != whole[after]).any():
        return
    first, second = values[before[0]], values[after[0]]
    raise UserError(
        f"{where}: a sequence goes from {first} to {second}: a number, or two with a point between "
        f"them, as versions have? Write whole numbers in the order of time; {RANKED}"
    )


def _refuse_turns(
    values: Keys, same: NDArray[np.bool_], falls: NDArray[np.bool_], where: str
) -> None:
    """Raise where every sequence that falls does so once, to begin again below its first number.

    So do clocks as 2359 and 0001, hours, years of two digits and angles. Pieces of a sequence that
    are swapped do it too: they close up where the larger steps of a turn leave a gap.
    """
    starts = np.flatnonzero(np.concatenate([[True], ~same]))
    stops = np.concatenate([starts[1:], [len(values)]])
    steps = np.diff(values.astype(np.float64))
    usual = float(steps[same & ~falls].max(initial=0.0)) or 1.0
    suspect = None
    for start, stop in zip(starts, stops, strict=True):
        places = start + np.flatnonzero(falls[start : stop - 1])
        if not len(places):
            continue
        if len(places) > 1 or values[stop - 1] > values[start]:
            return  # rows in no order
        of_own = steps[start : stop - 1]
        largest = float(of_own[of_own > 0].max(initial=0.0)) or usual
        gap = float(values[start]) - float(values[stop - 1])
        least = float(values[places[0] + 1])
        cycle = float(values[places[0]]) - least + gap
        again = gap > largest * 1.001 or (cycle in CYCLES and least in (0, 1))
        if suspect is None and least >= 0 and again:
            suspect = places[0]
    if suspect is not None:
        before, after = values[suspect], values[suspect + 1]
        raise UserError(
            f"{where}: a sequence goes from {before} to {after}: does time begin again, as after "
            "midnight, or are rows out of order? Write whole dates, as 2016-03-04 00:55, or put "
            "the rows into the order of time"
        )
