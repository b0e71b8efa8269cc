"""Which runs there are, from manifests made by hand, and every reason to leave something out."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rnnscope import store
from rnnscope.stages import STAGES
from rnnscope.store import contents, digests, lineage, locks, processes, runs
from rnnscope.store import manifest as manifests
from rnnscope.store.artefacts import Artefact
from rnnscope.store.runs import Survey
from rnnscope.store.tables import table_file

VERSIONS = {name: stage.version for name, stage in STAGES.items()}
SLICES: dict[str, dict[str, Any]] = {
    "train": {"data": {"name": "digits"}, "model": {"name": "lstm", "units": 4}, "seed": 0},
    "extract": {"data": {"name": "digits"}, "model": {"name": "lstm", "units": 4}},
    "units": {"units": {"lags": 16, "gate_cuts": [0.1, 0.9]}},
}


def make(
    root: Path,
    stage: str,
    behind: list[Artefact] | None = None,
    *,
    tag: str = "",
    slug: str = "digits-lstm4-s0",
    **said: Any,
) -> Artefact:
    """A finished artefact of which the manifest is there, and an empty table."""
    upstream = {each.stage: each.key for each in behind or []}
    key = digests.key({"stage": stage, "tag": tag, "slug": slug, "upstream": upstream})
    artefact = store.locate(root, stage, slug, key)
    artefact.folder.mkdir(parents=True)
    manifest = {
        "stage": stage,
        "key": key,
        "version": VERSIONS[stage],
        "upstream": upstream,
        "slice": SLICES.get(stage, {}),
        "files": {},
        "headline": {},
        "seconds": 1.5,
        "peak_memory_bytes": 10,
        "finished": "2026-01-01T00:00:00+0000",
    }
    for name in STAGES[stage].tables[:1]:
        table_file(artefact.folder, name).touch()
    write_manifest(artefact.folder, manifest | said)
    return artefact


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Leave a sealed manifest of these entries and of what lies in a folder."""
    held = contents.of_folder(folder)
    plain = {name: each.plain for name, each in held.items() if name != store.MANIFEST}
    (folder / store.MANIFEST).write_text(manifests.sealed({"contents": plain} | manifest))


def chain(root: Path, **how: Any) -> dict[str, Artefact]:
    """A run as far as units."""
    train = make(root, "train", **how)
    extract = make(root, "extract", [train], **how)
    return {"train": train, "extract": extract, "units": make(root, "units", [extract], **how)}


def keys(found: Survey) -> list[dict[str, str]]:
    return [{name: each.artefact.key for name, each in run.stages.items()} for run in found.runs]


def of(artefacts: Mapping[str, Artefact]) -> dict[str, str]:
    return {name: each.key for name, each in artefacts.items()}


def why(found: Survey) -> dict[Path, str]:
    return {each.folder: each.why for each in found.left_out}


def find(root: Path, wanted: str | list[str] | None = None) -> Survey:
    return runs.find(root, STAGES, wanted)


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    assert find(tmp_path / "nowhere") == Survey([], [])
    (tmp_path / "units").mkdir()
    (tmp_path / "units" / "a_file").touch()
    (tmp_path / "units" / "no-manifest").mkdir()
    assert find(tmp_path) == Survey([], [])


def test_a_run_is_a_chain_of_finished_artefacts(tmp_path: Path) -> None:
    made = chain(tmp_path)
    found = find(tmp_path)
    assert keys(found) == [of(made)]
    assert found.left_out == []
    (run,) = found.runs
    assert run.name == run.slug == "digits-lstm4-s0"


