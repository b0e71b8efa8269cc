"""The declared tables of the stages, and the columns of the files that a run leaves."""

import importlib
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from rnnscope import stages, states, store
from rnnscope.extract.columns import STATES
from rnnscope.stages import STAGES
from rnnscope.stages.table import OVER_RUNS
from rnnscope.store.tables import Column, Table, table_file
from tests.compose import composed

pytestmark = pytest.mark.tensorflow

DECLARED = [stage.name for stage in (STAGES | OVER_RUNS).values() if stage.tables]
SMALL = (
    "train.steps=20",
    "train.validate_every=10",
    "units.permutations=0",
    "data.test_fraction=0.05",
    "decoding.max_timesteps=2",
    "decoding.folds=2",
    "ablation.max_sequences=20",
    "intervention.max_sequences=20",
    "intervention.units=[0,1]",
    "intervention.methods=[add,patch]",
    "intervention.windows=[3:4,5:8]",
)


def tables(stage: str) -> tuple[Table, ...]:
    declared: tuple[Table, ...] = importlib.import_module((STAGES | OVER_RUNS)[stage].module).TABLES
    return declared


def pattern(columns: list[Column]) -> str:
    """What the names of a file's columns match, each followed by a space."""
    return "".join(
        f"({re.sub('<[^>]*>', '.+', column.name)} )*" if "<" in column.name else f"{column.name} "
        for column in columns
    )


def assert_columns(file: Path, table: Table, absent: Collection[str] = ()) -> None:
    """The file has exactly the declared columns, in order, but for those not in the data."""
    names = pq.read_schema(file).names
    expected = [column for column in table.columns if column.name not in absent]
    assert re.fullmatch(pattern(expected), " ".join([*names, ""])), (names, table.name)
    assert {*absent} <= {column.name for column in table.columns}
    assert all(table.column(name) for name in names)


@pytest.mark.parametrize("stage", DECLARED)
def test_a_stage_declares_the_tables_that_it_is_said_to_write(stage: str) -> None:
    named = (STAGES | OVER_RUNS)[stage].tables
    assert tuple(table.name for table in tables(stage)) == named
    for table in tables(stage):
        names = [column.name for column in table.columns]
        assert len(set(names)) == len(names)
        for column in table.columns:
            assert column.meaning
            assert not column.meaning.endswith(".")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, tensorflow: None) -> Path:
    """Two finished runs, collected and compared."""
    root = tmp_path_factory.mktemp("outputs")
    for units in (3, 4):
        for stage in ("population", "decoding", "ablation", "intervention", "fixed_points"):
            stages.run(composed(root, *SMALL, f"stage={stage}", f"model.units={units}"))
    for stage in ("collect", "compare"):
        stages.run(composed(root, f"stage={stage}"))
    return root


@pytest.mark.parametrize("stage", DECLARED)
def test_the_files_of_a_run_have_the_declared_columns_in_order(stage: str, root: Path) -> None:
    absent = {"sequences": {"id", "group", "target"}}
    (folder, *_) = (root / stage).glob("[!.]*")
    for table in tables(stage):
        if table.name != "steps":
            assert_columns(table_file(folder, table.name), table, absent.get(table.name, ()))


def test_the_states_have_the_declared_columns(root: Path) -> None:
    for file in root.glob("extract/[!.]*/*/*/part-*.parquet"):
        assert_columns(file, STATES)
        assert pq.read_schema(file).names[3].startswith(f"{file.parent.name}_")


@pytest.mark.parametrize("stage", DECLARED)
def test_the_manifest_counts_the_nulls_of_every_table(stage: str, root: Path) -> None:
    (folder, *_) = (root / stage).glob("[!.]*")
    found = store.read_manifest(folder)["null"]
    for table in tables(stage):
        file = table_file(folder, table.name)
        if not file.is_file():
            assert table.name not in found
            continue
        frame = pd.read_parquet(file)
        expected = {name: int(n) for name, n in frame.isna().sum().items() if n}
        assert {name: sum(why.values()) for name, why in found[table.name].items()} == expected


def test_of_labelled_timesteps_and_annotations_the_columns_are_declared_too(
    tmp_path: Path, tensorflow: None
) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(40, 5, 2)).astype(np.float32)
    depth = random.integers(0, 4, (40, 5)).astype(np.float32)
    depth[3] = np.nan
    y = (x[..., 0] > 0).astype(np.int32)
    given: dict[str, Any] = {
        f"{name}_{split}": values
        for name, values in (("x", x), ("y", y), ("depth", depth))
        for split in ("train", "test")
    }
    given["x_train"] = -x
    np.savez(tmp_path / "mine.npz", **given)
    config = composed(
        tmp_path,
        "stage=extract",
        "data=files",
        f"data.path={tmp_path / 'mine.npz'}",
        "data.labels=timestep",
        "data.annotations=[depth]",
        "model.units=2",
        "train.steps=0",
        "extract.part_rows=60",
    )
    artefact = stages.run(config)[-1].artefact
    sequences, steps = tables("extract")
    assert_columns(
        artefact.folder / states.SEQUENCES,
        sequences,
        {"id", "group", "label", "target", "prediction", "p_<class>"},
    )
    assert_columns(artefact.folder / states.STEPS, steps, {"target"})
    null = artefact.manifest()["null"]
    assert null == {"sequences": {}, "steps": {"depth": {"the data has no value for it": 5}}}
