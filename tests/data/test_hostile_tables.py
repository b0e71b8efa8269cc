"""Tables that are damaged, ambiguous or odd: one line that helps, or the right meaning."""

import logging
from pathlib import Path

import pytest

from rnnscope.config import Files
from rnnscope.data import load, parquet
from rnnscope.errors import UserError
from tests.data.fuzz_tables import check_damage, check_round_trip
from tests.data.hostile_tables import CASES, PARQUET, Case
from tests.data.test_data import options

LONGEST = 300
"""Characters of a line, its folder aside."""


def test_there_are_enough_of_them_and_no_name_twice() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 150


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_each_is_refused_in_one_line_or_means_what_was_written(
    case: Case, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    files: Files = options(**case.write(tmp_path))
    if case.check is not None:
        case.check(load(files))
        assert case.warns in caplog.text
        return
    with pytest.raises(UserError) as caught:
        load(files)
    line = str(caught.value)
    assert line.isprintable()
    assert len(line.replace(str(tmp_path), "")) <= LONGEST, line
    for part in case.says:
        assert part in line, line


STREAMED = [case for case in PARQUET if "memory" not in case.says]


@pytest.mark.parametrize("case", STREAMED, ids=[case.name for case in STREAMED])
def test_tables_that_are_streamed_are_judged_alike(
    case: Case, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "IN_MEMORY", 0)
    test_each_is_refused_in_one_line_or_means_what_was_written(case, tmp_path, caplog)


@pytest.mark.parametrize("seed", range(40))
def test_random_tables_are_what_was_written_or_refused(seed: int, tmp_path: Path) -> None:
    check_round_trip(tmp_path, seed)


@pytest.mark.parametrize("seed", range(40))
def test_random_damage_is_refused_or_read(seed: int, tmp_path: Path) -> None:
    check_damage(tmp_path, seed)
