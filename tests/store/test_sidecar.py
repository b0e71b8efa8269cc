"""What was verified is not read again, and what may have changed since is."""

import json
import os
import stat
import time
from pathlib import Path

import pytest

from rnnscope import store
from rnnscope.store import contents, damage, sidecar
from rnnscope.store.artefacts import Artefact
from tests.store import damages

OLD = 10**9
"""A modification time in seconds that is long past."""


@pytest.fixture
def artefact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Artefact:
    """A finished artefact whose files the file system's clock tells apart from what comes later."""
    made = store.locate(tmp_path, "train", "run", "0" * 64)
    folder = store.open_partial(made, resume=False)
    for part in range(3):
        (folder / f"part-{part}").write_bytes(bytes([part]) * 1000)
    monkeypatch.setattr(sidecar, "TICK", 0)
    time.sleep(0.02)
    store.commit(made, {})
    return made


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read whole."""
    names: list[str] = []
    of_file = contents.of_file

    def logged(path: Path) -> contents.Content:
        names.append(path.name)
        return of_file(path)

    monkeypatch.setattr(contents, "of_file", logged)
    return names


def faults(artefact: Artefact, *, remember: bool = True) -> list[str]:
    found = damage.faults(artefact.folder, artefact.manifest(), remember=remember)
    return [f"{fault.path.name}: {fault.what}" for fault in found]


def test_what_a_commit_saw_is_not_read_again(artefact: Artefact, read: list[str]) -> None:
    assert faults(artefact) == []
    assert read == []


@pytest.mark.parametrize("left", [None, b"", b"{}", b"[]", b"\xff", b'{"part-0": 1}', b"[" * 10**5])
def test_without_a_sidecar_everything_is_read_once(
    left: bytes | None, artefact: Artefact, read: list[str]
) -> None:
    path = sidecar.beside(artefact.folder)
    path.unlink()
    if left is not None:
        path.write_bytes(left)
    assert faults(artefact, remember=False) == []
    assert faults(artefact) == []
    assert sorted(read) == ["part-0", "part-0", "part-1", "part-1", "part-2", "part-2"]
    read.clear()
    assert faults(artefact) == []
    assert read == []


def test_a_sidecar_that_is_a_folder_stops_nothing(artefact: Artefact) -> None:
    path = sidecar.beside(artefact.folder)
    path.unlink()
    path.mkdir()
    assert faults(artefact) == []


def test_a_file_that_was_written_to_is_read_again_whatever_its_time_says(
    artefact: Artefact, read: list[str]
) -> None:
    path = artefact.folder / "part-1"
    os.utime(path, (OLD, OLD))
    assert faults(artefact) == []
    assert read == ["part-1"]
    damages.flip(path, 77)
    assert path.stat().st_mtime == OLD
    for _ in range(2):  # what is damaged is never noted as verified
        assert faults(artefact) == ["part-1: other bytes than were written"]
    assert set(read) == {"part-1"}


def test_a_copy_that_took_a_files_place_is_read(artefact: Artefact, read: list[str]) -> None:
    one, other = artefact.folder / "part-1", artefact.folder / "part-2"
    aside = artefact.folder.parent / "aside"
    one.rename(aside)
    other.rename(one)
    aside.rename(other)
    assert len(faults(artefact)) == 2
    assert sorted(read) == ["part-1", "part-2"]


def test_what_changed_within_a_tick_of_the_clock_is_not_noted(
    artefact: Artefact, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As git's index has it: a second change within the tick would leave no trace."""
    monkeypatch.setattr(sidecar, "TICK", 10**12)
    sidecar.beside(artefact.folder).unlink()
    for _ in range(2):
        assert faults(artefact) == []
    assert len(read) == 6
    assert not sidecar.beside(artefact.folder).exists()


def test_a_file_that_changes_while_it_is_read_is_read_again(
    artefact: Artefact, monkeypatch: pytest.MonkeyPatch
) -> None:
    sidecar.beside(artefact.folder).unlink()
    of_file = contents.of_file

    def racing(path: Path) -> contents.Content:
        found = of_file(path)
        damages.flip(path, 5)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(contents, "of_file", racing)
        assert faults(artefact) == []
    assert len(faults(artefact)) == 3


def test_digests_of_another_manifest_count_for_nothing(artefact: Artefact, read: list[str]) -> None:
    path = sidecar.beside(artefact.folder)
    noted = json.loads(path.read_text())
    noted["part-0"][0] = "0" * 32
    path.write_text(json.dumps(noted))
    assert faults(artefact) == []
    assert read == ["part-0"]


def test_files_have_the_users_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        made = store.locate(tmp_path / "root", "train", "run", "0" * 64)
        with store.claim(made) as holder:
            (store.open_partial(made, resume=False) / "content").write_text("abc")
            store.commit(made, {}, holder)
        sidecar.note(made.folder, damage.declared(made.manifest()), {"content": (3, 1, 1, 1)})
        store.point_latest(tmp_path / "root", [made])
    finally:
        os.umask(before)
    for path in (tmp_path / "root").rglob("*"):
        if not path.is_symlink():
            mode = stat.S_IMODE(path.stat().st_mode)
            assert mode == (0o750 if path.is_dir() else 0o640), path
    assert sidecar.beside(made.folder).is_file()
