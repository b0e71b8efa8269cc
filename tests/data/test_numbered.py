"""Numbers of time that are dates or clocks without separators, or begin again, are asked about."""

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rnnscope.data import parquet
from rnnscope.data.numbered import dates_of
from rnnscope.data.timesteps import in_time
from rnnscope.errors import UserError
from tests.data.test_data import arrays, load, long_form, write

SPAN = [datetime.datetime(2015, 11, 27) + datetime.timedelta(days=n) for n in range(0, 90, 3)]
FORMS = ("%d%m%Y", "%m%d%Y", "%d%m%Y%H", "%d%m%Y%H%M", "%m%d%Y%H%M%S", "%d%m%y", "%m%d%y", "%d%m")


def order(values: Any, sequences: Any = None) -> list[int]:
    of = np.zeros(len(values)) if sequences is None else sequences
    return np.argsort(in_time(pd.Series(values), pd.Series(of), "it"), kind="stable").tolist()


def asked(values: Any, sequences: Any = None) -> str:
    with pytest.raises(UserError) as raised:
        order(values, sequences)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("kind", [str, int, float])
@pytest.mark.parametrize("form", FORMS)
def test_dates_with_the_year_behind_are_refused(form: str, kind: Any) -> None:
    """As numbers they are in no order of time; a leading 0 is lost where they are numbers."""
    days = (
        SPAN
        if "%y" in form.lower()
        else [
            each.replace(year=2015)
            for each in sorted(SPAN, key=lambda each: (each.month, each.day))
        ]
    )
    values = [kind(each.strftime(form)) for each in days]
    assert "it: " in asked(values)
    assert "dates with the day or the month in front" in asked(values)


@pytest.mark.parametrize("form", ["%d%m%Y", "%m%d%Y", "%d%m%Y%H%M", "%m%Y"])
def test_also_where_the_file_is_in_the_order_of_the_numbers(form: str) -> None:
    """So does a spreadsheet sort them that has them as text."""
    assert "may be dates" in asked(sorted({int(each.strftime(form)) for each in SPAN}))


@pytest.mark.parametrize("form", ["%Y%m%d", "%Y%m%d%H", "%Y%m%d%H%M%S", "%y%m%d"])
def test_dates_with_the_year_in_front_sort_as_numbers(form: str) -> None:
    every = [datetime.datetime(2008, 1, 1) + datetime.timedelta(days=n) for n in range(0, 2000, 11)]
    values = [int(each.strftime(form)) for each in every]
    assert order(values) == list(range(len(values)))
    shuffled = np.random.default_rng(0).permutation(len(values))
    assert order(np.array(values)[shuffled]) == np.argsort(shuffled).tolist()
    assert not dates_of(np.array(values)) or form == "%y%m%d"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([2358, 2359, 0, 1], "from 2359 to 0"),
        (["2358", "2359", "0000", "0001"], "from 2359 to 0"),
        ([235959, 0], "from 235959 to 0"),
        ([22, 23, 0, 1], "from 23 to 0"),
        ([*range(7, 24), *range(7)], "from 23 to 0"),
        ([*range(7, 13), *range(1, 7)], "from 12 to 1"),
        ([22.5, 23.0, 23.5, 0.0, 0.5], "from 23.5 to 0.0"),
        ([98, 99, 0, 1], "from 99 to 0"),
        ([357, 358, 359, 0, 1], "from 359 to 0"),
        ([254, 255, 0], "from 255 to 0"),
        ([58.5, 59.5, 0.5, 1.5], "from 59.5 to 0.5"),
    ],
)
def test_numbers_that_begin_again_are_refused(values: list[Any], says: str) -> None:
    assert says in asked(values)
    # Beside a sequence that is in order, and in two of which rows alternate.
    assert says in asked(
        [*map(type(values[0]), (3, 400, 500)), *values], [0] * 3 + [1] * len(values)
    )
    twice = [each for each in values for _ in range(2)]
    assert says in asked(twice, np.arange(len(twice)) % 2)


@pytest.mark.parametrize(
    "values",
    [
        [1.8, 1.9, 1.1, 1.11],
        ["1.8", "1.9", "1.10", "1.11"],
        [1.9, 1.1, 2.1, 2.2],
        [1.98, 1.99, 1.1, 1.101, 2.1],
    ],
)
def test_numbers_behind_the_point_as_versions_have_are_refused(values: list[Any]) -> None:
    assert "as versions have" in asked(values)


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(1).permutation(50),  # rows in no order
        np.random.default_rng(2).permutation(40) / 10,
        [*range(50, 100), *range(50)],  # pieces in another order
        np.array([*range(300, 500), *range(300)]) * 20 + 1_700_000_000,
        [5.5, 6.0, 6.5, 7.0, 4.0, 4.5, 5.0],
        [1, 0],
        [3, 2, 1, 0],
        [0.5, -1.0],
        [*range(100)],
        [10, 20, 5, 30, 15],
        [1.25, 1.5, 1.75, 2.0],
        np.arange(11_990, 12_010),  # months of a year, as it were
        [10_012_000 + each for each in range(100)],  # dates, as it were, in one order
        [16_100_000 + 250 * each for each in range(30)],
    ],
)
def test_plain_numbers_sort_as_before(values: Any) -> None:
    assert order(values) == np.argsort(values, kind="stable").tolist()
    assert order([str(each) for each in values]) == np.argsort(values, kind="stable").tolist()


def test_one_sequence_in_no_order_tells_that_rows_are_in_none() -> None:
    values = [22, 23, 0, 1, *[5, 2, 9, 7, 1, 8]]
    sequences = [0] * 4 + [1] * 6
    keys = in_time(pd.Series(values), pd.Series(sequences), "it")
    assert keys.tolist() == values


@pytest.mark.parametrize("sort", [False, True])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_tables_with_such_dates_are_refused_and_their_ranks_are_not(
    tmp_path: Path, suffix: str, sort: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "IN_MEMORY", 0)  # read batch by batch, where rows are in order
    frame = long_form(arrays())
    dates = np.array([int(each.strftime("%d%m%Y")) for each in SPAN])
    days = sorted(dates) if sort else dates
    made = frame.assign(timestep=np.asarray(days)[frame["timestep"]])
    with pytest.raises(UserError, match=r"column 'timestep': .* may be dates with the day"):
        load(write(tmp_path, made, suffix))
    keys = ["split", "sequence"]
    ranks = made.groupby(keys)["timestep"].rank().astype(int)
    known = np.array(load(write(tmp_path, made.assign(timestep=ranks), suffix)).test.x[:])
    ordered = made.sort_values([*keys, "timestep"])
    ordered = ordered.assign(timestep=ordered.groupby(keys).cumcount())
    want = load(write(tmp_path, ordered, suffix))
    np.testing.assert_array_equal(known, want.test.x[:])


def test_how_far_such_dates_are_apart_is_asked_where_gaps_are_filled(tmp_path: Path) -> None:
    frame = long_form(arrays())
    frame.loc[frame["timestep"] == 1, "u"] = np.nan
    days = [datetime.date(2016, 1, 29) + datetime.timedelta(days=n) for n in range(12)]
    dates = np.array([int(each.strftime("%m%d%Y")) for each in days])  # in order, unevenly
    made = frame.assign(timestep=dates[frame["timestep"]])
    load(write(tmp_path, made.assign(u=0.5)))
    with pytest.raises(UserError, match="depends on how far they are apart"):
        load(write(tmp_path, made), missing="interpolate")
