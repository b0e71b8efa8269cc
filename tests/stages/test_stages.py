"""Stages: what makes a result's identity, what would run and why, and the loop that runs it."""

import copy
import dataclasses
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rnnscope import stages, states, store
from rnnscope.analysis.units import stage as units_stage
from rnnscope.config import Config
from rnnscope.errors import UserError
from rnnscope.stages import CHECK, OVER_RUNS, STAGES, contradictions, planning
from rnnscope.stages.chain import Step, slug
from rnnscope.store import digests
from rnnscope.store.inputs import Inputs
from rnnscope.store.stage import Figures
from tests.compose import OF_THE_PAGE, PROJECT, composed

CHANGES = {
    "data": "train",
    "model": "train",
    "train": "train",
    "seed": "train",
    "extract": "extract",
    "units": "units",
    "population": "population",
    "decoding": "decoding",
    "ablation": "ablation",
    "intervention": "intervention",
    "fixed_points": "fixed_points",
    "report": "report",
}
"""For each part of the config, the first stage whose result it can change."""
LATER = ("collect", "compare")
"""Parts of the config that belong to the stages over several runs."""
NEVER = ("engine", "root", "mode", *LATER)


def and_after(first: str) -> list[str]:
    """A stage and all that need it, directly or not."""
    found = {first}
    for name, stage in STAGES.items():
        if found & set(stage.needs):
            found.add(name)
    return [name for name in STAGES if name in found]


def keys(config: Config) -> dict[str, str]:
    return {step.stage.name: step.artefact.key for step in stages.chain(config)}


def every_key(config: Config) -> dict[str, str]:
    """Also of the stages that are not part of the default chain."""
    found = keys(config)
    for name in STAGES:
        if name not in found:
            found |= keys(dataclasses.replace(config, stage=name))
    return {name: found[name] for name in STAGES}


def options(config: Config) -> Iterator[tuple[str, str]]:
    """Every option, as its group and its name; the name is empty for those of no group."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from ((field.name, each.name) for each in dataclasses.fields(value))
        elif field.name != "stage":
            yield field.name, ""


def other(value: Any) -> Any:
    """Some other value of the same kind."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case float():
            return value / 2 + 0.01
        case str():
            return f"{value}x"
        case list():
            return [other(value[0]), *value[1:]]
    return 1


def altered(config: Config, group: str, name: str) -> Config:
    config = copy.deepcopy(config)
    owner = getattr(config, group) if name else config
    setattr(owner, name or group, other(getattr(owner, name or group)))
    return config


def a_file(folder: Path, name: str, content: bytes = b"abc") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def own_data(root: Path, file: Path, *overrides: str) -> Config:
    config = composed(root, "data=files", "data.path=placeholder", *overrides)
    return dataclasses.replace(config, data=dataclasses.replace(config.data, path=str(file)))  # type: ignore[call-arg]


def finish(step: Step, root: Path) -> None:
    """Leave what a finished stage would."""
    folder = store.open_partial(step.artefact, resume=False)
    if step.stage.name == "extract":
        record(folder)
    upstream = {name: artefact.key for name, artefact in step.upstream.items()}
    manifest = {"version": step.stage.version, "slice": step.slice, "upstream": upstream}
    store.commit(step.artefact, manifest)
    store.point_latest(root, [step.artefact])


def record(folder: Path) -> None:
    """States of 12 sequences, 3 timesteps and 2 classes."""
    labels = (np.arange(12) % 2).astype(np.int32)
    rows = states.row_keys(0, np.full(12, 3), labels)
    values = np.random.default_rng(0).normal(size=(4, 36)).astype(np.float32)
    for signal in ("h", "c"):
        states.write_part(states.part_file(folder, "lstm", signal, 0), signal, values, rows, "lz4")
    sequences = pd.DataFrame({"sequence": np.arange(12), "length": 3, "label": labels})
    sequences.assign(p_0=0.5, p_1=0.5).to_parquet(folder / states.SEQUENCES)


def ready(root: Path, *overrides: str) -> Config:
    """A config whose stages up to extract are finished."""
    config = composed(root, "stage=units", *overrides)
    for step in stages.chain(config)[:-1]:
        finish(step, root)
    return config


def everything(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.lstat().st_mtime_ns, path.lstat().st_size)
        for path in folder.rglob("*")
    }


