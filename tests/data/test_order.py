"""The order of timesteps: numbers, dates and clocks, also as text, and what is refused."""

import datetime
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnscope.data import parquet
from rnnscope.data.timesteps import in_time
from rnnscope.errors import UserError
from tests.data.test_data import arrays, load, long_form, write

START = datetime.datetime(2016, 1, 29, 0, 25)
WRITTEN: dict[str, Callable[[datetime.datetime], str]] = {
    "day first": lambda t: f"{t.day:02d}/{t.month:02d}/{t.year} {t.hour}:{t.minute:02d}",
    "month first": lambda t: f"{t.month}/{t.day}/{t.year} {t.hour}:{t.minute:02d}",
    "two digits": lambda t: f"{t.month}/{t.day}/{t:%y} {t.hour}:{t.minute:02d}",
    "dots": lambda t: f"{t:%d.%m.%Y %H:%M:%S}",
    "ISO": lambda t: t.isoformat(),
    "ISO without zeros": lambda t: f"{t.year}-{t.month}-{t.day} {t.hour}:{t.minute:02d}",
    "ISO in UTC": lambda t: f"{t.isoformat()}Z",
    "other zones": lambda t: (
        f"{(t + datetime.timedelta(hours=t.hour % 3)).isoformat()}+0{t.hour % 3}:00"
    ),
    "name of the month": lambda t: f"{t:%d %b %Y %H:%M}",
    "12 hours": lambda t: (
        f"{t.month}/{t.day}/{t.year} {t.hour % 12 or 12}:{t.minute:02d} "
        f"{'AM' if t.hour < 12 else 'PM'}"
    ),
    "numbers": lambda t: str(int((t - START).total_seconds())),
}


def order(values: Any, sequences: Any = None) -> list[int]:
    of = np.zeros(len(values)) if sequences is None else sequences
    return np.argsort(in_time(pd.Series(values), pd.Series(of), "it"), kind="stable").tolist()


