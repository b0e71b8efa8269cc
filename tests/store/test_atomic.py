"""Files that appear whole or not at all."""

from pathlib import Path

import pytest

from rnnscope.store import atomic


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "some.txt"
    with atomic.written(path) as unfinished:
        unfinished.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def write_half(path: Path, error: type[BaseException]) -> None:
    with atomic.written(path) as unfinished:
        unfinished.write_text("ha")
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_fails_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "some.txt"
    path.write_text("old")
    with pytest.raises(error):
        write_half(path, error)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_may_write_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "some.txt"
    with atomic.written(path) as one, atomic.written(path) as other:
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"  # the outer one ends last
    assert list(tmp_path.iterdir()) == [path]


def test_what_killed_writers_left_is_cleared_and_nothing_else(tmp_path: Path) -> None:
    inner = tmp_path / "lstm" / "c"
    inner.mkdir(parents=True)
    (inner / "part-00000.parquet").touch()
    (inner / ".part-00001.parquet.abc").touch()
    atomic.clear(tmp_path)
    assert [path.name for path in inner.iterdir()] == ["part-00000.parquet"]