def results(folder: Path) -> dict[str, tuple[int, int]]:
    """Files and links: all but folders, and what is noted of files that were verified."""
    return {
        name: about
        for name, about in everything(folder).items()
        if (folder / name).is_symlink() or (folder / name).is_file()
        if not name.endswith(".checked")
    }


def plan(config: Config) -> dict[str, str]:
    """Stage -> what the plan says of it."""
    lines = planning.plan(stages.chain(config), Path(config.root))
    return {line.split()[0]: line.partition(" ")[2].strip() for line in lines}


def test_every_part_of_the_config_has_its_place_here() -> None:
    names = {field.name for field in dataclasses.fields(Config)}
    assert names == {*CHANGES, *NEVER, "stage"}


@pytest.mark.parametrize("model", ["lstm", "gru"])
@pytest.mark.parametrize("data", ["digits", "mnist"])
def test_each_option_changes_the_keys_of_its_stage_and_all_after_it_and_no_others(
    data: str, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But those declared to be no part of keys; the values tried are none that load takes."""
    monkeypatch.setattr(contradictions, "refuse", lambda *_: None)
    config = composed(tmp_path, f"data={data}", f"model={model}")
    before = every_key(config)
    for group, name in options(config):
        named = {("data", "name"), ("data", "path"), ("model", "name"), ("report", "vocabulary")}
        named |= {("fixed_points", "inputs_path"), ("intervention", "directions_path")}
        if (group, name) in named:  # other groups, and files
            continue
        after = every_key(altered(config, group, name))
        changed = [stage for stage in STAGES if before[stage] != after[stage]]
        limits = name == "hours" and group in ("ablation", "intervention")
        first = None if limits else CHANGES.get(group)
        expected = [] if first is None else and_after(first)
        assert changed == expected, f"{group}.{name}"


def test_how_generated_sequences_are_drawn_is_part_of_the_keys_of_their_runs_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = [composed(tmp_path, f"data={data}") for data in ("ar1", "digits")]
    generated, drawn = map(keys, configs)
    monkeypatch.setattr(sys.modules["rnnscope.stages.chain"], "DRAWING", 0)
    assert not set(keys(configs[0]).values()) & set(generated.values())
    assert keys(configs[1]) == drawn


def test_the_stage_asked_for_does_not_change_the_keys_before_it(tmp_path: Path) -> None:
    whole = every_key(composed(tmp_path))
    for stage in STAGES:
        part = keys(composed(tmp_path, f"stage={stage}"))
        assert part == {name: whole[name] for name in part}
        assert list(part)[-1] == stage


def test_kinds_of_data_and_of_model_have_keys_of_their_own(tmp_path: Path) -> None:
    found = [
        keys(composed(tmp_path, f"data={data}", f"model={model}"))["train"]
        for data in ("digits", "mnist")
        for model in ("lstm", "gru", "simple_rnn")
    ]
    assert len(set(found)) == len(found)


def test_what_only_refuses_is_no_part_of_a_key(tmp_path: Path) -> None:
    (tmp_path / "mine.npz").touch()
    given = ("data=files", f"data.path={tmp_path / 'mine.npz'}")
    assert keys(composed(tmp_path, *given)) == keys(
        composed(tmp_path, *given, "data.max_classes=20")
    )


def test_a_files_content_is_in_the_key_and_its_place_is_not(tmp_path: Path) -> None:
    file = a_file(tmp_path, "here/mine.npz")
    before = keys(own_data(tmp_path, file))
    copied = a_file(tmp_path, "there/renamed.npz")
    assert keys(own_data(tmp_path, copied)) == before
    file.write_bytes(b"abd")
    after = keys(own_data(tmp_path, file))
    assert not set(after.values()) & set(before.values())


def test_a_file_elsewhere_leads_to_the_same_artefacts(tmp_path: Path) -> None:
    files = [a_file(tmp_path, f"{place}/mine.npz") for place in ("here", "there")]
    one, two = (
        [step.artefact for step in stages.chain(own_data(tmp_path, each))] for each in files
    )
    assert one == two


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"path=.*nowhere\.npz: no such file"):
        stages.chain(own_data(tmp_path, tmp_path / "nowhere.npz"))


def test_a_model_from_a_file_needs_no_training(tmp_path: Path) -> None:
    file = a_file(tmp_path, "mine.keras")
    config = composed(tmp_path, "model=file", f"model.path={file}")
    steps = {step.stage.name: step for step in stages.chain(config)}
    assert list(steps) == [stage for stage in OF_THE_PAGE if stage != "train"]
    assert not any("train" in step.upstream for step in steps.values())
    before = keys(config)
    assert keys(altered(config, "seed", "")) == before
    assert keys(altered(config, "train", "steps")) == before
    file.write_bytes(b"abd")
    assert not set(keys(config).values()) & set(before.values())


def test_training_a_model_from_a_file_is_refused(tmp_path: Path) -> None:
    file = a_file(tmp_path, "mine.keras")
    config = composed(tmp_path, "stage=train", "model=file", f"model.path={file}")
    with pytest.raises(UserError, match=r"stage=train: .*stage=extract"):
        stages.chain(config)


def test_an_unknown_stage_names_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        stages.run(composed(tmp_path / "root", "stage=unit"))
    assert (
        str(caught.value) == f"stage=unit: must be one of {', '.join([*STAGES, *OVER_RUNS, CHECK])}"
    )
    assert not (tmp_path / "root").exists()


def test_what_a_stage_needs_comes_before_it() -> None:
    names = list(STAGES)
    for name, stage in STAGES.items():
        assert all(names.index(need) < names.index(name) for need in stage.needs)
        assert set(stage.reads) <= set(CHANGES)


def test_a_raised_version_changes_the_keys_from_there_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = composed(tmp_path)
    before = keys(config)
    newer = dataclasses.replace(STAGES["extract"], version=STAGES["extract"].version + 1)
    monkeypatch.setitem(STAGES, "extract", newer)
    after = keys(config)
    changed = [name for name in after if after[name] != before[name]]
    assert changed == [name for name in OF_THE_PAGE if name != "train"]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], "digits-lstm64-s0"),
        (["seed=3", "model.units=128"], "digits-lstm128-s3"),
        (["model=gru", "model.layers=2", "model.bidirectional=true"], "digits-bigru2x64-s0"),
        (["data=mnist", "model=simple_rnn"], "mnist-simple_rnn64-s0"),
    ],
)
def test_a_slug_can_be_read(overrides: list[str], expected: str, tmp_path: Path) -> None:
    assert slug(composed(tmp_path, *overrides)) == expected


@pytest.mark.parametrize(
    "name",
    [
        "my data (1).npz",
        "..npz",
        "a" * 300 + ".npz",
        "*?$HOME;rm.npz",
        "-rf.npz",
        "数据.npz",
        "a\nb.npz",
    ],
)
def test_a_slug_is_a_safe_name_whatever_the_file_is_called(name: str, tmp_path: Path) -> None:
    found = slug(own_data(tmp_path, tmp_path / name))
    assert re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,59}", found)


def test_a_plan_writes_nothing(tmp_path: Path) -> None:
    root = tmp_path / "root"
    stages.run(composed(root, "mode=plan"))
    assert not root.exists()
    ready(root)
    before = everything(root)
    stages.run(composed(root, "mode=plan", "units.dead_variance=1"))
    assert everything(root) == before


def test_a_plan_on_empty_ground_says_that_there_is_nothing_yet(tmp_path: Path) -> None:
    said = plan(composed(tmp_path))
    assert list(said) == OF_THE_PAGE
    assert said["train"] == "would run      no finished artefact with this config"
    assert said["extract"] == "would run      train would run"
    assert said["units"] == "would run      extract would run"


def test_the_lines_of_a_plan_are_aligned_to_the_longest_name(tmp_path: Path) -> None:
    for stage, at in (("report", 1 + len("fixed_points")), ("units", 11)):
        steps = stages.chain(composed(tmp_path, f"stage={stage}"))
        lines = planning.plan(steps, tmp_path)
        assert [line[:at].split() for line in lines] == [[step.stage.name] for step in steps]
        assert all(line[at:].startswith("would run      ") for line in lines)


def test_a_plan_tells_what_changed_from_the_last_run(tmp_path: Path) -> None:
    ready(tmp_path)
    said = plan(composed(tmp_path, "stage=units", "train.steps=7", "extract.batch_size=256"))
    assert said["train"] == "would run      train.steps: 1000 -> 7"
    assert said["extract"] == "would run      train would run; extract.batch_size: 512 -> 256"
    assert said["units"] == "would run      extract would run"


def test_a_plan_passes_over_what_is_up_to_date(tmp_path: Path) -> None:
    config = ready(tmp_path)
    finish(stages.chain(config)[-1], tmp_path)
    assert all(line.startswith("up to date") for line in plan(config).values())
    said = plan(composed(tmp_path, "stage=units", "units.gate_cuts=[0.2,0.9]"))
    assert said["extract"].startswith("up to date")
    assert said["units"] == "would run      units.gate_cuts: [0.1, 0.9] -> [0.2, 0.9]"


def test_a_plan_tells_of_another_kind_of_model(tmp_path: Path) -> None:
    ready(tmp_path)
    said = plan(composed(tmp_path, "stage=train", "model=gru"))
    assert "model.name: lstm -> gru" in said["train"]
    assert "model.forget_bias: 1.0 -> " in said["train"]


def test_a_plan_tells_of_a_file_that_changed(tmp_path: Path) -> None:
    file = a_file(tmp_path, "mine.npz")
    config = own_data(tmp_path, file, "stage=train")
    finish(stages.chain(config)[0], tmp_path)
    file.write_bytes(b"abd")
    assert re.search(r"data\.path\.sha256: [0-9a-f]+ -> [0-9a-f]+$", plan(config)["train"])


def test_a_plan_tells_of_a_forced_stage_and_of_those_after_it(tmp_path: Path) -> None:
    ready(tmp_path)
    said = plan(composed(tmp_path, "stage=extract", "mode=force"))
    assert said["train"].startswith("up to date")
    assert said["extract"] == "would run      forced"


def test_a_plan_tells_of_an_interrupted_run(tmp_path: Path) -> None:
    config = ready(tmp_path)
    store.open_partial(stages.chain(config)[-1].artefact, resume=False)
    assert "an earlier run was interrupted" in plan(config)["units"]


def test_a_run_does_what_is_missing_and_no_more(tmp_path: Path) -> None:
    config = ready(tmp_path)
    before = results(tmp_path)
    step = stages.run(config)[-1]
    assert (step.artefact.folder / "units.parquet").is_file()
    after = results(tmp_path)
    done = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    places = {Path(name).parts[0].lstrip(".").partition("-")[0] for name in done}
    assert places == {"units", "latest"}
    assert (tmp_path / "latest" / "units").resolve() == step.artefact.folder
    stages.run(config)
    assert results(tmp_path) == after


def test_a_manifest_tells_where_its_artefact_came_from(tmp_path: Path) -> None:
    step = stages.run(ready(tmp_path))[-1]
    manifest = step.artefact.manifest()
    assert manifest["stage"] == "units"
    assert manifest["key"] == step.artefact.key
    assert manifest["upstream"] == {"extract": step.upstream["extract"].key}
    assert manifest["slice"]["units"]["gate_cuts"] == [0.1, 0.9]
    assert manifest["rows"] == 8
    tables = [f"{name}.parquet" for name in STAGES["units"].tables]
    assert manifest["bytes"] == sum((step.artefact.folder / name).stat().st_size for name in tables)
    assert manifest["packages"]["numpy"] == np.__version__
    assert manifest["seconds"] >= 0
    assert manifest["peak_memory_bytes"] > 1_000_000
    assert re.fullmatch(r"[0-9a-f]{12}", manifest["source"])
    assert {"headline", "host", "git_commit", "git_dirty"} <= set(manifest)


def test_a_file_stands_in_the_slice_as_its_digest(tmp_path: Path) -> None:
    file = a_file(tmp_path, "mine.keras")
    config = composed(tmp_path, "stage=extract", "model=file", f"model.path={file}")
    (extract,) = stages.chain(config)
    assert extract.slice["model"]["path"] == {"sha256": digests.file_digest(file)}


def test_force_runs_the_stage_again_and_only_that(tmp_path: Path) -> None:
    config = ready(tmp_path)
    step = stages.run(config)[-1]
    table = step.artefact.folder / "units.parquet"
    first = table.read_bytes()
    about, manifest = table.stat(), (step.artefact.folder / store.MANIFEST).stat().st_ino
    stages.run(config)
    assert (step.artefact.folder / store.MANIFEST).stat().st_ino == manifest
    before = results(tmp_path / "extract")
    stages.run(dataclasses.replace(config, mode="force"))
    assert (step.artefact.folder / store.MANIFEST).stat().st_ino != manifest
    # The result is equal: nothing moves under those who read it.
    assert table.read_bytes() == first
    assert (table.stat().st_ino, table.stat().st_mtime_ns) == (about.st_ino, about.st_mtime_ns)
    assert results(tmp_path / "extract") == before


def test_latest_leads_to_single_runs_only(tmp_path: Path) -> None:
    config = ready(tmp_path)
    stages.run(config, single=False)
    assert not store.latest(tmp_path, "units").exists()
    step = stages.run(config)[-1]
    assert store.latest(tmp_path, "units").resolve() == step.artefact.folder


def test_latest_holds_nothing_made_from_another_run(tmp_path: Path) -> None:
    for step in stages.chain(composed(tmp_path)):
        finish(step, tmp_path)
    assert {path.name for path in (tmp_path / "latest").iterdir()} == set(OF_THE_PAGE)
    (train,) = stages.chain(composed(tmp_path, "stage=train", "seed=1"))
    finish(train, tmp_path)
    assert {path.name for path in (tmp_path / "latest").iterdir()} == {"train"}


def test_a_stage_that_fails_leaves_nothing_finished_and_can_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ready(tmp_path)
    units = stages.chain(config)[-1]

    def failing(config: Config, inputs: Inputs, folder: Path) -> Figures:
        (folder / "units.parquet").write_bytes(b"half")
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(units_stage, "run", failing)
        with pytest.raises(ZeroDivisionError):
            stages.run(config)
    assert not units.artefact.folder.exists()
    assert not units.artefact.lock.exists()
    stages.run(config)
    assert units.artefact.finished
    assert not units.artefact.partial.exists()


def test_outputs_can_be_moved_and_nothing_runs_again(tmp_path: Path) -> None:
    config = ready(tmp_path / "here")
    stages.run(config)
    shutil.move(tmp_path / "here", tmp_path / "there")
    before = results(tmp_path / "there")
    stages.run(dataclasses.replace(config, root=str(tmp_path / "there")))
    assert results(tmp_path / "there") == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "kept_out"),
    [
        ("rnnscope.__main__", "tensorflow keras matplotlib sklearn scipy"),
        ("rnnscope.stages", "tensorflow keras"),
        ("rnnscope.states", "tensorflow keras"),
        ("rnnscope.analysis.units.stage", "tensorflow keras"),
    ],
)
def test_what_needs_no_tensorflow_does_not_start_it(module: str, kept_out: str) -> None:
    code = f"import sys, {module}; print(*sorted({set(kept_out.split())} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_tensorflow_is_imported_in_its_rooms_alone() -> None:
    rooms = ["models/", "train/", "trace/", "extract/"]
    rooms += ["analysis/ablation/", "analysis/intervention/", "analysis/fixed_points/"]
    # Of what users import, the part that runs a model; states in files are opened without it.
    running = [
        "arrays",
        "before",
        "callback",
        "given",
        "intervening",
        "prepared",
        "recording",
        "streams",
    ]
    rooms += [f"live/{name}.py" for name in running]
    found = {
        str(path.relative_to(PROJECT / "pipeline/rnnscope"))
        for path in (PROJECT / "pipeline/rnnscope").rglob("*.py")
        if re.search(r"^ *(import|from) (tensorflow|keras)\b", path.read_text(), re.MULTILINE)
    }
    assert found - {"data/mnist.py"} == {name for name in found if name.startswith(tuple(rooms))}
    # Keras downloads MNIST, and is imported for that alone.
    mnist = (PROJECT / "pipeline/rnnscope/data/mnist.py").read_text()
    assert not re.search(r"^(import|from) keras", mnist, re.MULTILINE)


def test_latest_never_joins_two_runs(tmp_path: Path) -> None:
    first = composed(tmp_path, "stage=units")
    for step in stages.chain(first):
        finish(step, tmp_path)
    second = composed(tmp_path, "stage=extract", "extract.batch_size=7")
    finish(stages.chain(second)[-1], tmp_path)
    stages.run(second)
    assert not (tmp_path / "latest" / "units").is_symlink()
    assert (tmp_path / "latest" / "extract").resolve() == stages.chain(second)[-1].artefact.folder
    stages.run(first)
    stages.run(composed(tmp_path, "stage=train"))
    assert (tmp_path / "latest" / "units").resolve() == stages.chain(first)[-1].artefact.folder
