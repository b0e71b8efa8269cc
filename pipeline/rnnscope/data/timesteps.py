"""The order of timesteps from a column of numbers, dates or clocks, also where they are text."""

import datetime
import logging
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnscope.data.lines import place
from rnnscope.data.numbered import refuse_other_readings
from rnnscope.data.written import NUMBER
from rnnscope.errors import UserError, brief

log = logging.getLogger(__name__)

CLOCK = (
    r"(?P<hour>\d{1,3})(?P<colon>:)(?P<minute>\d{2})(?P<rest>:\d{2}(?:[.,]\d+)?)?"
    r"\s*(?P<half>[ap]\.?m\.?)?"
)
BEHIND_DATE = CLOCK.replace("(?P<colon>:)", "(?P<colon>[:.])").replace("rest>:", "rest>(?P=colon)")
"""A clock with colons or points: alone, 18.00.00 might be a date."""
DATE = r"(?P<a>\d{1,4})(?P<between>[-/.])(?P<b>\d{1,2})(?P=between)(?P<c>\d{1,4})\.?"
ZONE = r"(?P<zone>\s*(?:Z|UTC|[+-]\d{2}:?\d{2}))?"
IS_CLOCK = re.compile(rf"(?:{CLOCK})", re.IGNORECASE)
IS_CLOCK_BEHIND_DATE = re.compile(rf"(?:{BEHIND_DATE})", re.IGNORECASE)
IS_DATE = re.compile(rf"{DATE}(?:(?:\s*T|,)?\s*(?:{BEHIND_DATE}){ZONE})?", re.IGNORECASE)
MONTHS = re.compile(r"(?:0?[1-9]|1[0-2])\.(?:19|20)\d{2}")
YEAR = re.compile(r"\b\d{4}\b|\b\d{1,2}[- ]\w{3,9}[- ]\d{2}\b")
NAMED = re.compile(r".*\b\d{0,2}(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)", re.IGNORECASE)
ORDERS = (("a", "b", "c"), ("c", "b", "a"), ("c", "a", "b"))
"""Year, month and day among the groups of DATE: the year first, the day first, the month first."""
LATE = 69
"""Years of two digits from here on are commonly of the last century."""
REMEDY = (
    "write numbers, dates as 2016-03-04 00:55, or clocks as 0:55; if the rows are in order: "
    "frame['timestep'] = frame.groupby('sequence').cumcount()"
)


