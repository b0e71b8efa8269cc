"""What jobs left behind that were killed or failed vanishes, and nothing else does."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rnnscope import store
from rnnscope.store import sidecar
from rnnscope.store.artefacts import Artefact
from rnnscope.store.contents import Damaged

UNIQUE = "0123456789abcdef" * 2


def finish(root: Path, word: str, key: str = "0" * 64) -> Artefact:
    artefact = store.locate(root, "train", "run", key)
    with store.claim(artefact) as holder:
        (store.open_partial(artefact, holder, resume=False) / "content").write_text(word)
        store.commit(artefact, {}, holder, replace=True)
    return artefact


def beside(artefact: Artefact) -> set[str]:
    there = {path.name for path in artefact.folder.parent.iterdir()}
    return there - {artefact.folder.name, sidecar.beside(artefact.folder).name}


LEFT = (
    ".run-00000000.{}.old/content",
    ".{}.gone/content",
    ".run-00000000.lock.{}",
    ".run-00000000.checked.{}",
    ".run-00000000.partial/of an earlier version",
    ".run-{key}.partial/content",
)


@pytest.mark.parametrize("name", LEFT)
def test_what_was_left_vanishes(name: str, tmp_path: Path) -> None:
    artefact, other = finish(tmp_path, "mine"), finish(tmp_path, "other", "1" * 64)
    (store.open_partial(other, resume=False) / "content").write_text("begun by another")
    left = artefact.folder.parent / name.format(UNIQUE, key=artefact.key)
    left.parent.mkdir(exist_ok=True)
    left.write_text("another-host:1:abc")
    store.tidy(artefact)
    assert beside(artefact) == {other.folder.name, other.partial.name}
    assert (artefact.folder / "content").read_text() == "mine"


def test_what_a_living_job_holds_is_left_alone(tmp_path: Path) -> None:
    artefact = finish(tmp_path, "mine")
    with store.claim(artefact) as holder:
        store.open_partial(artefact, holder, resume=False)
        before = beside(artefact)
        store.tidy(artefact)
        assert beside(artefact) == before
        holder.check(now=True)


@pytest.mark.parametrize("half", [False, True])
def test_what_a_killed_commit_moved_away_returns_if_it_is_whole(half: bool, tmp_path: Path) -> None:
    artefact = finish(tmp_path, "old")
    old = artefact.folder.with_name(f".{artefact.folder.name}.{UNIQUE}.old")
    artefact.folder.rename(old)
    if half:
        (old / "content").unlink()
    with store.claim(artefact):
        assert artefact.finished == (not half)
        assert beside(artefact) == {artefact.lock.name}


def test_a_stray_file_in_the_artefacts_place_gives_way(tmp_path: Path) -> None:
    artefact = store.locate(tmp_path, "train", "run", "0" * 64)
    artefact.folder.parent.mkdir()
    artefact.folder.write_text("stray")
    assert not artefact.finished
    assert finish(tmp_path, "mine").finished
    assert not beside(artefact)


def test_a_job_that_failed_before_it_wrote_anything_leaves_nothing(tmp_path: Path) -> None:
    artefact = store.locate(tmp_path, "train", "run", "0" * 64)
    with store.claim(artefact) as holder:
        (store.open_partial(artefact, holder, resume=True) / "_parts").mkdir()
        store.abandon(artefact, holder)
        assert not artefact.partial.exists()
        (store.open_partial(artefact, holder, resume=True) / "part").touch()
        store.abandon(artefact, holder)
        assert artefact.partial.exists()  # work that a resumed job keeps
    (artefact.partial / "part").unlink()
    with store.claim(artefact) as other:
        store.abandon(artefact, other)
        assert artefact.partial.exists()  # another's


def test_hidden_files_and_empty_folders_are_no_part_of_an_artefact(tmp_path: Path) -> None:
    artefact = store.locate(tmp_path, "train", "run", "0" * 64)
    folder = store.open_partial(artefact, resume=False)
    (folder / "lstm" / "c").mkdir(parents=True)
    (folder / "lstm" / "z").mkdir()
    (folder / "lstm" / "c" / "part").write_text("abc")
    (folder / "lstm" / "c" / ".part.uuid").write_text("half")
    (folder / ".parts.gone").mkdir()
    (folder / ".parts.gone" / "x").touch()
    store.commit(artefact, {})
    there = {str(path.relative_to(artefact.folder)) for path in artefact.folder.rglob("*")}
    assert there == {store.MANIFEST, "lstm", "lstm/c", "lstm/c/part"}
    assert list(artefact.manifest()["contents"]) == ["lstm/c/part"]


@pytest.mark.parametrize("size", [2, 4, None])
def test_what_was_digested_while_it_was_written_must_be_there(
    size: int | None, tmp_path: Path
) -> None:
    artefact = store.locate(tmp_path, "train", "run", "0" * 64)
    folder = store.open_partial(artefact, resume=False)
    if size:
        (folder / "part").write_bytes(bytes(size))
    known = {"part": {"bytes": 3, "xxh3": "0" * 32}}
    with pytest.raises(Damaged, match=r"part: (1 byte (shorter|longer)|missing)"):
        store.commit(artefact, {"contents": known})
    assert not artefact.folder.exists()


def test_what_was_digested_while_it_was_written_is_not_read_again(tmp_path: Path) -> None:
    artefact = store.locate(tmp_path, "train", "run", "0" * 64)
    folder = store.open_partial(artefact, resume=False)
    (folder / "part").write_bytes(bytes(3))
    (folder / "table").write_bytes(bytes(5))
    known = {"part": {"bytes": 3, "xxh3": "abc"}}
    store.commit(artefact, {"contents": known, "headline": {}})
    manifest = artefact.manifest()
    assert manifest["contents"]["part"] == known["part"]
    assert manifest["contents"]["table"]["bytes"] == 5
    assert manifest["bytes"] == 8


STRAY: dict[str, Callable[[Path], object]] = {
    "file": lambda path: path.write_text("mine"),
    "folder": Path.mkdir,
    "link": lambda path: path.symlink_to("nowhere"),
    "loop": lambda path: path.symlink_to(path),
}


@pytest.mark.parametrize("stray", STRAY)
def test_what_lies_in_latest_stops_nothing(stray: str, tmp_path: Path) -> None:
    artefact = finish(tmp_path, "mine")
    (tmp_path / "latest").mkdir()
    for name in ("notes", "units", "train"):
        path = tmp_path / "latest" / name
        STRAY[stray](path)
    store.point_latest(tmp_path, [artefact])
    assert store.latest(tmp_path, "train").resolve() == artefact.folder
    if stray in ("file", "folder"):
        assert (tmp_path / "latest" / "notes").exists()
        assert (tmp_path / "latest" / "train~").exists()