@pytest.mark.parametrize("form", WRITTEN)
@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=15, derandomize=True)
def test_text_sorts_as_the_time_that_it_writes(form: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    minutes = random.permutation(np.arange(0, 60 * 24 * 40, 65))
    times = [START + datetime.timedelta(minutes=int(m)) for m in minutes]
    text = [WRITTEN[form](t) for t in times]
    assert order(text) == np.argsort(minutes).tolist()


@pytest.mark.parametrize("zeros", [True, False])
@pytest.mark.parametrize("seconds", [True, False])
def test_clocks_sort_with_and_without_zeros_in_front(zeros: bool, seconds: bool) -> None:
    every = range(0, 24 * 60, 30)
    text = [f"{m // 60:0{1 + zeros}d}:{m % 60:02d}{':07' if seconds else ''}" for m in every]
    assert order(text) == list(range(len(text)))
    # Of two sequences whose rows alternate, each is in its own order.
    twice = [each for each in text for _ in range(2)]
    assert order(twice, np.arange(len(twice)) % 2) == list(range(len(twice)))


@pytest.mark.parametrize(
    "clocks",
    [
        ["23:00", "23:30", "0:00", "0:30"],
        ["23:50", "0:10"],
        ["10:00", "16:00", "22:00", "4:00", "10:30"],
        ["8:00", "20:00", "9:00", "21:00", "10:00", "22:00"],
        ["0:55", "10:00", "1:00"],
        [datetime.time(10), datetime.time(9)],
        ["Dec 30", "Dec 31", "Jan 1"],
    ],
)
def test_what_falls_may_be_of_the_next_day_and_is_asked(clocks: list[Any]) -> None:
    with pytest.raises(
        UserError, match=r"goes from .* to .*\? Write whole dates, as 2016-03-04 00:5"
    ):
        order(clocks)


def test_the_remedies_of_what_falls_work() -> None:
    assert order(["2016-03-04 23:50", "2016-03-05 0:10"]) == [0, 1]
    assert order(["0:55", "1:00", "10:00"]) == [0, 1, 2]
    assert order(["Dec 31 2015", "Jan 1 2016"]) == order(["31-Dec-15", "1-Jan-16"]) == [0, 1]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("streams", [False, True])
def test_a_table_with_clocks_is_the_same_data_as_one_with_numbers(
    suffix: str, streams: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if streams:
        monkeypatch.setattr(parquet, "IN_MEMORY", 0)
    frame = long_form(arrays()).sample(frac=1, random_state=0)
    want = load(write(tmp_path, frame)).test
    clock = frame["timestep"].map(lambda t: f"04/03/2016 {8 + t}:30")
    got = load(write(tmp_path, frame.assign(timestep=clock), suffix)).test
    np.testing.assert_array_equal(got.take(slice(None)).x, want.take(slice(None)).x)


def test_seconds_count() -> None:
    clocks = ["0:01:00", "0:00:59.5", "0:00:59,4", "1:00:00", "0:59:59"]
    assert order([f"2016-01-29 {clock}" for clock in clocks]) == [2, 1, 0, 4, 3]
    assert order([clocks[place] for place in (2, 1, 0, 4, 3)]) == [0, 1, 2, 3, 4]
    assert order(["12:01:00 AM", "1:00:59 AM"]) == [0, 1]
    assert order(["1/29/2016 0:01:00", "1/29/2016 0:00:59"]) == [1, 0]
    assert order(["29/01/2016 00.01.00", "29/01/2016 00.00.59"]) == [1, 0]
    assert order(["29.01.2016 18.30", "29.01.2016 9.45"]) == [1, 0]


def test_days_and_months_are_told_apart_by_any_row() -> None:
    assert order(["03/04/2016", "02/05/2016", "13/01/2016"]) == [2, 0, 1]
    assert order(["03/04/2016", "02/05/2016", "01/13/2016"]) == [2, 1, 0]
    assert order(["04/03/2016 10:00", "04/03/2016 9:00"]) == [1, 0]  # both readings agree
    assert order(["03/04/2016", "02/05/2016"], [0, 1])  # within a sequence, there is no order


def test_wide_digits_of_dates_and_clocks_are_digits() -> None:
    assert order(["２０１６-０３-０４", "２０１６-０３-０１"]) == [1, 0]
    assert order(["９:３０:０１.５", "９:３０:０２"]) == [0, 1]


def test_other_types_keep_their_values() -> None:
    times = pd.date_range("2016-03-01", periods=4, tz="Europe/Vienna")[::-1]
    assert order(times) == [3, 2, 1, 0]
    assert order([datetime.time(9), datetime.time(10)]) == [0, 1]
    assert order([3.25, 12.5]) == order([3.2016, 12.0]) == [0, 1]
    assert order(pd.Categorical(["10", "9"], ["10", "9"])) == [1, 0]
    assert order([0.5, -1]) == [1, 0]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (["31/12/99", "01/01/00"], "the years 99 and 00 may be of two centuries"),
        (["04/03/2016", "05/02/2016"], "'04/03/2016' may have the day or the month first"),
        (["t1", "t10"], r"'t1' is no number, date or clock: .*cumcount\(\)"),
        (["1_000", "2"], r"'1_000' is no number, date or clock: .*cumcount\(\)"),
        (["2", "1_000"], "'2' and '1_000', which are not of one kind"),
        (["１", "２"], "'１' is no number, date or clock"),
        (["1" * 30, "2"], f"'{'1' * 30}', past 64 bits"),
        (["-1", str(2**64 - 1)], f"'{2**64 - 1}', past 64 bits"),
        (["1", "0:55"], "'1' and '0:55', which are not of one kind"),
        (["0:55", "0:55:10"], "with and without seconds"),
        (["23:00", "23:30", "0:00", "0:30"], "from 23:30 to 0:00: past midnight"),
        (["12.2015", "03.2016"], "12.2015 may be a month of a year: write dates"),
        ([12.2015, 3.2016], "12.2015 may be a month of a year: write dates"),
        (["1:05 PM", "13:10"], "mixes clocks of 12 and of 24 hours"),
        (["0:55", "0:75"], "past 59"),
        (["2016-02-30", "2016-02-01"], "dates in no one order"),
        (["2016-02-01T00:00Z", "2016-02-01T00:00"], "with and without a zone"),
        ([1, "a"], "values of the types int, str"),
        ([1.0, np.inf], "inf is no timestep"),
    ],
)
def test_what_has_no_certain_order_is_refused(values: list[Any], says: str) -> None:
    with pytest.raises(UserError) as caught:
        order(values)
    assert re.search(says, str(caught.value))
    assert "\n" not in str(caught.value)


def test_one_time_written_twice_is_a_tie(tmp_path: Path) -> None:
    frame = long_form(arrays())
    clock = frame["timestep"].map(lambda t: f"{9 + t}:00").astype(object)
    first = frame.index[frame["sequence"] == 0]
    clock[first[1]] = "09:00"
    with pytest.raises(UserError, match=r"sequence 0 has timestep 0?9:00 twice"):
        load(write(tmp_path, frame.assign(timestep=clock), "csv"))
