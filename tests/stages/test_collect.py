"""Stage collect, on two small real runs, and its tables on runs made by hand."""

import dataclasses
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rnnscope import config, stages, states, store
from rnnscope.errors import UserError
from rnnscope.stages import OVER_RUNS, STAGES, collect
from rnnscope.stages.summary import summary
from rnnscope.store.artefacts import Artefact
from rnnscope.store.inputs import Inputs
from rnnscope.store.lineage import Finished
from rnnscope.store.runs import Run, Survey
from tests.compose import composed

pytestmark = pytest.mark.tensorflow

RUNS = (("seed=0", "model.units=4"), ("seed=1", "model.units=3"))
NAMES = ["digits-lstm3-s1", "digits-lstm4-s0"]
"""Of these runs, in their order."""
SMALL = ("train.steps=0", "units.permutations=2")


def made(root: Path, stage: str, *overrides: str, **values: Any) -> Path:
    """The folder of a stage's artefact, after it was brought up to date."""
    values = {"single": False} | values
    return stages.run(composed(root, f"stage={stage}", *overrides), **values)[-1].artefact.folder


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, tensorflow: None) -> Path:
    """Two runs, of which one has a population."""
    root = tmp_path_factory.mktemp("outputs")
    for run in RUNS:
        made(root, "units", *SMALL, *run)
    made(root, "population", *SMALL, *RUNS[0])
    return root


@pytest.fixture(scope="module")
def collected(root: Path) -> Path:
    return made(root, "collect")


