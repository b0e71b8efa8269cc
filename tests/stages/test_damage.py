"""Damaged artefacts are named before they are used, and made again, they alone."""

import dataclasses
import importlib
import json
import logging
import shutil
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from rnnscope import stages, store
from rnnscope.config import Config
from rnnscope.errors import UserError
from rnnscope.stages import STAGES, planning
from rnnscope.store import digests, runs, sidecar
from rnnscope.store import manifest as manifests
from rnnscope.store.artefacts import Artefact
from rnnscope.store.inputs import Inputs
from rnnscope.store.locks import Held
from rnnscope.store.stage import Figures
from tests.stages import tiny
from tests.stages.tiny import CHAIN, folders
from tests.store import damages

FEW = ("a bit in the middle", "missing", "manifest: zeros")


def contents(folder: Path) -> dict[str, bytes]:
    """What lies in an artefact, but for its manifest, which has times of day."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != store.MANIFEST
    }


def ages(quick: Config) -> dict[str, int]:
    """When each artefact was made."""
    return {
        name: (folder / store.MANIFEST).stat().st_mtime_ns
        for name, folder in folders(quick).items()
    }


def looks(folder: Path) -> dict[Path, tuple[int, int, int]]:
    there = ((path, path.lstat()) for path in folder.rglob("*"))
    return {path: (about.st_mode, about.st_size, about.st_mtime_ns) for path, about in there}


def plan(quick: Config) -> dict[str, str]:
    lines = planning.plan(stages.chain(quick), Path(quick.root))
    return {line.split()[0]: line.partition(" ")[2].strip() for line in lines}


def beside(quick: Config) -> set[str]:
    """What lies beside artefacts and is no sidecar."""
    root = Path(quick.root)
    there = (path for stage in CHAIN for path in (root / stage).iterdir())
    return {path.name for path in there if path.name.startswith(".")} - {
        sidecar.beside(folder).name for folder in folders(quick).values()
    }


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        *((name, "extract") for name in damages.EVERY),
        *((name, stage) for name in FEW for stage in ("train", "units")),
    ],
)
def test_what_is_damaged_is_named_and_made_again_and_nothing_else(
    name: str, stage: str, quick: Config, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    folder = folders(quick)[stage]
    good, before = contents(folder), ages(quick)
    damages.EVERY[name](folder)
    spoilt = looks(folder)
    said = plan(quick)
    assert said[stage].startswith(f"would run      {folder}/"), said
    assert [each for each in CHAIN if said[each].startswith("would run")] == [stage]
    assert looks(folder) == spoilt
    caplog.clear()
    stages.run(quick)
    (line,) = [each for each in caplog.messages if each.endswith("; made again")]
    assert line == f"{said[stage].partition('would run      ')[2]}; made again"
    assert line.isprintable()
    assert contents(folder) == good
    after = ages(quick)
    assert [each for each in CHAIN if before[each] != after[each]] == [stage]
    assert not beside(quick)
    caplog.clear()
    stages.run(quick)
    assert "made again" not in caplog.text
    assert ages(quick) == after


@pytest.mark.parametrize("name", damages.HARMLESS)
def test_what_is_harmless_makes_nothing_again(name: str, quick: Config) -> None:
    folder = folders(quick)["extract"]
    damages.HARMLESS[name](folder)
    assert all(line.startswith("up to date") for line in plan(quick).values())
    before = ages(quick)
    stages.run(quick)
    assert ages(quick) == before


@pytest.mark.parametrize("name", FEW)
def test_a_damaged_artefact_is_made_again_by_force_too(name: str, quick: Config) -> None:
    folder = folders(quick)["units"]
    good = contents(folder)
    damages.EVERY[name](folder)
    stages.run(dataclasses.replace(quick, mode="force"))
    assert contents(folder) == good
    extract = folders(quick)["extract"]
    damages.EVERY[name](extract)
    stages.run(dataclasses.replace(quick, mode="force"))
    assert all(not step.waits for step in stages.chain(quick))


def test_what_the_remake_needs_is_made_too(quick: Config) -> None:
    there = folders(quick)
    shutil.rmtree(there["train"])
    damages.EVERY["missing"](there["extract"])
    made = (there["units"] / store.MANIFEST).stat().st_mtime_ns
    stages.run(quick)
    assert all(not step.waits for step in stages.chain(quick))
    assert (there["units"] / store.MANIFEST).stat().st_mtime_ns == made


def test_a_remake_that_comes_out_otherwise_is_mixed_with_nothing(
    quick: Config, caplog: pytest.LogCaptureFixture
) -> None:
    there, before = folders(quick), ages(quick)
    was = contents(there["units"])
    damages.EVERY["missing"](there["train"])
    tiny.LUCK[0] = 1
    assert plan(quick)["extract"].endswith("if train is the same again")
    stages.run(quick)
    assert f"{there['extract']}: was made from another train; made again" in caplog.text
    assert f"{there['units']}: was made from another extract; made again" in caplog.text
    assert all(before[name] != now for name, now in ages(quick).items())
    assert contents(there["units"]) != was


def test_what_was_forced_and_came_out_otherwise_is_mixed_with_nothing(quick: Config) -> None:
    tiny.LUCK[0] = 1
    stages.run(dataclasses.replace(quick, stage="train", mode="force"))
    said = plan(quick)
    assert said["train"].startswith("up to date")
    assert "was made from another train" in said["extract"]


def test_a_manifest_of_a_later_version_is_refused_with_what_to_do(quick: Config) -> None:
    folder = folders(quick)["extract"]
    manifest = store.read_manifest(folder) | {"format": 2}
    del manifest["seal"]
    (folder / store.MANIFEST).write_text(manifests.sealed(manifest))
    for mode in ("run", "plan", "force"):
        for stage in ("extract", "units"):
            with pytest.raises(UserError, match=r"format 2, .* knows 1: update rnnscope, give a"):
                stages.run(dataclasses.replace(quick, mode=mode, stage=stage))
    assert store.read_manifest(folder) == {**manifest, "seal": manifests.seal(manifest)}
    shutil.rmtree(folder)
    stages.run(quick)


def test_an_artefact_without_digests_is_made_again(quick: Config) -> None:
    folder = folders(quick)["units"]
    manifest = store.read_manifest(folder)
    for name in ("format", "contents", "seal"):
        del manifest[name]
    (folder / store.MANIFEST).write_text(json.dumps(manifest))
    assert "is of an earlier version of rnnscope, which noted no digests" in plan(quick)["units"]
    stages.run(quick)
    assert not stages.chain(quick)[-1].waits


def test_keys_that_share_digits_are_not_taken_for_each_other(
    quick: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = digests.key
    monkeypatch.setattr(digests, "key", lambda identity: f"abcdef01{key(identity)[8:]}")
    other = dataclasses.replace(quick, seed=1)  # the slug would tell them apart
    monkeypatch.setattr(
        importlib.import_module("rnnscope.stages.chain"), "slug", lambda config: "run"
    )
    stages.run(quick)
    assert all(step.waits for step in stages.chain(other))
    stages.run(other)
    one, two = folders(quick), folders(other)
    assert [folder.name for folder in one.values()] == ["run-abcdef01"] * 3
    assert all(len(folder.name) == len("run-abcdef01") + 4 for folder in two.values())
    assert contents(one["units"]) != contents(two["units"])
    assert not any(step.waits for config in (quick, other) for step in stages.chain(config))


def test_a_folder_that_another_key_takes_meanwhile_is_left_to_it(
    quick: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, claim, waiting = digests.key, store.claim, [True]
    monkeypatch.setattr(digests, "key", lambda identity: f"abcdef01{key(identity)[8:]}")
    monkeypatch.setattr(
        importlib.import_module("rnnscope.stages.chain"), "slug", lambda config: "run"
    )
    other = dataclasses.replace(quick, seed=1)

    def after_the_other(artefact: Artefact) -> AbstractContextManager[Held]:
        if waiting.pop():
            waiting.append(False)
            stages.run(other)
        waiting.append(False)
        return claim(artefact)

    monkeypatch.setattr(store, "claim", after_the_other)
    stages.run(quick)
    names = {len(folder.name) for folder in folders(other).values()}
    assert names == {len("run-abcdef01")}
    assert not any(step.waits for config in (quick, other) for step in stages.chain(config))
    assert contents(folders(quick)["units"]) != contents(folders(other)["units"])


def test_a_stage_that_refuses_leaves_nothing(
    quick: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(config: Config, inputs: Inputs, folder: Path) -> Figures:
        (folder / "_parts").mkdir()
        raise UserError("no")

    monkeypatch.setattr(tiny, "run", refuse)
    other = dataclasses.replace(quick, seed=1)
    for _ in range(2):
        with pytest.raises(UserError):
            stages.run(other)
    assert not beside(quick)


def test_what_is_damaged_is_in_no_collection(quick: Config) -> None:
    root = Path(quick.root)
    other = dataclasses.replace(quick, seed=1)
    stages.run(other)
    for folder in folders(quick).values():
        assert len(runs.find(root, STAGES).runs) == 2
        damages.EVERY["a bit in the middle"](folder)
        survey = runs.find(root, STAGES)
        assert [run.stages["train"].artefact.folder for run in survey.runs] == [
            folders(other)["train"]
        ]
        (left,) = survey.left_out
        name = damages.files_of(folder)[-1].relative_to(folder)
        assert left.why == (
            f"damaged, {folder.parent.name}/{name}: other bytes than were written; run it again"
        )
        stages.run(quick)


def test_what_was_made_from_another_content_is_in_no_collection(quick: Config) -> None:
    tiny.LUCK[0] = 1
    stages.run(dataclasses.replace(quick, stage="train", mode="force"))
    survey = runs.find(Path(quick.root), STAGES)
    assert not survey.runs
    assert {left.why for left in survey.left_out} == {
        "stale, made from another train than there is now: run it again"
    }
