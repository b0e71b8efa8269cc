"""Provenance: which code made a result."""

from pathlib import Path

import pytest

from rnnscope import stages
from rnnscope.store import provenance
from tests.compose import composed


def package(folder: Path, **files: str) -> Path:
    """A package of these modules."""
    (folder / "inner").mkdir(parents=True)
    for name, text in files.items():
        (folder / f"{name.replace('__', '/')}.py").write_text(text)
    return folder


def test_the_same_source_has_the_same_digest_wherever_it_lies(tmp_path: Path) -> None:
    files = {"one": "x = 1", "inner__two": "y = 2"}
    first, second = (package(tmp_path / name, **files) for name in ("a", "b"))
    (second / "inner" / "two.cpython-311.pyc").write_text("compiled")
    assert provenance.source_digest(first) == provenance.source_digest(second)


@pytest.mark.parametrize(
    "files",
    [
        {"one": "x = 1 ", "inner__two": "y = 2"},
        {"one": "y = 2", "inner__two": "x = 1"},
        {"one": "x = 1", "two": "y = 2"},
        {"one": "x = 1"},
        {"one": "x = 1", "inner__two": "y = 2", "three": ""},
    ],
)
def test_any_change_of_the_source_changes_the_digest(files: dict[str, str], tmp_path: Path) -> None:
    first = package(tmp_path / "a", one="x = 1", inner__two="y = 2")
    assert provenance.source_digest(first) != provenance.source_digest(
        package(tmp_path / "b", **files)
    )


def test_the_source_is_in_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that changes no result makes nothing stale."""
    config = composed(tmp_path)
    before = [step.artefact.key for step in stages.chain(config)]
    monkeypatch.setattr(provenance, "SOURCE", "0123456789ab")
    assert [step.artefact.key for step in stages.chain(config)] == before