def test_later_stages_belong_to_the_run_they_were_made_from(tmp_path: Path) -> None:
    made, other = chain(tmp_path), chain(tmp_path, slug="digits-lstm4-s1")
    made["population"] = make(tmp_path, "population", [made["extract"]])
    made["decoding"] = make(tmp_path, "decoding", [made["extract"]])
    made["ablation"] = make(tmp_path, "ablation", [made["train"], made["units"]])
    needed = [made[name] for name in ("train", "extract", "population")]
    made["fixed_points"] = make(tmp_path, "fixed_points", needed)
    read = list(made.values())
    made["intervention"] = make(tmp_path, "intervention", [made["train"], made["extract"]])
    made["report"] = make(tmp_path, "report", read)
    made = {name: made[name] for name in VERSIONS}
    found = find(tmp_path)
    assert keys(found) == [of(made), of(other)]
    assert [list(each.stages) for each in found.runs] == [list(VERSIONS), list(other)]
    assert found.left_out == []


def test_runs_share_what_they_share(tmp_path: Path) -> None:
    made = chain(tmp_path)
    other = made | {"units": make(tmp_path, "units", [made["extract"]], tag="other options")}
    population = make(tmp_path, "population", [made["extract"]])
    found = find(tmp_path)
    names = {run.stages["units"].artefact.key: run.name for run in found.runs}
    assert names == {
        each["units"].key: f"digits-lstm4-s0-{each['units'].key[:4]}" for each in (made, other)
    }
    assert all(run.stages["population"].artefact == population for run in found.runs)
    assert found.left_out == []


def test_names_have_as_many_digits_as_tell_them_apart(tmp_path: Path) -> None:
    made = chain(tmp_path)
    same = [f"abcdef{n}{made['units'].key[7:]}" for n in range(2)]
    for number, key in enumerate(same):
        manifest = made["units"].manifest() | {"key": key}
        folder = store.locate(tmp_path, "units", "digits-lstm4-s0", key).folder
        folder.mkdir()
        (folder / "units.parquet").touch()
        write_manifest(folder, manifest)
        assert len(find(tmp_path).runs) == number + 2
    chain(tmp_path, slug="digits-lstm4-s1")
    names = [run.name for run in find(tmp_path).runs]
    assert names == sorted(
        [f"digits-lstm4-s0-{key[:7]}" for key in [*same, made["units"].key]] + ["digits-lstm4-s1"]
    )


def test_runs_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for units in (128, 16, 64):
        chain(tmp_path, slug=f"digits-lstm{units}-s0")
    names = [run.name for run in find(tmp_path).runs]
    assert names == [f"digits-lstm{units}-s0" for units in (16, 64, 128)]


def test_a_pattern_chooses_runs_and_what_is_left_out(tmp_path: Path) -> None:
    for slug in ("digits-lstm4-s0", "digits-gru4-s0"):
        chain(tmp_path, slug=slug)
        make(tmp_path, "train", slug=slug, tag="alone")
        store.open_partial(store.locate(tmp_path, "units", slug, "f" * 64), resume=False)
    assert len(find(tmp_path).left_out) == 4
    found = find(tmp_path, "*-lstm*")
    assert [run.name for run in found.runs] == ["digits-lstm4-s0"]
    assert len(found.left_out) == 2
    assert find(tmp_path, "mnist*") == Survey([], [])


def test_runs_of_one_slug_are_chosen_by_their_names(tmp_path: Path) -> None:
    for tag in "abc":
        chain(tmp_path, tag=tag)
    chain(tmp_path, slug="digits-gru4-s0")
    gru, *lstms = [run.name for run in find(tmp_path).runs]
    assert len(lstms) == 3
    for name in lstms:
        assert [run.name for run in find(tmp_path, name).runs] == [name]
    assert [run.name for run in find(tmp_path, lstms[1:]).runs] == lstms[1:]
    assert [run.name for run in find(tmp_path, [lstms[0], "*-gru*"]).runs] == [gru, lstms[0]]
    assert [run.name for run in find(tmp_path, "digits-lstm4-s0").runs] == lstms
    assert find(tmp_path, []).runs == []
    numbers: Any = [4, 1e5]  # as the command line may give them
    assert find(tmp_path, numbers).runs == []


