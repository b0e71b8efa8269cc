"""Two at once: jobs that make one artefact again and again, while others read it."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.store.hammer import READERS, hammer, make, watch, write, wrong


@pytest.mark.parametrize("differ", READERS, ids=["differing", "equal"])
def test_no_reader_sees_an_error_or_parts_of_two(differ: bool, tmp_path: Path) -> None:
    make(tmp_path, 0)
    with ThreadPoolExecutor() as pool:
        reading = [pool.submit(watch, tmp_path, how) for how in READERS[differ]]
        writing = [pool.submit(write, tmp_path, first * differ, 6, int(differ)) for first in (1, 7)]
        try:
            for each in writing:
                each.result(60)
        finally:
            (tmp_path / "stop").touch()
        seen = sum((each.result(60) for each in reading), Counter())
    assert wrong(tmp_path, seen) == []


@pytest.mark.process
@pytest.mark.parametrize("differ", READERS, ids=["differing", "equal"])
def test_ten_processes_at_once(differ: bool, tmp_path: Path) -> None:
    """Twice each; ``make torture`` lets them do so more often."""
    seen = hammer(tmp_path, writers=10, times=2, differ=differ)
    assert wrong(tmp_path, seen) == []
