"""Damaged artefacts are named before they are used, and made again, they alone."""

import dataclasses
import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rnnscope import stages, store
from rnnscope.config import Config
from rnnscope.errors import UserError
from rnnscope.stages import STAGES, planning
from rnnscope.store import manifest as manifests
from rnnscope.store import sidecar
from tests.compose import composed
from tests.stages import tiny
from tests.store import damages

CHAIN = ("train", "extract", "units")
FEW = ("a bit in the middle", "missing", "manifest: zeros")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Config]:
    """A finished run of stages that take no time."""
    for name in CHAIN:
        quick = dataclasses.replace(STAGES[name], module=tiny.__name__, tensorflow=False)
        monkeypatch.setitem(STAGES, name, quick)
    config = composed(tmp_path, "stage=units")
    stages.run(config)
    yield config
    tiny.LUCK[0] = 0


def folders(config: Config) -> dict[str, Path]:
    return {step.stage.name: step.artefact.folder for step in stages.chain(config)}


def contents(folder: Path) -> dict[str, bytes]:
    """What lies in an artefact, but for times of day."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("history.parquet", store.MANIFEST)
    }


def ages(config: Config) -> dict[str, int]:
    """When each artefact was made."""
    return {
        name: (folder / store.MANIFEST).stat().st_mtime_ns
        for name, folder in folders(config).items()
    }


def looks(folder: Path) -> dict[Path, tuple[int, int, int]]:
    there = ((path, path.lstat()) for path in folder.rglob("*"))
    return {path: (about.st_mode, about.st_size, about.st_mtime_ns) for path, about in there}


def plan(config: Config) -> dict[str, str]:
    lines = planning.plan(stages.chain(config), Path(config.root))
    return {line.split()[0]: line.partition(" ")[2].strip() for line in lines}


def beside(config: Config) -> set[str]:
    """What lies beside artefacts and is no sidecar."""
    root = Path(config.root)
    there = (path for stage in CHAIN for path in (root / stage).iterdir())
    return {path.name for path in there if path.name.startswith(".")} - {
        sidecar.beside(folder).name for folder in folders(config).values()
    }


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        *((name, "extract") for name in damages.EVERY),
        *((name, stage) for name in FEW for stage in ("train", "units")),
    ],
)
def test_what_is_damaged_is_named_and_made_again_and_nothing_else(
    name: str, stage: str, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    folder = folders(config)[stage]
    good, before = contents(folder), ages(config)
    damages.EVERY[name](folder)
    spoilt = looks(folder)
    said = plan(config)
    assert said[stage].startswith(f"would run      {folder}/"), said
    assert [each for each in CHAIN if said[each].startswith("would run")] == [stage]
    assert looks(folder) == spoilt
    caplog.clear()
    stages.run(config)
    (line,) = [each for each in caplog.messages if each.endswith("; made again")]
    assert line == f"{said[stage].partition('would run      ')[2]}; made again"
    assert line.isprintable()
    assert contents(folder) == good
    after = ages(config)
    assert [each for each in CHAIN if before[each] != after[each]] == [stage]
    assert not beside(config)
    caplog.clear()
    stages.run(config)
    assert "made again" not in caplog.text
    assert ages(config) == after


@pytest.mark.parametrize("name", damages.HARMLESS)
def test_what_is_harmless_makes_nothing_again(name: str, config: Config) -> None:
    folder = folders(config)["extract"]
    damages.HARMLESS[name](folder)
    assert all(line.startswith("up to date") for line in plan(config).values())
    before = ages(config)
    stages.run(config)
    assert ages(config) == before


@pytest.mark.parametrize("name", FEW)
def test_a_damaged_artefact_is_made_again_by_force_too(name: str, config: Config) -> None:
    folder = folders(config)["units"]
    good = contents(folder)
    damages.EVERY[name](folder)
    stages.run(dataclasses.replace(config, mode="force"))
    assert contents(folder) == good
    extract = folders(config)["extract"]
    damages.EVERY[name](extract)
    stages.run(dataclasses.replace(config, mode="force"))
    assert all(not step.waits for step in stages.chain(config))


def test_what_the_remake_needs_is_made_too(config: Config) -> None:
    there = folders(config)
    shutil.rmtree(there["train"])
    damages.EVERY["missing"](there["extract"])
    made = (there["units"] / store.MANIFEST).stat().st_mtime_ns
    stages.run(config)
    assert all(not step.waits for step in stages.chain(config))
    assert (there["units"] / store.MANIFEST).stat().st_mtime_ns == made


def test_a_remake_that_comes_out_otherwise_is_mixed_with_nothing(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    there, before = folders(config), ages(config)
    was = contents(there["units"])
    damages.EVERY["missing"](there["train"])
    tiny.LUCK[0] = 1
    assert plan(config)["extract"].endswith("if train is the same again")
    stages.run(config)
    assert f"{there['extract']}: was made from another train; made again" in caplog.text
    assert f"{there['units']}: was made from another extract; made again" in caplog.text
    assert all(before[name] != now for name, now in ages(config).items())
    assert contents(there["units"]) != was


def test_what_was_forced_and_came_out_otherwise_is_mixed_with_nothing(config: Config) -> None:
    tiny.LUCK[0] = 1
    stages.run(dataclasses.replace(config, stage="train", mode="force"))
    said = plan(config)
    assert said["train"].startswith("up to date")
    assert "was made from another train" in said["extract"]


def test_a_manifest_of_a_later_version_is_refused_with_what_to_do(config: Config) -> None:
    folder = folders(config)["extract"]
    manifest = store.read_manifest(folder) | {"format": 2}
    del manifest["seal"]
    (folder / store.MANIFEST).write_text(manifests.sealed(manifest))
    for mode in ("run", "plan", "force"):
        with pytest.raises(UserError, match=r"format 2, .* knows 1: update rnnscope, give another"):
            stages.run(dataclasses.replace(config, mode=mode))
    assert store.read_manifest(folder) == {**manifest, "seal": manifests.seal(manifest)}
    shutil.rmtree(folder)
    stages.run(config)


def test_an_artefact_without_digests_is_made_again(config: Config) -> None:
    folder = folders(config)["units"]
    manifest = store.read_manifest(folder)
    for name in ("format", "contents", "seal"):
        del manifest[name]
    (folder / store.MANIFEST).write_text(json.dumps(manifest))
    assert "is of an earlier version of rnnscope, which noted no digests" in plan(config)["units"]
    stages.run(config)
    assert not stages.chain(config)[-1].waits
