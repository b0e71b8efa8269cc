"""Keys that share their first digits: folders, locks and partial folders of their own."""

import json
from pathlib import Path

import pytest

from rnnscope import store
from rnnscope.store import lineage, runs
from tests.store.test_runs import chain, find, make, write_manifest

ONE = "abcdef01" + "0" * 56
OTHER = "abcdef01" + "1" * 56
FAR = "abcdef01" + "0" * 20 + "1" * 36


def finish(root: Path, key: str, word: str) -> Path:
    artefact = store.locate(root, "train", "run", key)
    with store.claim(artefact) as holder:
        folder = store.open_partial(artefact, resume=True)
        (folder / "content").write_text(word)
        store.commit(artefact, {}, holder)
    return artefact.folder


def test_a_key_that_shares_digits_is_not_taken_for_the_other(tmp_path: Path) -> None:
    one = finish(tmp_path, ONE, "one")
    other = store.locate(tmp_path, "train", "run", OTHER)
    assert not other.finished
    assert other.folder != one
    folders = [one, finish(tmp_path, OTHER, "other"), finish(tmp_path, FAR, "far")]
    names = [folder.name for folder in folders]
    assert names == [f"run-{ONE[:8]}", f"run-{OTHER[:12]}", f"run-{FAR[:12]}"]
    for key, folder, word in zip((ONE, OTHER, FAR), folders, ("one", "other", "far"), strict=True):
        artefact = store.locate(tmp_path, "train", "run", key)
        assert artefact.folder == folder
        assert artefact.finished
        assert (artefact.folder / "content").read_text() == word


def test_what_another_key_left_unfinished_is_not_taken_over(tmp_path: Path) -> None:
    begun = store.locate(tmp_path, "train", "run", ONE)
    (store.open_partial(begun, resume=True) / "part-00000").write_text("of one")
    other = store.locate(tmp_path, "train", "run", OTHER)
    assert other.partial != begun.partial
    assert not list(store.open_partial(other, resume=True).iterdir())
    assert other.lock == begun.lock  # until one of them has its folder they wait for each other


def test_a_key_stays_where_it_is_when_the_other_goes(tmp_path: Path) -> None:
    one, other = finish(tmp_path, ONE, "one"), finish(tmp_path, OTHER, "other")
    store.remove(one)
    assert store.locate(tmp_path, "train", "run", OTHER).folder == other
    assert store.locate(tmp_path, "train", "run", ONE).folder == one


def test_a_damaged_manifest_takes_no_name(tmp_path: Path) -> None:
    one = finish(tmp_path, ONE, "one")
    manifest = store.read_manifest(one)
    (one / store.MANIFEST).write_text(json.dumps(manifest | {"key": OTHER}))
    artefact = store.locate(tmp_path, "train", "run", ONE)
    assert artefact.folder == one
    assert not artefact.finished
    assert finish(tmp_path, ONE, "again") == one
    assert (one / "content").read_text() == "again"


@pytest.mark.parametrize("digits", [8, 12, 16, 32, 64])
@pytest.mark.parametrize("slug", ["digits-lstm4-s0", "a-12345", "x", "mine-0123456"])
def test_a_slug_is_what_stands_before_the_key(slug: str, digits: int) -> None:
    assert store.slug_of(Path("root") / "train" / f"{slug}-{ONE[:digits]}") == slug
    left_out = runs.LeftOut(Path("root") / "train" / f"{slug}-{ONE[:digits]}", "why")
    assert left_out.slug == slug


def test_runs_are_found_whatever_the_length_of_their_folders_names(tmp_path: Path) -> None:
    made = chain(tmp_path)
    units = made["units"]
    key = units.key[:8] + "f" * 56
    manifest = units.manifest() | {"key": key}
    other = store.locate(tmp_path, "units", "digits-lstm4-s0", key)
    assert other.folder.name == f"digits-lstm4-s0-{key[:12]}"
    other.folder.mkdir()
    (other.folder / "units.parquet").touch()
    write_manifest(other.folder, manifest)
    found = find(tmp_path)
    assert {run.slug for run in found.runs} == {"digits-lstm4-s0"}
    assert {run.stages["units"].artefact.key for run in found.runs} == {units.key, key}
    assert len({run.name for run in found.runs}) == 2


def test_an_unfinished_artefact_is_named_by_its_own_folder(tmp_path: Path) -> None:
    train = make(tmp_path, "train")
    key = train.key[:8] + "f" * 56
    begun = store.locate(tmp_path, "train", "digits-lstm4-s0", key)
    store.open_partial(begun, resume=False)
    assert list(lineage.unfinished(tmp_path, "train")) == [(begun.folder, "interrupted")]