def flat(section: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in section.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def shown(value: Any) -> Any:
    return f"[{','.join(map(str, value))}]" if isinstance(value, list) else value


def test_each_run_has_a_row_with_every_option_that_it_read(root: Path, collected: Path) -> None:
    table = pd.read_parquet(collected / "runs.parquet").set_index("run")
    assert list(table.index) == NAMES
    sections = ("data", "model", "train", "seed", "extract", "units")
    for run in RUNS:
        options = dataclasses.asdict(composed(root, *SMALL, *run))
        row = table.loc[f"digits-lstm{run[1][-1]}-s{run[0][-1]}"]
        for name, value in flat({each: options[each] for each in sections}):
            if value is None:
                assert pd.isna(row[name]), name
            else:
                assert row[name] == shown(value), name
    assert not [
        name for name in table if name.startswith(("ablation", "collect", "engine", "root"))
    ]


def test_options_have_types_to_count_on(collected: Path) -> None:
    types = pd.read_parquet(collected / "runs.parquet").dtypes.astype(str)
    expected = {
        "run": "str",
        "data.name": "str",
        "model.units": "int64",
        "model.bidirectional": "bool",
        "model.forget_bias": "float64",
        "seed": "int64",
        "train.learning_rate": "float64",
        "train.patience": "Int64",
        "extract.signals": "str",
        "units.gate_cuts": "str",
        "population.components": "Int64",
        "population.redundant": "float64",
        "accuracy": "float64",
        "seconds": "float64",
        "units.seconds": "float64",
        "population.peak_memory_bytes": "Int64",
        "peak_memory_bytes": "int64",
        "units_key": "str",
        "population_key": "str",
    }
    assert {name: types[name] for name in expected} == expected


def test_scores_costs_and_keys_are_those_of_the_stages(root: Path, collected: Path) -> None:
    table = pd.read_parquet(collected / "runs.parquet").set_index("run")
    for run in RUNS:
        row = table.loc[f"digits-lstm{run[1][-1]}-s{run[0][-1]}"]
        steps = stages.chain(composed(root, "stage=units", *SMALL, *run))
        if run is RUNS[0]:
            steps += stages.chain(composed(root, "stage=population", *SMALL, *run))[-1:]
        manifests = {step.stage.name: step.artefact.manifest() for step in steps}
        sequences = states.read_sequences(steps[1].artefact.folder)
        assert row["accuracy"] == pytest.approx(sequences["correct"].mean())
        assert row["loss"] == pytest.approx(sequences["loss"].mean())
        for name, manifest in manifests.items():
            assert row[f"{name}_key"] == manifest["key"]
            assert row[f"{name}.seconds"] == manifest["seconds"]
            assert row[f"{name}.peak_memory_bytes"] == manifest["peak_memory_bytes"]
        assert row["seconds"] == pytest.approx(sum(each["seconds"] for each in manifests.values()))
        assert row["peak_memory_bytes"] == max(
            each["peak_memory_bytes"] for each in manifests.values()
        )
    assert table["population_key"].isna().tolist() == [True, False]


def test_unit_tables_lie_below_each_other_with_what_differs_beside_each_unit(
    root: Path, collected: Path
) -> None:
    units = pd.read_parquet(collected / "units.parquet")
    assert list(units)[:6] == ["run", "model.units", "seed", "layer", "signal", "unit"]
    types = units.dtypes.astype(str)
    assert types[["run", "model.units", "seed", "layer"]].tolist() == [
        "category",
        "int64",
        "int64",
        "category",
    ]
    assert list(units["run"].cat.categories) == NAMES
    for run, name in zip(RUNS, reversed(NAMES), strict=True):
        folder = stages.chain(composed(root, "stage=units", *SMALL, *run))[-1].artefact.folder
        own = pd.read_parquet(folder / "units.parquet")
        part = units[units["run"] == name].reset_index(drop=True)
        pd.testing.assert_frame_equal(part[list(own)], own, check_categorical=False)
        assert set(part["seed"]) == {int(run[0][-1])}
        assert set(part["model.units"]) == {int(run[1][-1])}
    assert len(units) == 6 * (3 + 4)
    counted = units.groupby(["model.units", "signal"], observed=True)["timescale"].size()
    assert counted.loc[3].tolist() == [3] * 6


def test_later_tables_hold_the_runs_that_have_them(collected: Path) -> None:
    population = pd.read_parquet(collected / "population.parquet")
    assert set(population["run"]) == {"digits-lstm4-s0"}
    assert len(population) == 6 * 8
    assert {path.name for path in collected.glob("*.parquet")} == {
        "runs.parquet",
        "units.parquet",
        "population.parquet",
    }
    manifest = store.read_manifest(collected)
    assert manifest["tables"] == {"units.parquet": 42, "population.parquet": 48}
    assert manifest["headline"] == {"runs": 2, "left out": 0, "rows of units": 42}
    assert manifest["runs"] == NAMES
    assert manifest["differing"] == ["model.units", "seed"]


def test_small_tables_share_row_groups_and_large_ones_are_written_as_they_come(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = composed(root, "stage=collect")
    found = stages.chain(config)[-1].survey
    assert found is not None
    read, log = pd.read_parquet, []

    def logged(path: Path, **options: Any) -> pd.DataFrame:
        log.append(path.parent.name)
        return read(path, **options)

    for rows, groups in ((collect.ROWS, 1), (1, 2)):
        monkeypatch.setattr(collect, "ROWS", rows)
        with monkeypatch.context() as patched:
            patched.setattr(pd, "read_parquet", logged)
            collect.run(config, Inputs(survey=found), tmp_path)
        assert pq.read_metadata(tmp_path / "units.parquet").num_row_groups == groups
        got = pd.read_parquet(tmp_path / "units.parquet")
        assert got["run"].value_counts(sort=False).to_dict() == {NAMES[0]: 18, NAMES[1]: 24}
    assert len(log) == 2 * 3
    # The second run is read only when the first is written.
    tables = collect._joined(collect._tables(found.runs, _names_of(found), "units"))
    log.clear()
    with monkeypatch.context() as patched:
        patched.setattr(pd, "read_parquet", logged)
        next(tables)
        assert len(log) == 1


def test_later_runs_may_have_any_number_of_categories() -> None:
    few, many = pd.Categorical(["a", "b"]), pd.Categorical([f"c{n}" for n in range(300)])
    tables = [pa.Table.from_pandas(pd.DataFrame({"best_covariate": each})) for each in (few, many)]
    (joined,) = collect._joined(tables)
    assert joined.to_pandas()["best_covariate"].tolist() == [*few, *many]


def _names_of(found: Survey) -> pd.DataFrame:
    return pd.DataFrame({"run": [run.name for run in found.runs]})


def test_a_second_collect_has_nothing_to_do_until_there_is_another_run(
    root: Path, collected: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    manifest = (collected / store.MANIFEST).stat().st_mtime_ns
    assert made(root, "collect", single=True) == collected
    assert "collect    up to date" in caplog.text
    assert (collected / store.MANIFEST).stat().st_mtime_ns == manifest
    # Of other options of units there is another run on the same states.
    other = made(root, "units", *SMALL, *RUNS[0], "units.lags=4")
    caplog.clear()
    stages.run(composed(root, "stage=collect", "mode=plan"))
    assert "collect    would run      runs more: 2; runs gone: 1" in caplog.text
    assert (collected / store.MANIFEST).stat().st_mtime_ns == manifest
    again = made(root, "collect")
    assert again != collected
    assert store.latest(root, "collect").resolve() == collected  # a sweep's job does not move it
    key = store.read_manifest(other)["key"]
    lags = pd.read_parquet(again / "runs.parquet").set_index("run")["units.lags"]
    assert lags[f"digits-lstm4-s0-{key[:4]}"] == 4
    assert sorted(lags) == [4, 50, 50]
    units = pd.read_parquet(again / "units.parquet")
    assert list(units)[:4] == ["run", "model.units", "seed", "units.lags"]
    assert made(root, "collect", "collect.runs=*lstm3*").name.startswith("1-runs")
    shutil.rmtree(other)
    assert made(root, "collect") == collected


def test_a_page_shows_all_runs_and_is_found(
    root: Path, collected: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert store.read_manifest(collected)["page"] == "sweep.html"
    assert "sweep.html" in store.read_manifest(collected)["contents"]
    assert f"page       {collected / 'sweep.html'}" in summary({"collect": collected})
    text = (collected / "sweep.html").read_text()
    for name in NAMES:
        assert name in text
    before = (collected / "sweep.html").read_bytes()
    made(root, "collect", "mode=force")
    assert (collected / "sweep.html").read_bytes() == before
    assert str(root) not in text


def test_once_runs_are_compared_they_are_collected_again_and_no_sooner(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def planned() -> str:
        caplog.clear()
        stages.run(composed(root, "stage=collect", "mode=plan"))
        return caplog.text

    without = made(root, "collect", single=True)
    assert "rnnscope stage=compare" in (without / "sweep.html").read_text()
    compared = made(root, "compare", single=True)
    try:
        assert "collect    would run      compare is there now" in planned()
        assert store.latest(root, "collect").resolve() == without
        folder = made(root, "collect", single=True)
        assert folder != without
        manifest = store.read_manifest(folder)
        assert manifest["upstream"]["runs/compare"] == store.read_manifest(compared)["key"]
        assert 'id="matrix"' in (folder / "sweep.html").read_text()
        assert "collect    up to date" in planned()
        # What was compared of other options counts as the newest; collect stays where it is.
        other = made(root, "compare", "compare.timesteps=last", single=True)
        assert store.latest(root, "collect").resolve() == folder
        assert "collect    would run      another compare" in planned()
        # Of one run alone nothing was compared, and what is damaged does not count.
        assert made(root, "collect", "collect.runs=*lstm3*") not in (without, folder)
        (other / "matching.parquet").unlink()
        assert "collect    up to date" in planned()
        shutil.rmtree(other)
    finally:
        shutil.rmtree(compared)
    assert made(root, "collect", single=True) == without


def test_latest_leads_to_what_was_collected_and_the_rest_of_it_stays(
    root: Path,
) -> None:
    one = made(root, "units", *SMALL, *RUNS[0], single=True)
    folder = made(root, "collect", single=True)
    assert store.latest(root, "collect").resolve() == folder
    assert store.latest(root, "units").resolve() == one
    made(root, "units", *SMALL, *RUNS[1], single=True)
    assert store.latest(root, "collect").resolve() == folder


def test_force_collects_again(root: Path) -> None:
    folder = made(root, "collect")
    before = (folder / store.MANIFEST).stat().st_ino
    made(root, "collect")
    assert (folder / store.MANIFEST).stat().st_ino == before
    made(root, "collect", "mode=force")
    assert (folder / store.MANIFEST).stat().st_ino != before
    assert len(pd.read_parquet(folder / "runs.parquet"))


def test_a_damaged_collection_is_made_again(root: Path) -> None:
    folder = made(root, "collect")
    good = (folder / "runs.parquet").read_bytes()
    (folder / "runs.parquet").write_bytes(b"spoilt")
    made(root, "collect")
    assert (folder / "runs.parquet").read_bytes() == good


def test_what_is_left_out_is_said_each_time_and_noted(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    begun = store.locate(root, "units", "digits-lstm9-s9", "f" * 64)
    store.open_partial(begun, resume=False)
    try:
        folder = made(root, "collect", "mode=force")
        line = f"units/{begun.folder.name}: unfinished, interrupted"
        assert f"left out   {line}" in caplog.text
        assert store.read_manifest(folder)["left_out"] == [line]
        assert store.read_manifest(folder)["headline"]["left out"] == 1
        caplog.clear()
        stages.run(composed(root, "stage=collect", "mode=plan"))
        assert f"left out   {line}" in caplog.text
        caplog.clear()
        made(root, "collect")
        assert f"left out   {line}" in caplog.text
        with pytest.raises(UserError) as caught:
            made(root, "collect", "collect.runs=*lstm9*")
        assert str(caught.value) == (
            f"stage=collect: needs 1 finished run named *lstm9*, there are 0 in {root}; "
            f"1 left out, {line}; a sweep makes some: rnnscope -m stage=units seed=0,1"
        )
    finally:
        begun.partial.rmdir()


def test_what_is_damaged_is_left_out_and_the_rest_is_collected(root: Path) -> None:
    spoilt = made(root, "units", *SMALL, *RUNS[0], "units.lags=5", single=True)
    try:
        (spoilt / "units.parquet").unlink()
        manifest = store.read_manifest(made(root, "collect", "mode=force", single=True))
        assert manifest["left_out"] == [f"units/{spoilt.name}: units.parquet is missing"]
        (spoilt / store.MANIFEST).write_text('{"stage": "units", "ru')
        manifest = store.read_manifest(made(root, "collect", "mode=force", single=True))
        assert manifest["left_out"] == [f"units/{spoilt.name}: its manifest cannot be read"]
        assert manifest["runs"] == NAMES
    finally:
        shutil.rmtree(spoilt)


def test_runs_of_one_slug_are_collected_by_their_names(root: Path) -> None:
    other = made(root, "units", *SMALL, *RUNS[0], "units.lags=6")
    try:
        name = f"digits-lstm4-s0-{store.read_manifest(other)['key'][:4]}"
        for pattern in (name, f"[{name}]", f"[{name},nothing*]"):
            folder = made(root, "collect", f"collect.runs={pattern}")
            assert store.read_manifest(folder)["runs"] == [name]
        folder = made(root, "collect", f"collect.runs=[{name},*lstm3*]")
        assert store.read_manifest(folder)["runs"] == [NAMES[0], name]
    finally:
        shutil.rmtree(other)


def test_without_a_run_nothing_is_collected(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"stage=collect: needs 1 finished run, there are 0 in "):
        made(tmp_path / "root", "collect")
    assert not (tmp_path / "root").exists()


def test_stages_over_runs_are_no_part_of_a_run(tmp_path: Path) -> None:
    assert not OVER_RUNS.keys() & STAGES.keys()
    steps = stages.chain(composed(tmp_path, "stage=report"))
    assert not OVER_RUNS.keys() & {step.stage.name for step in steps}
    for stage in OVER_RUNS.values():
        assert set(stage.needs) <= set(STAGES)
    keys = [step.artefact.key for step in steps]
    other = composed(tmp_path, "stage=report", "collect.runs=x", "compare.runs=y")
    assert [step.artefact.key for step in stages.chain(other)] == keys


def by_hand(name: str, headline: dict[str, Any], /, **slices: Any) -> Run:
    """A run of which only the manifests of extract and units are there."""
    files = slices.pop("files", {})
    manifests = {
        "extract": {"slice": slices, "headline": headline, "files": files},
        "units": {"slice": {"units": {"lags": 16}}, "headline": {}, "files": {}},
    }
    common = {"seconds": 1.5, "peak_memory_bytes": 10}
    return Run(
        name,
        {
            stage: Finished(
                Artefact(stage, stage * 2, Path(f"{name}-{stage * 2}"[:8])),
                {"key": f"{name}-{stage}", **common, **manifest},
            )
            for stage, manifest in manifests.items()
        },
    )


def test_kinds_of_runs_may_differ_in_what_they_have() -> None:
    path = {"sha256": "abc"}
    runs = [
        by_hand(
            "a",
            {"accuracy": 0.5, "loss": 2.0},
            data={"name": "files", "path": path, "annotations": ["depth", "count"]},
            model={"name": "lstm", "units": 4, "bidirectional": False, "forget_bias": 1.0},
            files={"data.path": "/mine.npz"},
        ),
        by_hand(
            "b",
            {"squared error": 0.25},
            data={"name": "digits", "test_fraction": 0.2},
            model={"name": "gru", "units": 4, "bidirectional": True},
        ),
        by_hand("c", {}, data={"name": "digits", "test_fraction": 0.2}, model={"name": "file"}),
    ]
    table = collect.table(runs)
    assert table["accuracy"].isna().tolist() == [False, True, True]
    assert table["loss"].tolist()[:2] == [2.0, 0.25]
    assert np.isnan(table["loss"][2])
    assert table["data.annotations"][0] == "[depth,count]"
    assert list(table)[:4] == ["run", "data.name", "data.path", "data.path.sha256"]
    assert table["data.path"].tolist()[0] == "/mine.npz"
    assert table["model.units"].dtype == "Int64"
    assert table["model.bidirectional"].dtype == "boolean"
    assert table["model.forget_bias"].dtype == "float64"
    assert table["data.annotations"].dtype == "str"
    # What only one kind has does not differ between runs, their kind does.
    assert collect.differing_options(runs) == ["data.name", "model.name", "model.bidirectional"]


def test_an_option_that_no_run_sets_keeps_its_type() -> None:
    run = by_hand("a", {}, extract={"max_sequences": None, "units": None}, train={"patience": None})
    types = collect.table([run]).dtypes.astype(str)
    assert types[["extract.max_sequences", "extract.units", "train.patience"]].tolist() == [
        "Int64",
        "str",
        "Int64",
    ]
    assert types["accuracy"] == "float64"


def test_every_option_has_a_type() -> None:
    for kind in config.KINDS["model"].values():
        for field in dataclasses.fields(kind):
            assert f"model.{field.name}" in collect._types()
    assert collect._types()["seed"] is int
    assert collect._types()["units.gate_cuts"] is str
    assert collect._types()["extract.tolerance"] is float
    assert collect._types()["decoding.together"] is bool