@pytest.mark.parametrize("stage", ["train", "extract", "units"])
def test_what_an_older_version_made_is_stale_with_all_that_was_made_from_it(
    stage: str, tmp_path: Path
) -> None:
    made = chain(tmp_path)
    report = make(tmp_path, "report", list(made.values()))
    good = chain(tmp_path, slug="digits-lstm4-s1")
    write_manifest(made[stage].folder, made[stage].manifest() | {"version": 0})
    found = find(tmp_path)
    assert keys(found) == [of(good)]
    said = f"stale, {stage} is of version 0, now {VERSIONS[stage]}: run it again"
    assert why(found) == {report.folder: said}
    assert str(found.left_out[0]) == f"report/{report.folder.name}: {said}"


@pytest.mark.parametrize("stage", ["train", "extract"])
def test_what_was_made_from_something_that_is_gone_is_stale(stage: str, tmp_path: Path) -> None:
    made = chain(tmp_path)
    shutil.rmtree(made[stage].folder)
    found = find(tmp_path)
    assert found.runs == []
    key = made[stage].key[:8]
    assert why(found)[made["units"].folder] == (
        f"stale, {stage} {key} that it was made from is gone"
    )


def test_what_was_made_from_another_key_of_the_same_name_is_stale(tmp_path: Path) -> None:
    made = chain(tmp_path)
    shutil.rmtree(made["extract"].folder)
    again = make(tmp_path, "extract", [made["train"]], tag="other options")
    found = find(tmp_path)
    assert found.runs == []
    assert why(found) == {
        made["units"].folder: (
            f"stale, extract {made['extract'].key[:8]} that it was made from is gone"
        ),
        again.folder: ("unfinished, no units of the current version were made from its extract"),
    }


def test_without_train_a_run_counts_only_if_its_model_was_trained_elsewhere(
    tmp_path: Path,
) -> None:
    for model in ("file", "tf1_checkpoint", "lstm", "unheard_of"):
        read = SLICES["extract"] | {"model": {"name": model}}
        extract = make(tmp_path, "extract", slug=f"mine-{model}", slice=read)
        make(tmp_path, "units", [extract], slug=f"mine-{model}")
    found = find(tmp_path)
    assert [run.name for run in found.runs] == ["mine-file", "mine-tf1_checkpoint"]
    assert [list(run.stages) for run in found.runs] == [["extract", "units"]] * 2
    assert set(why(found).values()) == {"stale, its manifest names no train artefact"}
    assert len(found.left_out) == 2


@pytest.mark.parametrize("locked", [False, True])
@pytest.mark.parametrize("stage", ["train", "extract", "units", "decoding"])
def test_what_was_begun_and_not_finished_is_named(stage: str, locked: bool, tmp_path: Path) -> None:
    made = chain(tmp_path)
    begun = store.locate(tmp_path, stage, "digits-lstm4-s7", "f" * 64)
    store.open_partial(begun, resume=False)
    if locked:
        begun.lock.touch()
    found = find(tmp_path)
    assert keys(found) == [of(made)]
    state = "being made" if locked else "interrupted"
    assert why(found) == {begun.folder: f"unfinished, {state}"}


@pytest.mark.parametrize("dead", ["the process", "the heart"])
def test_what_a_dead_job_left_locked_is_interrupted(dead: str, tmp_path: Path) -> None:
    begun = store.locate(tmp_path, "train", "digits-lstm4-s7", "f" * 64)
    store.open_partial(begun, resume=False)
    begun.lock.write_text("another-host:1:abc")
    if dead == "the process":
        host, _, place, start = processes.this_process().split(":")
        begun.lock.write_text(f"{host}:{2**22 + 1}:{place}:{start}:abc")  # past the largest
    else:
        os.utime(begun.lock, (1, 1))
    assert why(find(tmp_path)) == {begun.folder: "unfinished, interrupted"}
    assert locks.alive(begun.lock) is False


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b'{"key": "abc", "vers',
        b"\xff\xfe",
        b"[]",
        b'{"stage": "units", "by": "something else"}',
    ],
)
@pytest.mark.parametrize("stage", ["train", "extract", "units", "decoding"])
def test_a_manifest_that_cannot_be_read_is_named_and_stops_nothing(
    stage: str, manifest: bytes, tmp_path: Path
) -> None:
    made = chain(tmp_path)
    bad = make(tmp_path, stage, slug="bad-lstm4-s0")
    path = bad.folder / store.MANIFEST
    path.write_bytes(manifest)
    found = find(tmp_path)
    assert keys(found) == [of(made)]
    assert why(found) == {bad.folder: "its manifest cannot be read"}
    assert find(tmp_path, "digits*").left_out == []


