"""A run made by version 0.1.0: its networks and states are made again as they were.

``tests/fixtures/recorded`` is its root as it was left behind, without logs, TensorBoard's files and
the page itself. It was made with the overrides in SMALL, of a config that was otherwise the same.
"""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from rnnscope import stages
from rnnscope.errors import UserError
from rnnscope.stages import STAGES
from rnnscope.store import runs
from tests.compose import OF_THE_PAGE, PROJECT, composed

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


def test_stages_whose_version_was_raised_run_again(root: Path) -> None:
    steps = stages.run(composed(root, *SMALL, "mode=plan"))
    assert all(step.waits for step in steps)
    assert {step.stage.name for step in steps} == set(OF_THE_PAGE)


def test_its_tables_are_mixed_with_no_others(root: Path) -> None:
    survey = runs.find(root, STAGES)
    assert not survey.runs
    (left_out,) = survey.left_out
    now = STAGES["train"].version
    assert f"train is of version 1, now {now}: run it again" in str(left_out)
    with pytest.raises(UserError, match=r"needs 1 finished run, there are 0 .* run it again"):
        stages.run(composed(root, "stage=collect"))


@pytest.mark.slow
@pytest.mark.tensorflow
def test_training_and_states_are_what_they_were(root: Path, tmp_path: Path) -> None:
    (*_, step) = stages.run(composed(tmp_path / "new", *SMALL, "stage=extract"))
    recorded = step.artefact.folder
    (trained,) = (tmp_path / "new").glob("train/digits-*")
    (was_trained,), (was_recorded,) = root.glob("train/*"), root.glob("extract/*")
    for old, new in ((was_trained, trained), (was_recorded, recorded)):
        tables = [path.relative_to(old) for path in old.rglob("*.parquet")]
        assert tables
        for table in tables:
            before, now = pd.read_parquet(old / table), pd.read_parquet(new / table)
            took = [name for name in before if name == "seconds"]  # now in the manifest
            pd.testing.assert_frame_equal(now, before.drop(columns=took), rtol=1e-5, atol=1e-6)
