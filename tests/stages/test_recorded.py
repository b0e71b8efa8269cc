"""A run made by version 0.1.0, before the package had its present name and rooms, still counts.

``tests/fixtures/recorded`` is its root as it was left behind, without logs, TensorBoard's files and
the page itself. It was made with the overrides in SMALL, of a config that was otherwise the same.
"""

import shutil
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from rnnscope import stages
from rnnscope.stages import STAGES
from rnnscope.store import runs
from tests.compose import PROJECT, composed

SMALL = (
    "model.units=4",
    "train.steps=20",
    "train.validate_every=10",
    "data.test_fraction=0.02",
    "decoding.folds=2",
    "decoding.max_timesteps=2",
    "units.permutations=20",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy that may be written to."""
    return Path(shutil.copytree(PROJECT / "tests" / "fixtures" / "recorded", tmp_path / "outputs"))


def test_a_run_made_before_the_move_is_up_to_date_up_to_the_page(root: Path) -> None:
    steps = stages.run(composed(root, *SMALL, "mode=plan"))
    assert {step.stage.name: step.waits for step in steps} == dict.fromkeys(STAGES, False)


def test_it_is_found_as_a_run_and_its_tables_are_collected(root: Path) -> None:
    (run,) = runs.find(root, STAGES).runs
    assert (run.name, list(run.stages)) == ("digits-lstm4-s0", list(STAGES))
    (step,) = stages.run(composed(root, "stage=collect"))
    units = pd.read_parquet(step.artefact.folder / "units.parquet")
    assert len(units) == pq.read_metadata(next(root.glob("units/*/units.parquet"))).num_rows == 24


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("stage", [name for name in STAGES if name != "report"])
def test_each_stage_still_makes_the_same_tables(stage: str, root: Path) -> None:
    (recorded,) = root.glob(f"{stage}/*")
    kept = Path(shutil.move(recorded, root / "kept"))
    (*_, step) = stages.run(composed(root, *SMALL, f"stage={stage}"))
    assert step.artefact.folder == recorded
    for name in STAGES[stage].tables:
        if not (kept / f"{name}.parquet").is_file():
            continue
        old, new = (pd.read_parquet(folder / f"{name}.parquet") for folder in (kept, recorded))
        took = [name for name in old if name == "seconds"]
        pd.testing.assert_frame_equal(
            new.drop(columns=took), old.drop(columns=took), rtol=1e-6, atol=1e-9
        )
    for old in kept.glob("lstm/*/*.parquet"):
        new = pd.read_parquet(recorded / old.relative_to(kept))
        pd.testing.assert_frame_equal(new, pd.read_parquet(old), rtol=1e-5, atol=1e-6)