@pytest.mark.parametrize("name", [*lineage.FIELDS, "finished"])
def test_a_manifest_without_what_ours_say_cannot_be_read(name: str, tmp_path: Path) -> None:
    made = chain(tmp_path)
    manifest = made["units"].manifest()
    values: tuple[Any, ...] = (None, [], "2026-01-01")
    for said in values:
        write_manifest(made["units"].folder, manifest | {name: said})
        if name == "key" and said == "2026-01-01":
            continue
        assert why(find(tmp_path))[made["units"].folder] == "its manifest cannot be read"
    del manifest[name]
    write_manifest(made["units"].folder, manifest)
    assert find(tmp_path).runs == []


def test_what_was_made_from_something_damaged_is_left_out_with_it(tmp_path: Path) -> None:
    made = chain(tmp_path)
    (made["extract"].folder / store.MANIFEST).write_text("{")
    found = find(tmp_path)
    assert found.runs == []
    assert why(found) == {
        made["train"].folder: "unfinished, no extract was made from it",
        made["extract"].folder: "its manifest cannot be read",
        made["units"].folder: (
            f"stale, extract {made['extract'].key[:8]} that it was made from is gone"
        ),
    }


def test_a_copy_beside_an_artefact_never_stands_for_it(tmp_path: Path) -> None:
    made = chain(tmp_path)
    copy = made["units"].folder.with_name(f"{made['units'].folder.name}-backup")
    shutil.copytree(made["units"].folder, copy)
    other = tmp_path / "units" / made["extract"].folder.name
    shutil.copytree(made["extract"].folder, other)
    found = find(tmp_path)
    assert keys(found) == [of(made)]
    assert [run.name for run in found.runs] == ["digits-lstm4-s0"]
    assert set(why(found)) == {copy, other}
    assert all("a copy or renamed" in each for each in why(found).values())


@pytest.mark.parametrize(
    ("stage", "table"), [("extract", "sequences.parquet"), ("units", "units.parquet")]
)
def test_a_run_without_its_table_is_left_out(stage: str, table: str, tmp_path: Path) -> None:
    made, good = chain(tmp_path), chain(tmp_path, slug="digits-lstm4-s1")
    (made[stage].folder / table).unlink()
    found = find(tmp_path)
    assert keys(found) == [of(good)]
    assert why(found) == {made["units"].folder: f"{table} is missing"}


def test_a_later_stage_without_its_table_leaves_its_run_in(tmp_path: Path) -> None:
    made = chain(tmp_path)
    decoding = make(tmp_path, "decoding", [made["extract"]])
    (decoding.folder / "decoding.parquet").unlink()
    found = find(tmp_path)
    assert keys(found) == [of(made)]
    assert why(found) == {decoding.folder: "decoding.parquet is missing"}


def test_units_made_from_nothing_that_is_told_are_no_run(tmp_path: Path) -> None:
    units = make(tmp_path, "units")
    found = find(tmp_path)
    assert found.runs == []
    assert why(found) == {units.folder: "stale, its manifest names no extract artefact"}


def test_a_finished_artefact_counts_while_it_is_made_again(tmp_path: Path) -> None:
    made = chain(tmp_path)
    store.open_partial(made["units"], resume=False)
    made["units"].lock.touch()
    found = find(tmp_path)
    assert keys(found) == [of(made)]
    assert found.left_out == []


