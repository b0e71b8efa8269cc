"""What a stage that only runs when it is asked for has found, and which of it the page shows."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from rnnscope import stages
from rnnscope.config import Config
from rnnscope.stages import STAGES, planning
from rnnscope.store.artefacts import Artefact
from tests.compose import composed
from tests.crashes import tree
from tests.stages import tiny
from tests.store import damages

OTHER = "intervention.max_sequences=50"


@pytest.fixture
def short(quick: Config, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The config of a run whose report needs but units, and may show interventions."""
    for name in ("intervention", "report"):
        needs = ("train", "extract", "units") if name == "report" else STAGES[name].needs
        stage = dataclasses.replace(
            STAGES[name], module=tiny.__name__, tensorflow=False, needs=needs, tables=()
        )
        monkeypatch.setitem(STAGES, name, stage)
    return composed(Path(quick.root), "stage=report")


def intervened(config: Config, *overrides: str) -> Artefact:
    root = Path(config.root)
    return stages.run(composed(root, "stage=intervention", *overrides))[-1].artefact


def shown(config: Config) -> str | None:
    """The key of the intervention that the report of a config reads; None without one."""
    step = stages.chain(config)[-1]
    assert step.stage.name == "report"
    found = step.upstream.get("intervention")
    return None if found is None else found.key


def test_the_report_reads_an_intervention_where_there_is_one_and_makes_none(short: Config) -> None:
    without = stages.run(short)[-1]
    assert list(without.upstream) == ["train", "extract", "units"]
    assert not (Path(short.root) / "intervention").exists()
    made = intervened(short)
    before = tree(Path(short.root))
    steps = stages.chain(dataclasses.replace(short, mode="plan"))
    assert planning.plan(steps, Path(short.root))[-1] == (
        "report     would run      intervention is there now"
    )
    assert tree(Path(short.root)) == before
    assert shown(short) == made.key
    step = stages.run(short)[-1]
    assert step.artefact.key != without.artefact.key
    manifest = step.artefact.manifest()
    assert manifest["upstream"]["intervention"] == made.key
    assert list(manifest["upstream"]) == ["train", "extract", "units", "intervention"]
    assert not stages.run(short)[-1].waits


def test_of_several_that_of_the_config_is_read_and_else_the_newest(short: Config) -> None:
    older = intervened(short, OTHER)
    assert shown(short) == older.key
    middle = intervened(short, "intervention.max_sequences=20")
    newest = intervened(short, "intervention.max_sequences=30")
    assert len({older.key, middle.key, newest.key}) == 3
    assert shown(short) == newest.key
    root = Path(short.root)
    assert shown(composed(root, "stage=report", OTHER)) == older.key
    assert shown(composed(root, "stage=report", "intervention.max_sequences=20")) == middle.key


def test_those_of_another_run_are_not_read(short: Config) -> None:
    intervened(short, "seed=1")
    assert shown(short) is None
    assert shown(composed(Path(short.root), "stage=report", "seed=1")) is not None


def test_a_damaged_one_is_not_read_and_the_one_before_it_is(short: Config) -> None:
    older = intervened(short, OTHER)
    newest = intervened(short)
    damages.EVERY["a bit in the middle"](newest.folder)
    assert shown(short) == older.key
    shutil.rmtree(older.folder)
    assert shown(short) is None


def test_one_of_another_version_is_not_read(short: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    intervened(short)
    known = STAGES["intervention"]
    newer = dataclasses.replace(known, version=known.version + 1)
    monkeypatch.setitem(STAGES, "intervention", newer)
    assert shown(short) is None


def test_one_that_was_made_from_another_content_is_not_read(short: Config) -> None:
    made = intervened(short)
    tiny.LUCK[0] = 1
    stages.run(dataclasses.replace(short, stage="train", mode="force"))
    assert shown(short) is None, "train is another, and extract not yet made from it"
    stages.run(short)
    assert shown(short) is None
    again = intervened(short)
    assert again.key == made.key
    assert shown(short) == again.key


def test_before_a_run_is_there_nothing_is_read(short: Config) -> None:
    intervened(short)
    shutil.rmtree(Path(short.root) / "extract")
    assert shown(short) is None
    stages.run(short)
    assert shown(short) is not None, "the same again"


def test_recorded_states_have_none(short: Config, tmp_path: Path) -> None:
    file = tmp_path / "states.npz"
    file.write_bytes(b"states")
    config = composed(Path(short.root), "stage=report", "model=states", f"model.path={file}")
    assert shown(config) is None


def test_what_is_shown_needs_no_stage_that_the_report_does_not() -> None:
    for stage in STAGES.values():
        if stage.shows:
            assert set(STAGES[stage.shows].needs) <= set(stage.needs)
            assert list(STAGES).index(stage.shows) < list(STAGES).index(stage.name)