def in_time(values: "pd.Series[Any]", sequences: "pd.Series[Any]", where: str) -> NDArray[Any]:
    """Keys [R] by which the rows of each sequence sort into the order of time.

    Numbers, dates and times keep their values; text is read as numbers, as dates, or as clocks,
    whichever all rows are.

    Args:
        values: the column of timesteps [R].
        sequences: the number of each row's sequence [R].
        where: what to call the column in an error.

    Raises:
        UserError: text that is none of these or is several; dates that can be read with the day or
            the month first, if the order depends on it; or clocks, or dates without a year, that
            fall from one row to the next, as they do where they pass midnight or New Year.
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    plain = values.to_numpy()
    if plain.dtype.kind != "O" and not pd.api.types.is_string_dtype(values):
        if plain.dtype.kind == "f" and not np.isfinite(plain).all():
            raise UserError(f"{where}: {plain[~np.isfinite(plain)][0]} is no timestep")
        if plain.dtype.kind == "f":
            _refuse_months(values.map("{:.4f}".format), where)
        refuse_other_readings(plain, sequences, where)
        return plain
    kinds = {type(value) for value in plain}
    if kinds != {str}:
        if len(kinds) == 1 and isinstance(plain[0], datetime.date | datetime.time):
            if isinstance(plain[0], datetime.time):
                _refuse_falls(plain, values, sequences, where)
            return plain
        names = sorted(kind.__name__ for kind in kinds)
        raise UserError(f"{where} holds values of the types {', '.join(names)}: {REMEDY}")
    text = values.astype(str).str.strip()
    readers: tuple[tuple[Callable[[Any], bool], Callable[..., NDArray[Any]]], ...] = (
        (_is_number, _numbers),
        (lambda each: IS_CLOCK.fullmatch(each) is not None, _clocks),
        (lambda each: IS_DATE.fullmatch(each) is not None, _dates),
        (lambda each: NAMED.match(each) is not None, _named_dates),
    )
    for fits, read in readers:
        if fits(text.iloc[0]):
            strange = text[~text.map(fits)]
            if len(strange):
                raise UserError(
                    f"{where} holds '{brief(text.iloc[0])}' and '{brief(strange.iloc[0])}', which "
                    f"are not of one kind ({place(strange.index, 0)}): {REMEDY}"
                )
            return read(text, sequences, where)
    raise UserError(f"{where}: '{brief(text.iloc[0])}' is no number, date or clock: {REMEDY}")


def warn_of_gaps(keys: NDArray[Any], sequences: NDArray[Any], at: str) -> None:
    """Log how many steps within sequences are longer than usual; they are taken as one timestep.

    Args:
        keys: of the rows [R], as ``in_time`` gives them.
        sequences: the number of each row's sequence [R].
        at: what to call the table in an error.
    """
    if keys.dtype.kind not in "iufmM" or len(keys) < 2:
        return
    steps = steps_within(keys, sequences)
    if len(steps) and (long := int((steps > 1.5 * np.median(steps)).sum())):
        log.warning(
            f"{at}: {long:,} of {len(steps):,} steps from one timestep to the next are longer than "
            "usual, and are taken as single steps: rows may be missing"
        )


def steps_within(keys: NDArray[Any], sequences: NDArray[Any]) -> NDArray[np.float64]:
    """The steps from one timestep to the next within sequences, of numbers, dates or durations."""
    order = np.lexsort((keys, sequences))
    return np.diff(keys[order].astype(np.float64))[np.diff(sequences[order]) == 0]


def is_clock(text: str) -> bool:
    """Whether a text is a clock, as one may stand behind a date: 0:55, 18.00.00."""
    return IS_CLOCK_BEHIND_DATE.fullmatch(text.strip()) is not None


def _is_number(text: str) -> bool:
    """Whether pandas reads a text as a number, as Python also does 1_000 and １."""
    return NUMBER.fullmatch(text) is not None and bool(np.isfinite(float(text)))


def _numbers(text: "pd.Series[Any]", sequences: Any, where: str) -> NDArray[Any]:
    _refuse_months(text, where)
    keys = pd.to_numeric(text).to_numpy()
    if keys.dtype.kind not in "iuf":
        longest = max(text, key=len)
        raise UserError(f"{where} holds '{brief(longest)}', past 64 bits: {REMEDY}")
    refuse_other_readings(keys, sequences, where)
    return keys


def _clocks(text: "pd.Series[Any]", sequences: "pd.Series[Any]", where: str) -> NDArray[Any]:
    parts = text.str.extract(IS_CLOCK)
    if parts["rest"].isna().any() and parts["rest"].notna().any():
        raise UserError(
            f"{where} holds clocks with and without seconds, such as "
            f"'{text[parts['rest'].isna()].iloc[0]}' and '{text[parts['rest'].notna()].iloc[0]}': "
            "write all as 0:55:00"
        )
    seconds = _seconds(parts, where)
    _refuse_falls(seconds, text, sequences, where)
    return seconds


def _seconds(parts: pd.DataFrame, where: str) -> NDArray[np.float64]:
    """Seconds since midnight of the parts of clocks."""
    hour, minute = parts["hour"].astype(np.int64), parts["minute"].astype(np.int64)
    second = parts["rest"].str[1:].str.replace(",", ".").astype(np.float64).fillna(0.0)
    half = parts["half"].str[0].str.lower()
    if half.notna().any():
        if half.isna().any() or not hour.between(1, 12).all():
            raise UserError(f"{where} mixes clocks of 12 and of 24 hours: write all as 13:05")
        hour = hour % 12 + 12 * (half == "p")
    if (minute > 59).any() or (second >= 61).any():
        raise UserError(f"{where} holds a clock past 59 minutes or seconds: {REMEDY}")
    return (hour * 3600 + minute * 60 + second).to_numpy(np.float64)


def _refuse_falls(
    keys: NDArray[Any], written: "pd.Series[Any]", sequences: "pd.Series[Any]", where: str
) -> None:
    """Raise where rows of a sequence fall: are they out of order, or is it another day or year?"""
    for rows in sequences.groupby(sequences.to_numpy(), sort=False).indices.values():
        falls = np.flatnonzero(keys[rows][1:] < keys[rows][:-1])
        if len(falls):
            before, after = written.iloc[rows[falls[0]]], written.iloc[rows[falls[0] + 1]]
            raise UserError(
                f"{where}: a sequence goes from {before} to {after}: past midnight or New Year, or "
                "out of order? Write whole dates, as 2016-03-04 00:55, or put the rows into the "
                "order of time"
            )


def _refuse_months(text: "pd.Series[Any]", where: str) -> None:
    """Raise where all numbers may be months: as numbers, 3.2016 is later than 12.2015."""
    if len(set(text)) > 1 and all(map(MONTHS.fullmatch, text)):
        raise UserError(
            f"{where}: {text.iloc[0]} may be a month of a year: write dates, as 2016-03-01"
        )


def _dates(text: "pd.Series[Any]", sequences: "pd.Series[Any]", where: str) -> NDArray[Any]:
    readings = readings_of(text, where)
    orders = [_ranks(reading, sequences) for reading in readings]
    if any((order != orders[0]).any() for order in orders):
        raise UserError(
            f"{where}: '{text.iloc[0]}' may have the day or the month first, and the order of "
            "the timesteps depends on it: write the year first, as 2016-03-04 00:55"
        )
    return readings[0]


def readings_of(text: "pd.Series[Any]", where: str) -> list[NDArray[np.float64]]:
    """The seconds [R] of dates, once for each order of year, month and day that fits all."""
    parts = text.str.extract(IS_DATE)
    seconds = np.zeros(len(text))
    if parts["hour"].notna().any():
        clocks = parts.assign(hour=parts["hour"].fillna("0"), minute=parts["minute"].fillna("0"))
        seconds = _seconds(clocks, where) - _zone(parts["zone"], where)
    readings = []
    for year, month, day in ORDERS:
        if (days := _days(parts[year], parts[month], parts[day])) is not None:
            _refuse_centuries(parts[year], where)
            readings.append(days * 86400.0 + seconds)
    if not readings:
        raise UserError(f"{where}: '{text.iloc[0]}' and others are dates in no one order: {REMEDY}")
    return readings


def _days(year: Any, month: Any, day: Any) -> NDArray[np.float64] | None:
    """Days since 1970, if all of these are dates."""
    digits = year.str.len()
    if not ((digits == 4).all() or ((digits == 2) & (month.str.len() <= 2)).all()):
        return None
    if (day.str.len() > 2).any():
        return None
    years = year.astype(np.int64) + np.where(digits == 4, 0, 2000)
    parts = {"year": years, "month": month.astype(np.int64), "day": day.astype(np.int64)}
    dates = pd.to_datetime(pd.DataFrame(parts), errors="coerce")
    if dates.isna().any():
        return None
    return (dates - pd.Timestamp(0)).dt.days.to_numpy(np.float64)


def _refuse_centuries(year: "pd.Series[Any]", where: str) -> None:
    """Raise for years of two digits of which it is not clear that they are of one century."""
    if (year.str.len() == 4).all():
        return
    late = year.astype(np.int64) >= LATE
    if late.any() and not late.all():
        raise UserError(
            f"{where}: the years {year[late].iloc[0]} and {year[~late].iloc[0]} may be of two "
            "centuries: write years with four digits, as 2016-03-04"
        )


def _zone(zones: "pd.Series[Any]", where: str) -> NDArray[np.float64]:
    """Seconds that each row's zone is ahead of UTC."""
    if zones.isna().any() and zones.notna().any():
        raise UserError(f"{where} holds times with and without a zone: write all with one")
    digits = zones.str.strip().str.extract(r"([+-])(\d{2}):?(\d{2})").fillna("0")
    ahead = digits[1].astype(np.int64) * 3600 + digits[2].astype(np.int64) * 60
    return np.where(digits[0] == "-", -ahead, ahead).astype(np.float64)


def _ranks(keys: NDArray[np.float64], sequences: "pd.Series[Any]") -> NDArray[np.float64]:
    """The place of each row within its sequence."""
    ranks = pd.Series(keys).groupby(sequences.to_numpy(), observed=True).rank("min")
    return ranks.to_numpy(np.float64)


def _named_dates(text: "pd.Series[Any]", sequences: Any, where: str) -> NDArray[Any]:
    """Dates with the month by its name."""
    try:
        dates = pd.to_datetime(text, format="mixed", utc=True).to_numpy()
    except (ValueError, OverflowError) as error:
        raise UserError(
            f"{where}: '{text.iloc[0]}' is no date that can be read: {REMEDY}"
        ) from error
    if not text.map(lambda each: YEAR.search(each) is not None).all():
        _refuse_falls(dates, text, sequences, where)
    return dates