def test_a_chain_that_ends_before_units_is_unfinished(tmp_path: Path) -> None:
    train = make(tmp_path, "train", slug="a")
    extract = make(tmp_path, "extract", [make(tmp_path, "train", slug="b")], slug="b")
    seen = make(tmp_path, "extract", [make(tmp_path, "train", slug="c")], slug="c")
    population = make(tmp_path, "population", [seen], slug="c")
    found = find(tmp_path)
    assert found.runs == []
    no_units = "unfinished, no units of the current version were made from its extract"
    assert why(found) == {
        train.folder: "unfinished, no extract was made from it",
        extract.folder: no_units,
        population.folder: no_units,
    }


def test_the_newest_of_a_stage_counts_and_what_it_supersedes_is_named(tmp_path: Path) -> None:
    made = chain(tmp_path)
    old = make(tmp_path, "population", [made["extract"]], finished="2026-03-01T10:00:00+0000")
    report = make(tmp_path, "report", [*made.values(), old], finished="2026-03-03T10:00:00+0000")
    # An hour later, though its clock shows an earlier time.
    new = make(
        tmp_path,
        "population",
        [made["extract"]],
        tag="newer",
        finished="2026-03-01T09:00:00-0200",
    )
    found = find(tmp_path)
    assert keys(found) == [of(made | {"population": new})]
    assert why(found) == {report.folder: "superseded, its run has newer ones"}


def test_a_stale_later_stage_leaves_its_run_in(tmp_path: Path) -> None:
    made = chain(tmp_path)
    decoding = make(tmp_path, "decoding", [made["extract"]], version=0)
    found = find(tmp_path)
    assert keys(found) == [of(made)]
    said = f"stale, decoding is of version 0, now {VERSIONS['decoding']}: run it again"
    assert why(found) == {decoding.folder: said}


def test_the_same_result_in_two_folders_is_one_run(tmp_path: Path) -> None:
    made = chain(tmp_path)
    for stage, each in made.items():
        shutil.copytree(each.folder, store.locate(tmp_path, stage, "renamed", each.key).folder)
    found = find(tmp_path)
    assert keys(found) == [of(made)]
    assert found.left_out == []


def test_a_runs_config_is_flat_and_of_files_has_path_and_digest(tmp_path: Path) -> None:
    data = {"name": "files", "path": {"sha256": "abc"}}
    said: dict[str, Any] = {"files": {"data.path": "/where/mine.npz"}}
    train = make(tmp_path, "train", slice=SLICES["train"] | {"data": data}, **said)
    extract = make(tmp_path, "extract", [train], slice=SLICES["extract"] | {"data": data}, **said)
    make(tmp_path, "units", [extract])
    (run,) = find(tmp_path).runs
    assert list(run.config.items()) == [
        ("data.name", "files"),
        ("data.path", "/where/mine.npz"),
        ("data.path.sha256", "abc"),
        ("model.name", "lstm"),
        ("model.units", 4),
        ("seed", 0),
        ("units.lags", 16),
        ("units.gate_cuts", [0.1, 0.9]),
    ]


def test_runs_do_not_differ_by_how_their_results_are_shown(tmp_path: Path) -> None:
    made = chain(tmp_path)
    (plain,) = find(tmp_path).runs
    make(tmp_path, "report", list(made.values()), slice={"report": {"format": ["svg"]}})
    (run,) = find(tmp_path).runs
    assert "report" in run.stages
    assert run.config == plain.config


def test_changes_between_two_sets_of_runs_are_counted() -> None:
    old = {"a/extract": "1", "a/units": "2", "b/extract": "3", "c/extract": "4"}
    assert runs.changes(old, old) == []
    new = {"a/extract": "1", "a/units": "9", "b/extract": "3", "b/units": "5", "d/extract": "6"}
    assert runs.changes(old, new) == ["runs more: 1", "runs gone: 1", "runs changed: 2"]
