"""A finished artefact that is made again: what moves under its readers, and what does not."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from rnnscope import store
from rnnscope.store import reading, sidecar, swap
from tests.store.test_store import artefact_in


def forced(root: Path, files: dict[str, str], **manifest: Any) -> None:
    artefact = artefact_in(root)
    with store.claim(artefact) as holder:
        folder = store.open_partial(artefact, holder, resume=False)
        for name, content in files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(content)
        store.commit(artefact, manifest, holder, replace=True)


FILES = {"a": "1", "deep/b": "2"}


def test_equal_files_stay_where_they_are_and_only_the_manifest_changes(tmp_path: Path) -> None:
    forced(tmp_path, FILES, seconds=1)
    artefact = artefact_in(tmp_path)
    files = {path: path.stat().st_ino for path in artefact.folder.rglob("[ab]")}
    before = reading.identity(artefact.folder)
    forced(tmp_path, FILES, seconds=2)
    assert {path: path.stat().st_ino for path in artefact.folder.rglob("[ab]")} == files
    assert artefact.manifest()["seconds"] == 2
    assert reading.identity(artefact.folder) == before is not None
    there = set(artefact.folder.parent.iterdir())
    assert there - {sidecar.beside(artefact.folder)} == {artefact.folder}


@pytest.mark.parametrize(
    "files", [{"a": "1"}, {**FILES, "c": ""}, {**FILES, "a": "x"}, {"a": "1", "b": "2"}]
)
def test_other_files_take_their_place_whole(files: dict[str, str], tmp_path: Path) -> None:
    forced(tmp_path, FILES)
    artefact = artefact_in(tmp_path)
    before = reading.identity(artefact.folder)
    forced(tmp_path, files)
    there = {
        path.relative_to(artefact.folder).as_posix(): path.read_text()
        for path in artefact.folder.rglob("*")
        if path.is_file() and path.name != store.MANIFEST
    }
    assert there == files
    assert reading.identity(artefact.folder) != before


def test_a_damaged_file_is_replaced_though_the_manifest_says_it_is_equal(tmp_path: Path) -> None:
    forced(tmp_path, FILES)
    artefact = artefact_in(tmp_path)
    (artefact.folder / "a").write_text("x")
    forced(tmp_path, FILES)
    assert (artefact.folder / "a").read_text() == "1"


@pytest.mark.parametrize("exchanges", [True, False])
def test_a_folder_that_is_replaced_is_never_missed(
    exchanges: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an exchange of names, as on NFS, it is for a moment; our readers wait."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    if exchanges:
        assert swap.exchange(tmp_path / "one", tmp_path / "other")
    else:
        monkeypatch.setattr(swap, "exchange", lambda *_: False)
    forced(tmp_path, {"a": "0"})
    folder, stop = artefact_in(tmp_path).folder, Event()

    def look() -> int:
        missed = 0
        while not stop.is_set():
            there = folder.exists() if exchanges else reading.identity(folder) is not None
            missed += not there
        return missed

    with ThreadPoolExecutor() as pool:
        looking = pool.submit(look)
        for number in range(100):
            forced(tmp_path, {"a": str(number)})
        stop.set()
        assert looking.result() == 0


def test_an_exchange_with_nothing_moves_nothing(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    with pytest.raises(FileNotFoundError):
        swap.exchange(tmp_path / "gone", tmp_path / "one")
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_latest_of_an_earlier_version_becomes_a_link_and_loses_nothing(tmp_path: Path) -> None:
    artefact = artefact_in(tmp_path)
    forced(tmp_path, FILES, upstream={})
    (tmp_path / "latest").mkdir()
    (tmp_path / "latest" / "units").symlink_to("../units/gone")
    (tmp_path / "latest" / "notes.txt").write_text("mine")
    store.point_latest(tmp_path, [artefact])
    assert (tmp_path / "latest").is_symlink()
    assert store.latest(tmp_path, "train").resolve() == artefact.folder
    there = {path.name for path in (tmp_path / "latest").iterdir()}
    assert there == {"train", "notes.txt"}
    assert len(list(tmp_path.glob(".latest*"))) == 2


def test_a_latest_that_leads_nowhere_is_made_anew(tmp_path: Path) -> None:
    artefact = artefact_in(tmp_path)
    forced(tmp_path, FILES, upstream={})
    (tmp_path / "latest").symlink_to(".latest-gone")
    store.point_latest(tmp_path, [artefact])
    assert store.latest(tmp_path, "train").resolve() == artefact.folder
