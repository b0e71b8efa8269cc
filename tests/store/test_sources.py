"""Files that change between the moment they are hashed and the moment they are read."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rnnscope.store import digests, sources
from rnnscope.store.sources import ChangedError


def replaced(path: Path, content: bytes) -> None:
    """Another file in its place, of the same times."""
    about = path.stat()
    fresh = path.with_name("fresh")
    fresh.write_bytes(content)
    os.utime(fresh, ns=(about.st_atime_ns, about.st_mtime_ns))
    fresh.replace(path)


def overwritten(path: Path, content: bytes) -> None:
    """Other bytes in the same file, which is dated back."""
    about = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def linked(path: Path, content: bytes) -> None:
    other = path.with_name("other")
    other.write_bytes(content)
    path.unlink()
    path.symlink_to(other)


def gone(path: Path, content: bytes) -> None:
    path.unlink()


CHANGES = (replaced, overwritten, linked, gone)


@pytest.fixture(params=[2**24, 4], ids=["small", "large"])
def large(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "LARGE", request.param)


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("kind", ["file", "folder", "checkpoint"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changed_is_named(
    change: Callable[[Path, bytes], None], kind: str, tmp_path: Path
) -> None:
    path, file = {
        "file": (tmp_path / "x.npy", tmp_path / "x.npy"),
        "folder": (tmp_path / "data", tmp_path / "data" / "deep" / "x.npy"),
        "checkpoint": (tmp_path / "ckpt", tmp_path / "ckpt.data-00000-of-00001"),
    }[kind]
    file.parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "ckpt.index").write_text("index")
    file.write_bytes(b"12345678")
    found = sources.source("data.path", path)
    sources.check([found])
    sources.check([found], anew=True)
    change(file, b"87654321")
    said = f"^data.path={path}: changed while it was being read; run again$"
    for anew in (False, True):
        with pytest.raises(ChangedError, match=said):
            sources.check([found], anew=anew)


def test_a_file_that_came_to_a_folder_counts(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    found = sources.source("data.path", tmp_path)
    (tmp_path / "b").touch()
    with pytest.raises(ChangedError):
        sources.check([found])


@pytest.mark.usefixtures("large")
def test_a_copy_of_the_same_content_does_not_count(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"12345678")
    found = sources.source("data.path", file)
    replaced(file, b"12345678")
    file.touch()
    sources.check([found], anew=True)


def test_a_small_file_that_changed_within_one_tick_of_the_clock_is_seen_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"12345678")
    stamp = digests.stamp(file)
    monkeypatch.setattr(digests, "stamp", lambda _: stamp)
    found = sources.source("data.path", file)
    file.write_bytes(b"87654321")
    with pytest.raises(ChangedError):
        sources.check([found], anew=True)


def test_a_digest_is_not_kept_past_another_file_of_the_same_size_and_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "LARGE", 4)
    file = tmp_path / "x"
    file.write_bytes(b"12345678")
    first = digests.digest(file)
    for change in (overwritten, replaced):
        change(file, b"87654321")
        assert digests.digest(file) != first
        change(file, b"12345678")
        assert digests.digest(file) == first
