"""Two at once: jobs that make one artefact again and again, while others read it."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rnnscope import store
from rnnscope.store import sidecar
from tests.store.hammer import artefact_in, hammer, make, watch, write

READERS = {
    True: ("", "latest"),
    # pandas opens the files of a folder by their names, one after the other.
    False: ("", "latest", "pandas", "pandas latest"),
}
"""By whether what is written differs each time."""


def assert_sound(root: Path, seen: Counter[str]) -> None:
    assert set(seen) <= {"ours whole", "pandas whole"}, seen
    assert seen["ours whole"] > 1
    artefact = artefact_in(root)
    there = set(artefact.folder.parent.iterdir())
    assert there - {sidecar.beside(artefact.folder)} == {artefact.folder}
    assert store.latest(root, "extract").resolve() == artefact.folder
    assert len(list(root.glob(".latest*"))) <= 2


@pytest.mark.parametrize("differ", READERS, ids=["differing", "equal"])
def test_no_reader_sees_an_error_or_parts_of_two(differ: bool, tmp_path: Path) -> None:
    make(tmp_path, 0)
    with ThreadPoolExecutor() as pool:
        reading = [pool.submit(watch, tmp_path, how) for how in READERS[differ]]
        writing = [
            pool.submit(write, tmp_path, first * differ, 20, int(differ)) for first in (1, 21)
        ]
        try:
            for each in writing:
                each.result(60)
        finally:
            (tmp_path / "stop").touch()
        seen = sum((each.result(60) for each in reading), Counter())
    assert_sound(tmp_path, seen)


@pytest.mark.process
@pytest.mark.parametrize("differ", READERS, ids=["differing", "equal"])
def test_ten_processes_at_once(differ: bool, tmp_path: Path) -> None:
    seen = hammer(tmp_path, writers=10, times=12, differ=differ, readers=READERS[differ])
    assert_sound(tmp_path, seen)
