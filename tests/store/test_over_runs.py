"""Which artefact of a stage over several runs is of these runs, from manifests made by hand."""

import time
from pathlib import Path
from typing import Any

import pytest

from rnnscope import store
from rnnscope.stages import OVER_RUNS
from rnnscope.store import contents, digests, over_runs, runs, sidecar
from rnnscope.store.artefacts import Artefact
from rnnscope.store.runs import Run
from rnnscope.store.tables import table_file
from tests.store.test_runs import chain, find, write_manifest

COMPARE = OVER_RUNS["compare"]


def compared(root: Path, some: list[Run], tag: str = "", **said: Any) -> Artefact:
    """A finished comparison of some runs, as its manifest tells."""
    extracts = {f"{run.name}/extract": run.stages["extract"] for run in some}
    key = digests.key({"tag": tag, "runs": sorted(extracts)})
    artefact = store.locate(root, "compare", f"{len(some)}-runs", key)
    artefact.folder.mkdir(parents=True)
    table_file(artefact.folder, "compare").write_text("a table")
    manifest = {
        "stage": "compare",
        "run": f"{len(some)}-runs",
        "key": key,
        "version": COMPARE.version,
        "upstream": {name: each.artefact.key for name, each in extracts.items()},
        "made_from": {
            name: contents.fingerprint(each.manifest["contents"]) for name, each in extracts.items()
        },
        "slice": {},
        "files": {},
        "headline": {},
        "seconds": 1.5,
        "peak_memory_bytes": 10,
        "finished": "2026-01-01T00:00:00+0000",
    }
    write_manifest(artefact.folder, manifest | said)
    return artefact


@pytest.fixture
def three(tmp_path: Path) -> list[Run]:
    for seed in range(3):
        chain(tmp_path, slug=f"digits-lstm4-s{seed}")
    return find(tmp_path).runs


def newest(root: Path, some: list[Run]) -> Artefact | None:
    return over_runs.newest(root, COMPARE, some)


def test_that_of_most_of_the_runs_counts_and_of_several_the_newest(
    three: list[Run], tmp_path: Path
) -> None:
    assert newest(tmp_path, three) is None
    two = compared(tmp_path, three[:2], finished="2026-01-03T00:00:00+0000")
    assert newest(tmp_path, three) == two
    old = compared(tmp_path, three)
    assert newest(tmp_path, three) == old
    new = compared(tmp_path, three, "other options", finished="2026-01-02T00:00:00+0000")
    assert newest(tmp_path, three) == new
    assert newest(tmp_path, three[:2]) == two
    assert newest(tmp_path, three[1:]) is None


def test_what_runs_are_called_does_not_count(three: list[Run], tmp_path: Path) -> None:
    made = compared(tmp_path, three)
    renamed = [Run(f"{run.name}-1234", run.stages) for run in three]
    assert newest(tmp_path, renamed) == made


@pytest.mark.parametrize(
    "said",
    [
        {"version": COMPARE.version + 1},
        {"made_from": {f"digits-lstm4-s{seed}/extract": "other" for seed in range(3)}},
        {"made_from": {}},
    ],
)
def test_of_another_version_or_content_it_does_not_count(
    said: dict[str, Any], three: list[Run], tmp_path: Path
) -> None:
    compared(tmp_path, three, **said)
    assert newest(tmp_path, three) is None


def test_a_damaged_one_does_not_count(three: list[Run], tmp_path: Path) -> None:
    two = compared(tmp_path, three[:2])
    all_three = compared(tmp_path, three)
    table_file(all_three.folder, "compare").write_text("spoilt")
    assert newest(tmp_path, three) == two


def test_a_look_without_remembering_leaves_nothing_behind(
    three: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sidecar, "TICK", 0)  # else what is as young as this is not remembered
    compared(tmp_path, three)
    time.sleep(0.05)
    before = sorted(tmp_path.rglob("*"))
    assert over_runs.newest(tmp_path, COMPARE, three, remember=False)
    assert sorted(tmp_path.rglob("*")) == before
    assert over_runs.newest(tmp_path, COMPARE, three)
    assert sorted(tmp_path.rglob("*")) != before


def test_another_comparison_is_told_from_more_runs() -> None:
    old = {"a/extract": "1", "b/extract": "2"}
    assert runs.changes(old, old | {"runs/compare": "3"}) == ["compare is there now"]
    assert runs.changes(old | {"runs/compare": "3"}, old) == ["compare is gone, or of other runs"]
    both = old | {"runs/compare": "3"}, old | {"runs/compare": "4", "c/extract": "5"}
    assert runs.changes(*both) == ["runs more: 1", "another compare"]
