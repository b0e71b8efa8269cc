"""What is finished survives a loss of power: a disk that forgets whatever was not synced.

The disk is simulated. It knows of every file the content that it had when it was last synced, and
of every folder the names that it had then; a rename, in particular, is forgotten until the folder
is synced. After every single step of a commit the power is lost in turn.
"""

import contextlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import pytest

from rnnscope import store
from rnnscope.store import atomic, damage
from rnnscope.store.artefacts import Artefact


@dataclass
class Disk:
    """What would be there after a loss of power, by inode."""

    root: Path
    files: dict[int, bytes] = field(default_factory=dict)
    folders: dict[int, dict[str, tuple[int, bool]]] = field(default_factory=dict)

    def synced(self, path: Path) -> None:
        about = path.stat()
        if path.is_dir():
            there = {each.name: each for each in path.iterdir()}
            self.folders[about.st_ino] = {
                name: (each.stat().st_ino, each.is_dir()) for name, each in there.items()
            }
        else:
            self.files[about.st_ino] = path.read_bytes()

    def after_a_loss(self, to: Path) -> None:
        """What is left: names that were synced, content that was."""
        self._restore(self.root.stat().st_ino, to)

    def _restore(self, inode: int, to: Path) -> None:
        to.mkdir()
        for name, (inner, is_folder) in self.folders.get(inode, {}).items():
            if is_folder:
                self._restore(inner, to / name)
            else:
                (to / name).write_bytes(self.files.get(inner, b""))


def artefact_in(root: Path) -> Artefact:
    return store.locate(root, "train", "run", "0" * 64)


def fill(artefact: Artefact, word: str) -> None:
    folder = store.open_partial(artefact, resume=False)
    (folder / "lstm" / "c").mkdir(parents=True)
    for part in range(2):
        (folder / "lstm" / "c" / f"part-{part}").write_text(f"{word} {part}")
    with atomic.written(folder / "model") as unfinished:
        unfinished.write_text(word)


def losing(
    root: Path, monkeypatch: pytest.MonkeyPatch, work: Callable[[], None], kept: Path
) -> list[Path]:
    """Do some work; returns what a loss of power would leave before each of its steps and after."""
    disk, alone = Disk(root), Lock()
    left: list[Path] = []
    for place, _, names in os.walk(root):
        for name in names:
            disk.synced(Path(place, name))
        disk.synced(Path(place))

    def step(function: Any, sync: bool) -> Any:
        def call(path: Any, *args: Any, **kwargs: Any) -> Any:
            with alone:  # files are synced several at a time
                to = kept / f"{len(left):03d}"
                disk.after_a_loss(to)
                left.append(to)
                found = function(path, *args, **kwargs)
                if sync:
                    disk.synced(path)
                return found

        return call

    with monkeypatch.context() as patched:
        patched.setattr(atomic, "sync", step(atomic.sync, sync=True))
        patched.setattr(Path, "rename", step(Path.rename, sync=False))
        patched.setattr(Path, "replace", step(Path.replace, sync=False))
        work()
    to = kept / "last"
    disk.after_a_loss(to)
    return [*left, to]


def word_of(root: Path) -> str | None:
    """What a finished artefact says; fails if it is finished and not whole."""
    artefact = artefact_in(root)
    if not artefact.finished:
        return None
    assert damage.faults(artefact.folder, artefact.manifest()) == []
    word = (artefact.folder / "model").read_text()
    assert (artefact.folder / "lstm" / "c" / "part-1").read_text() == f"{word} 1"
    return word


@pytest.mark.parametrize("removed", ["nothing", "of files", "of folders", "of the manifest"])
def test_what_is_finished_after_a_loss_of_power_is_whole(
    removed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, kept = tmp_path / "root", tmp_path / "kept"
    artefact = artefact_in(root)
    kept.mkdir()
    root.mkdir()
    if removed != "nothing":
        monkeypatch.setattr(Disk, "synced", forgetful(removed))

    def work() -> None:
        fill(artefact, "first")
        store.commit(artefact, {})

    found = []
    for left in losing(root, monkeypatch, work, kept):
        try:
            found.append(word_of(left))
        except (AssertionError, OSError):
            found.append("torn")
    if removed == "nothing":
        assert set(found) == {None, "first"}
        assert found[-1] == "first"
    else:
        assert "torn" in found or found[-1] is None


def forgetful(removed: str) -> Any:
    """``Disk.synced`` of a system that leaves out some syncs."""
    synced = Disk.synced

    def some(disk: Disk, path: Path) -> None:
        manifest = store.MANIFEST in path.name
        kind = "of the manifest" if manifest else "of folders" if path.is_dir() else "of files"
        if kind != removed:
            synced(disk, path)

    return some


def test_a_loss_of_power_while_one_takes_anothers_place_leaves_one_of_them_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, kept = tmp_path / "root", tmp_path / "kept"
    artefact = artefact_in(root)
    kept.mkdir()
    fill(artefact, "first")
    store.commit(artefact, {})

    def work() -> None:
        fill(artefact, "second")
        store.commit(artefact, {}, replace=True)

    found = [word_of(left) for left in losing(root, monkeypatch, work, kept)]
    assert found[0] == "first"
    assert found[-1] == "second"
    assert set(found) <= {"first", "second", None}


@pytest.mark.parametrize("steps", range(12))
def test_a_job_that_is_killed_while_it_commits_loses_nothing_and_leaves_nothing(
    steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artefact = artefact_in(tmp_path)
    fill(artefact, "first")
    store.commit(artefact, {})
    fill(artefact, "second")
    left = [steps]

    class Killed(BaseException):
        pass

    def counted(function: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            if not left[0]:
                raise Killed
            left[0] -= 1
            return function(*args, **kwargs)

        return call

    with monkeypatch.context() as patched:
        for owner, name in ((Path, "rename"), (Path, "replace"), (shutil, "rmtree")):
            patched.setattr(owner, name, counted(getattr(owner, name)))
        patched.setattr(Path, "unlink", counted(Path.unlink))
        with contextlib.suppress(Killed):
            store.commit(artefact, {}, replace=True)
    store.tidy(artefact)
    assert word_of(tmp_path) in ("first", "second")
    there = {path.name for path in artefact.folder.parent.iterdir()}
    assert there <= {artefact.folder.name, f".{artefact.folder.name}.checked"}


def test_a_file_written_at_once_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, kept = tmp_path / "root", tmp_path / "kept"
    root.mkdir()
    kept.mkdir()
    (root / "note").write_text("old")

    def work() -> None:
        with atomic.written(root / "note") as unfinished:
            unfinished.write_text("new")

    found = [(left / "note").read_text() for left in losing(root, monkeypatch, work, kept)]
    assert found == ["old"] * (len(found) - 1) + ["new"]


def test_a_folder_that_is_removed_loses_its_name_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "_parts"
    folder.mkdir()
    (folder / "note").touch()
    monkeypatch.setattr(atomic, "discard", lambda path: None)  # killed before it deletes
    store.remove(folder)
    assert not folder.exists()
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".")
    monkeypatch.undo()
    store.remove(folder)  # nothing is there
    atomic.clear(tmp_path)
    assert not list(tmp_path.iterdir())
